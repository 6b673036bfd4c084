"""Publishes pre-made messages as fast as a broker takes them: `python -m tests.bench.flood PORT COUNT [RATE]`.

QoS 1 over one raw connection, packets made before; ends when every one is acknowledged. RATE: messages a second,
0 = as fast as it goes. Prints the seconds it took.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator

from tests.bench.consumers import DEVICES, TOPIC, payload

EVERY = 4_000  # ms; so nothing of a queue of 300,000 is late, by 15 minutes or, of the relay's state, by 5
_WINDOW = 20_000  # not acknowledged yet
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05flood"


def packets(count: int, first: int = 0) -> Iterator[bytes]:
    """PUBLISH packets of QoS 1, device after device, so much time between two messages of one."""
    start = int(time.time() * 1000) - (first + count) // DEVICES * EVERY
    for n in range(first, first + count):
        device, number = n % DEVICES, n // DEVICES
        topic = TOPIC.format(device=f"m{device:05d}").encode()
        body = payload(device, number, start + number * EVERY)
        rest = struct.pack(">H", len(topic)) + topic + struct.pack(">H", n % 65_535 + 1) + body
        length, left = b"", len(rest)
        while True:
            left, digit = left >> 7, left & 127
            length += bytes([digit | (128 if left else 0)])
            if not left:
                break
        yield b"\x32" + length + rest


def publish(port: int, count: int, rate: float = 0.0, first: int = 0) -> float:
    """Seconds until the last one was acknowledged."""
    made = list(packets(count, first))
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(_CONNECT)
    link.recv(4)
    link.setblocking(False)
    ready = selectors.DefaultSelector()
    ready.register(link, selectors.EVENT_READ)
    began, sent, answered, waiting = time.monotonic(), 0, 0, b""
    while answered < count * 4:
        allowed = count if not rate else min(count, int((time.monotonic() - began) * rate))
        room = min(allowed, answered // 4 + _WINDOW) - sent
        if not waiting and room > 0:
            waiting = b"".join(made[sent : sent + room])
            sent += room
        if waiting:
            with contextlib.suppress(BlockingIOError):
                waiting = waiting[link.send(waiting) :]
        if ready.select(0.001 if waiting or room > 0 else 0.005):
            answered += len(link.recv(65_536))
    link.setblocking(True)
    link.sendall(b"\xe0\x00")
    link.close()
    return time.monotonic() - began


if __name__ == "__main__":
    print(round(publish(int(sys.argv[1]), int(sys.argv[2]), float((*sys.argv[3:], 0)[0])), 2))
