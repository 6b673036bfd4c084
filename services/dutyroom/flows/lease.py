"""The sites that this process owns: taken, renewed, and let go of in time.

A site is worked on only while its lease holds by this process's own count of seconds, begun before the
database was asked. Who cannot renew in time stops at once, before another may begin; and where a
process slept through that, the token in every commit refuses what it does when it wakes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from dutyroom.errors import DutyroomError, Fenced
from dutyroom.interfaces import Leases, Records, Tx
from dutyroom.model.lease import Lease
from dutyroom.timebase import SECOND, Ms

log = structlog.get_logger(__name__)

TTL: Ms = 12 * SECOND
RENEW_S = 3.0
LOOK_S = 0.2
_MARGIN_S = 1.0  # stopped this long before another may begin


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Hold:
    """What happens with a site. pause: it could not be renewed in time; resume: it could, later, and
    nobody had it meanwhile; lost: another owns it. All three return at once."""

    lease: Lease
    until: float  # by the process's own clock, seconds
    pause: Callable[[], None] = _nothing
    resume: Callable[[], None] = _nothing
    lost: Callable[[], None] = _nothing
    said: Callable[[], Mapping[str, Any]] = dict
    paused: bool = False


class Keeper:
    """The leases of one process, under its name. Used from any thread; `renew` and `look` are the work
    of two loops: the database may keep the first one waiting, the second one waits for nobody."""

    def __init__(
        self,
        leases: Leases,
        owner: str,
        role: str,
        sites: tuple[str, ...],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self._leases, self._role, self._sites, self._seconds = leases, role, sites, seconds
        self._holds: dict[str, Hold] = {}
        self._lock = threading.RLock()

    @property
    def held(self) -> frozenset[str]:
        return frozenset(self._holds)

    def take(self, site: str, above: int = 0) -> Lease | None:
        """above: the token must be larger. None = another process owns it."""
        began = self._seconds()
        lease = self._leases.take(site, self.owner, TTL, above)
        if lease is not None:
            with self._lock:
                self._holds[site] = Hold(lease, self._until(began))
            log.info("lease.taken", site=site, token=lease.token)
        return lease

    def attach(
        self,
        site: str,
        pause: Callable[[], None],
        resume: Callable[[], None],
        lost: Callable[[], None],
        said: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """What to do with a site that was taken. Raises Fenced when it is lost already."""
        with self._lock:
            hold = self._holds.get(site)
            if hold is None:
                raise Fenced(f"another process owns the site {site} now")
            hold.pause, hold.resume, hold.lost, hold.said = pause, resume, lost, said
            if hold.paused:
                pause()

    def check(self, site: str) -> None:
        """Raises Fenced unless the site is ours at this moment."""
        hold = self._holds.get(site)
        if hold is None:
            raise Fenced(f"another process owns the site {site} now")
        if self._seconds() >= hold.until:
            raise Fenced(f"the lease on the site {site} could not be renewed in time")

    def release(self, site: str) -> None:
        """Call it when nothing of the site runs any more. Raises Unavailable: it runs out by itself."""
        with self._lock:
            hold = self._holds.pop(site, None)
        if hold is not None:
            self._leases.release(site, self.owner, hold.lease.token)

    # ------------------------------------------------------------ the two loops

    def renew(self) -> float:
        """Raises Unavailable when the records do not answer."""
        began = self._seconds()
        with self._lock:
            holds = dict(self._holds)
        self._leases.alive(self.owner, self._role, self._sites, TTL)
        held = {site: (hold.lease.token, _said(site, hold)) for site, hold in holds.items()}
        kept = self._leases.renew(self.owner, held, TTL) if held else set()
        with self._lock:
            for site, hold in holds.items():
                if self._holds.get(site) is hold:
                    self._renewed(site, hold, began, site in kept)
        return RENEW_S

    def _renewed(self, site: str, hold: Hold, began: float, kept: bool) -> None:
        if not kept:
            del self._holds[site]
            log.error("lease.lost", site=site, token=hold.lease.token)
            hold.pause()
            hold.lost()
            return
        hold.until = self._until(began)
        if hold.paused:
            try:
                hold.resume()
            except DutyroomError as err:  # a password that cannot be read: tried again with the next renewal
                log.error("lease.not_resumed", site=site, reason=str(err))
                return
            hold.paused = False
            log.warning("lease.renewed_late", site=site)

    def look(self) -> float:
        """Stops what could not be renewed in time."""
        with self._lock:
            for site, hold in self._holds.items():
                if not hold.paused and self._seconds() >= hold.until:
                    hold.paused = True
                    log.error("lease.not_renewed", site=site)
                    hold.pause()
        return LOOK_S

    def leave(self) -> None:
        """This process is going; what it still holds is free. Raises Unavailable."""
        for site in list(self._holds):
            self.release(site)
        self._leases.gone(self.owner)

    def _until(self, began: float) -> float:
        return began + TTL / 1000 - _MARGIN_S


def _said(site: str, hold: Hold) -> Mapping[str, Any]:
    """A description that fails costs no lease."""
    try:
        return hold.said()
    except Exception:
        log.exception("lease.nothing_said", site=site)
        return {}


class FencedRecords:
    """The records for the flows of a site: every transaction that writes is one of its owner's.

    Raises Fenced where the site has another owner by now.
    """

    def __init__(self, records: Records, site: str, token: int) -> None:
        self._records, self._site, self._token = records, site, token

    @property
    def leases(self) -> Leases:
        return self._records.leases

    @contextmanager
    def write(self) -> Iterator[Tx]:
        with self._records.write() as tx:
            if tx.token(self._site) != self._token:
                raise Fenced(f"records: another process owns the site {self._site} now")
            yield tx

    @contextmanager
    def read(self) -> Iterator[Tx]:
        with self._records.read() as tx:
            yield tx

    def close(self) -> None:
        self._records.close()
