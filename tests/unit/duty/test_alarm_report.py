"""`dutyroom alarms report` on a data folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typer.testing import CliRunner

from dutyroom.alarms import step
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql import open_records
from dutyroom.cli import app
from dutyroom.flows.alarm_load import Ring
from dutyroom.flows.alarm_report import whole_span
from dutyroom.model.duty import Alarm, AlarmEvent, AlarmState, Priority
from dutyroom.rules.parse import parse_rules
from dutyroom.site import Site
from dutyroom.timebase import DAY, HOUR, Ms
from dutyroom.wiring.memory import remember

RULES = """\
rules:
  - {id: own.rule, kind: limit, name: {zh-CN: 水温高, en: Water too warm}, select: {classes: [sensor]}, point: t, parameters: {above: 1},
     priority: 3, ticket: never}
  - {id: water.burst, name: {zh-CN: 水管爆裂, en: Pipe is gone}}
"""


def folder(at: Path, raised: dict[str, Ms]) -> Path:
    """raised: object -> when its alarm was, which still stands."""
    (at / "sites" / "yard").mkdir(parents=True)
    rules = parse_rules(RULES, "rules.yaml")
    remember(Site("yard", {"en": "Yard"}, "Asia/Shanghai", language="en", rules=rules), at / "sites" / "yard")
    records = open_records(f"sqlite:///{at}/records.sqlite")
    with records.write() as tx:
        for name, when in raised.items():
            row = Alarm(
                0, "yard", "own.rule", 1, name, "", name, AlarmState.NORMAL, Priority(3), False, when, when
            )
            stored = tx.alarms.insert(replace(row, state=AlarmState.UNACKNOWLEDGED))
            _, change = step(replace(row, id=stored.id), AlarmEvent.RAISE, when, "system", "")
            tx.alarms.log(change)
    records.close()
    return at


def heard(file: Path, at: Ms) -> None:
    journal = SqliteJournal(file)
    journal.note([], {(at // HOUR * HOUR, "pump", "received"): 1})
    journal.close()


def run(data: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["alarms", "report", *arguments, "--data", str(data)])
    return done.exit_code, done.output


def test_what_stands_for_weeks_is_stale_in_the_report_of_this_week(tmp_path: Path) -> None:
    now = round(datetime.now(UTC).timestamp() * 1000)
    data = folder(tmp_path, {"pump": now - 50 * DAY, "gate": now - 20 * HOUR})
    since, until = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (-6, 2))
    code, said = run(data, "--from", since, "--to", until, "--json")
    told = json.loads(said)
    assert (code, told["alarms"], told["figures"]["stale_most"]["value"]) == (0, 1, 1), said
    assert {a["object"]: a["stale"] for a in told["worst"]} == {"gate": 0, "pump": 1}
    assert "pump" in run(data)[1]


def test_a_sites_own_rule_is_called_by_its_name(tmp_path: Path) -> None:
    data = folder(tmp_path, {"pump": round(datetime.now(UTC).timestamp() * 1000) - 5 * DAY})
    code, said = run(data)
    assert (code, "Water too warm" in said, "own.rule" in said) == (0, True, False), said
    (data / "sites" / "yard" / "rules.json").unlink()  # a folder of an older version
    code, said = run(data)
    assert (code, "own.rule" in said) == (0, True), said


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    data = folder(tmp_path, {})
    code, said = run(data, "--from", "2026-03-02", "--to", "2026-03-01")
    assert (code, "--from 2026-03-02 is not before --to 2026-03-01" in said) == (1, True), said


def test_what_rang_is_shared_out_over_the_time_in_which_the_site_was_heard() -> None:
    now, ring = 90 * DAY, Ring(88 * DAY, "rule", "pump", 3)

    def span(heard: Ms | None, found: Sequence[Ring] = (), days: int = 30) -> float:
        return (now - whole_span(found, now - days * DAY, now, heard)) / DAY

    assert span(now - 4 * DAY) == 4
    assert span(now - HOUR) == 1  # an hour is no measure of a day
    assert span(now - 60 * DAY) == 30
    assert span(None, [ring]) == 30  # not known
    assert span(now - HOUR, [ring]) == 2  # its journal is new, the site is not
    assert span(now - 4 * DAY, days=1) == 1
    assert span(now + DAY) == 30  # all of it was before: nothing is made of that


def test_the_report_of_a_young_site_begins_when_it_was_first_heard(tmp_path: Path) -> None:
    now = round(datetime.now(UTC).timestamp() * 1000)
    data = folder(tmp_path, {f"pump-{n}": now - HOUR for n in range(8)})
    assert json.loads(run(data, "--json")[1])["figures"]["per_day"]["value"] == 0.2667  # no journal here
    heard(data / "sites" / "yard" / "journal.sqlite", now - 4 * DAY)
    told = json.loads(run(data, "--json")[1])
    assert 1.9 < told["figures"]["per_day"]["value"] <= 2, told
