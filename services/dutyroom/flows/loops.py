"""The loops of a running site: each fetches, decides, commits, acknowledges, and waits to be woken.

Every loop is a thread of its own that survives an outage of what it depends on: `Unavailable`
means wait and try the same again; nothing is acknowledged or advanced meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from dutyroom.errors import Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.interfaces import Inbound
from dutyroom.model.telemetry import Message

log = structlog.get_logger(__name__)

_PATIENCE = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between tries while something is away


@dataclass(slots=True)
class Loop:
    """One named thread: `work(stop)` is called again and again until stopped.

    work returns the seconds to wait unless woken. `trouble` says why it is waiting, "" = fine.
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
                wait = _PATIENCE[min(failures, len(_PATIENCE) - 1)]
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


class IngestWork:
    """What the ingest loop does each turn: take, handle, acknowledge, wake the readers.

    between: some other work of the same thread, a little at a time; True = there is more of it.
    """

    def __init__(
        self,
        inbound: Inbound,
        ingest: Ingest,
        wake: Callable[[], None],
        limit: int = 4096,
        between: Callable[[], bool] = lambda: False,
    ) -> None:
        self._inbound, self._ingest, self._wake, self._limit = inbound, ingest, wake, limit
        self._between, self._more = between, False
        self._held: Sequence[tuple[object, Message]] = ()

    def __call__(self) -> float:
        # What could not be committed is tried again before anything new is taken.
        self._held = self._held or self._inbound.take(0.0 if self._more else 0.25, self._limit)
        if self._held:
            self._handle([message for _, message in self._held])
            self._inbound.acknowledge([token for token, _ in self._held])
            self._held = ()
            self._wake()
        before, self._more = self._more, self._between()
        if before or self._more:
            self._wake()
        return 0.0

    def _handle(self, messages: Sequence[Message]) -> None:
        """All at once; where our own code fails, one by one, so that a single message cannot stop
        the others: it goes to quarantine."""
        try:
            self._ingest.handle(messages)
        except Unavailable:
            raise
        except Exception as err:
            if len(messages) == 1:
                log.exception("ingest.error", topic=messages[0].topic)
                self._ingest.quarantine(messages[0], repr(err))
                return
            for message in messages:
                self._handle([message])
