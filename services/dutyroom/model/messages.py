"""Messages as columns: of what comes by thousands, one is an object only where somebody looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Final, TypeVar, overload

import numpy as np

from dutyroom.model.telemetry import Batch, Longs, Message

RETAINED: Final = 1
DUPLICATE: Final = 2
# Up to so many messages a batch keeps their sessions and packet ids: more at once come only where a backlog drains
# or thousands a second, and there the ids of all would cost as much as a hundredth of all the rest.
NUMBERED: Final = 1_000
_UNMARKED: Final[Mapping[int, int]] = {}

_TOPIC, _PAYLOAD, _RECEIVED = attrgetter("topic"), attrgetter("payload"), attrgetter("received_at")
_SESSION, _IDENT = attrgetter("session"), attrgetter("ident")
T = TypeVar("T")


class Messages(Sequence[Message]):
    """Some messages in the order they came. received: ms UTC, by message; marks: by place, of those that a broker
    had retained or delivers again, RETAINED | DUPLICATE; sessions, idents: by message. Nobody changes the columns."""

    __slots__ = ("idents", "marks", "payloads", "received", "sessions", "topics")

    def __init__(
        self,
        topics: list[str],
        payloads: list[bytes],
        received: Longs,
        marks: Mapping[int, int],
        sessions: list[str],
        idents: list[bytes],
    ) -> None:
        self.topics, self.payloads, self.received, self.marks = topics, payloads, received, marks
        self.sessions, self.idents = sessions, idents

    @staticmethod
    def of(messages: Sequence[Message]) -> Messages:
        """The same messages."""
        if isinstance(messages, Messages):
            return messages
        received = np.array(list(map(_RECEIVED, messages)), np.int64)
        marks = {n: mark for n, m in enumerate(messages) if (mark := m.retained | m.duplicate << 1)}
        topics, payloads = list(map(_TOPIC, messages)), list(map(_PAYLOAD, messages))
        came = list(map(_SESSION, messages)), list(map(_IDENT, messages))
        return Messages(topics, payloads, received, marks, *came)

    @staticmethod
    def joined(parts: Sequence[Sequence[Message]]) -> Messages:
        """One after the other."""
        if len(parts) == 1:
            return Messages.of(parts[0])
        columns = [part for part in parts if isinstance(part, Messages)]
        if len(columns) < len(parts) or not columns:
            return Messages.of([message for part in parts for message in part])
        marks, before = dict[int, int](), 0
        for part in columns:
            if part.marks:
                marks.update({before + place: mark for place, mark in part.marks.items()})
            before += len(part)
        return Messages(
            list(chain.from_iterable(part.topics for part in columns)),
            list(chain.from_iterable(part.payloads for part in columns)),
            np.concatenate([part.received for part in columns]),
            marks,
            list(chain.from_iterable(part.sessions for part in columns)),
            list(chain.from_iterable(part.idents for part in columns)),
        )

    def some(self, places: Sequence[int]) -> Messages:
        """Those at these places."""
        marks = {n: self.marks[place] for n, place in enumerate(places) if place in self.marks}
        return Messages(
            _some(self.topics, places),
            _some(self.payloads, places),
            self.received[np.array(places, np.intp)],
            marks,
            _some(self.sessions, places),
            _some(self.idents, places),
        )

    def __len__(self) -> int:
        return len(self.topics)

    @overload
    def __getitem__(self, place: int) -> Message: ...

    @overload
    def __getitem__(self, place: slice) -> Messages: ...

    def __getitem__(self, place: int | slice) -> Message | Messages:
        if isinstance(place, slice):
            return self._cut(*place.indices(len(self)))
        n = place + len(self) if place < 0 else place
        mark = self.marks.get(n, 0)
        retained, again = bool(mark & RETAINED), bool(mark & DUPLICATE)
        came = self.sessions[n], self.idents[n]
        return Message(self.topics[n], self.payloads[n], self.received.item(n), retained, again, *came)

    def _cut(self, start: int, stop: int, step: int) -> Messages:
        if (start, step) == (0, 1) and stop == len(self):
            return self
        if step != 1 or self.marks:
            return self.some(range(start, stop, step))
        part = slice(start, stop)
        return Messages(
            self.topics[part],
            self.payloads[part],
            self.received[part],
            _UNMARKED,
            self.sessions[part],
            self.idents[part],
        )

    def __iter__(self) -> Iterator[Message]:
        if self.marks:
            return map(self.__getitem__, range(len(self)))
        columns = self.topics, self.payloads, self.received.tolist(), repeat(False), repeat(False)
        return map(Message, *columns, self.sessions, self.idents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _some(column: list[T], places: Sequence[int]) -> list[T]:
    return [column[n] for n in places]


def topics_of(messages: Sequence[Message]) -> list[str]:
    """By message."""
    return messages.topics if isinstance(messages, Messages) else list(map(_TOPIC, messages))


def payloads_of(messages: Sequence[Message]) -> list[bytes]:
    """By message."""
    return messages.payloads if isinstance(messages, Messages) else list(map(_PAYLOAD, messages))


def sessions_of(messages: Sequence[Message]) -> list[str]:
    """By message."""
    return messages.sessions if isinstance(messages, Messages) else list(map(_SESSION, messages))


def idents_of(messages: Sequence[Message]) -> list[bytes]:
    """Packet ids, by message."""
    return messages.idents if isinstance(messages, Messages) else list(map(_IDENT, messages))


def came_by(batch: Batch) -> list[str]:
    """The session that each message of a batch came by; [] = it is as large as those whose sessions are not kept."""
    if len(batch.messages) > NUMBERED and not batch.blocks:
        return []
    odd, blocks = (batch.odd, batch.blocks) if batch.blocks else (batch.messages, ())
    return [m.message.session for m in odd] + [name for b in blocks for name in sessions_of(b.messages)]


def times_of(messages: Sequence[Message]) -> Longs:
    """When each came, ms UTC."""
    if isinstance(messages, Messages):
        return messages.received
    return np.array(list(map(_RECEIVED, messages)), np.int64)


def marked(messages: Sequence[Message], marks: int) -> bool:
    """Whether one of them has one of these marks."""
    if isinstance(messages, Messages):
        return any(mark & marks for mark in messages.marks.values())
    return any((m.retained | m.duplicate << 1) & marks for m in messages)
