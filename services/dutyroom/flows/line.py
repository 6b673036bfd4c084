"""The line to a site's brokers: put up while we own the site, cut at once when we do not.

A line that is put up again is made of new sessions under the same client ids, so a broker goes on where
the old ones were, and what was not acknowledged comes again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from dutyroom.flows.loops import Taken, Urgent
from dutyroom.interfaces import Inbound

log = structlog.get_logger(__name__)


class Session(Inbound, Urgent, Protocol):
    """What a line is made of."""

    @property
    def connected(self) -> bool: ...

    @property
    def away(self) -> frozenset[str]:
        """The brokers that are not there, as the sessions of messages name them after the @."""
        ...

    @property
    def refused(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None:
        """Leaves without acknowledging anything more; may take a moment."""
        ...

    def extend(self, topics: Iterable[str]) -> tuple[str, ...]: ...


class Line:
    """See `interfaces.Inbound`. make: new sessions; the first are made at once, so that what it refuses
    (`Rejected`) is known at the start."""

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._fresh: Session | None = make()
        self._session: Session | None = None
        self._taken_from: Session | None = None
        self._more: dict[str, None] = {}
        self._up = threading.Event()
        self.closed = False

    @property
    def connected(self) -> bool:
        session = self._session
        return session is not None and session.connected

    @property
    def away(self) -> frozenset[str] | None:
        """The brokers that are not there; None = the line is cut, all of them."""
        session = self._session
        return session.away if session is not None else None

    @property
    def refused(self) -> str:
        session = self._session
        return session.refused if session is not None else ""

    def start(self) -> None:
        with self._lock:
            if self._session is not None or self.closed:
                return
            session, self._fresh = self._fresh or self._make(), None
            session.extend(list(self._more))
            session.start()
            self._session = session
        self._up.set()

    def cut(self) -> None:
        """Nothing more is taken or acknowledged from now on; does not wait for the network."""
        session = self._off()
        if session is not None:
            log.warning("line.cut")
            threading.Thread(target=session.stop, name="line", daemon=True).start()

    def stop(self) -> None:
        """For good."""
        self.closed = True
        session = self._off()
        self._up.set()
        if session is not None:
            session.stop()

    def _off(self) -> Session | None:
        with self._lock:
            session, self._session, self._taken_from = self._session, None, None
            self._up.clear()
            return session

    def extend(self, topics: Iterable[str]) -> tuple[str, ...]:
        """These as well, also after the line was put up again."""
        wanted = list(topics)
        with self._lock:
            self._more |= dict.fromkeys(wanted)
            session = self._session
        return session.extend(wanted) if session is not None else ()

    def take(self, timeout_s: float, limit: int) -> Taken:
        return self._taken(lambda session: session.take(timeout_s, limit), timeout_s)

    def take_urgent(self, timeout_s: float, limit: int) -> Taken:
        return self._taken(lambda session: session.take_urgent(timeout_s, limit), timeout_s)

    @property
    def urgent(self) -> bool:
        session = self._taken_from
        return session is not None and session.urgent

    def _taken(self, take: Callable[[Session], Taken], timeout_s: float) -> Taken:
        session = self._session
        if session is None:
            self._up.wait(timeout_s)
            return []
        taken = take(session)
        with self._lock:
            # What was taken while the line was cut comes again.
            if session is not self._session:
                return []
            self._taken_from = session
        return taken

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Of what was taken last. After a cut they mean nothing."""
        with self._lock:
            session = self._taken_from
        if session is not None:
            session.acknowledge(tokens)
