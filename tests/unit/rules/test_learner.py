"""Detectors that learn, as rules on devices: what the engine says of a home, a network and a gateway."""

from __future__ import annotations

import pytest
from msgspec import msgpack

from dutyroom.errors import Invalid
from dutyroom.flows.backtest import Past, Raised, backtest
from dutyroom.flows.past_files import Listed, listed
from dutyroom.flows.past_readings import batches_of, columns_of
from dutyroom.rules.columns import NEVER
from dutyroom.rules.engine import Engine
from dutyroom.rules.learner import Learner
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import DAY, HOUR, MINUTE, to_datetime

RULES = """
rules:
  - {id: t.home, kind: home_water, name: {zh-CN: 漏, en: Leak}, select: {classes: [water_meter]}, point: volume}
  - {id: t.gateway, kind: zone_silence, name: {zh-CN: 网关, en: Gateway}, select: {classes: [gateway]}, root: true,
     utility: network, priority: 3}
"""
START = 1_709_510_400_000  # 2024-03-04, a Monday
OURS = [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id.startswith("t.")]


def table(count: int) -> Listed:
    rows = [
        {
            "device_id": f"w{i}", "class": "water_meter", "point": "volume_total", "unit": "L", "zone": "b1",
            "role": "unit", "tz": "Europe/Madrid", "interval_s": "3600", "resolution": "1",
        }
        for i in range(count)
    ]  # fmt: skip
    return listed(rows, "devices.csv")


def litres(day: int, hour: int) -> int:
    """A household of which nothing runs at night."""
    return (0, 12, 30)[(day + hour) % 3] if 7 <= hour <= 22 else 0


def played(count: int, days: int, leak: int | None = None, silent: int | None = None) -> list[Raised]:
    """Homes by the hour; from a day on the first loses 6 L/h, or none but the first is heard any more."""
    known = table(count)
    rows: list[tuple[str, int, float]] = []
    level = [1000.0 * i for i in range(count)]
    for n in range(days * 24):
        day, hour = divmod(n, 24)
        for i in range(count):
            level[i] += litres(day + i, hour) + (6 if leak is not None and i == 0 and day >= leak else 0)
            if silent is None or day < silent or i == 0:
                rows.append((f"w{i}", START + n * HOUR + i * MINUTE, level[i]))
    device, at, value = zip(*rows, strict=True)
    times = [to_datetime(t).strftime("%Y-%m-%dT%H:%M:%SZ") for t in at]
    names, units = ["volume_total"] * len(at), ["L"] * len(at)
    columns = columns_of(device, names, units, times, [str(v) for v in value], None, known, "t.csv", 2)
    past = Past("b", OURS, known.devices, known.table, known.topology)
    return backtest(batches_of([columns], 5 * MINUTE), past)


def test_a_leak_of_6_litres_an_hour_is_told_within_two_days_and_nothing_else() -> None:
    told = played(3, 25, leak=20)
    assert [(one.rule, one.object) for one in told] == [("t.home", "w0")]
    assert START + 20 * DAY < told[0].raised_at <= START + 22 * DAY
    assert told[0].arguments["cause"] == "leak"
    assert told[0].cleared_at is None


def test_ordinary_life_raises_nothing() -> None:
    assert played(3, 25) == []


def test_a_building_that_falls_silent_is_one_alarm_on_its_gateway() -> None:
    told = played(5, 4, silent=3)
    silence = [one for one in told if one.rule == "t.gateway"]
    assert [(one.object) for one in silence] == ["b1/network"] == [one.object for one in told]


