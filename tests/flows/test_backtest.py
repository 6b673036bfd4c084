"""The past through the rules: of a site's store and of files, with what may be wrong with them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.shipped_profiles import shipped_library

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Invalid, Rejected
from dutyroom.flows.backtest_summary import Summary
from dutyroom.flows.known_events import known_events
from dutyroom.flows.past_readings import Columns, batches_of
from dutyroom.model.telemetry import Readings
from dutyroom.profiles.decode import Library
from dutyroom.rules.engine import Engine
from dutyroom.settings import Settings
from dutyroom.site.folder import load_site
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, day_start, from_iso, to_iso, zone
from dutyroom.wiring.backtest import Wanted, run_backtest
from dutyroom.wiring.seeding import seed

SHANGHAI = zone("Asia/Shanghai")
START = from_iso("2026-03-01T00:00", SHANGHAI)
Rows = Sequence[tuple[int, float]]
TANK = """
rules:
  - {id: own.high, kind: limit, name: {zh-CN: 高, en: Tank high}, select: {devices: [A-tank]}, point: level, priority: 2,
     parameters: {above: 2.0, deadband: 0.1}}
"""


def level(day: int, until_day: int, high: Sequence[int] = ()) -> Rows:
    """A tank every 10 min, 1 m; on some days from 09:05 to 10:05 2.5 m."""
    times = range(START + day * DAY + 5 * MINUTE, START + until_day * DAY, 10 * MINUTE)
    return [
        (at, 2.5 if (at - START) // DAY in high and 9 * HOUR <= (at - START) % DAY < 10 * HOUR else 1.0)
        for at in times
    ]


@cache
def library() -> Library:
    return shipped_library()


class Bench:
    """A site folder and a data folder on which it has run."""

    def __init__(self, at: Path, rules: str = TANK) -> None:
        from dutyroom.cli.trying import init

        self.folder, self.data, self.out = at / "site", at / "data", at / "out"
        init(self.folder)
        (self.folder / "rules.yaml").write_text(rules, encoding="utf-8")
        self.site = load_site(self.folder)
        (self.data / "sites" / self.site.id).mkdir(parents=True)
        records = open_records(f"sqlite:///{self.data}/records.sqlite")
        store = self.store()
        _, self.table = seed(self.site, records, library(), store)
        records.close()
        store.close()

    def store(self) -> EmbeddedReadingStore:
        return EmbeddedReadingStore(self.data / "sites" / self.site.id / "readings.sqlite")

    def keep(self, rows: Mapping[tuple[str, str], Rows], late: Mapping[int, int] | None = None) -> None:
        store = self.store()
        for (device, name), mine in rows.items():
            point = self.table.find(device, name)
            assert point is not None
            columns = Readings.of([(point.id, at, value, 0, 0) for at, value in mine])
            when = {n: (late or {})[at] for n, (at, _) in enumerate(mine) if at in (late or {})}
            store.write(replace(columns, late=when), self.table)
        store.close()

    def run(self, **given: object) -> Summary:
        wanted = Wanted(self.out, **{"site": self.folder, **given})  # type: ignore[arg-type]
        self.said: list[str] = []
        return run_backtest(Settings(data=self.data), wanted, self.said.append)

    def told(self, name: str = "alarms.csv") -> list[dict[str, str]]:
        return list(csv.DictReader((self.out / name).read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_sites_store_is_run_through_its_rules_between_two_local_dates(bench: Bench) -> None:
    bench.keep({("A-tank", "level"): level(0, 10, high=(2, 5, 8))})
    done = bench.run(since="2026-03-05", until="2026-03-08")
    own = [row for row in bench.told() if row["kind"] == "own_high"]
    assert [(row["device_id"], row["raised_at"]) for row in own] == [("A-tank", "2026-03-06T01:05:00Z")]
    assert own[0]["cleared_at"] == "2026-03-06T02:05:00Z"
    assert done.since == day_start(date(2026, 3, 5), SHANGHAI)
    assert done.until - done.since == 4 * DAY
    assert "规则回测" in bench.said[0]
    assert json.loads((bench.out / "summary.json").read_text())["alarms"] == done.load.alarms


def test_what_came_late_is_judged_when_it_came(bench: Bench) -> None:
    first = START + 2 * DAY + 9 * HOUR + 5 * MINUTE
    rows = [(at, v) for at, v in level(0, 3, high=(2,)) if not first + HOUR <= at < first + 5 * HOUR]
    late = {at: first + 5 * HOUR - MINUTE for at, _ in rows if first <= at < first + HOUR}
    bench.keep({("A-tank", "level"): rows}, late)
    bench.run(since="2026-03-01", until="2026-03-03")
    own = [row for row in bench.told() if row["kind"] == "own_high"]
    assert [row["raised_at"] for row in own] == [to_iso(first + 5 * HOUR - MINUTE)]


def test_the_store_is_never_written_to(bench: Bench) -> None:
    bench.keep({("A-tank", "level"): level(0, 3)})
    before = {f: f.read_bytes() for f in bench.data.rglob("*.sqlite")}
    bench.run(since="2026-03-01", until="2026-03-03")
    assert {f: f.read_bytes() for f in before} == before


def test_without_a_store_it_says_what_to_name(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for file in (bench.data / "sites").rglob("readings.sqlite*"):
        file.unlink()
    with pytest.raises(Rejected, match="--telemetry"):
        bench.run(since="2026-03-01", until="2026-03-03")


def test_a_changed_rule_says_what_it_adds_and_removes(bench: Bench, tmp_path: Path) -> None:
    bench.keep({("A-tank", "level"): [*level(0, 5, high=(2,)), *((at, 1.9) for at, _ in level(6, 7))]})
    other = tmp_path / "other.yaml"
    other.write_text(TANK.replace("above: 2.0", "above: 1.8"), encoding="utf-8")
    done = bench.run(since="2026-03-01", until="2026-03-07", compare=other)
    found = [row for row in bench.told("compare.csv") if row["rule"] == "own.high"]
    assert [row["change"] for row in found] == ["added"]
    assert "compare" in done.plain()
    other.write_text(TANK.replace("above: 2.0", "above: 2.8"), encoding="utf-8")
    bench.run(since="2026-03-01", until="2026-03-07", compare=other)
    assert [r["change"] for r in bench.told("compare.csv") if r["rule"] == "own.high"] == ["removed"]


def test_what_a_changed_rule_moves_into_the_span_is_no_new_alarm(bench: Bench, tmp_path: Path) -> None:
    bench.keep({("A-tank", "level"): level(0, 4, high=(2,))})
    other = tmp_path / "changed.yaml"
    other.write_text(TANK.replace("priority: 2,", "priority: 2, on_delay: 30min,"), encoding="utf-8")
    bench.run(since="2026-03-03T01:20:00Z", until="2026-03-04", compare=other)
    own = [row for row in bench.told("compare.csv") if row["kind"] == "own_high"]
    assert [(row["change"], row["raised_before"][:16], row["raised_after"][:16]) for row in own] == [
        ("later", "2026-03-03T01:05", "2026-03-03T01:35")
    ]


def test_a_rule_whose_tickets_alone_are_other_ones_says_so(bench: Bench, tmp_path: Path) -> None:
    bench.keep({("A-tank", "level"): level(0, 5, high=(2,))})
    other = tmp_path / "other.yaml"
    other.write_text(TANK.replace("priority: 2,", "priority: 2, ticket: never,"), encoding="utf-8")
    done = bench.run(since="2026-03-01", until="2026-03-06", compare=other)
    own = next(row for row in bench.told() if row["kind"] == "own_high")
    assert own["raised_at"], "the alarm is the same"
    assert done.load.tickets - done.plain()["compare"]["tickets"] == 1
    assert f"工单：现行规则 {done.load.tickets} 张，改后 {done.load.tickets - 1} 张" in bench.said[0]


def test_a_window_longer_than_history_is_said(bench: Bench) -> None:
    bench.keep({("A-tank", "level"): level(3, 6)})
    done = bench.run(since="2026-03-01", until="2026-03-20")
    assert {(t.sort, t.what) for t in done.troubles} >= {("history", "begins"), ("history", "ends")}


def test_what_a_changed_rule_could_not_say_is_named_once(bench: Bench, tmp_path: Path) -> None:
    """A point that no device has, and a window longer than all that was recorded: no silent "adds nothing"."""
    bench.keep({("A-tank", "level"): level(0, 3)})
    other = tmp_path / "other.yaml"
    own = "  - {id: own.X, kind: K, name: X, select: {devices: [A-tank]}, point: P, parameters: V}\n"
    rows = [("ghost", "limit", "depth", "{above: 2}"), ("month", "stuck", "level", "{over: 30d}")]
    made = [own.replace("X", x).replace("K", k).replace("P", p).replace("V", v) for x, k, p, v in rows]
    other.write_text(TANK + "".join(made), encoding="utf-8")
    done = bench.run(since="2026-03-01", until="2026-03-03", compare=other)
    found = [(t.sort, t.what, t.count, t.place) for t in done.troubles if t.sort in ("no_point", "short")]
    assert found == [("no_point", "own.ghost: depth", 1, "A-tank"), ("short", "own.month", 30, "3.0")]
    assert "规则 own.month 需要 30 天" in bench.said[0]
    again = bench.run(since="2026-03-01", until="2026-03-03", compare=other, rules=other)
    assert [t.count for t in again.troubles if t.sort in ("no_point", "short")] == [1, 30]


def test_a_rule_on_a_point_that_no_device_has_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, TANK.replace("point: level", "point: depth"))
    bench.keep({("A-tank", "level"): level(0, 2)})
    done = bench.run(since="2026-03-01", until="2026-03-02")
    assert [t.what for t in done.troubles if t.sort == "no_point"] == ["own.high: depth"]


# ---------------------------------------------------------------- files

DEVICES = "device_id,class,point,unit,zone,interval_s,range_max\nt1,tank_level,level,m,z,600,3\np1,other,pressure,bar,z,600,\n"
RULES = """
rules:
  - {id: own.high, kind: limit, name: {zh-CN: 高, en: Tank high}, select: {classes: [tank]}, point: level, priority: 2,
     parameters: {above: 2.0, deadband: 0.1}}
