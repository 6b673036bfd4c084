"""A run over the past knows what the duty room had on record then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.flows.test_backtest import START, TANK, Bench, Rows, level

from dutyroom.backends.records_sql import open_records
from dutyroom.flows.past_records import Announcements, _done
from dutyroom.interfaces import Tx
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import Occurrence, OccurrenceState
from dutyroom.model.metering import Exchange
from dutyroom.rules.columns import FOREVER
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, to_iso

HIGH = START + 2 * DAY + 9 * HOUR  # until an hour later; and so on day 5
SINCE, UNTIL = "2026-03-02", "2026-03-12"
SERVICE = (
    TANK
    + """
  - {id: elevator.service_by_trips, parameters: {above: 100}}
"""
)
PLANS = """
plans:
  - {id: service, name: {zh-CN: 保, en: Service}, every: 15d, anchor: 2026-01-05, at: "09:00", grace: 1d, priority: 3, select: {classes: [elevator]}}
  - {id: trial, name: {zh-CN: 试, en: Test run}, every: 15d, anchor: 2026-01-05, at: "10:00", ahead: 1h, grace: 3h, priority: 3,
     select: {classes: [generator]}, proof: {point: running, minutes: 30}}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, SERVICE)
    (made.folder / "plans.yaml").write_text(PLANS, encoding="utf-8")
    made.keep({("A-tank", "level"): level(0, 11, high=(2, 5))})
    return made


def record(bench: Bench, *writes: Callable[[Tx], object]) -> None:
    records = open_records(f"sqlite:///{bench.data}/records.sqlite")
    with records.write() as tx:
        for write in writes:
            write(tx)
    records.close()


def announced(
    bench: Bench,
    kind: Announced,
    begins: Ms,
    ends: Ms,
    cancelled: Ms | None = None,
    known: Ms = 0,
    **more: tuple[str, ...],
) -> None:
    row = Announcement(
        0, bench.site.id, kind, begins, ends, "planned", "li", known or begins, cancelled_at=cancelled, **more
    )  # type: ignore[arg-type]
    record(bench, lambda tx: tx.announcements.insert(row))


def told(bench: Bench, kind: str = "own_high") -> list[str]:
    return [row["raised_at"] for row in bench.told() if row["kind"] == kind]


def sorts(bench: Bench) -> list[str]:
    return [one["sort"] for one in json.loads((bench.out / "summary.json").read_text())["troubles"]]


def volume(*steps: tuple[int, int]) -> Rows:
    """A meter each 15 min for eleven days, from the hour on at a register (litres)."""
    rows = []
    for n in range(11 * 96):
        hour = n / 4
        base, first = next((value, at) for at, value in reversed(steps) if at <= hour)
        rows.append(
            (START + n * 15 * MINUTE, float(base + sum(h % 24 > 6 for h in range(first, int(hour))) * 2))
        )
    return rows


def test_an_exchange_on_record_explains_a_decrease_and_the_next_one_is_told(bench: Bench) -> None:
    bench.keep({("A-1201-water", "volume"): volume((0, 50_000), (60, 5_000), (200, 2_000))})
    bench.run(since=SINCE, until=UNTIL)
    assert told(bench, "meter_rollback") == [to_iso(START + 60 * HOUR)], "nobody has put it on record"
    at = START + 58 * HOUR
    exchange = Exchange(0, bench.site.id, "A-1201-water", "volume", at, 50_000, 5_000, "li", "verification")
    record(bench, lambda tx: tx.metering.add_exchange(exchange))
    done = bench.run(since=SINCE, until=UNTIL)
    assert told(bench, "meter_rollback") == [to_iso(START + 200 * HOUR)]
    assert done.kept["exchanges"] == 1
    assert "换表 1 次" in bench.said[0]


def test_a_planned_outage_keeps_quiet_what_it_brings_and_what_stands_at_its_end_is_told(bench: Bench) -> None:
    where = {"devices": ("A-tank",)}
    announced(bench, Announced.OUTAGE, HIGH - HOUR, HIGH + 2 * HOUR, **where)
    later = HIGH + 3 * DAY
    announced(bench, Announced.OUTAGE, later - HOUR, later + 30 * MINUTE, **where)
    done = bench.run(since=SINCE, until=UNTIL)
    assert len(told(bench)) == 1
    assert to_iso(later + 30 * MINUTE) <= told(bench)[0] <= to_iso(later + 33 * MINUTE)
    assert done.kept == {"exchanges": 0, "outages": 2, "fire_tests": 0, "works": 0, "muted": 1}


@pytest.mark.parametrize(
    ("cancelled", "known"),
    [(HIGH - 30 * MINUTE, 0), (None, HIGH + 2 * HOUR), (None, HIGH + DAY)],
)
def test_what_was_called_off_or_not_known_yet_keeps_nothing_quiet(
    bench: Bench, cancelled: Ms | None, known: Ms
) -> None:
    announced(bench, Announced.OUTAGE, HIGH - HOUR, HIGH + 3 * HOUR, cancelled, known, devices=("A-tank",))
    bench.run(since=SINCE, until=UNTIL)
    assert len(told(bench)) == 2


