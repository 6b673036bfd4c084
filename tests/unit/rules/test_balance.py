"""A master and the meters it feeds: what is missed, what is too much, and what cannot be known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.flows.ground import ground_of
from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Batch, DeviceClass, Kind, Lane, Point, PointSpec, PointTable, Readings
from dutyroom.rules.balance import Balance, Limits, Member
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import Ground
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.parse import parse_rules
from dutyroom.site.feeding import together
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, zone
from dutyroom.topology import Topology

START: Ms = 1_772_323_200_000  # 2026-03-01T00:00Z
LOCAL = LocalTime(zone("Etc/UTC"))
LIMITS = Limits(DAY)
SURPLUS = Limits(DAY, loss=False)
Row = tuple[int, Ms, float]


def meters(homes: int, interval_s: int = 3600) -> list[Member]:
    unit = Meter("water_meter", "unit", LOCAL, interval_s, 0.001)
    return [
        Member(Meter("water_meter", "riser", LOCAL, 900, 0.001), supplies=True),
        *(Member(unit) for _ in range(homes)),
    ]


def house(
    homes: int,
    days: float,
    lost: Callable[[Ms], float] = lambda at: 0.0,
    seed: int = 1,
    every: Ms = HOUR,
    counts: float = 1.0,
    heard: Callable[[int, Ms], bool] = lambda member, at: True,
) -> list[Row]:
    """Readings by time. Homes take 0 to 60 L an hour by day, each is read at its own minute; what is lost
    (m3/h at that time) passes the master (member 0) only. counts: how much of the truth homes register."""
    rng = random.Random(seed)
    phases = [0, *(rng.randrange(every) for _ in range(homes))]
    taken = [0.0] * (homes + 1)
    rows: list[Row] = []
    step = 15 * MINUTE
    for n in range(int(days * DAY / step)):
        at = START + n * step
        use = [0.0 if at % DAY < 6 * HOUR else rng.uniform(0.0, 0.06) / 4 for _ in range(homes)]
        for home, moved in enumerate(use, 1):
            if (at - phases[home]) % every < step:
                when = at + (phases[home] - at) % step
                rows.append((home, when, round(taken[home] + moved * counts * (when - at) / step, 3)))
            taken[home] += moved * counts
        rows.append((0, at, round(taken[0], 3)))
        taken[0] += sum(use) + lost(at) / 4
    return sorted(((m, at, v) for m, at, v in rows if heard(m, at)), key=lambda row: row[1])


def said(balance: Balance, rows: Iterable[Row]) -> list[tuple[str, float]]:
    found, active = [], balance.active
    for member, at, value in rows:
        balance.read(member, at, value)
        if balance.active != active:
            active = balance.active
            found.append(("raised" if active else "cleared", round((at - START) / DAY, 1)))
    return found


@pytest.mark.parametrize("every", [15 * MINUTE, HOUR])
def test_a_house_whose_meters_are_read_at_any_minute_is_in_balance(every: Ms) -> None:
    for limits in (LIMITS, SURPLUS):
        assert said(Balance(meters(40, every // 1000), limits), house(40, 10, every=every)) == []


def test_what_is_lost_is_told_after_two_whole_days_and_ends_after_a_sound_one() -> None:
    balance = Balance(meters(40), LIMITS)
    lost = lambda at: 0.2 if 3 * DAY <= at - START < 7 * DAY else 0.0  # noqa: E731
    #  the windows of days 3 and 4 are known on day 5 by the hour after midnight; day 7 is known on day 8
    assert said(balance, house(40, 10, lost)) == [("raised", 5.0), ("cleared", 8.0)]
    numbers = balance.arguments()
    assert numbers["difference"] == pytest.approx(4.8, rel=0.1)
    assert numbers["own"] - numbers["sum"] == pytest.approx(numbers["difference"])
    assert 10 < numbers["percent"] < 30
    assert 0 < numbers["doubt"] < 0.1 * numbers["own"]


def test_meters_that_count_more_than_their_master_are_wrong_registration() -> None:
    rows = house(30, 6, counts=1.3)
    assert said(Balance(meters(30), SURPLUS), rows) == [("raised", 3.0)]
    assert said(Balance(meters(30), LIMITS), rows) == []


def test_one_bad_day_is_a_hose_on_a_hydrant() -> None:
    lost = lambda at: 1.0 if 3 * DAY <= at - START < 4 * DAY else 0.0  # noqa: E731
    assert said(Balance(meters(20), LIMITS), house(20, 8, lost)) == []


def test_a_small_house_is_judged_by_the_floor() -> None:
    #  0.015 m3/h are 60 % of what two homes take, and 0.36 m3 a day: less than the trade calls a leak
    assert said(Balance(meters(2), LIMITS), house(2, 8, lambda at: 0.015)) == []
    assert said(Balance(meters(2), LIMITS), house(2, 8, lambda at: 0.05)) == [("raised", 3.0)]


def test_one_reading_a_day_leaves_too_much_open() -> None:
    rows = house(20, 12, lambda at: 0.05, every=DAY)
    assert said(Balance(meters(20, 86_400), LIMITS), rows) == []


def test_a_day_with_a_meter_that_was_not_read_neither_raises_nor_ends() -> None:
    lost = lambda at: 0.3 if 3 * DAY <= at - START < 6 * DAY else 0.0  # noqa: E731
    silent = lambda member, at: not (member == 7 and 3.9 * DAY <= at - START < 4.3 * DAY)  # noqa: E731
    #  days 3 and 4 are not known: only day 5 is, and day 6 is sound
    assert said(Balance(meters(40), LIMITS), house(40, 10, lost, heard=silent)) == []
    for_ever = lambda member, at: not (member == 7 and at - START >= 5.5 * DAY)  # noqa: E731
    balance = Balance(meters(40), LIMITS)
    assert said(balance, house(40, 12, lost, heard=for_ever)) == [("raised", 5.0)]


def test_a_register_that_leapt_or_was_exchanged_makes_its_day_unknown_not_a_loss() -> None:
    rows = [(m, at, v + (500.0 if m == 3 and at > START + 4.4 * DAY else 0.0)) for m, at, v in house(20, 12)]
    back = [(m, at, v - (0.4 if m == 0 and at > START + 4.4 * DAY else 0.0)) for m, at, v in house(20, 12)]
    for limits in (LIMITS, SURPLUS):
        assert said(Balance(meters(20), limits), rows) == []
        assert said(Balance(meters(20), limits), back) == []


def test_a_tank_between_them_stores_what_is_missing() -> None:
    """The master fills a tank of 30 m2 by 0.5 m on each of three days."""
    tank = Member(Meter("tank", "domestic", LOCAL, 900, 0.0, 0.0, 3.0), area=30.0)
    fills = lambda at: 15.0 / 24 if 3 * DAY <= at - START < 6 * DAY else 0.0  # noqa: E731
    rows = house(20, 9, fills)
    levels = [(21, START + n * HOUR, 0.5 + 0.5 * min(max(n / 24 - 3, 0), 3)) for n in range(9 * 24)]
    assert said(Balance(meters(20), LIMITS), rows) == [("raised", 5.0), ("cleared", 7.0)]
    both = sorted([*rows, *levels], key=lambda row: row[1])
    assert said(Balance([*meters(20), tank], LIMITS), both) == []


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.lists(st.integers(0, 5000), max_size=5))
def test_a_restart_at_any_reading_changes_nothing(seed: int, cuts: list[int]) -> None:
    rows = house(10, 8, lambda at: 0.1 if at - START > 3 * DAY else 0.0, seed)
    whole, parted = Balance(meters(10), LIMITS), Balance(meters(10), LIMITS)
    for number, row in enumerate(rows):
        whole.read(*row)
        parted.read(*row)
        if number in cuts:
            kept, parted = msgspec.msgpack.encode(parted.dump()), Balance(meters(10), LIMITS)
            parted.load(msgspec.msgpack.decode(kept))
        assert (parted.active, parted.evidence, parted.next) == (whole.active, whole.evidence, whole.next)
    assert len(msgspec.msgpack.encode(whole.dump())) < 11 * 200


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([MINUTE * 15, HOUR, 2 * HOUR]), st.integers(5, 40))
def test_reading_times_alone_never_raise(seed: int, every: Ms, homes: int) -> None:
    for limits in (LIMITS, SURPLUS, Limits(6 * HOUR), Limits(HOUR, loss=False)):
        balance = Balance(meters(homes, every // 1000), limits)
        assert said(balance, house(homes, 5, seed=seed, every=every)) == []


# ------------------------------------------------------------ as a rule


def engine(parameters: Mapping[str, Mapping[str, object]], drawn: Mapping[str, list[str]]) -> Engine:
    """Master, homes and a tank with the shipped rules; drawn: who feeds whom."""
    classes = {"master": DeviceClass.WATER_METER, "tank": DeviceClass.TANK, "valve": DeviceClass.OTHER}
    names = ["master", "tank", "valve", "h1", "h2", "h3"]
    devices = {
        name: Device(
            "s", name, name, classes.get(name, DeviceClass.WATER_METER), "v/m", name, "A",
            dict(parameters.get(name, {})), interval_s=3600,  # type: ignore[arg-type]
        )
        for name in names
    }  # fmt: skip
    table = PointTable()
    for name in names:
        if name == "valve":
            continue
        level = name == "tank"
        spec = PointSpec(
            "level" if level else "volume", "", "m" if level else "m3", Kind.GAUGE if level else Kind.COUNTER,
            None if level else Decimal("0.001"), interval_s=3600,
        )  # fmt: skip
        table.add(Point(len(table) + 1, "s", name, devices[name].device_class, "A", spec))
    ground = Ground(below=lambda utility, device: drawn.get(device, []) if utility == "water" else [])
    rules = [rule for rule in parse_rules("", "rules.yaml") if rule.kind == "balance"]
    return Engine(rules, table, devices, ground=ground)


MASTER = {"master": {"use": "master"}}


def played(engine: Engine, days: int, rates: Mapping[int, float]) -> list[Condition]:
    """rates: m3/h by point."""
    found: list[Condition] = []
    for hour in range(24 * days):
        at = START + hour * HOUR
        rows = [(point, at, round(rate * hour * 1000), 0, 0) for point, rate in rates.items()]
        found += engine.feed(Batch("s", Lane.NORMAL, at, (), Readings.of(rows)))
    return found


def test_a_master_sees_through_devices_without_a_meter() -> None:
    one = engine(MASTER, {"master": ["valve", "h1"], "valve": ["h2", "h3"]})
    found = played(one, 5, {1: 0.5, 3: 0.1, 4: 0.1, 5: 0.1})
    assert [(c.rule, c.object, c.active, c.unit) for c in found] == [("water.balance", "master", True, "m3")]
    assert found[0].arguments["own"] == pytest.approx(12.0, abs=0.1)
    assert found[0].arguments["sum"] == pytest.approx(7.2, abs=0.1)


def test_a_tank_without_its_area_is_named_and_the_rule_stays_away() -> None:
    drawn = {"master": ["tank"], "tank": ["h1", "h2"]}
    one = engine(MASTER, drawn)
    assert (
        "tank tank stands between the meters: it needs the parameter area"
        in one.problems["water.balance", "master"]
    )
    assert not one.running
    assert {rule for rule, _ in engine({**MASTER, "tank": {"area": 12.0}}, drawn).running} == {
        "water.balance", "water.registration",
    }  # fmt: skip


def test_where_nothing_is_fed_or_the_feeding_runs_in_a_circle_nothing_stands_or_loops() -> None:
    assert not engine(MASTER, {}).running
    assert engine(MASTER, {"master": ["h1", "master"], "h1": ["master"]}).running


def test_gas_that_a_building_takes_and_no_home_counts() -> None:
    """A site's own rule on the meter of a building: a topology of gas, drawn by the rows of the homes."""
    homes = [
        Device("s", f"g{n}", "g", DeviceClass.GAS_METER, "v/m", f"g{n}", "A", {}, fed_by=("main",))
        for n in (1, 2)
    ]
    main = Device("s", "main", "m", DeviceClass.GAS_METER, "v/m", "main", "A", {"use": "master"})
    topology, wrong = together(Topology(), [main, *homes])
    assert (wrong, topology.feeds["gas"]) == ([], {"g1": ("main",), "g2": ("main",)})
    text = """rules:
  - id: gas.balance
    kind: balance
    name: {zh-CN: 燃气总分表不平, en: Gas lost}
    select: {classes: [gas_meter], where: {use: [master]}}
    point: volume
    parameters: {utility: gas, floor: 0.1}
"""
    spec = PointSpec("volume", "", "m3", Kind.COUNTER, Decimal("0.001"), interval_s=3600)
    devices = {device.id: device for device in (main, *homes)}
    table = PointTable(
        Point(number, "s", name, DeviceClass.GAS_METER, "A", spec) for number, name in enumerate(devices, 1)
    )
    rules = [rule for rule in parse_rules(text, "rules.yaml") if rule.kind == "balance"]
    one = Engine(rules, table, devices, ground=ground_of(topology, "Asia/Shanghai"))
    found = played(one, 5, {1: 0.1, 2: 0.04, 3: 0.04})
    assert [(c.rule, c.object, c.arguments["percent"]) for c in found] == [("gas.balance", "main", 20)]