"""


def file_run(at: Path, telemetry: str, text: str = RULES, **given: object) -> Summary:
    (at / "d.csv").write_text(DEVICES, encoding="utf-8")
    (at / "t.csv").write_text(telemetry, encoding="utf-8")
    (at / "r.yaml").write_text(text, encoding="utf-8")
    wanted = Wanted(
        at / "out", telemetry=at / "t.csv", devices=at / "d.csv", rules=at / "r.yaml",
        **given,  # type: ignore[arg-type]
    )  # fmt: skip
    return run_backtest(Settings(data=at / "data"), wanted, lambda _: None)


def rows_of(rows: Rows, device: str = "t1", point: str = "level", unit: str = "m") -> str:
    return "".join(f"{device},{point},{unit},{to_iso(at)},{value}\n" for at, value in rows)


HEAD = "device_id,point,unit,time_utc_iso,value\n"


def test_rows_that_cannot_be_read_are_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    odd = (
        "t1,level,m,2026-03-02T00:00:00Z,much\n"
        "t1,level,m,yesterday,1\n"
        "t1,level\n"
        "t1,level,m,2026-03-02T00:01:00Z,nan\n"
        "t1,level,m,2026-03-02T00:02:00Z,\n"
        "nobody,level,m,2026-03-02T00:03:00Z,1\n"
        "t1,depth,m,2026-03-02T00:03:00Z,1\n"
    )
    done = file_run(tmp_path, HEAD + odd + rows_of(level(0, 4, high=(3,))))
    sorts = {t.sort: t for t in done.troubles}
    assert {"row", "number", "unknown"} <= sorts.keys()
    assert done.kinds.get("own_high") == 1
    text = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "t.csv:2: value: 'much' is no number" in text
    assert "nobody, level, m" in text


@pytest.mark.parametrize("far", [20, 200])  # rows behind it: within and beyond what one field may hold
def test_a_stray_quote_takes_no_other_row_with_it(tmp_path: Path, far: int) -> None:
    rows = rows_of(level(0, far, high=(3,))).splitlines(keepends=True)
    rows[10] = '"' + rows[10]
    rows[900] = rows[900].replace(",m,", ',"m,')
    rows[1200] = "".join(f'"{field}",' for field in rows[1200].strip().split(","))[:-1] + "\r\n"
    done = file_run(tmp_path, HEAD + "".join(rows))
    assert done.readings == len(rows) - 2
    assert [t.count for t in done.troubles if t.sort == "row"] == [2]
    assert "t.csv:12: 1 fields, not 5" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert done.kinds.get("own_high") == 1


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        file_run(tmp_path, "device_id,value\nt1,1\n")
    assert [m.field for m in caught.value.mistakes] == ["point", "unit", "time_utc_iso"]


@pytest.mark.parametrize("between", [";", "\t"])
def test_columns_that_are_not_separated_by_commas_are_named(between: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="separated by") as caught:
        file_run(tmp_path, (HEAD + rows_of(level(0, 1))).replace(",", between))
    assert [(m.file, m.line) for m in caught.value.mistakes] == [("t.csv", 1)]


FAULTS = """
rules:
  - {id: own.fault, kind: state, name: {zh-CN: 障, en: Fault}, select: {classes: [fire_panel]}, point: fault, priority: 3, parameters: {equals: 1}}
