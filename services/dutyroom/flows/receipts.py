"""Which messages have come before: a broker delivers again what it was not told of in time."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Iterable
from itertools import chain

from msgspec.structs import replace

from dutyroom.model.telemetry import Message
from dutyroom.timebase import Ms

WINDOW = 2_000  # committed messages that a broker may deliver again; Mosquitto holds 20 in flight
_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart

_Receipt = tuple[bytes, Ms]  # what a message was, and when it was first received


class Receipts:
    """The last messages of a site. `recent`: what the journal has, oldest first."""

    def __init__(self, recent: Iterable[Message]) -> None:
        self._recent: deque[_Receipt] = deque(((_digest(m), m.received_at) for m in recent), maxlen=WINDOW)
        self._last: dict[str, Ms] = {}  # by topic
        self._new: list[_Receipt] = []  # not committed yet
        self._matched: list[_Receipt] = []

    def begin(self) -> None:
        """Forgets what was seen since the last commit: it is handled once more."""
        self._new, self._matched = [], []

    def commit(self) -> None:
        for receipt in self._matched:
            with contextlib.suppress(ValueError):
                self._recent.remove(receipt)
        self._recent.extend(self._new)
        self.begin()

    def of(self, message: Message) -> Message:
        """A message delivered again keeps the time it was first received at; two of a topic in one
        millisecond are still two.

        Only what the broker marks as delivered again, or as retained, is taken for that: a device
        may say the same thing twice.
        """
        received = self._received(message)
        self._new.append((_digest(message), received.received_at))
        return received

    def _received(self, message: Message) -> Message:
        if message.duplicate or message.retained:
            digest = _digest(message)
            for receipt in chain(self._recent, self._new):
                if receipt[0] == digest and not any(receipt is one for one in self._matched):
                    self._matched.append(receipt)
                    return replace(message, received_at=receipt[1], duplicate=True)
        if len(self._last) > _TOPICS:
            self._last.clear()
        at = max(message.received_at, self._last.get(message.topic, 0) + 1)
        self._last[message.topic] = at
        return message if at == message.received_at else replace(message, received_at=at)


def _digest(message: Message) -> bytes:
    """What makes a redelivery recognisable: topic and payload."""
    return hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=12).digest()