def test_an_outage_that_was_called_off_while_it_ran_covers_until_then(bench: Bench) -> None:
    announced(bench, Announced.OUTAGE, HIGH - HOUR, HIGH + 3 * HOUR, HIGH + 30 * MINUTE, devices=("A-tank",))
    bench.run(since=SINCE, until=UNTIL)
    first = told(bench)[0]
    assert to_iso(HIGH + 30 * MINUTE) <= first <= to_iso(HIGH + 33 * MINUTE)


def fire(*spans: tuple[Ms, Ms]) -> Rows:
    """A panel each minute of three hours around each."""
    times = sorted({at for a, _ in spans for at in range(a - HOUR, a + 4 * HOUR, MINUTE)})
    return [(at, float(any(a <= at < b for a, b in spans))) for at in times]


def test_what_rings_in_a_fire_test_is_no_true_alarm(bench: Bench) -> None:
    bench.keep(
        {
            ("A-fire", "alarm"): fire(
                (HIGH, HIGH + 10 * MINUTE), (HIGH + 4 * DAY, HIGH + 4 * DAY + 10 * MINUTE)
            )
        }
    )
    both = bench.run(since=SINCE, until=UNTIL)
    assert (both.load.tests, both.kinds["fire_alarm"]) == (0, 2)
    announced(bench, Announced.FIRE_TEST, HIGH - HOUR, HIGH + HOUR, spaces=("A",))
    done = bench.run(since=SINCE, until=UNTIL)
    assert told(bench, "fire_alarm") == [to_iso(HIGH + 4 * DAY)]
    assert (done.load.tests, done.kinds["fire_alarm"]) == (1, 1)
    assert done.load.alarms == both.load.alarms - 1
    assert "消防测试 1 次，其中 1 条报警" in bench.said[0]


def test_a_fire_that_holds_when_the_test_is_over_is_true_from_then_on(bench: Bench) -> None:
    bench.keep({("A-fire", "alarm"): fire((HIGH, HIGH + 3 * HOUR))})
    announced(bench, Announced.FIRE_TEST, HIGH - HOUR, HIGH + HOUR)
    done = bench.run(since=SINCE, until=UNTIL)
    first = told(bench, "fire_alarm")
    assert len(first) == 1
    assert to_iso(HIGH + HOUR) <= first[0] <= to_iso(HIGH + HOUR + 3 * MINUTE)
    assert (done.load.tests, done.kinds["fire_alarm"]) == (1, 1)


def worked(bench: Bench, plan: str, object: str, at: Ms) -> None:
    row = Occurrence(0, bench.site.id, plan, object, at, OccurrenceState.DONE, at - DAY, done_at=at)
    record(bench, lambda tx: tx.occurrences.insert(row))


def test_an_elevator_is_due_by_its_trips_since_it_was_serviced_then(bench: Bench) -> None:
    trips = [(START + n * HOUR, float(n * 2)) for n in range(11 * 24)]
    bench.keep({("A-lift-1", "trips"): trips})
    bench.run(since=SINCE, until=UNTIL)
    assert told(bench, "elevator_service_by_trips") == [], "nothing was done"
    worked(bench, "service", "A-lift-1", START + 2 * DAY + MINUTE)
    worked(bench, "service", "A-lift-1", START + 8 * DAY + MINUTE)
    bench.run(since=SINCE, until=UNTIL)
    rows = [row for row in bench.told() if row["kind"] == "elevator_service_by_trips"]
    assert [row["raised_at"][:10] for row in rows] == [
        to_iso(START + n * DAY + 3 * HOUR)[:10] for n in (4, 10)
    ]
    assert rows[0]["cleared_at"][:10] == to_iso(START + 8 * DAY + HOUR)[:10]
    assert "upkeep" not in sorts(bench)


def test_what_stands_for_the_records_is_named_where_there_are_none(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    lines = [f"A-lift-1,trips,,{to_iso(START + n * HOUR)},{n}" for n in range(24 * 11)]
    file.write_text("device_id,point,unit,time_utc_iso,value\n" + "\n".join(lines) + "\n", encoding="utf-8")
    bench.run(since=SINCE, until=UNTIL, telemetry=file)
    assert "records" not in sorts(bench)
    (bench.data / "records.sqlite").unlink()
    bench.run(since=SINCE, until=UNTIL, telemetry=file)
    assert {"records", "upkeep"} <= set(sorts(bench))
    assert "elevator.service_by_trips" in bench.said[0]


def test_work_that_was_done_is_read_in_pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dutyroom.flows.past_records._PAGE", 3)
    for n in range(8):
        worked(bench, "service", "A-lift-1", START + n * DAY)
    records = open_records(f"sqlite:///{bench.data}/records.sqlite")
    with records.read() as tx:
        assert [at for at, _, _ in _done(tx, bench.site.id)] == [START + n * DAY for n in range(8)]
    records.close()


def test_an_announcement_is_known_as_it_was() -> None:
    row = Announcement(7, "s", Announced.OUTAGE, 100, 900, "r", "li", 50, cancelled_at=400, affected=3)
    known = Announcements([row])
    assert known.at(49) == []
    assert [(a.running(200), a.affected) for a in known.at(200)] == [(True, 0)]
    assert [a.over(401) for a in known.at(401)] == [True]
    assert [known.next(at) for at in (0, 50, 100, 400, 900)] == [50, 100, 400, 900, FOREVER]
    assert (known.quiet(7, 399), known.quiet(7, 400), known.quiet(8, 300)) == (True, False, False)