@pytest.mark.parametrize("dead", [1, 2])
def test_a_dead_battery_among_many_homes_hides_no_leak_and_is_none(dead: int) -> None:
    heard = lambda member, at: not (1 <= member <= dead and at - START >= 10 * DAY)  # noqa: E731
    lost = lambda at: 0.25 if at - START >= 14 * DAY else 0.0  # noqa: E731
    ((what, day),) = said(Balance(meters(40), LIMITS), house(40, 24, lost, heard=heard))
    # Windows wait two days for a meter that is silent.
    assert (what, 16.0 <= day <= 19.1) == ("raised", True)
    assert said(Balance(meters(40), LIMITS), house(40, 24, heard=heard)) == []


def test_many_dead_ones_leave_too_much_open() -> None:
    heard = lambda member, at: not (1 <= member <= 20 and at - START >= 10 * DAY)  # noqa: E731
    lost = lambda at: 0.25 if at - START >= 14 * DAY else 0.0  # noqa: E731
    assert said(Balance(meters(40), LIMITS), house(40, 24, lost, heard=heard)) == []


def test_one_of_which_too_little_is_known_decides_nothing() -> None:
    heard = lambda member, at: not (member == 1 and at - START >= 4 * DAY)  # noqa: E731
    lost = lambda at: 0.25 if at - START >= 6 * DAY else 0.0  # noqa: E731
    assert said(Balance(meters(40), LIMITS), house(40, 16, lost, heard=heard)) == []


def test_what_is_usual_outlives_a_restart() -> None:
    rows = house(40, 12)
    balance, again = Balance(meters(40), LIMITS), Balance(meters(40), LIMITS)
    said(balance, rows)
    again.load(msgspec.msgpack.decode(msgspec.msgpack.encode(balance.dump())))
    assert again.dump() == balance.dump()
    assert 0.4 < again.series[1].usual < 0.7