def test_what_was_learned_survives_a_restart() -> None:
    known = table(2)
    engine, other = (Engine(OURS, known.table, known.devices) for _ in range(2))
    rows = [(f"w{i}", START + n * HOUR + i, 1000 * i + n) for n in range(80) for i in range(2)]
    times = [to_datetime(t).isoformat(timespec="milliseconds") for _, t, _ in rows]
    columns = columns_of(
        [d for d, _, _ in rows], ["volume_total"] * 160, ["L"] * 160, times,
        [str(v) for _, _, v in rows], None, known, "t.csv", 2,
    )  # fmt: skip
    for batch in batches_of([columns], HOUR):
        engine.feed(batch)
        engine.snapshot()  # what took no reading since is not packed anew in the next one
    other.restore(engine.snapshot())
    ours, theirs = engine._roster.instances, other._roster.instances
    assert {key: i.dump() for key, i in theirs.items()} == {key: i.dump() for key, i in ours.items()}
    assert other.snapshot() == engine.snapshot()


def test_from_when_on_a_rule_judges_is_known_after_its_first_reading_and_after_a_restart() -> None:
    known = table(2)
    engine, other = (Engine(OURS, known.table, known.devices) for _ in range(2))
    assert engine.learning(START) == []
    for n in range(3):
        texts = ["w0"], ["volume_total"], ["L"], [to_datetime(START + n * HOUR).isoformat()]
        for batch in batches_of([columns_of(*texts, [str(n)], None, known, "t.csv", 2)], HOUR):
            engine.feed(batch)
    wanted = [(("t.home", "w0"), START + 14 * DAY)]
    assert engine.learning(START + DAY) == wanted
    other.restore(engine.snapshot())
    assert engine.learning(START + DAY) == other.learning(START + DAY) == wanted  # packed, too
    assert engine.learning(START + 14 * DAY) == []


def test_of_what_has_heard_nothing_a_snapshot_holds_nothing() -> None:
    """A site has thousands of meters before the first of them sends."""
    known = table(200)
    engine, other = (Engine(OURS, known.table, known.devices) for _ in range(2))
    learners = [i for i in engine._roster.instances.values() if isinstance(i, Learner)]
    assert len(learners) == 200
    assert {msgpack.encode(learner.packed()) for learner in learners} == {
        msgpack.encode([False, NEVER, None])
    }
    other.restore(engine.snapshot())
    for one in (engine, other):
        for n in range(3):
            texts = ["w0"], ["volume_total"], ["L"], [to_datetime(START + n * HOUR).isoformat()]
            for batch in batches_of([columns_of(*texts, [str(n)], None, known, "t.csv", 2)], HOUR):
                one.feed(batch)
    assert other.snapshot() == engine.snapshot()


def test_what_is_packed_between_readings_says_the_same() -> None:
    told = []
    for often in (0, 1, 7):
        known = table(2)
        engine = Engine(OURS, known.table, known.devices)
        found = []
        for n in range(24 * 25):
            day = n // 24
            leak = 6 * max(0, n - 20 * 24)
            at, level = START + n * HOUR, sum(litres(d, h) for d in range(day) for h in range(24)) + leak
            texts = ["w0"], ["volume_total"], ["L"], [to_datetime(at).isoformat(timespec="seconds")]
            columns = columns_of(*texts, [str(level)], None, known, "t.csv", 2)
            for batch in batches_of([columns], HOUR):
                found += engine.feed(batch)
            if often and n % often == 0:
                engine.snapshot()
        told.append([(c.rule, c.object, c.active, c.at) for c in found])
    assert told[0]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("w9", "volume_total", "L", "2024-03-04T00:00:00Z", "1"), "are in no row of the devices"),
        (("w0", "volume_total", "L", "yesterday", "1"), "'yesterday' is no instant in UTC"),
        (("w0", "volume_total", "L", "2024-03-04T00:00:00Z", "much"), "'much' is no number"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(row: tuple[str, ...], said: str) -> None:
    good = ("w0", "volume_total", "L", "2024-03-04T00:00:00Z", "1")
    device, name, unit, at, value = zip(good, row, strict=True)
    with pytest.raises(Invalid) as caught:
        columns_of(device, name, unit, at, value, None, table(1), "t.csv", 2)
    assert said in str(caught.value)
    assert ":3:" in str(caught.value) or caught.value.mistakes[0].line == 3
