"""What a broker has delivered to a session, by packet id: so that its mark for "delivered again" is not taken for
more than it says.

A broker marks all that it sends once more, also what never reached us because the line had died without our
knowing. Such a message may say what another one said hours ago, as a fire panel without a clock does: it is
new. MQTT 3.1.1 and 5.0, section 4.4: what is sent again has the packet id that it had at first.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from dutyroom.model.messages import DUPLICATE, marked
from dutyroom.model.telemetry import Message

MOST = 10_000  # messages that are remembered; what is under way at a time is less
_SHORT = 512  # bytes of a payload that are compared as they are


class Delivered:
    """Of one session, over all its connections. Not thread-safe."""

    def __init__(self) -> None:
        self._runs: deque[tuple[Sequence[bytes], Sequence[Message]]] = deque()
        self._count = 0
        self._known = False  # what was under way before this process is behind us

    def told(self, ids: Sequence[bytes], messages: Sequence[Message], size: int) -> Sequence[Message]:
        """The messages, without the mark where what they say had not come with their packet id.

        ids: b"" = QoS 0. size: bytes of all. Until the first message comes without the mark, a broker may be
        at what it sent to the process before us: its marks stay then.
        """
        found = self._looked_up(ids, messages) if marked(messages, DUPLICATE) else messages
        self._known = self._known or any(map(_new, ids, messages))
        self._note(ids, found, size)
        return found

    def _looked_up(self, ids: Sequence[bytes], messages: Sequence[Message]) -> list[Message]:
        last: dict[bytes, Message] = {}
        for run in self._runs:
            last.update(zip(*run, strict=True))
        found, known = [], self._known
        for ident, message in zip(ids, messages, strict=True):
            known = known or _new(ident, message)
            # With QoS 0 nothing is ever sent again: a broker that marks it breaks the protocol.
            if message.duplicate and not (ident and (not known or _same(last.get(ident), message))):
                message = replace(message, duplicate=False)
            found.append(message)
            last[ident] = message
        return found

    def _note(self, ids: Sequence[bytes], messages: Sequence[Message], size: int) -> None:
        long = size > _SHORT * len(messages)
        self._runs.append((ids, [_brief(message) for message in messages] if long else messages))
        self._count += len(messages)
        while self._count - len(self._runs[0][0]) >= MOST:
            self._count -= len(self._runs.popleft()[0])


def _new(ident: bytes, message: Message) -> bool:
    return bool(ident) and not (message.duplicate or message.retained)


def _same(one: Message | None, other: Message) -> bool:
    return one is not None and one.topic == other.topic and _said(one.payload) == _said(other.payload)


def _said(payload: bytes) -> bytes:
    """The payload, of a long one its hash."""
    return payload if len(payload) <= _SHORT else hashlib.blake2b(payload, digest_size=16).digest()


def _brief(message: Message) -> Message:
    return message if len(message.payload) <= _SHORT else replace(message, payload=_said(message.payload))