"""


def faults_run(at: Path, faults: Rows, unit: str = "") -> Summary:
    (at / "d.csv").write_text(DEVICES.splitlines()[0] + f"\nf1,fire_panel,fault,{unit},z,30,\n")
    (at / "t.csv").write_text(HEAD + rows_of(faults, "f1", "fault", unit))
    (at / "r.yaml").write_text(FAULTS, encoding="utf-8")
    wanted = Wanted(at / "out", telemetry=at / "t.csv", devices=at / "d.csv", rules=at / "r.yaml")
    return run_backtest(Settings(data=at / "data"), wanted, lambda _: None)


def test_a_state_needs_no_unit_and_what_is_measured_does(tmp_path: Path) -> None:
    done = faults_run(tmp_path, [(START + n * 30 * SECOND, float(20 <= n < 40)) for n in range(100)])
    assert (done.kinds["own_fault"], done.troubles) == (1, [])
    (tmp_path / "d.csv").write_text(DEVICES.replace(",m,", ",,"))
    with pytest.raises(Invalid) as caught:
        run_backtest(
            Settings(data=tmp_path / "data"),
            Wanted(tmp_path / "out", telemetry=tmp_path / "t.csv", devices=tmp_path / "d.csv"),
            lambda _: None,
        )
    assert [(m.line, m.field) for m in caught.value.mistakes] == [(2, "unit")]


def test_one_that_chatters_and_then_stands_is_over_when_it_is(tmp_path: Path) -> None:
    """Three blips within minutes, then it stays for two days: it counts as standing, and ends with its last stretch."""
    blips = {120, 123, 126}
    rows = [(START + n * 30 * SECOND, float(n in blips or 129 <= n < 5889)) for n in range(6500)]
    faults_run(tmp_path, rows)
    lines = csv.DictReader((tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8").splitlines())
    *_, line = (row for row in lines if row["kind"] == "own_fault")
    over = START + 5889 * 30 * SECOND
    assert to_iso(over) <= line["cleared_at"] <= to_iso(over + 2 * MINUTE)


def test_what_late_rows_disprove_is_left_out_and_what_only_they_show_is_told_when_they_came(
    tmp_path: Path,
) -> None:
    slow = RULES.replace("priority: 2,", "priority: 2, on_delay: 25min,")
    rows = list(level(0, 4, high=(1, 2)))
    first = {day: START + day * DAY + 9 * HOUR + 5 * MINUTE for day in (1, 2)}
    came = {at: at for at, _ in rows}
    came |= {first[1] + 10 * n * MINUTE: first[1] + 5 * HOUR for n in range(6)}  # found late
    rows = [(at, 1.0 if at == first[2] + 20 * MINUTE else v) for at, v in rows]
    rows = [(at, 1.0 if at == first[2] + 40 * MINUTE else v) for at, v in rows]
    came |= {first[2] + n * MINUTE: first[2] + 3 * HOUR for n in (20, 40)}  # it had come down twice
    text = "".join(
        f"t1,level,m,{to_iso(at)},{v},{to_iso(came[at])}\n"
        for at, v in sorted(rows, key=lambda r: came[r[0]])
    )
    done = file_run(tmp_path, HEAD.strip() + ",received_at\n" + text, text=slow)
    lines = list(csv.DictReader((tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8").splitlines()))
    told = [row["raised_at"] for row in lines if row["kind"] == "own_high"]
    assert told == [to_iso(first[1] + 5 * HOUR)]
    assert done.plain()["late"] == {"readings": 8, "found": 1, "moved": 0, "merged": 0, "disproved": 1}
    assert "8 readings came late" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("years", [1, -1])
@pytest.mark.parametrize("where", [0, 400, 1149])  # of 1,152: the last ones stand in the file's end
@pytest.mark.parametrize("fewer", [0, 1])  # rows before them
def test_a_clock_that_jumps_a_year_raises_nothing_and_is_counted(
    tmp_path: Path, years: int, where: int, fewer: int
) -> None:
    rows = list(level(0, 8, high=(6,)))[fewer:]
    where = min(where, len(rows) - 3)
    rows[where : where + 3] = [(at + years * 365 * DAY, 2.9) for at, _ in rows[where : where + 3]]
    done = file_run(tmp_path, HEAD + rows_of(rows))
    assert [t.count for t in done.troubles if t.sort == "clock"] == [3]
    assert done.kinds.get("own_high") == 1
    assert done.until - done.since <= 9 * DAY


def test_with_the_times_of_arrival_a_wrong_clock_is_judged_as_live(tmp_path: Path) -> None:
    lines = [
        f"t1,level,m,{to_iso(at + (365 * DAY if n == 50 else 0))},{2.9 if n == 50 else 1},{to_iso(at)}\n"
        for n, (at, _) in enumerate(level(0, 2))
    ]
    done = file_run(tmp_path, "device_id,point,unit,time_utc_iso,value,received_at\n" + "".join(lines))
    assert "own_high" not in done.kinds


def test_a_device_that_floods_is_named(tmp_path: Path) -> None:
    rows = [(START + n * 1000, 1.0) for n in range(20_000)]
    done = file_run(tmp_path, HEAD + rows_of(rows))
    assert [t.what for t in done.troubles if t.sort == "flood"] == ["t1 level"]


def test_the_clock_is_looked_at_only_when_it_may_decide_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = "device_id,class,point,unit,zone,role,tz,interval_s\n" + "".join(
        f"f{n},electricity_meter,energy_total,kWh,hall,unit,Asia/Shanghai,900\n" for n in range(5)
    )
    gone = [(5 * HOUR, 9 * HOUR), (20 * HOUR, 20 * HOUR + 50 * MINUTE), (31 * HOUR, 70 * HOUR)]
    lines = [
        f"f{n},energy_total,kWh,{to_iso(START + at + n * MINUTE)},{at / HOUR}\n"
        for at in range(0, 80 * HOUR, 15 * MINUTE)
        for n in range(5)
        if not any(a <= at < b for a, b in gone) and not (n == 2 and HOUR < at < 3 * HOUR)
    ]
    (tmp_path / "d.csv").write_text(devices, encoding="utf-8")
    (tmp_path / "t.csv").write_text(HEAD + "".join(lines), encoding="utf-8")
    ticks = []
    tick = Engine.tick
    monkeypatch.setattr(Engine, "tick", lambda self, now: (ticks.append(now), tick(self, now))[1])

    def alarms() -> str:
        ticks.clear()
        wanted = Wanted(tmp_path / "out", telemetry=tmp_path / "t.csv", devices=tmp_path / "d.csv")
        run_backtest(Settings(data=tmp_path / "data"), wanted, lambda _: None)
        return (tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8")

    seldom, few = alarms(), len(ticks)
    monkeypatch.setattr(Engine, "next", lambda self, now: now)
    assert alarms() == seldom
    ends = [line.split(",")[3] for line in seldom.splitlines() if "hall,offline" in line]
    assert [end[:14] for end in ends] == ["2026-03-01T01:", "2026-03-01T13:", "2026-03-03T14:"]
    assert few < len(ticks) / 4


def test_known_events_are_told_with_the_time_that_it_took(tmp_path: Path) -> None:
    events = tmp_path / "e.csv"
    begin = START + 3 * DAY + 9 * HOUR
    events.write_text(
        "event_id,device_id,zone,kind,start,end,accept,grace_min\n"
        f"e1,t1,z,own_high,{to_iso(begin)},{to_iso(begin + HOUR)},,0\n"
        f"e2,t1,z,own_high,{to_iso(begin + DAY)},{to_iso(begin + DAY + HOUR)},,0\n",
        encoding="utf-8",
    )
    done = file_run(tmp_path, HEAD + rows_of(level(0, 6, high=(3,))), events=events)
    assert done.verdict is not None
    assert [f.after for f in done.verdict.found] == [5 * MINUTE, None]
    written = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "| own_high | 2 | 1 | 5 min |" in written


def test_a_known_event_may_tell_its_time_in_any_zone_and_does_not_end_before_it_begins() -> None:
    row = {"kind": "leak", "device_id": "t1", "start": "2026-03-01T08:00:00-05:00", "end": "2026-03-01T14:00"}
    assert known_events([row], "e.csv")[0].end - known_events([row], "e.csv")[0].start == HOUR
    with pytest.raises(Invalid) as caught:
        known_events([{**row, "end": "2026-03-01T12:00Z"}], "e.csv")
    assert [(m.line, m.field) for m in caught.value.mistakes] == [(2, "end")]


def test_an_empty_file_and_no_device_are_no_crash(tmp_path: Path) -> None:
    done = file_run(tmp_path, HEAD)
    assert done.load.alarms == 0
    assert [(t.sort, t.what) for t in done.troubles if t.sort == "history"] == [("history", "none")]


@pytest.mark.parametrize("fewer", [0, 20, 40])  # rows of the first device
def test_rows_that_stand_by_device_are_put_in_order(tmp_path: Path, fewer: int) -> None:
    both = rows_of(level(0, 4, high=(3,))[fewer:]) + rows_of(level(0, 4), "p1", "pressure", "bar")
    done = file_run(tmp_path, HEAD + both)
    assert done.kinds.get("own_high") == 1
    assert not [t for t in done.troubles if t.sort in ("clock", "late")]


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="not after"):
        file_run(tmp_path, HEAD, since="2026-03-05", until="2026-03-01")


# ---------------------------------------------------------------- pace

SILENT = """
rules:
  - {id: own.silent, kind: stale, name: {zh-CN: 静, en: Silent}, select: {classes: [tank]}, priority: 3, parameters: {after: 1min}}
