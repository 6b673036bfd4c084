"""Which messages have come before: a broker delivers again what it was not told of in time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from operator import attrgetter

from msgspec.structs import replace

from dutyroom.model.telemetry import Message
from dutyroom.timebase import Ms

WINDOW = 2_000  # committed messages that a broker may deliver again; Mosquitto holds 20 in flight
_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart

_SHORT = 512  # bytes of a payload that are compared as they are

_PAYLOAD, _AT = attrgetter("payload"), attrgetter("received_at")


class Receipts:
    """The last messages of a site. `recent`: what the journal has, oldest first."""

    def __init__(self, recent: Iterable[Message]) -> None:
        self._recent: deque[Message] = deque(map(_short, recent), maxlen=WINDOW)
        self._last: dict[str, Ms] = {}  # by topic, of receipts that may be as late as the next ones
        self._newest: Ms = 0  # of all receipts
        self._new: list[Message] = []  # not committed yet
        self._matched: set[tuple[bool, int]] = set()  # (of the new ones, place): each is delivered again once

    def begin(self) -> None:
        """Forgets what was seen since the last commit: it is handled once more."""
        self._new, self._matched = [], set()

    def commit(self) -> None:
        if self._matched:
            gone = {place for new, place in self._matched if not new}
            kept = [receipt for place, receipt in enumerate(self._recent) if place not in gone]
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
                self._new.append(replace(message, received_at=first, duplicate=True))
                continue
            before = last.get(topic, 0)
            if at <= before:
                at = before + 1
                message = replace(message, received_at=at)
            last[topic] = at
            self._new.append(message)
        self._newest = max(self._newest, max(map(_AT, self._new), default=0))
        return self._new

    def _first(self, message: Message) -> Ms | None:
        """When a message that is delivered again was first received."""
        topic, content = message.topic, _content(message.payload)
        for place, receipt in enumerate(self._recent):
            if receipt.payload == content and receipt.topic == topic and (False, place) not in self._matched:
                self._matched.add((False, place))
                return receipt.received_at
        for place, other in enumerate(self._new):
            same = other.topic == topic and _content(other.payload) == content
            if same and (True, place) not in self._matched:
                self._matched.add((True, place))
                return other.received_at
        return None


def _content(payload: bytes) -> bytes:
    """What makes a redelivery recognisable: the payload, of a long one its hash."""
    return payload if len(payload) <= _SHORT else hashlib.blake2b(payload, digest_size=16).digest()


def _short(message: Message) -> Message:
    """A message with no more than that."""
    if len(message.payload) <= _SHORT:
        return message
    return replace(message, payload=_content(message.payload))
