"""Which messages have come before: a broker delivers again what it was not told of in time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from dutyroom.model.telemetry import Message
from dutyroom.timebase import Ms

WINDOW = 2_000  # committed messages that a broker may deliver again; Mosquitto holds 20 in flight
_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart

_SHORT = 512  # bytes of a payload that are compared as they are

_Receipt = tuple[str, bytes, Ms]  # topic, payload (of a long one its hash), and when it was first received


class Receipts:
    """The last messages of a site. `recent`: what the journal has, oldest first."""

    def __init__(self, recent: Iterable[Message]) -> None:
        self._recent: deque[_Receipt] = deque(map(_receipt, recent), maxlen=WINDOW)
        self._last: dict[str, Ms] = {}  # by topic
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
        self._recent.extend(map(_receipt, self._new[-WINDOW:]))
        self.begin()

    def of(self, messages: Iterable[Message]) -> list[Message]:
        """A message delivered again keeps the time it was first received at; two of a topic in one
        millisecond are still two.

        Only what the broker marks as delivered again, or as retained, is taken for that: a device
        may say the same thing twice.
        """
        last = self._last
        if len(last) > _TOPICS:
            last.clear()
        for message in messages:
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
        return self._new

    def _first(self, message: Message) -> Ms | None:
        """When a message that is delivered again was first received."""
        topic, content, _ = _receipt(message)
        for place, receipt in enumerate(self._recent):
            if receipt[1] == content and receipt[0] == topic and (False, place) not in self._matched:
                self._matched.add((False, place))
                return receipt[2]
        for place, other in enumerate(self._new):
            if other.topic == topic and _receipt(other)[1] == content and (True, place) not in self._matched:
                self._matched.add((True, place))
                return other.received_at
        return None


def _receipt(message: Message) -> _Receipt:
    """What makes a redelivery recognisable."""
    payload = message.payload
    if len(payload) > _SHORT:
        payload = hashlib.blake2b(payload, digest_size=16).digest()
    return message.topic, payload, message.received_at
