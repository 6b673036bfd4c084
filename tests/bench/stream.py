"""Publishes messages while it makes them, at a pace: `python -m tests.bench.stream PORT COUNT RATE [FIRST [SECONDS]]`.

The load that ThingsBoard has published: 5,000 meters, each message a pulse counter, a leak flag and a battery. The
counter is the message's number, so what is stored can be compared one by one (a pulse is 10 ml: of litres each
second the shipped rules would say that the register leaps); one message in 9,973 has a leak, which the meter's next
one has not. QoS 1 over one raw connection; after SECONDS it ends with the last meter, however few of them a busy
machine let it send. Prints the seconds it took, and how many messages it sent.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice

DEVICES = 5_000
WINDOW = 20_000  # not acknowledged yet; packet ids begin again at 65,535
LEAK = 9_973  # one message in so many: each time of another meter
_CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06stream"

PROFILE = """\
name: {en: A pulse counter with a leak flag}
class: water_meter
match: {topics: ["tb/{meter}/telemetry"]}
identity: "{meter}"
points:
  volume: {from: pulseCounter, scale: 0.00001, quantity: volume, kind: counter, step: 0.00001, digits: 7}
  leak: {from: leakage, kind: state, map: {true: 1, false: 0}}
  battery: {from: batteryLevel, quantity: ratio, unit: "%", low: 0, high: 100}
examples:
  - topic: tb/m00001/telemetry
    payload: {pulseCounter: 12, leakage: false, batteryLevel: 87}
    expect: {m00001: {volume: 0.00012, leak: 0}}
"""
RULES = """\
rules:
  - {id: bench.leak, kind: state, name: Leak, select: {classes: [water_meter]},
     point: leak, parameters: {equals: 1}, priority: 2, ticket: never}
"""


def leaks(number: int) -> bool:
    return number % LEAK == LEAK // 2


def publishes(count: int, first: int = 0) -> Iterator[bytes]:
    """PUBLISH packets, device after device."""
    for n in range(first, first + count):
        device, number = n % DEVICES, n // DEVICES
        word = b"true" if leaks(n) else b"false"
        body = b'{"pulseCounter":%d,"leakage":%s,"batteryLevel":%d}' % (number, word, 100 - device % 50)
        rest = b"\x00\x13tb/m%05d/telemetry%b%b" % (device, struct.pack(">H", n % 65_535 + 1), body)
        yield b"\x32%c%b" % (len(rest), rest)


def publish(
    port: int,
    count: int,
    rate: float,
    packets: Callable[[int, int], Iterator[bytes]],
    first: int = 0,
    seconds: float = math.inf,
) -> tuple[float, int]:
    """Seconds until the last one was acknowledged, and how many there were. rate: messages a second, 0 = as fast
    as it goes."""
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(_CONNECT)
    link.recv(4)
    link.setblocking(False)
    ready = selectors.DefaultSelector()
    ready.register(link, selectors.EVENT_READ)
    made, began = packets(count, first), time.monotonic()
    sent, answered, waiting = 0, 0, b""
    while answered < count * 4:
        if time.monotonic() - began > seconds:
            count, seconds = min(count, -(-sent // DEVICES) * DEVICES), math.inf
        allowed = count if not rate else min(count, int((time.monotonic() - began) * rate))
        room = min(allowed, answered // 4 + WINDOW) - sent
        if not waiting and room > 0:
            waiting = b"".join(islice(made, min(room, 2_000)))
            sent += min(room, 2_000)
        if waiting:
            with contextlib.suppress(BlockingIOError):
                waiting = waiting[link.send(waiting) :]
        if ready.select(0.001 if waiting or room > 0 else 0.005):
            answered += len(link.recv(1 << 16))
    link.setblocking(True)
    link.sendall(b"\xe0\x00")
    link.close()
    return time.monotonic() - began, count


if __name__ == "__main__":
    port, count, rate, first, seconds = (*sys.argv[1:], "0", "inf")[:5]
    took, sent = publish(int(port), int(count), float(rate), publishes, int(first), float(seconds))
    print(round(took, 2), sent)
