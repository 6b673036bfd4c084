"""MQTT as bytes: packets made by hand, a socket that gives them in pieces, and what a client makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from dutyroom.backends.mqtt.bulk import BulkClient
from dutyroom.backends.mqtt.client import TWICE, StockClient
from dutyroom.backends.mqtt.delivered import Delivered
from dutyroom.backends.mqtt.properties import Aliases
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.model.telemetry import Message


def length(number: int) -> bytes:
    """A variable byte integer."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def text(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def packet(command: int, body: bytes) -> bytes:
    return bytes([command]) + length(len(body)) + body


def publish(
    topic: bytes,
    payload: bytes,
    qos: int = 1,
    mid: int = 1,
    *,
    retain: bool = False,
    dup: bool = False,
    properties: bytes | None = None,
) -> bytes:
    """properties: MQTT 5 (b"" = none), None = 3.1.1."""
    body = text(topic) + (mid.to_bytes(2, "big") if qos else b"")
    if properties is not None:
        body += length(len(properties)) + properties
    return packet(0x30 | dup << 3 | qos << 1 | retain, body + payload)


class Pieces:
    """A socket that gives one piece at a time, nothing between two of them, and then ends."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._pause = False
        self.sent = bytearray()

    def getsockopt(self, *_of: int) -> int:
        """Room for what it receives, as Linux has it at first."""
        return 131_072

    def recv(self, size: int) -> bytes:
        if self._pause:
            self._pause = False
            raise BlockingIOError
        if not self._pieces:
            return b""
        piece, left = self._pieces[0][:size], self._pieces[0][size:]
        if left:
            self._pieces[0] = left
        else:
            self._pieces.pop(0)
            self._pause = True
        return piece

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1


Seen = tuple[str, bytes, bool, bool, int, int]  # topic, payload, retain, dup, QoS 2 or not, packet id


@dataclass
class Outcome:
    """What a client made of a stream."""

    messages: list[Seen] = field(default_factory=list)
    sent: bytes = b""  # while it read, and then the acknowledgement of every message
    ended: str = ""  # "raised X"; "" = without
    state: str = ""


class _AsTheyCame(Delivered):
    """Marks as the stream has them; what is made of them is `test_delivered`'s."""

    def told(self, ids: Sequence[bytes], messages: Sequence[Message], size: int) -> Sequence[Message]:
        return messages


class _Clock:
    def now(self) -> int:
        return 1_700_000_000_000


def _run(client: Any, pieces: Sequence[bytes], acknowledge: Callable[[], None], out: Outcome) -> None:
    sock = Pieces(pieces)
    client._sock = sock
    turns = 0
    try:
        while client._sock is sock:
            client.loop_read()
            turns += 1
            assert turns < 100_000
            if not sock._pieces and client._sock is sock:
                acknowledge()  # all has come: before the end, for acknowledgements of an ended one are none
                client.loop_read()
    except Exception as err:
        out.ended = f"raised {type(err).__name__}"
    out.sent, out.state = bytes(sock.sent), client._state.name
    client._sock = None


def reference(pieces: Sequence[bytes], five: bool) -> Outcome:
    """By paho as it comes; aliases by a dictionary of our own, for paho knows none."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id="probe",
        clean_session=None if five else False,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        manual_ack=True,
    )
    out, waiting, aliases = Outcome(), [], Aliases()

    def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        topic = bytes(message._topic).decode("utf-8", "backslashreplace")
        alias = getattr(message.properties, "TopicAlias", 0)
        topic = aliases.resolve(topic, alias) if alias else topic
        mid = message.mid if message.qos else 0
        out.messages.append(
            (topic, bytes(message.payload), message.retain, message.dup, int(message.qos == 2), mid)
        )
        if message.qos:
            waiting.append((message.mid, message.qos))

    def acknowledge() -> None:
        for mid, qos in waiting:
            client.ack(mid, qos)
        waiting.clear()

    client.on_message = on_message
    _run(client, pieces, acknowledge, out)
    return out


def ours(pieces: Sequence[bytes], five: bool, kind: type[StockClient] = BulkClient) -> Outcome:
    """By the reader of a session."""
    waiting, out = Waiting(None, 10**9, 10**12), Outcome()
    client = kind("probe", five, waiting, _Clock())
    client._delivered = _AsTheyCame()

    def taken() -> list[bytes]:
        with waiting.changed:
            found = waiting.pop(10**9)
        for token, message in found:
            assert token.link is client.link
            ident = token.ident
            number = int.from_bytes(ident[:2], "big")
            again = int(ident[2:] == TWICE)
            out.messages.append(
                (message.topic, message.payload, message.retained, message.duplicate, again, number)
            )
        return [token.ident for token, _ in found if token.ident]

    def acknowledge() -> None:
        client.link.acknowledge(taken())

    _run(client, pieces, acknowledge, out)
    taken()
    return out
