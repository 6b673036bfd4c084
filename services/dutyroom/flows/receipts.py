"""Which messages have come before: a broker delivers again what it was not told of in time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import TypeAlias

from msgspec.structs import replace

from dutyroom.model.telemetry import Message
from dutyroom.timebase import MINUTE, Ms

# Committed messages that a broker may deliver again: at least what is taken, and acknowledged, at once (8,192), and
# some of another broker's meanwhile. Mosquitto has 20 under way, 1,000 where we ask for it.
WINDOW = 10_000
# How long before the last message of an earlier process one may have come that was not acknowledged when it ended: a
# line that dies unseen is found out by its keep-alive. What the broker marks, and an older message said, is new.
UNDER_WAY: Ms = 2 * MINUTE
_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart

_SHORT = 512  # bytes of a payload that are compared as they are

Content: TypeAlias = tuple[str, bytes]
Place: TypeAlias = tuple[int | None, Ms]  # in the recent ones, None = a new one; when it was received

_PAYLOAD, _AT = attrgetter("payload"), attrgetter("received_at")


class Receipts:
    """The last messages of a site. `recent`: what the journal has, oldest first."""

    def __init__(self, recent: Iterable[Message]) -> None:
        before = list(map(_short, recent))
        since = max(map(_AT, before), default=0) - UNDER_WAY
        self._recent: deque[Message] = deque((m for m in before if m.received_at >= since), maxlen=WINDOW)
        self._older = {(m.topic, m.payload): m.received_at for m in before if m.received_at < since}
        self._last: dict[str, Ms] = {}  # by topic, of receipts that may be as late as the next ones
        self._newest: Ms = 0  # of all receipts
        self._new: list[Message] = []  # not committed yet
        self._gone: set[int] = set()  # places in `_recent` that were delivered again: each is so once
        self._index: dict[Content, deque[Place]] | None = None  # made for the first one that came before

    def begin(self) -> None:
        """Forgets what was seen since the last commit: it is handled once more."""
        self._new, self._gone, self._index = [], set(), None

    def commit(self) -> None:
        if self._gone:
            kept = [receipt for place, receipt in enumerate(self._recent) if place not in self._gone]
            self._recent = deque(kept, maxlen=WINDOW)
        new = self._new[-WINDOW:]
        long = max(map(len, map(_PAYLOAD, new)), default=0) > _SHORT
        self._recent.extend(map(_short, new) if long else new)
        self.begin()

    def of(self, messages: Iterable[Message]) -> list[Message]:
        """A message delivered again keeps the time it was first received at; two of a topic in one
        millisecond are still two.

        Only what the broker marks as delivered again, or as retained, is taken for that: a device
        may say the same thing twice.
        """
        last, held = self._last, list(messages)
        if len(last) > _TOPICS or self._newest < min(map(_AT, held), default=0):
            last.clear()  # of many topics most would be looked for in vain
        for message in held:
            topic, at = message.topic, message.received_at
            if (message.duplicate or message.retained) and (first := self._first(message)) is not None:
                self._add(replace(message, received_at=first, duplicate=True))
                continue
            before = last.get(topic, 0)
            if at <= before:
                at = before + 1
                message = replace(message, received_at=at)
            last[topic] = at
            self._add(message)
        self._newest = max(self._newest, max(map(_AT, self._new), default=0))
        return self._new

    def _add(self, message: Message) -> None:
        if self._index is not None:
            of = self._index.setdefault((message.topic, _content(message.payload)), deque())
            of.append((None, message.received_at))
        self._new.append(message)

    def _first(self, message: Message) -> Ms | None:
        """When a message that is delivered again was first received. After a reconnect that may be thousands:
        none of them looks through all the others."""
        if self._index is None:
            self._index = {}
            for number, receipt in enumerate(self._recent):
                of = self._index.setdefault((receipt.topic, receipt.payload), deque())
                of.append((number, receipt.received_at))
            for other in self._new:
                of = self._index.setdefault((other.topic, _content(other.payload)), deque())
                of.append((None, other.received_at))
        found = self._index.get((message.topic, _content(message.payload)))
        if not found:
            return self._older.get((message.topic, _content(message.payload))) if message.retained else None
        place, at = found.popleft()
        if place is not None:
            self._gone.add(place)
        return at


def _content(payload: bytes) -> bytes:
    """What makes a redelivery recognisable: the payload, of a long one its hash."""
    return payload if len(payload) <= _SHORT else hashlib.blake2b(payload, digest_size=16).digest()


def _short(message: Message) -> Message:
    """A message with no more than that."""
    if len(message.payload) <= _SHORT:
        return message
    return replace(message, payload=_content(message.payload))