"""


def silent_run(at: Path, rows: Rows) -> tuple[Summary, list[str]]:
    """A tank that promises a reading every 10 s."""
    (at / "d.csv").write_text(DEVICES.replace("z,600,3", "z,10,3"), encoding="utf-8")
    (at / "t.csv").write_text(HEAD + rows_of(rows), encoding="utf-8")
    (at / "r.yaml").write_text(SILENT, encoding="utf-8")
    wanted = Wanted(at / "out", telemetry=at / "t.csv", devices=at / "d.csv", rules=at / "r.yaml")
    done = run_backtest(Settings(data=at / "data"), wanted, lambda _: None)
    lines = csv.DictReader((at / "out" / "alarms.csv").read_text(encoding="utf-8").splitlines())
    return done, sorted({row["raised_at"] for row in lines if row["device_id"] == "t1"})


def meters_run(at: Path, listed: str, sent: str) -> Summary:
    """Three water meters of which the last begins anew at zero, and a pressure sensor."""
    meters = "".join(f"w{n},water_meter,{listed},m3,z,900,\n" for n in (1, 2, 3))
    (at / "d.csv").write_text(DEVICES.splitlines()[0] + "\n" + meters + "s1,sensor,pressure,bar,z,900,\n")
    lines = [
        f"w{n},{sent},m3,{to_iso(START + k * 900 * SECOND)},{k / 10 - 20 * (n == 3 and k > 200):.1f}\n"
        for k in range(400)
        for n in (1, 2, 3)
    ]
    (at / "t.csv").write_text(HEAD + "".join(lines) + rows_of(level(0, 2), "s1", "pressure", "bar"))
    wanted = Wanted(at / "out", telemetry=at / "t.csv", devices=at / "d.csv")
    return run_backtest(Settings(data=at / "data"), wanted, lambda _: None)


def test_devices_whose_readings_no_rule_judges_are_named(tmp_path: Path) -> None:
    done = meters_run(tmp_path, "volume_total", "volume_total")
    assert [(t.what, t.count, t.place) for t in done.troubles if t.sort == "unjudged"] == [
        ("sensor: pressure (gauge)", 1, "s1")
    ]
    assert "sensor: pressure (gauge)" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("listed", ["volume", "volume_total"])
@pytest.mark.parametrize("sent", ["volume", "volume_total"])
def test_a_register_has_two_names(listed: str, sent: str, tmp_path: Path) -> None:
    """By the shorter one it was a gauge, whose falls nobody saw, and "everything could be used"."""
    meters_run(tmp_path, listed, sent)
    lines = [*csv.DictReader((tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8").splitlines())]
    assert [row["device_id"] for row in lines if row["kind"] == "meter_rollback"] == ["w3"]


def test_a_history_thinner_than_promised_is_judged_at_its_own_pace_and_said(tmp_path: Path) -> None:
    gone = START + 4 * DAY + 12 * HOUR
    rows = [(at, v) for at, v in level(0, 9) if not gone <= at < gone + 3 * HOUR]
    done, raised = silent_run(tmp_path, rows)
    assert raised == [to_iso(gone - 5 * MINUTE + 30 * MINUTE)]  # three intervals of ten minutes
    assert [(t.what, t.count, t.place) for t in done.troubles if t.sort == "thin"] == [
        ("10 s → 10 min", 1, "t1")
    ]
    assert "10 s → 10 min" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


def test_a_device_that_keeps_its_promise_of_a_minute_is_never_silent(tmp_path: Path) -> None:
    """Its allowance is as long as the longest slot of a run: what it says in one must not count as said at its end."""
    devices = DEVICES.replace("z,600,3", "z,60,3")
    (tmp_path / "d.csv").write_text(devices, encoding="utf-8")
    rows = [(START + n * MINUTE + n * 7919 % 9000, 2.5 if 700 <= n < 705 else 1.0) for n in range(2 * 1440)]
    (tmp_path / "t.csv").write_text(HEAD + rows_of(rows), encoding="utf-8")
    (tmp_path / "r.yaml").write_text(
        SILENT.replace("1min", "5min") + RULES.replace("\nrules:", ""), encoding="utf-8"
    )
    wanted = Wanted(
        tmp_path / "out", telemetry=tmp_path / "t.csv", devices=tmp_path / "d.csv", rules=tmp_path / "r.yaml"
    )
    run_backtest(Settings(data=tmp_path / "data"), wanted, lambda _: None)
    lines = [*csv.DictReader((tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8").splitlines())]
    assert [(row["device_id"], row["kind"]) for row in lines] == [("t1", "own_high")]
    late = from_iso(lines[0]["raised_at"], SHANGHAI) - rows[700][0]
    assert -SECOND < late <= 30 * SECOND  # as live, but for half an interval


def test_slots_are_short_on_days_on_which_a_quick_device_speaks() -> None:
    at = np.arange(3 * DAY, 6 * DAY, 10 * MINUTE)
    quick = np.arange(4 * DAY, 5 * DAY, MINUTE)
    both = np.sort(np.concatenate([at, quick]))
    point = np.where(np.isin(both, quick), 2, 1).astype(np.int32)
    columns = Columns(point, both, both * 1.0, both)
    slots = np.array([0, 5 * MINUTE, 30 * SECOND])
    parts = [columns.rows(slice(0, 250)), columns.rows(slice(250, None))]
    batches = list(batches_of(parts, slots))
    assert sum(len(b.readings) for b in batches) == len(both)
    counts = Counter(b.received_at // DAY for b in batches)
    assert counts == {3: 144, 4: 1440, 5: 144}


def test_a_device_of_which_a_file_has_no_reading_was_not_silent(tmp_path: Path) -> None:
    rules = SILENT.replace(", select: {classes: [tank]}", "")
    done = file_run(tmp_path, HEAD + rows_of(level(0, 1)), rules)
    assert done.devices == 1
    assert ",offline" not in (tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8")
    file_run(tmp_path, HEAD + rows_of(level(0, 1)) + rows_of(level(0, 1)[:9], "p1", "pressure", "bar"), rules)
    assert "p1,offline" in (tmp_path / "out" / "alarms.csv").read_text(encoding="utf-8")


def test_a_device_that_the_site_did_not_have_yet_was_not_silent(tmp_path: Path) -> None:
    """Its silence is that of a feed, too: what hangs on it would be its consequence all the time."""
    bench = Bench(tmp_path, "rules: []")
    pump = [(at, 0.0) for at, _ in level(0, 3)]
    bench.keep({("A-tank", "level"): level(0, 4)[::3], ("A-pump", "running"): pump})
    done = bench.run(since="2026-03-01", until="2026-03-04")
    assert [(row["device_id"], row["kind"]) for row in bench.told()] == [("A-pump", "offline")]
    (said,) = (t for t in done.troubles if t.sort == "unheard")
    assert said.count == 11
    assert "A-feeder" in said.what or "A 栋低压进线" in said.what


def test_a_device_that_keeps_its_promise_but_on_one_day_is_judged_by_it(tmp_path: Path) -> None:
    dense = [(START + n * 10 * SECOND, 1.0) for n in range(2 * DAY // (10 * SECOND))]
    done, raised = silent_run(tmp_path, [*dense, *level(2, 3)])
    assert len(raised) > 100
    assert not [t for t in done.troubles if t.sort == "thin"]


def test_a_thin_store_is_judged_at_its_own_pace(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SILENT)
    bench.keep({("A-tank", "level"): level(0, 4)[::6]})
    assert bench.table.interval("A-tank") * SECOND < HOUR / 3
    done = bench.run(since="2026-03-01", until="2026-03-04")
    assert "A-tank" not in {row["device_id"] for row in bench.told()}
    assert [t.count for t in done.troubles if t.sort == "thin"] == [1]
