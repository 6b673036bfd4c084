"""How far a device's clock is off, and what a device with a bad clock does to the others: nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.intake_rig import Rig, T

from dutyroom.flows.live import LiveValue
from dutyroom.flows.skew import Skew, Skews
from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import DeviceClass, Message, Point, PointSpec, PointTable, Quality
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms

TABLE = PointTable(
    [Point(n, "s", f"d{n}", DeviceClass.SENSOR, "", PointSpec("level", interval_s=60)) for n in (1, 2)]
)


def told(*values: tuple[Ms, Ms], quality: Quality = Quality.GOOD) -> tuple[Skews, list[str]]:
    """values: device time and receive time, each looked at by itself."""
    skews, said = Skews(TABLE, lambda _: True), []
    for at, received in values:
        said += [f.detail for f in skews.take([LiveValue(1, at, received, 1.0, int(quality))], received)]
    return skews, said


def skew(skews: Skews) -> Ms | None:
    found = skews.of("d1")
    return found.ms if found else None


def test_a_clock_that_is_behind_is_measured_and_noted_once() -> None:
    skews, said = told(*((T + n * MINUTE - 400 * SECOND, T + n * MINUTE) for n in range(20)))
    assert skew(skews) == 400 * SECOND
    assert said == ["+400 s"]
    assert list(skews.odd()) == ["d1"]


def test_it_is_shown_after_the_second_message_and_noted_after_the_fourth() -> None:
    quarters = [(T + n * 15 * MINUTE - 7 * MINUTE, T + n * 15 * MINUTE + n * 100) for n in range(4)]
    for many, shown, noted in ((1, None, 0), (2, 420_100, 0), (3, 420_150, 0), (4, 420_200, 1)):
        skews, said = told(*quarters[:many])
        assert (skew(skews), list(skews.odd()), len(said)) == (shown, ["d1"] if shown else [], noted)


def test_what_is_off_stays_known_over_a_restart_until_it_is_put_right() -> None:
    skews, _ = told(*((T + n * MINUTE - 400 * SECOND, T + n * MINUTE) for n in range(20)))
    again = Skews(TABLE, lambda _: True)
    again.restore(skews.packed())
    assert again.odd() == {"d1": Skew(400 * SECOND, 3)}
    said = []
    for n in range(1, 9):  # it is right now
        at = T + DAY + n * MINUTE
        said += again.take([LiveValue(1, at, at + 100, 1.0, 0)], at)
    assert (skew(again), dict(again.odd()), said) == (100, {}, [])
    gone = Skews(TABLE, lambda _: False)  # no longer in the registry
    gone.restore(skews.packed())
    gone.restore(b"?")
    gone.restore(None)
    assert dict(gone.odd()) == {}
    assert len(again.packed()) == 1


def test_a_clock_ahead_and_one_that_was_put_right() -> None:
    ahead = [(T + n * MINUTE + 10 * MINUTE, T + n * MINUTE) for n in range(12)]
    right = [(T + HOUR + n * MINUTE, T + HOUR + n * MINUTE + 200) for n in range(12)]
    skews, said = told(*ahead, *right)
    assert (skew(skews), said, dict(skews.odd())) == (200, ["-600 s"], {})


def test_a_clock_that_was_a_day_ahead_for_a_moment_is_measured_again_at_once() -> None:
    jump = [(T + 20 * HOUR, T)]
    right = [(T + n * MINUTE - 400 * SECOND, T + n * MINUTE) for n in range(1, 6)]
    skews, said = told(*jump, *right)
    assert (skew(skews), said) == (400 * SECOND, ["+400 s"])


def test_a_late_batch_is_no_skew() -> None:
    """A day of readings in a second, an hour of them, and then live ones."""
    late = [(T - DAY + n * 15 * MINUTE, T + n * 10) for n in range(96)]
    live = [(T + n * 15 * MINUTE, T + n * 15 * MINUTE + 900) for n in range(1, 8)]
    skews, said = told(*late, *live)
    assert (skew(skews), said) == (900, [])


def test_a_device_that_sends_at_any_time_what_it_read_at_the_hour_is_not_accused() -> None:
    minutes = (3, 41, 17, 55, 29, 8, 50, 22, 36, 12)
    skews, said = told(*((T + n * HOUR, T + n * HOUR + m * MINUTE) for n, m in enumerate(minutes)))
    assert said == []
    assert skew(skews) is None


def test_an_absurd_clock_is_said_to_be_one() -> None:
    skews, _ = told((T, T), (T + MINUTE, T + MINUTE), quality=Quality.CLOCK)
    found = skews.of("d1")
    assert found is not None
    assert (found.wrong, found.ms) == (True, None)


def test_a_device_without_a_clock_has_no_skew() -> None:
    skews = Skews(TABLE, lambda device: device != "d1")
    for n in range(10):
        skews.take([LiveValue(1, T + n, T + n, 1.0, 0), LiveValue(2, T + n, T + n + 5, 1.0, 0)], T + n)
    assert skews.of("d1") is None
    assert skews.of("d2") is not None


# ---------------------------------------------------------------- the lane of a bad clock

TIMED = """
name: A tank with a clock
class: tank
match: {topics: ["probe/{device}/up"]}
identity: "{device}"
time: {from: ts, format: epoch_ms}
interval: 60s
points:
  level: {from: v, quantity: level, unit: m}
