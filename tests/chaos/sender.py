"""Devices that lose nothing themselves: what a broker has not acknowledged they send again.

One connection for all of them, QoS 1, at a steady rate. A broker that is killed forgets what it took since it
wrote its sessions down last: what it acknowledged in that time is sent again, too, as a device's own buffer would
do it.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Sequence

from tests.chaos.plant import Sent

_CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06plant1"
_WINDOW = 500  # messages that wait for their acknowledgement
_REMEMBERED_S = 60.0  # what was acknowledged, at most


def publish(topic: str, payload: bytes, number: int, again: bool = False) -> bytes:
    """A PUBLISH packet of QoS 1."""
    name = topic.encode()
    rest = struct.pack(">H", len(name)) + name + struct.pack(">H", number) + payload
    head, left = b"", len(rest)
    while True:
        left, digit = left >> 7, left & 127
        head += bytes([digit | (128 if left else 0)])
        if not left:
            return (b"\x3a" if again else b"\x32") + head + rest


class Sender(threading.Thread):
    """Sends messages at a rate; `done` once all are acknowledged.

    repeat_from: with the next connection everything is sent again that was acknowledged since then, of
    `time.monotonic`.
    """

    def __init__(self, port: int, messages: Sequence[Sent], rate: float) -> None:
        super().__init__(daemon=True)
        self._port, self._rate = port, rate
        self.repeat_from = math.inf
        self._waiting = deque(messages)
        self._flying: dict[int, Sent] = {}
        self._taken: deque[tuple[float, Sent]] = deque()
        self._next = 1
        self.done = threading.Event()
        self.ending = threading.Event()
        self.repeated = 0

    def run(self) -> None:
        while not self.ending.is_set() and (self._waiting or self._flying):
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=5) as link:
                    self._talk(link)
            except OSError:
                self._lost()
                time.sleep(0.1)
        self.done.set()

    @property
    def left(self) -> int:
        """Messages that were not sent yet."""
        return len(self._waiting)

    def _lost(self) -> None:
        """What is not known to be safe goes first, in its order."""
        self._waiting.extendleft(reversed(self._flying.values()))
        self._flying.clear()

    def _remind(self) -> None:
        """What the broker has forgotten goes before all else."""
        again = [sent for at, sent in self._taken if at >= self.repeat_from]
        self.repeat_from = math.inf
        self.repeated += len(again)
        self._waiting.extendleft(reversed(again))
        self._taken.clear()

    def _talk(self, link: socket.socket) -> None:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(_CONNECT)
        if link.recv(4)[:1] != b"\x20":
            raise OSError("refused")
        self._remind()
        link.settimeout(0.02)
        began, sent, rest = time.monotonic(), 0, b""
        while not self.ending.is_set() and (self._waiting or self._flying):
            due = int((time.monotonic() - began) * self._rate) - sent
            room = min(due, _WINDOW - len(self._flying), len(self._waiting))
            if room > 0:
                link.settimeout(5)
                link.sendall(b"".join(self._packet() for _ in range(room)))
                link.settimeout(0.02)
                sent += room
            elif due > 0:
                sent += due  # the broker is slow: nothing is caught up in a burst
            with contextlib.suppress(TimeoutError):
                data = link.recv(65_536)
                if not data:
                    raise OSError("closed")
                rest = self._answers(rest + data)

    def _packet(self) -> bytes:
        message = self._waiting.popleft()
        while self._next in self._flying:
            self._next = self._next % 65_535 + 1
        number, self._next = self._next, self._next % 65_535 + 1
        self._flying[number] = message
        return publish(message.topic, message.payload, number)

    def _answers(self, data: bytes) -> bytes:
        now = time.monotonic()
        for at in range(0, len(data) - 3, 4):
            found = self._flying.pop(int.from_bytes(data[at + 2 : at + 4], "big"), None)
            if found is not None:
                self._taken.append((now, found))
        while self._taken and self._taken[0][0] < now - _REMEMBERED_S:
            self._taken.popleft()
        return data[len(data) - len(data) % 4 :]
