"""How long a busy socket gathers before it is read again."""

from __future__ import annotations

import pytest

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt.bulk import BulkClient
from dutyroom.backends.mqtt.waiting import Waiting


class Socket:
    def __init__(self, room: int) -> None:
        self.room = room

    def getsockopt(self, *_of: int) -> int:
        return self.room


def pause(size: int, lasted: float = 0.02, room: int = 1 << 20, urgent: bool = False) -> float:
    """Seconds, after a read of so many bytes that had gathered for `lasted` seconds."""
    client = BulkClient("probe", False, Waiting(urgent=urgent), SystemClock())
    client._before, client._read_at = 100.0, 100.0 + lasted
    return client._pause_after(size, Socket(room))


def test_the_more_there_is_the_longer_it_gathers() -> None:
    assert [pause(size) for size in (200, 8 * 1024, 64 * 1024)] == [0.005, 0.02, 0.05]


def test_what_is_urgent_is_read_as_soon_in_a_flood_as_before() -> None:
    assert pause(64 * 1024, urgent=True) == 0.02


def test_the_socket_never_gets_more_than_half_full() -> None:
    """The broker would wait for us: it can send no more than the socket holds."""
    assert pause(64 * 1024, room=131_072) == pytest.approx(0.02)
    assert pause(64 * 1024, room=256 * 1024) == pytest.approx(0.04)
    assert pause(200 * 1024, lasted=0.05, room=256 * 1024) == pytest.approx(0.032)
    assert pause(200 * 1024, room=131_072) == 0.02
