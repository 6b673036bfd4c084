"""The loops of a running site: each fetches, decides, commits, acknowledges, and waits to be woken.

Every loop is a thread of its own that survives an outage of what it depends on: `Unavailable`
means wait and try the same again; nothing is acknowledged or advanced meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from dutyroom.errors import Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.interfaces import Inbound, Parcel
from dutyroom.model.telemetry import Message

log = structlog.get_logger(__name__)

_PATIENCE = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between tries while something is away
INGEST_PATIENCE = (0.2,)  # it waits for what is urgent by itself
_LISTEN_S = 1.0  # for what is urgent, before what could not be committed is tried again


@dataclass(slots=True)
class Loop:
    """One named thread: `work(stop)` is called again and again until stopped.

    work returns the seconds to wait unless woken. `trouble` says why it is waiting, "" = fine.
    patience: seconds between tries, the last again and again.
    rest_s: between two turns, however often it is woken, unless work wants to go on sooner by itself:
    what comes meanwhile is done at once.
    """

    name: str
    work: Callable[[], float]
    rest_s: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    woken: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""
    thread: threading.Thread | None = None
    patience: Sequence[float] = _PATIENCE

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self.thread.start()

    def wake(self) -> None:
        self.woken.set()

    def end(self, timeout_s: float = 2.0) -> None:
        self.stop.set()
        self.woken.set()
        if self.thread is not None:
            self.thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self.stop.is_set():
            self.woken.clear()
            try:
                wait = self.work()
                if failures:
                    log.info("loop.recovered", loop=self.name)
                failures, self.trouble = 0, ""
            except Unavailable as err:
                wait = self.patience[min(failures, len(self.patience) - 1)]
                failures += 1
                if str(err) != self.trouble:
                    log.warning("loop.waiting", loop=self.name, reason=str(err))
                self.trouble = str(err)
            except Exception as err:  # a bug must not silence the duty room: log it, go on
                log.exception("loop.error", loop=self.name)
                failures += 1
                wait, self.trouble = _PATIENCE[min(failures, len(_PATIENCE) - 1)], repr(err)
            if wait >= self.rest_s > 0:
                self.stop.wait(self.rest_s)
                wait -= self.rest_s
            if wait > 0 and not self.stop.is_set():
                self.woken.wait(wait)


Taken = Sequence[tuple[object, Message]]


class Urgent(Protocol):
    """What an inbound with sessions of its own for what is urgent can do besides."""

    @property
    def urgent(self) -> bool:
        """Whether what was taken last came by one of them."""
        ...

    def take_urgent(self, timeout_s: float, limit: int) -> Taken:
        """What came by them alone; waits as long in any case where there is none."""
        ...


class IngestWork:
    """What the ingest loop does each turn: take, handle, acknowledge, wake the readers.

    between: some other work of the same thread, a little at a time; True = there is more of it. urgent: of
    the inbound; while others wait for room in the journal, what is urgent is taken and has a reserve there.
    """

    LIMIT = 8192  # messages that are taken, committed and acknowledged at once

    def __init__(
        self,
        inbound: Inbound,
        ingest: Ingest,
        wake: Callable[[], None],
        limit: int = LIMIT,
        between: Callable[[], bool] = lambda: False,
        urgent: Urgent | None = None,
    ) -> None:
        self._inbound, self._ingest, self._wake, self._limit = inbound, ingest, wake, limit
        self._between, self._more = between, False
        self._urgent = urgent
        self._held = {False: Parcel(), True: Parcel()}  # what is not committed yet; True: what is urgent

    def __call__(self) -> float:
        # What could not be committed is tried again before anything new of its lane is taken.
        if self._held[False] and not self._held[True] and self._urgent is not None:
            self._held[True] = Parcel.of(self._urgent.take_urgent(_LISTEN_S, self._limit))
        elif not any(self._held.values()):
            self._take()
        self._commit(True)
        self._commit(False)
        before, self._more = self._more, self._between()
        if before or self._more:
            self._wake()
        return 0.0

    def _take(self) -> None:
        taken = self._inbound.take(0.0 if self._more else 0.25, self._limit)
        self._held[self._urgent is not None and self._urgent.urgent] = Parcel.of(taken)

    def _commit(self, urgent: bool) -> None:
        """All at once; where our own code fails, in ever smaller parts, so that a single message cannot
        stop the others: it goes to quarantine. What is committed is held no longer: whatever happens to
        the rest, it is not committed once more."""
        lane = (True,) if urgent else ()
        size = len(self._held[urgent])
        while held := self._held[urgent]:
            part = held.messages[:size]
            try:
                self._ingest.handle(part, *lane)
            except Unavailable:
                raise
            except Exception as err:
                if len(part) > 1:
                    size = len(part) // 2
                    continue
                log.exception("ingest.error", topic=part[0].topic)
                self._ingest.quarantine(part[0], repr(err), *lane)
            self._done(urgent, len(part))
            size *= 2

    def _done(self, urgent: bool, count: int) -> None:
        """The first of them are durable."""
        held = self._held[urgent]
        self._held[urgent] = held[count:]
        self._inbound.acknowledge(held.tokens[:count])
        self._wake()
