"""What `point_silent` says can be read again, whatever points are called."""

from __future__ import annotations

import pytest

from dutyroom.flows.silent_words import detail_of, silent_in

T = 1_795_000_000_000


@pytest.mark.parametrize(
    ("lost", "read"),
    [
        ([("volume", T)], ["battery", "rssi"]),
        ([("energy", T + 7), ("volume", T)], []),
        ([("Energy/Total, all", T), ("em1:0.power; read: x", T)], ["em1:0.voltage"]),
    ],
)
def test_there_and_back(lost: list[tuple[str, int]], read: list[str]) -> None:
    found = silent_in(detail_of(lost, read))
    assert found is not None
    assert (list(found.lost), found.more, list(found.read)) == (lost, 0, read)


def test_many_points_are_counted() -> None:
    lost = [(f"flow_{n:02}", T) for n in range(30)]
    found = silent_in(detail_of(lost, [f"p{n}" for n in range(30)]))
    assert found is not None
    assert (list(found.lost), found.more, len(found.read)) == (lost[:8], 22, 8)


def test_something_else_is_not_read() -> None:
    assert silent_in("") is None
    assert silent_in("+300 s") is None
    assert detail_of([("volume", T)], ["rssi"]) == "volume since 2026-11-18T11:06:40Z; read: rssi"
