"""What plans say of a machine to the rules: whether a run is wanted, and when it was serviced."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.flows.ground import ground_of
from dutyroom.flows.upkeep import Upkeep
from dutyroom.interfaces import Records
from dutyroom.model.duty import Device, Occurrence, OccurrenceState
from dutyroom.plans import parse_plans
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, from_iso
from dutyroom.topology import Topology

PLANS = parse_plans(
    """plans:
  - id: generator-test
    name: {zh-CN: 试运行, en: Test run}
    every: 15d
    anchor: 2026-01-05
    at: "10:00"
    ahead: 1d
    grace: 2d
    priority: 3
    select: {classes: [generator]}
    proof: {point: running, minutes: 30, load_kw: 20}
  - id: elevator-service
    name: {zh-CN: 维保, en: Service}
    every: 15d
    anchor: 2026-01-05
    at: "09:00"
    grace: 1d
    priority: 3
    select: {classes: [elevator]}
  - id: elevator-round
    name: {zh-CN: 周排查, en: Weekly round}
    every: 7d
    anchor: 2026-01-05
    at: "09:00"
    grace: 1d
    priority: 4
    select: {classes: [elevator]}
""",
    "plans.yaml",
)
DUE = from_iso("2026-01-20T10:00:00+08:00")
DEVICES = {
    name: Device("s", name, name, name.split("-")[0], "v/m", name, "A", {})
    for name in ("generator", "elevator-1", "pump")
}


def done(plan: str, object: str, due: Ms, at: Ms | None) -> Occurrence:
    return Occurrence(0, "s", plan, object, due, OccurrenceState.DONE, due - DAY, done_at=at)


def upkeep(folder: Path, *rows: Occurrence) -> tuple[Upkeep, Records]:
    records = open_records(f"sqlite:///{folder}/records.sqlite")
    with records.write() as tx:
        for row in rows:
            tx.occurrences.insert(row)
    made = Upkeep("s", PLANS, "Asia/Shanghai", records, DEVICES)
    made.look(DUE)
    return made, records


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (-DAY - MINUTE, False),
        (-DAY, True),
        (0, True),
        (2 * DAY - 1, True),
        (2 * DAY + MINUTE, False),
        (14 * DAY, True),
    ],
)
def test_a_run_is_wanted_from_the_work_order_until_the_grace_is_over(
    tmp_path: Path, after: Ms, wanted: bool
) -> None:
    made, records = upkeep(tmp_path)
    assert made.planned("generator", DUE + after) is wanted
    records.close()


def test_what_has_been_run_is_wanted_no_more_once_it_has_cooled_down(tmp_path: Path) -> None:
    ran = done("generator-test", "generator", DUE, DUE - 3 * HOUR)
    made, records = upkeep(tmp_path, ran)
    assert made.planned("generator", DUE - 3 * HOUR + 10 * MINUTE) is True
    assert made.planned("generator", DUE) is False
    assert made.planned("generator", DUE + 15 * DAY) is True, "the next one"
    records.close()


def test_a_machine_that_no_proven_plan_concerns(tmp_path: Path) -> None:
    made, records = upkeep(tmp_path)
    assert made.planned("pump", DUE) is None
    assert made.planned("elevator-1", DUE) is None, "its plan asks for no run"
    assert made.planned("nobody", DUE) is None
    records.close()


def test_the_newest_service_counts_and_is_looked_for_once_a_minute(tmp_path: Path) -> None:
    made, records = upkeep(
        tmp_path,
        done("elevator-service", "elevator-1", DUE - 15 * DAY, DUE - 14 * DAY),
        done("elevator-service", "elevator-1", DUE - 30 * DAY, DUE - 30 * DAY),
    )
    assert made.serviced("elevator-1") == {"elevator-service": DUE - 14 * DAY}
    with records.write() as tx:
        tx.occurrences.insert(done("elevator-service", "elevator-1", DUE, DUE + 1))
    made.look(DUE + 30_000)
    assert made.serviced("elevator-1") == {"elevator-service": DUE - 14 * DAY}
    made.look(DUE + MINUTE)
    assert made.serviced("elevator-1") == {"elevator-service": DUE + 1}
    assert made.serviced("pump") == {}
    records.close()


def test_a_daily_check_of_sixty_lifts_hides_no_service(tmp_path: Path) -> None:
    checks = ((f"elevator-{n}", DUE - day * DAY) for n in range(60) for day in range(1, 400))
    with (
        closing(open_records(f"sqlite:///{tmp_path}/records.sqlite")),
        sqlite3.connect(tmp_path / "records.sqlite") as database,
    ):
        database.executemany(
            "INSERT INTO occurrences (site, plan, object, due, state, created_at, done_at, evidence, actor)"
            " VALUES ('s', 'lift-daily', ?, ?, 'done', 0, 0, '', '')",
            checks,
        )
    database.close()
    made, records = upkeep(
        tmp_path,
        *(
            done("elevator-service", "elevator-1", DUE - days * DAY, DUE - days * DAY)
            for days in (15, 30, 401)
        ),
        done("elevator-service", "elevator-2", DUE - 401 * DAY, None),
    )
    assert made.serviced("elevator-1")["elevator-service"] == DUE - 15 * DAY
    assert "elevator-service" not in made.serviced("elevator-2"), "longer ago than anybody asks"
    records.close()


def test_what_comes_round_each_week_is_told_from_a_service(tmp_path: Path) -> None:
    made, records = upkeep(tmp_path)
    assert ground_of(Topology({}), "UTC", upkeep=made).rounds == {"elevator-round"}
    records.close()


def test_while_the_records_are_away_it_knows_what_it_knew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, records = upkeep(tmp_path, done("elevator-service", "elevator-1", DUE, DUE))

    def away() -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(records, "read", away)
    made.look(DUE + DAY)
    assert made.serviced("elevator-1") == {"elevator-service": DUE}
    records.close()
