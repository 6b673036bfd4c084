"""A device whose fields have another name in every message does not fill the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.intake_rig import Rig, T

from dutyroom.flows import points
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Message, PointTable

OPEN = """
class: sensor
match: {topics: ["open/{device}"]}
identity: "{device}"
rest: true
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, {"open": OPEN})
    made.register(Device("site", "s1", "", "sensor", "acme/open", "x", ""))
    yield made
    made.close()


def test_points_of_a_device_are_bounded_and_the_others_go_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points.with_room, "__defaults__", (5,))
    for n in range(4):
        body = {"level": n, **{f"at_{n}_{k}": k for k in range(3)}}
        rig.ingest.handle([Message("open/x", json.dumps(body).encode(), T + n * 1000)])
    rig.keep.drain()
    assert len(rig.table.of_device("s1")) == 5
    assert [value for _, value in rig.stored("s1", "level")] == [0, 1, 2, 3]
    (told,) = [row for row in rig.journal.findings(0) if row.kind == "malformed"]
    assert (told.device, told.count, "5 points are the most" in told.detail) == ("s1", 3, True)
    assert rig.ledger()["s1"].decoded == 4


def test_each_device_has_room_of_its_own() -> None:
    one, other = (Device("site", i, "", "sensor", "acme/open", i, "") for i in "ab")
    specs = [(d, points.PointSpec(f"p{n}")) for n in range(3) for d in (one, other)]
    made, crowded = points.with_room(PointTable([]), specs, 2)
    assert [(d.id, s.name) for d, s in made] == [("a", "p0"), ("b", "p0"), ("a", "p1"), ("b", "p1")]
    assert list(crowded) == ["a", "b"]
