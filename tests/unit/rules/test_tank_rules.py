"""The shipped rules on tanks and their pumps, as the engine builds and plays them."""

from __future__ import annotations

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Batch, DeviceClass, Kind, Lane, Point, PointSpec, PointTable, Readings
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import HOUR, MINUTE, Ms

START: Ms = 1_772_323_200_000  # 2026-03-01T00:00Z
KINDS = ("level_frozen", "level_leak", "pump_no_rise")
Parameters = dict[str, str | int | float | bool]


class Room:
    """A tank and a pump; their points come when `hear` is first asked to say something of them."""

    def __init__(self, tank: Parameters, pump: Parameters) -> None:
        self.table = PointTable()
        self.devices = {
            "tank": Device("s", "tank", "t", DeviceClass.TANK, "v/m", "t", "", tank, interval_s=300),
            "pump": Device("s", "pump", "p", DeviceClass.PUMP, "v/m", "p", "", pump, interval_s=300),
        }
        rules = [rule for rule in parse_rules("", "rules.yaml") if rule.kind in KINDS]
        self.engine = Engine(rules, self.table, self.devices)
        self.points: dict[str, int] = {}

    def hear(self, at: Ms, **values: float) -> list[Condition]:
        names = {"level": "tank", "running": "pump"}
        for name in values:
            if name not in self.points:
                self.points[name] = len(self.points) + 1
                device = self.devices[names[name]]
                kind = Kind.GAUGE if name == "level" else Kind.STATE
                spec = PointSpec(name, kind=kind, interval_s=300)
                self.table.add(
                    Point(self.points[name], "s", device.id, DeviceClass(device.device_class), "", spec)
                )
        rows = [(self.points[name], at, value, 0, 0) for name, value in values.items()]
        return self.engine.feed(Batch("s", Lane.NORMAL, at, (), Readings.of(rows)))

    @property
    def running(self) -> set[tuple[str, str]]:
        return set(self.engine.running)


def test_which_rules_stand_on_which_tank_and_pump() -> None:
    room = Room({}, {"fills": "tank"})
    room.hear(START, level=1.0, running=0.0)
    assert room.running == {("tank.level_frozen", "tank"), ("tank.leak", "tank"), ("pump.no_rise", "pump")}
    fire = Room({"use": "fire"}, {"tank": "tank"})
    fire.hear(START, level=1.0, running=0.0)
    assert fire.running == {("fire_tank.level_frozen", "tank"), ("tank.leak", "tank")}


def test_a_pump_that_fills_a_tank_which_is_not_there_is_named() -> None:
    room = Room({}, {"fills": "tonk"})
    room.hear(START, level=1.0, running=0.0)
    assert room.engine.problems["pump.no_rise", "pump"] == "device pump: fills 'tonk' does not exist"


def test_a_pump_that_is_heard_later_than_its_tank_counts_from_then_on() -> None:
    room = Room({}, {"tank": "tank"})
    found = [c for n in range(30) for c in room.hear(START + n * HOUR // 4, level=1.3)]
    found += [
        c for n in range(30 * 12, 60 * 12) for c in room.hear(START + n * 5 * MINUTE, level=1.3, running=1.0)
    ]
    assert [(c.rule, c.object, c.active) for c in found] == [("tank.level_frozen", "tank", True)]
    assert found[0].arguments["pumped"] >= 24  # type: ignore[operator]


def test_a_day_in_which_the_filling_pump_brings_nothing() -> None:
    room = Room({"height": 2.5}, {"fills": "tank"})
    found = []
    for n in range(
        48
    ):  # 5 min each: it rests for an hour and falls, runs for an hour without effect, then is mended
        level = 1.5 - 0.01 * min(n, 24) + 0.03 * max(0, n - 24)
        found += room.hear(START + n * 5 * MINUTE, running=float(n >= 12), level=round(level, 3))
    assert [(c.rule, c.active, (c.at - START) // MINUTE) for c in found] == [
        ("pump.no_rise", True, 80),
        ("pump.no_rise", False, 125),
    ]
    assert found[0].arguments == {"minutes": 20, "rise": -5.0, "cause": "pump_no_rise"}


def test_a_tank_that_another_pump_draws_down_before_the_start_is_filled_all_the_same() -> None:
    """Its level is read every ten minutes. Between 110 and 115 min it falls by 14 cm, then this pump brings more than is drawn."""
    room = Room({"height": 3.0}, {"fills": "tank"})
    found = []
    for minute in range(0, 240, 5):
        level = 2.0 - 0.028 * min(max(minute - 110, 0), 5) + 0.0028 * max(0, minute - 115)
        values = {"running": float(minute >= 115)} | ({"level": round(level, 2)} if minute % 10 == 0 else {})
        found += room.hear(START + minute * MINUTE, **values)
    assert found == []
