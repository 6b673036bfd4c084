"""Which messages have come before: a broker delivers again what it was not told of in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from msgspec.structs import replace

from dutyroom.flows.receipt_window import Window, shortened
from dutyroom.model.telemetry import Message
from dutyroom.timebase import Ms

_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart

_AT, _SESSION = attrgetter("received_at"), attrgetter("session")


class Receipts:
    """The last messages of a site, of each session apart: while the line of one is away, what comes by others
    must not push out what came by it. `recent`: what the journal has, oldest first."""

    def __init__(self, recent: Iterable[Message]) -> None:
        self._before = list(map(shortened, recent))
        self._windows: dict[tuple[str, bool], Window] = {}
        self._last: dict[str, Ms] = {}  # by topic, of receipts that may be as late as the next ones
        self._newest: Ms = 0  # of all receipts

    def begin(self) -> None:
        """Forgets what was seen since the last commit: it is handled once more."""
        for window in self._windows.values():
            window.begin()

    def commit(self) -> None:
        for window in self._windows.values():
            window.commit()

    def of(self, messages: Iterable[Message], urgent: bool = False) -> list[Message]:
        """A message delivered again keeps the time it was first received at; two of a topic in one
        millisecond are still two. urgent: of messages whose session is not known, a window of their own.

        Only what the broker marks as delivered again, or as retained, is taken for that: a device
        may say the same thing twice.
        """
        held = list(messages)
        if len(self._last) > _TOPICS or self._newest < min(map(_AT, held), default=0):
            self._last.clear()  # of many topics most would be looked for in vain
        found: list[Message] = []
        for window, part in self._by_session(held, urgent):
            found += self._received(window, window.without_wrong_marks(part))
        self._newest = max(self._newest, max(map(_AT, found), default=0))
        return found

    def _received(self, window: Window, messages: Iterable[Message]) -> list[Message]:
        last, found = self._last, []
        for message in messages:
            topic, at = message.topic, message.received_at
            if (message.duplicate or message.retained) and (first := window.first(message)) is not None:
                message = replace(message, received_at=first, duplicate=True)
            else:
                before = last.get(topic, 0)
                if at <= before:
                    at = before + 1
                    message = replace(message, received_at=at)
                last[topic] = at
            window.add(message)
            found.append(message)
        return found

    def _by_session(
        self, held: Sequence[Message], urgent: bool
    ) -> Iterator[tuple[Window, Sequence[Message]]]:
        names = set(map(_SESSION, held))
        if len(names) == 1:
            yield self._window(names.pop(), urgent), held
            return
        for name, part in groupby(held, _SESSION):
            yield self._window(name, urgent), list(part)

    def _window(self, session: str, urgent: bool) -> Window:
        key = session, urgent and not session
        if key not in self._windows:
            ours = [m for m in self._before if not session or m.session in ("", session)]
            self._windows[key] = Window(ours)
        return self._windows[key]
