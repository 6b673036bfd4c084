"""Reads the quarantine again when something may have made its messages readable.

In chunks between the messages that come, oldest first. Where a pass has come to is not kept: a row
and what was read from it change in one commit, so a pass that begins anew does nothing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from dutyroom.errors import Conflict, Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.recall import Recall
from dutyroom.interfaces import Journal, QuarantineRow

log = structlog.get_logger(__name__)

CHUNK = 256  # messages: some tens of milliseconds


class Rereading:
    """`ask` from any thread, `step` in the one that ingests."""

    def __init__(self, journal: Journal, ingest: Ingest, chunk: int = CHUNK) -> None:
        self._journal, self._ingest, self._chunk = journal, ingest, chunk
        self._lock = threading.Lock()
        self._recall = Recall(journal, ingest)
        self._asked: frozenset[str] | None = None  # reasons, empty = all; None = nothing to do
        self._reasons: frozenset[str] = frozenset()
        self._after: int | None = None  # last row of the pass at hand, None = no pass
        self.read = 0  # messages read again since the start

    def ask(self, *reasons: str) -> None:
        """Look at every open message again, or at those with one of these reasons."""
        with self._lock:
            more = frozenset(reasons)
            self._asked = more if self._asked is None else _both(self._asked, more)

    @property
    def busy(self) -> bool:
        return self._asked is not None or self._after is not None or self._recall.busy

    def step(self) -> bool:
        """One chunk; True = there is more to do. Raises Unavailable: nothing was done, call again."""
        if self._ingest.learned:
            self._ingest.learned = False
            self.ask("rejected")
        if self._recall.step():
            self.ask("unknown_device")
        with self._lock:
            if self._asked is not None:
                going = self._asked if self._after is None else _both(self._asked, self._reasons)
                self._reasons, self._after, self._asked = going, 0, None
        if self._after is None:
            return self._recall.busy
        rows = self._journal.quarantine_after(self._after, self._chunk, self._reasons)
        try:
            self._again(rows)
        except Conflict:  # somebody discarded one of them just now
            return True
        self._after = rows[-1].id if len(rows) == self._chunk else None
        return self.busy

    def _again(self, rows: Sequence[QuarantineRow]) -> None:
        """All at once; where our own code fails, one by one, so that none stops the others."""
        try:
            self.read += self._ingest.again(rows)
        except (Unavailable, Conflict):
            raise
        except Exception:
            if len(rows) == 1:
                log.exception("quarantine.error", row=rows[0].id, topic=rows[0].topic)
                return
            for row in rows:
                self._again([row])


def _both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return one | other if one and other else frozenset()
