"""Which messages have come before: a broker delivers again what it was not told of in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, pairwise
from operator import attrgetter

import numpy as np
from msgspec.structs import replace

from dutyroom.flows.receipt_window import Window, shortened
from dutyroom.model.messages import Messages, sessions_of
from dutyroom.model.telemetry import Longs, Message
from dutyroom.timebase import Ms

_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart
_INSTANTS = 512  # more of them in a batch are not looked at together

_AT = attrgetter("received_at")


def _nothing() -> None:
    """What is to be done where nothing was seen."""


class Receipts:
    """The last messages of a site, of each session apart: while the line of one is away, what comes by others
    must not push out what came by it. `recent`: what the journal has, oldest first."""

    def __init__(self, recent: Iterable[Message]) -> None:
        self._before = list(map(shortened, recent))
        self._windows: dict[tuple[str, bool], Window] = {}
        self._last: dict[str, Ms] = {}  # by topic, of receipts that may be as late as the next ones
        # The same of what is not committed yet, which may be handled once more.
        self._said: dict[str, Ms] = {}
        self._passed: list[tuple[list[str], Longs]] = []  # such receipts that are not in it yet
        self._newest: Ms = 0  # of all receipts
        self._at_newest: set[str] | None = None  # topics of all receipts of that instant; None = not known
        self._then: Callable[[], None] = _nothing  # once what was seen is committed

    def begin(self) -> None:
        """Forgets what was seen since the last commit: it is handled once more."""
        self._said, self._then = {}, _nothing
        for window in self._windows.values():
            window.begin()

    def commit(self) -> None:
        self._last.update(self._said)
        self._then()
        self._said, self._then = {}, _nothing
        for window in self._windows.values():
            window.commit()

    def of(self, messages: Sequence[Message], urgent: bool = False) -> Sequence[Message]:
        """A message delivered again keeps the time it was first received at; two of a topic in one
        millisecond are still two. urgent: of messages whose session is not known, a window of their own.

        Only what the broker marks as delivered again, or as retained, is taken for that: a device
        may say the same thing twice.
        """
        if isinstance(messages, Messages) and not messages.marks and self._apart(messages):
            for window, part in self._by_session(messages, urgent):
                window.pass_by(Messages.of(part))
            return messages
        self._remember(min(map(_AT, messages), default=0))
        found: list[Message] = []
        for window, part in self._by_session(messages, urgent):
            found += self._received(window, window.without_wrong_marks(part))
        newest = max(self._newest, max(map(_AT, found), default=0))
        self._then = partial(self._moved, newest)
        return found

    def _moved(self, newest: Ms) -> None:
        self._newest = newest

    def _apart(self, messages: Messages) -> bool:
        """Whether they came in the order of the clock and no two of a topic in one millisecond, nor one of them
        with an earlier one, as nearly always. Then they are remembered, and nothing is to be done for each."""
        at = messages.received
        steps = np.diff(at)
        if not len(at) or at.item(0) < self._newest or (steps < 0).any():
            return False
        edges = [0, *(np.flatnonzero(steps) + 1).tolist(), len(at)]
        if len(edges) > _INSTANTS:
            return False
        together = at.item(0) == self._newest
        some = self._at_newest if together else set[str]()
        for begin, end in pairwise(edges):
            topics = set(messages.topics[begin:end])
            if some is None or len(topics) < end - begin or (begin == 0 and not topics.isdisjoint(some)):
                return False
            some = topics | some if begin == 0 else topics
        self._then = partial(self._pass, messages.topics, at, some, together)
        return True

    def _pass(self, topics: list[str], at: Longs, some: set[str] | None, together: bool) -> None:
        if not together:
            self._last.clear()
            self._passed = []
        self._passed.append((topics, at))
        self._newest, self._at_newest = at.item(-1), some

    def _remember(self, first: Ms) -> None:
        """The last receipts by topic, as far as one may be as late as what came at `first`."""
        if len(self._last) > _TOPICS or self._newest < first:
            self._last.clear()  # of many topics most would be looked for in vain
        if self._newest >= first:
            for topics, at in self._passed:
                self._last.update(zip(topics, at.tolist(), strict=True))
        self._passed, self._at_newest = [], None

    def _received(self, window: Window, messages: Iterable[Message]) -> list[Message]:
        last, said, found = self._last, self._said, []
        for message in messages:
            topic, at = message.topic, message.received_at
            if (message.duplicate or message.retained) and (first := window.first(message)) is not None:
                message = replace(message, received_at=first, duplicate=True)
            else:
                before = said.get(topic) or last.get(topic, 0)
                if at <= before:
                    at = before + 1
                    message = replace(message, received_at=at)
                said[topic] = at
                if message.duplicate and not message.retained:
                    message = replace(
                        message, duplicate=False
                    )  # sent before, but not to us: new, and counted
            window.add(message)
            found.append(message)
        return found

    def _by_session(
        self, held: Sequence[Message], urgent: bool
    ) -> Iterator[tuple[Window, Sequence[Message]]]:
        begin, names = 0, sessions_of(held)
        one = not names or names.count(names[0]) == len(names)
        for name, of_it in [(names[0], names)] if names and one else groupby(names):
            end = begin + len(list(of_it))
            yield self._window(name, urgent), held[begin:end]
            begin = end

    def _window(self, session: str, urgent: bool) -> Window:
        key = session, urgent and not session
        if key not in self._windows:
            ours = [m for m in self._before if not session or m.session in ("", session)]
            self._windows[key] = Window(ours)
        return self._windows[key]
