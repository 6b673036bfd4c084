"""Which rule looks at which water: zones with and without meters on their outlets, risers, inlets beside a tank."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dutyroom.flows.ground import ground_of
from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Batch, DeviceClass, Kind, Lane, Point, PointSpec, PointTable, Readings
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import HOUR, Ms
from dutyroom.topology import Topology

START: Ms = 1_772_323_200_000  # 2026-03-01T00:00Z
WATER = ("water.night_flow", "water.balance", "water.registration", "network.leak")
METER = PointSpec("volume", "", "m3", Kind.COUNTER, Decimal("0.001"), interval_s=3600)
LEVEL = PointSpec("level", "", "m", Kind.GAUGE, interval_s=3600)


def network(uses: dict[str, str], feeds: dict[str, tuple[str, ...]]) -> Engine:
    """Devices by what they are used for; "tank" is one, a "zone" has no meter of its own."""
    devices: dict[str, Device] = {}
    table = PointTable()
    for name, use in uses.items():
        kind = {"tank": DeviceClass.TANK, "zone": DeviceClass.OTHER}.get(use, DeviceClass.WATER_METER)
        devices[name] = Device(
            "s", name, name, kind, "v/m", name, "", {"use": use} if use else {}, interval_s=3600
        )
        if use != "zone":
            table.add(Point(len(table) + 1, "s", name, kind, "", LEVEL if use == "tank" else METER))
    rules = [rule for rule in parse_rules("", "rules.yaml") if rule.id in WATER]
    return Engine(rules, table, devices, ground=ground_of(Topology({"water": feeds}), "UTC"))


def standing(engine: Engine) -> set[str]:
    return {f"{rule}@{device}" for rule, device in engine.running}


BALANCED = {"water.balance@Z", "water.registration@Z"}


@pytest.mark.parametrize(
    ("uses", "feeds", "wanted"),
    [
        pytest.param(
            {"R": "riser", "h1": "", "h2": ""},
            {"h1": ("R",), "h2": ("R",)},
            {"water.night_flow@R", "water.balance@R", "water.registration@R"},
            id="a riser and its homes",
        ),
        pytest.param({"P": "public"}, {}, {"water.night_flow@P"}, id="a public connection"),
        pytest.param(
            {"Z": "zone", "in": "zone_inlet", "out": "zone_outlet"},
            {"in": ("Z",), "out": ("Z",)},
            {"network.leak@Z", *BALANCED},
            id="a zone with a metered outlet",
        ),
        pytest.param(
            {"Z": "zone", "in": "zone_inlet", "h1": ""},
            {"in": ("Z",), "h1": ("Z",)},
            {"water.night_flow@in", *BALANCED},
            id="a zone without one",
        ),
        pytest.param(
            {"Z": "zone", "in": "zone_inlet", "T": "tank"},
            {"in": ("Z",), "T": ("Z",)},
            set(),
            id="a zone whose tank is filled at night",
        ),
    ],
)
def test_each_water_has_the_rules_that_can_judge_it(
    uses: dict[str, str], feeds: dict[str, tuple[str, ...]], wanted: set[str]
) -> None:
    engine = network(uses, feeds)
    assert standing(engine) == wanted
    assert not engine.problems


def played(engine: Engine, hours: range, rates: dict[int, float]) -> list[Condition]:
    """rates: m3/h by point."""
    found: list[Condition] = []
    for hour in hours:
        at = START + hour * HOUR
        rows = [(point, at, round(rate * hour * 1000), 0, 0) for point, rate in rates.items()]
        found += engine.feed(Batch("s", Lane.NORMAL, at, (), Readings.of(rows)))
    return found


def test_what_two_inlets_bring_and_no_home_of_the_zone_counts() -> None:
    engine = network(
        {"Z": "zone", "in1": "zone_inlet", "in2": "zone_inlet", "h1": "", "h2": ""},
        dict.fromkeys(("in1", "in2", "h1", "h2"), ("Z",)),
    )
    found = played(engine, range(24 * 4), {1: 0.3, 2: 0.2, 3: 0.2, 4: 0.1})
    assert [(c.rule, c.object, c.arguments["difference"]) for c in found] == [("water.balance", "Z", 4.8)]
