"""From registers to locked statements, with real records."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.flows.metered import POWER, SPECS, TZ, Store, a_site, at, device, points_of

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Rejected
from dutyroom.flows.billing import (
    bill_period,
    close_period,
    correct_read,
    period_bounds,
    period_ended,
    problems_of,
    readings_at,
    record_exchange,
    statement_trace,
    take_period_reads,
)
from dutyroom.metering.statement import canonical
from dutyroom.model.metering import Exchange, ReadFlag
from dutyroom.model.telemetry import Quality
from dutyroom.timebase import to_iso

D = Decimal
NOW = at("2026-11-01T00:30")
OPEN, CLOSE = at("2026-10-01T00:00"), at("2026-11-01T00:00")
DEVICES = [
    device("A-1204-power", "electricity_meter", "A/12/1204"),
    device("A-1204-water", "water_meter", "A/12/1204"),
    device("A-1204-gas", "gas_meter", "A/12/1204"),
    device("A-1205-power", "electricity_meter", "A/12/1205"),
    device("A-public-power", "electricity_meter", "A", multiplier=10),
]
AREAS = {"A/12/1204": "89.6", "A/12/1205": "120.4", "B/1/101": "70"}


class Lake:
    """The site with its registers at both cut-offs."""

    def __init__(self, records, **more) -> None:
        self.records, self.store = records, Store()
        self.site = a_site(AREAS, DEVICES, **more)
        self.table = points_of(DEVICES)
        with records.write() as tx:
            tx.devices.upsert(DEVICES)
            tx.devices.add_points("lake", [(d, SPECS[d.device_class]) for d in DEVICES])
        for name, opening, closing in (
            ("A-1204-power", 841_236, 865_581),
            ("A-1204-water", 412_600, 424_000),
            ("A-1204-gas", 1_036_200, 1_051_000),
            ("A-1205-power", 100_000, 150_000),
            ("A-public-power", 1_000, 12_062),
        ):
            self.put(name, "2026-09-30T23:45", opening)
            self.put(name, "2026-10-31T23:45", closing)

    def put(self, name: str, moment: str, value: float, quality: int = Quality.GOOD) -> None:
        self.store.put(self.table.of_device(name)[0], moment, value, quality)

    def drop(self, name: str, moment: str) -> None:
        listed = self.store.readings[self.table.of_device(name)[0].id]
        listed[:] = [r for r in listed if r.at != at(moment)]

    def reads(self, cut_off: int = CLOSE, now: int = NOW):
        return take_period_reads(self.site, self.table, self.store, self.records, cut_off, now, "system")

    def bill(self, now: int = NOW):
        return bill_period(self.site, self.table, self.records, "2026-10", now, "clerk")

    def close(self, now: int = NOW):
        return close_period(self.site, self.table, self.store, self.records, "2026-10", now, "clerk")

    def statement(self, unit: str):
        with self.records.read() as tx:
            return tx.metering.statements("lake", "2026-10", unit)[0]

    def keys(self, run) -> list[tuple[str, str, str]]:
        return sorted((p.key, p.unit, p.device) for p in run.problems)


@pytest.fixture
def records(tmp_path):
    opened = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def lake(records):
    return Lake(records)


# ---------------------------------------------------------------- periods


@pytest.mark.parametrize(
    ("period", "day", "start", "end"),
    [
        ("2026-10", 1, "2026-10-01", "2026-11-01"),
        ("2026-12", 1, "2026-12-01", "2027-01-01"),
        ("2026-10", 26, "2026-09-26", "2026-10-26"),
        ("2026-01", 26, "2025-12-26", "2026-01-26"),
        ("2026-02", 31, "2026-01-28", "2026-02-28"),
    ],
)
def test_a_period_is_named_by_the_month_of_its_last_day(period, day, start, end):
    assert period_bounds(period, day, TZ) == (at(start), at(end))
    assert period_ended(at(end), day, TZ) == period
    assert period_ended(at(end) - 1, day, TZ) < period


@pytest.mark.parametrize("wrong", ["", "2026", "2026-13", "October"])
def test_what_is_no_period(wrong):
    with pytest.raises(Rejected, match="not a period"):
        period_bounds(wrong, 1, TZ)


# ---------------------------------------------------------------- reads


def test_a_read_is_the_newest_at_or_before_the_cut_off(lake):
    lake.put("A-1204-power", "2026-11-01T00:00", 865_600)
    lake.put("A-1204-power", "2026-11-01T00:15", 865_700)
    read = next(r for r in lake.reads().reads if r.device == "A-1204-power")
    assert (read.steps, read.at, read.flag) == (865_600, CLOSE, ReadFlag.ACTUAL)
    assert read.source == "A-1204-power/energy · 2026-11-01T00:00:00+08:00 · 865600 × 0.01 kWh"


def test_missing_is_missing_and_found_when_it_comes_late(lake):
    lake.drop("A-1204-gas", "2026-10-31T23:45")
    lake.put("A-1204-gas", "2026-10-30T12:00", 1_050_000)  # too old
    (missing,) = lake.reads().missing
    assert (missing.device, missing.steps, missing.flag) == ("A-1204-gas", None, ReadFlag.MISSING)
    assert lake.reads().added == 0
    lake.put("A-1204-gas", "2026-10-31T23:00", 1_050_900)
    again = lake.reads()
    late = next(r for r in again.reads if r.device == "A-1204-gas")
    assert (again.added, late.steps, late.version, late.reason) == (1, 1_050_900, 2, "late reading")


def test_a_frozen_read_stays_whatever_comes_later(lake):
    lake.reads()
    lake.put("A-1204-power", "2026-10-31T23:59", 865_599)
    assert lake.reads().added == 0
    lake.put("A-1204-power", "2026-10-31T23:45", 1)  # the store overwrites, the read does not
    read = next(r for r in lake.reads().reads if r.device == "A-1204-power")
    assert read.steps == 865_581


def test_a_suspect_reading_is_passed_over(lake):
    lake.put("A-1204-water", "2026-10-31T23:50", 99_999_999, Quality.SUSPECT)
    lake.put("A-1204-water", "2026-10-31T23:55", 99_999_998, Quality.SUSPECT)
    read = next(r for r in lake.reads().reads if r.device == "A-1204-water")
    assert read.steps == 424_000


def test_one_question_to_the_store(lake):
    lake.reads()
    assert lake.store.calls == 1


def test_no_read_before_its_time(lake):
    with pytest.raises(Rejected, match="has not come"):
        lake.reads(now=CLOSE - 1)


def test_the_table_of_registers(lake):
    lake.drop("A-1204-gas", "2026-10-31T23:45")
    header, *rows = readings_at(lake.site, lake.table, lake.store, CLOSE)
    assert header == ["device", "class", "space", "point", "register", "unit", "read_at"]
    by_device = {row[0]: row for row in rows}
    assert by_device["A-1204-power"][3:] == ["energy", "8655.81", "kWh", "2026-10-31T23:45:00+08:00"]
    assert by_device["A-1204-gas"][3:] == ["volume", "", "m3", ""]


# ---------------------------------------------------------------- statements


def test_a_month(lake):
    _, run = lake.close()
    assert run.problems == ()
    assert [s.number for s in run.statements] == ["202610-A1204-1", "202610-A1205-1"]
    found = lake.statement("A/12/1204")
    printed = [(line.key, str(line.quantity), line.amount, line.detail) for line in found.lines]
    assert printed == [
        ("line.electricity_meter", "243.45", 12441, False),
        ("line.tier", "200", 10100, True),
        ("line.tier", "43.45", 2341, True),
        ("line.water_meter.year", "11.400", 3933, False),
        ("line.gas_meter", "14.800", 3892, False),
        ("line.public_share", "471.98", 23835, False),
    ]
    assert found.total == 12441 + 3933 + 3892 + 23835


def test_the_public_share_is_paid_to_the_fen(lake):
    lake.close()
    shares = [
        line.amount
        for unit in ("A/12/1204", "A/12/1205")
        for line in lake.statement(unit).lines
        if line.key == "line.public_share"
    ]
    assert sum(shares) == 55863  # 1106.20 kWh at 0.5050 = 558.631


def test_again_without_change_is_nothing(lake):
    lake.close()
    before = canonical(lake.statement("A/12/1204"))
    run = lake.bill(NOW + 5)
    assert run.locked == 0
    assert canonical(lake.statement("A/12/1204")) == before


def test_two_databases_make_the_same_bytes(lake, tmp_path):
    lake.close()
    other = open_records(f"sqlite:///{tmp_path}/other.sqlite")
    twin = Lake(other)
    twin.close()
    assert canonical(twin.statement("A/12/1204")) == canonical(lake.statement("A/12/1204"))
    other.close()


def test_a_corrected_read_makes_a_new_version_that_says_so(lake):
    lake.close()
    first = lake.statement("A/12/1204")
    correct_read(
        lake.site, lake.records, "A-1204-gas", "volume", CLOSE, 1_052_000, NOW, "li", "read on the dial"
    )
    run = lake.bill(NOW + 5)
    second = lake.statement("A/12/1204")
    assert (run.locked, second.number, second.version) == (1, "202610-A1204-2", 2)
    (why,) = second.corrections
    assert why.key == "correction.closing"
    assert why.arguments == {
        "device": "A-1204-gas",
        "old": "1051.000",
        "new": "1052.000",
        "unit": "m3",
        "actor": "li",
        "reason": "read on the dial",
    }
    with lake.records.read() as tx:
        assert tx.metering.statement("lake", first.number) == first, "the old version stays"


def test_a_missing_register_holds_its_statement_and_no_other(lake):
    lake.drop("A-1204-gas", "2026-10-31T23:45")
    reads, run = lake.close()
    assert [r.device for r in reads.missing] == ["A-1204-gas"]
    assert [s.unit for s in run.statements] == ["A/12/1205"]
    assert lake.keys(run) == [("problem.missing", "A/12/1204", "A-1204-gas")]
    with lake.records.read() as tx:
        assert problems_of(tx, "lake", "2026-10") == run.problems
    lake.put("A-1204-gas", "2026-10-31T23:00", 1_051_000)
    _, run = lake.close(NOW + 5)
    assert (run.locked, run.problems) == (1, ())


def test_a_register_that_went_down_waits_for_a_person(lake):
    lake.drop("A-1204-water", "2026-10-31T23:45")
    lake.put("A-1204-water", "2026-10-31T23:45", 5_100)
    _, run = lake.close()
    assert lake.keys(run) == [("problem.suspect", "A/12/1204", "A-1204-water")]
    swap = Exchange(
        0, "lake", "A-1204-water", "volume", at("2026-10-17T10:00"), 418_900, 0, "li", "meter worn out"
    )
    record_exchange(lake.records, swap, NOW)
    run = lake.bill(NOW + 5)
    assert run.problems == ()
    usage = next(u for u in lake.statement("A/12/1204").usages if u.device == "A-1204-water")
    assert usage.quantity == D("11.400")
    assert usage.segments == ((412_600, 418_900, "before exchange"), (0, 5_100, "after exchange"))


def test_a_register_that_wrapped_is_billed(lake):
    lake.drop("A-1204-water", "2026-09-30T23:45")
    lake.drop("A-1204-water", "2026-10-31T23:45")
    lake.put("A-1204-water", "2026-09-30T23:45", 99_995_000)
    lake.put("A-1204-water", "2026-10-31T23:45", 6_400)
    lake.close()
    line = next(x for x in lake.statement("A/12/1204").lines if x.key == "line.water_meter.year")
    assert line.quantity == D("11.400")


def test_a_public_meter_that_is_not_known_holds_those_who_pay(lake):
    lake.drop("A-public-power", "2026-10-31T23:45")
    _, run = lake.close()
    assert run.statements == ()
    assert lake.keys(run) == [("problem.pool_unknown", "", "A-public-power")]


def test_sub_meters_that_used_more_than_the_whole_are_no_credit(records):
    site = Lake(records)
    share = replace(site.site.shares[0], less=("A-1205-power",))
    lake = Lake(records, shares=(share,))
    lake.drop("A-public-power", "2026-10-31T23:45")
    lake.put("A-public-power", "2026-10-31T23:45", 1_100)  # 10 kWh, less 500
    _, run = lake.close()
    assert run.statements == ()
    assert lake.keys(run) == [("problem.pool_negative", "", "")]


def test_a_unit_without_area_holds_the_share(records):
    lake = Lake(records)
    spaces = dict(lake.site.spaces)
    spaces["A/12/1205"] = replace(spaces["A/12/1205"], area=None)
    lake.site = replace(lake.site, spaces=spaces)
    _, run = lake.close()
    assert run.statements == ()
    assert lake.keys(run) == [("problem.no_area", "A/12/1205", "")]


def test_what_no_tariff_names_is_billed_by_its_supplier(records):
    lake = Lake(records, tariffs=(POWER,))
    _, run = lake.close()
    assert run.problems == ()
    keys = {line.key for line in lake.statement("A/12/1204").lines if not line.detail}
    assert keys == {"line.electricity_meter", "line.public_share"}


def test_a_tariff_of_another_unit_is_a_problem(records):
    lake = Lake(records, tariffs=(replace(POWER, unit="MWh"),), shares=())
    _, run = lake.close()
    assert {p.key for p in run.problems} == {"problem.unit"}
    assert run.statements == ()


def test_a_tariff_that_begins_later_does_not_count(records):
    later = replace(POWER, valid_from=POWER.valid_from.replace(month=10, day=2))
    lake = Lake(records, tariffs=(later,), shares=())
    _, run = lake.close()
    assert {p.key for p in run.problems} == {"problem.no_tariff"}


def test_a_changed_tariff_is_named(lake):
    lake.close()
    other = replace(POWER, id="home-power-2", valid_from=POWER.valid_from.replace(month=9))
    lake.site = replace(lake.site, tariffs=(*lake.site.tariffs, other))
    lake.bill(NOW + 5)
    found = {(c.key, c.arguments["new"]) for c in lake.statement("A/12/1205").corrections}
    assert found == {("correction.tariff", "home-power-2")}


def test_no_statement_before_the_period_has_ended(lake):
    with pytest.raises(Rejected, match="has not ended"):
        lake.bill(CLOSE - 1)


def test_yearly_tiers_run_on_across_months_and_meters(records):
    """170 m3 by October, 20 more: ten on each side of 180."""
    lake = Lake(records)
    for name in ("2026-09-30T23:45", "2026-10-31T23:45"):
        lake.drop("A-1204-water", name)
    lake.put("A-1204-water", "2025-12-31T23:45", 0)
    lake.put("A-1204-water", "2026-09-30T23:45", 70_000)
    lake.put("A-1204-water", "2026-10-31T23:45", 90_000)
    swap = Exchange(0, "lake", "A-1204-water", "volume", at("2026-06-01T10:00"), 100_000, 0, "li", "worn")
    record_exchange(records, swap, NOW)
    lake.reads(at("2026-01-01T00:00"))
    lake.close()
    lines = lake.statement("A/12/1204").lines
    water = next(i for i, line in enumerate(lines) if line.key == "line.water_meter.year")
    assert lines[water].arguments["year_to_date"] == "190.000"
    assert [str(line.quantity) for line in lines[water + 1 : water + 3]] == ["10.000", "10.000"]
    assert lines[water].amount == 3450 + 4830


def test_unlike_its_own_history_is_pointed_at_and_billed(lake):
    for month, steps in (("07", 781_236), ("08", 801_236), ("09", 821_236)):
        lake.put("A-1204-power", f"2026-{month}-01T00:00", steps)
        lake.reads(at(f"2026-{month}-01T00:00"))
    lake.drop("A-1204-power", "2026-10-31T23:45")
    lake.put("A-1204-power", "2026-10-31T23:45", 841_236)
    _, run = lake.close()
    assert lake.keys(run) == [("problem.zero", "A/12/1204", "A-1204-power")]
    assert len(run.statements) == 2


def test_use_in_a_vacant_unit_is_pointed_at(lake):
    with lake.records.write() as tx:
        tx.devices.upsert([replace(DEVICES[0], parameters={"vacant": True})])
    _, run = lake.close()
    assert lake.keys(run) == [("problem.vacant_use", "A/12/1204", "A-1204-power")]
    assert len(run.statements) == 2


def test_every_amount_goes_back_to_two_registers(lake):
    lake.close()
    made = lake.statement("A/12/1204")
    rows = statement_trace(lake.records, "lake", made.number)
    assert {row.line for row in rows} == set(range(len(made.lines)))
    for row in rows:
        for read in (row.usage.opening, row.usage.closing):
            assert read.steps is not None
            assert read.at is not None
            assert to_iso(read.at, TZ) in read.source
    share = next(row for row in rows if row.key == "line.public_share")
    assert (share.usage.device, share.usage.quantity) == ("A-public-power", D("1106.20"))


def test_a_share_goes_back_to_the_sub_meters_too(records):
    share = replace(Lake(records).site.shares[0], less=("A-1205-power",))
    lake = Lake(records, shares=(share,))
    lake.close()
    rows = statement_trace(records, "lake", "202610-A1204-1")
    behind = [row.usage.device for row in rows if row.key == "line.public_share"]
    assert behind == ["A-public-power", "A-1205-power"]
    line = lake.statement("A/12/1204").lines[-1]
    assert (line.arguments["pool"], line.arguments["less"]) == ("606.20", "500.00")


def test_an_unknown_statement(lake):
    with pytest.raises(Rejected, match="no statement"):
        statement_trace(lake.records, "lake", "nothing")


def test_it_is_written_down_who_did_it(lake):
    lake.close()
    with lake.records.read() as tx:
        actions = {(row.action, row.actor) for row in tx.audit_rows("lake")}
        kinds = {change.kind for change in tx.changes(0)}
    assert actions == {("reads.freeze", "clerk"), ("statements.lock", "clerk")}
    assert "statement" in kinds
