"""The leases of a process: under which name it owns sites, and the loops that keep them."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.journal import SqliteJournal
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.lease import Keeper
from dutyroom.flows.loops import Loop
from dutyroom.interfaces import Records
from dutyroom.model.lease import Lease

_ASK_S = 0.5


def this_process(role: str) -> str:
    """A name that no other process ever has."""
    return f"{role}@{socket.gethostname()}/{os.getpid()}-{secrets.token_hex(3)}"


def this_folder(role: str, folder: DataFolder) -> str:
    """The name of whoever has this folder on this machine for itself: after a crash it is the same one,
    which takes its sites back at once."""
    return f"{role}@{socket.gethostname()}/{folder.secret('name')[:8]}"


def token_in(journal: Path) -> int:
    """Of the last owner of a journal, 0 = none: records that were restored from a backup may know less."""
    if not journal.exists():
        return 0
    with contextlib.suppress(Unavailable):
        opened = SqliteJournal(journal, read_only=True)
        try:
            return opened.token()
        finally:
            opened.close()
    return 0


class Leasing:
    """The keeper of a process's leases with its two loops. `end` may be called more than once."""

    def __init__(self, records: Records, owner: str, role: str, sites: tuple[str, ...]) -> None:
        self.keeper = Keeper(records.leases, owner, role, sites)
        self._records = records
        self.loops = [Loop("lease", self.keeper.renew), Loop("lease watch", self.keeper.look)]
        self._ended = False

    def start(self) -> None:
        for loop in self.loops:
            loop.start()

    def end(self) -> None:
        """When no site runs any more: others may take them at once."""
        if self._ended:
            return
        self._ended = True
        for loop in self.loops:
            loop.end()
        with contextlib.suppress(Unavailable):
            self.keeper.leave()

    def insist(self, site: str, journal: Path, say: Callable[[str], None]) -> Lease:
        """The lease on a site that nobody else may have. One that a dead process left is waited for.

        Raises Rejected when its owner is at work.
        """
        leases, before = self._records.leases, None
        while (lease := self.keeper.take(site, token_in(journal))) is None:
            found = leases.owners().owner(site)
            if found is not None and before is None:
                say(f"Site {site}: waiting for the lease of {found.owner} to run out")
            elif found is not None and before is not None and found.expires_at != before.expires_at:
                raise Rejected(
                    f"site {site}: {found.owner} reads its messages; a site belongs to one process at a time. "
                    "Stop that one, or leave the site to it"
                )
            before = found or before
            time.sleep(_ASK_S)
        return lease
