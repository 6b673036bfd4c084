"""The line between service and broker is cut, slow, half open or spoilt: nothing is lost, nothing doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.long import LONG, WHY
from tests.chaos.plant import messages
from tests.chaos.proxy import Proxy
from tests.chaos.room import Room, load

METERS, RATE = 60, 2_000
_LONG = pytest.mark.skipif(not LONG, reason=WHY)
SENT = messages(METERS, 80, (int(time.time()) - 3 * 3600) * 1000)
_PROXIES: list[Proxy] = []


def between(port: int) -> int:
    _PROXIES.append(Proxy(port))
    return _PROXIES[-1].port


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS, port=between)
    made.open()
    yield made
    made.close()
    _PROXIES.pop().close()


def test_the_line_is_cut_again_and_again(room: Room) -> None:
    sender = load(room, SENT, RATE)
    while not sender.done.wait(0.6):
        _PROXIES[-1].cut()
    room.settled(SENT)


@_LONG
def test_the_line_is_slow(room: Room) -> None:
    _PROXIES[-1].slow = 60_000  # bytes a second: some 700 messages
    sender = load(room, SENT, RATE)
    sender.done.wait(60)
    _PROXIES[-1].slow = 0
    room.settled(SENT)


def test_the_line_is_half_open_for_a_while(room: Room) -> None:
    sender = load(room, SENT, RATE)
    time.sleep(1)
    _PROXIES[-1].silent = True
    time.sleep(3)
    _PROXIES[-1].cut()
    _PROXIES[-1].silent = False
    sender.done.wait(60)
    room.settled(SENT)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(b"\x32\xff\xff\xff\xff\x7f", id="a length that cannot be"),
        pytest.param(b"\xf7\x00", id="no such packet", marks=_LONG),
        pytest.param(b"\x32\x03\x00\x09a", id="a topic longer than its packet", marks=_LONG),
        pytest.param(b"\x00\x00\x00\x00", id="zeros", marks=_LONG),
        pytest.param(bytes(range(256)), id="every byte", marks=_LONG),
    ],
)
def test_what_comes_is_no_mqtt(room: Room, spoil: bytes) -> None:
    sender = load(room, SENT[:4000], RATE)
    time.sleep(0.8)
    _PROXIES[-1].spoil = spoil
    sender.done.wait(60)
    room.settled(SENT[:4000])
