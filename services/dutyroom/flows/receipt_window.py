"""The last messages of one broker session, and which of them comes again."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import TypeAlias

from msgspec.structs import replace

from dutyroom.model.messages import Messages, payloads_of
from dutyroom.model.telemetry import Message
from dutyroom.timebase import MINUTE, Ms

# Committed messages that a broker may deliver again: at least what is taken, and acknowledged, at once (8,192).
# Mosquitto has 20 under way, 1,000 where we ask for it.
WINDOW = 10_000
# How long before the last message of an earlier process one may have come that was not acknowledged when it ended: a
# line that dies unseen is found out by its keep-alive. What the broker marks, and an older message said, is new.
UNDER_WAY: Ms = 2 * MINUTE

_SHORT = 512  # bytes of a payload that are compared as they are

Content: TypeAlias = tuple[str, bytes]
Place: TypeAlias = tuple[int | None, Ms]  # in the recent ones, None = a new one; when it was received

_SESSION = attrgetter("session")


class _Last:
    """The last messages, oldest first, in the pieces in which they came."""

    def __init__(self) -> None:
        self._pieces: deque[Sequence[Message]] = deque()
        self._count = 0

    def add(self, messages: Sequence[Message]) -> None:
        if not messages:  # of a session that is quiet while others are not
            return
        piece = messages[-WINDOW:]
        self._pieces.append(piece)
        self._count += len(piece)
        while (excess := self._count - WINDOW) > 0:
            first = self._pieces.popleft()
            left = first[excess:]
            self._count -= len(first) - len(left)
            if left:
                self._pieces.appendleft(left)

    def drop(self, places: Collection[int]) -> None:
        kept = [message for place, message in enumerate(self) if place not in places]
        self._pieces, self._count = deque([kept]), len(kept)

    def __iter__(self) -> Iterator[Message]:
        return chain.from_iterable(self._pieces)


class Window:
    """recent: what the journal has of an earlier process, oldest first, shortened."""

    def __init__(self, recent: Iterable[Message]) -> None:
        before = list(recent)
        # Before the last one, not before the latest: after a clock was set back an hour all others are older. What the
        # broker had kept, or sent again, has the time at which it first came.
        last = next(
            (m for m in reversed(before) if not (m.retained or m.duplicate)), before[-1] if before else None
        )
        since = last.received_at - UNDER_WAY if last is not None else 0
        under_way = [m for m in before if m.received_at >= since]
        self._recent = _Last()
        self._recent.add(under_way)
        self._older = {(m.topic, m.payload): m.received_at for m in before if m.received_at < since}
        self._new: list[Message] | Messages = []  # not committed yet
        self._gone: set[int] = set()  # places in `_recent` that were delivered again: each is so once
        self._index: dict[Content, deque[Place]] | None = None  # made for the first one that came before
        self._newest: dict[str, bytes] = {}  # topic -> what was said there last, made with the index

    def begin(self) -> None:
        """Forgets what was seen since the last commit: it is handled once more."""
        self._new, self._gone, self._index = [], set(), None

    def commit(self) -> None:
        if self._gone:
            self._recent.drop(self._gone)
        long = max(map(len, payloads_of(self._new)), default=0) > _SHORT
        self._recent.add(list(map(shortened, self._new)) if long else self._new)
        self.begin()

    def without_wrong_marks(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The mark goes where what a message says had not come with its packet id: the broker had sent it to the
        process before us, or to a line that was cut before it was taken, perhaps into one that was dead."""
        meant = self._meant() if any(map(_numbered_again, messages)) else None
        if meant is None:
            return messages
        found = []
        for message in messages:
            if _numbered_again(message) and not _same(meant.get(message.ident[:2]), message):
                message = replace(message, duplicate=False)
            if message.ident:
                meant[message.ident[:2]] = shortened(message)
            found.append(message)
        return found

    def _meant(self) -> dict[bytes, Message] | None:
        """What each packet id meant last, nothing where nothing has come yet; None = of some messages it is not known."""
        last = [*self._recent, *map(shortened, self._new)]
        return {m.ident[:2]: m for m in last if m.ident} if all(map(_SESSION, last)) else None

    def first(self, message: Message) -> Ms | None:
        """When a message that is delivered again was first received. After a reconnect that may be thousands:
        none of them looks through all the others."""
        index, content = self._indexed(), _content(message.payload)
        # A state that a broker kept is known only where nothing else was said since: off, on and off again may be news.
        if message.retained and self._newest.get(message.topic, content) != content:
            return None
        found = index.get((message.topic, content))
        if not found:
            return self._older.get((message.topic, content)) if message.retained else None
        place, at = found.popleft()
        if place is not None:
            self._gone.add(place)
        return at

    def _indexed(self) -> dict[Content, deque[Place]]:
        if self._index is None:
            self._index = {}
            self._newest = dict(sorted(self._older, key=self._older.__getitem__))
            for number, receipt in enumerate(self._recent):
                of = self._index.setdefault((receipt.topic, receipt.payload), deque())
                of.append((number, receipt.received_at))
                self._newest[receipt.topic] = receipt.payload
            for other in self._new:
                of = self._index.setdefault((other.topic, _content(other.payload)), deque())
                of.append((None, other.received_at))
                self._newest[other.topic] = _content(other.payload)
        return self._index

    def pass_by(self, messages: Messages) -> None:
        """Adds some that nobody has marked and that are committed as they came."""
        if self._new or self._index is not None:
            for message in messages:
                self.add(message)
        else:
            self._new = messages

    def add(self, message: Message) -> None:
        """One more, as it is to be committed."""
        if self._index is not None:
            of = self._index.setdefault((message.topic, _content(message.payload)), deque())
            of.append((None, message.received_at))
            self._newest[message.topic] = _content(message.payload)
        if isinstance(self._new, Messages):
            self._new = list(self._new)
        self._new.append(message)


def _content(payload: bytes) -> bytes:
    """What makes a redelivery recognisable: the payload, of a long one its hash."""
    return payload if len(payload) <= _SHORT else hashlib.blake2b(payload, digest_size=16).digest()


def _numbered_again(message: Message) -> bool:
    return message.duplicate and not message.retained and bool(message.ident)


def _same(one: Message | None, other: Message) -> bool:
    return one is not None and one.topic == other.topic and one.payload == _content(other.payload)


def shortened(message: Message) -> Message:
    """A message with no more than that."""
    if len(message.payload) <= _SHORT:
        return message
    return replace(message, payload=_content(message.payload))