"""
RULES = """
rules:
  - id: test.high
    kind: limit
    name: {zh-CN: 高, en: High}
    select: {classes: [tank]}
    point: level
    parameters: {above: 3.0, deadband: 0.1}
    on_delay: 2min
    priority: 3
    ticket: never
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, {"probe": TIMED})
    made.register(*(Device("site", d, "", "tank", "acme/probe", d, "") for d in ("good", "bad")))
    yield made
    made.close()


def up(device: str, at: Ms, value: float, received: Ms) -> Message:
    return Message(f"probe/{device}/up", json.dumps({"ts": at, "v": value}).encode(), received)


def judged(rig: Rig, bad: Ms | None) -> tuple[list[Condition], list[tuple[str, float]]]:
    """What the rules say of `good`, and its stored readings, beside a device whose clock is off by `bad`."""
    with rig.records.read() as tx:
        devices = {d.id: d for d in tx.devices.all("site")}
    engine = Engine([r for r in parse_rules(RULES, "rules.yaml") if r.id == "test.high"], rig.table, devices)
    found: list[Condition] = []
    seq = rig.journal.last(1)
    for n in range(30):
        now = T + n * MINUTE
        messages = [up("good", now - 300, 3.5 if 8 <= n < 20 else 1.0, now)]
        if bad is not None:
            messages.insert(0, up("bad", now + bad, 9.0, now))
        rig.ingest.handle(messages)
        for number, batch in rig.journal.read(1, seq, 10):
            found += engine.feed(batch)
            seq = number
        found += engine.tick(now)
    rig.keep.drain()
    return [c for c in found if c.object == "good"], rig.stored("good", "level")


@pytest.mark.parametrize("bad", [HOUR - MINUTE, 8 * HOUR, 23 * HOUR, -30 * DAY, 5 * 365 * DAY, -T])
def test_a_bad_clock_changes_nothing_for_others(rig: Rig, tmp_path: Path, bad: Ms) -> None:
    alone = Rig(tmp_path / "alone", {"probe": TIMED})
    alone.register(*(Device("site", d, "", "tank", "acme/probe", d, "") for d in ("good", "bad")))
    expected = judged(alone, None)
    alone.close()
    assert len(expected[0]) == 2
    assert judged(rig, bad) == expected
    point = rig.table.find("bad", "level")
    assert point is not None
    series = rig.store.range(point, -T, 3 * T)
    if bad > HOUR or bad == -T:  # absurd: stored when it came, and marked
        assert set(series.quality.tolist()) == {Quality.CLOCK}
        assert series.at.tolist() == [T + n * MINUTE for n in range(30)]
        (said,) = [f for f in rig.journal.findings(0) if f.kind == "clock_wrong"]
        assert (said.device, said.count) == ("bad", 30)
    else:  # plausible: as the device says, never shifted
        assert set(series.quality.tolist()) == {Quality.GOOD}
        assert series.at.tolist() == [T + n * MINUTE + bad for n in range(30)]
