"""What goes wrong in a month: prices that change in it, meters that go, people who mend registers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.flows.metered import POWER, WATER, a_site, at, device, points_of
from tests.flows.test_billing import CLOSE, DEVICES, NOW, OPEN, Lake

from dutyroom.backends.export import StatementFiles
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Conflict, Rejected
from dutyroom.flows import billing
from dutyroom.flows.billing import bill_period, close_period, correct_read, period_bounds, record_exchange
from dutyroom.interfaces import Records
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.metering import Exchange, ReadFlag
from dutyroom.model.telemetry import Quality
from dutyroom.site import Space
from dutyroom.timebase import from_iso, zone

D = Decimal


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def lake(records: Records) -> Lake:
    return Lake(records)


def withdraw(lake: Lake, name: str) -> None:
    row = next(d for d in DEVICES if d.id == name)
    with lake.records.write() as tx:
        tx.devices.upsert([replace(row, status=DeviceStatus.WITHDRAWN)])


# ---------------------------------------------------------------- prices


def test_a_price_that_begins_within_the_period_holds_the_statement_with_a_sentence(records: Records) -> None:
    later = replace(POWER, id="dearer", valid_from=date(2026, 10, 15))
    lake = Lake(records, tariffs=(POWER, WATER, later), shares=())
    _, run = lake.close()
    assert run.statements == ()
    assert {(p.key, p.device, p.arguments["date"]) for p in run.problems} == {
        ("problem.tariff_within", "A-1204-power", "2026-10-15"),
        ("problem.tariff_within", "A-1205-power", "2026-10-15"),
    }


@pytest.mark.parametrize("begins", [date(2026, 10, 1), date(2026, 11, 1)])
def test_a_price_that_begins_with_a_period_is_taken(records: Records, begins: date) -> None:
    later = replace(POWER, id="dearer", valid_from=begins)
    lake = Lake(records, tariffs=(POWER, WATER, later), shares=())
    _, run = lake.close()
    assert run.problems == ()
    used = lake.statement("A/12/1205").lines[0].arguments["tariff"]
    assert used == ("dearer" if begins == date(2026, 10, 1) else "home-power")


def test_an_edited_price_is_named_in_the_new_version(lake: Lake) -> None:
    lake.close()
    tiers = tuple(replace(tier, price=tier.price + D("0.01")) for tier in POWER.tiers)
    lake.site = replace(lake.site, tariffs=(replace(POWER, tiers=tiers), *lake.site.tariffs[1:]))
    lake.bill(NOW + 5)
    (why,) = lake.statement("A/12/1205").corrections
    assert (why.key, why.arguments) == (
        "correction.price",
        {"device": "A-1205-power", "tariff": "home-power"},
    )


def test_two_meters_of_a_home_climb_the_year_s_tiers_together(records: Records) -> None:
    """100 and 60 m3 until October, 10 and 20 in it: 20 of the first tier are left, 10 are of the second."""
    second = device("A-1204-water2", "water_meter", "A/12/1204")
    lake = Lake(records, shares=())
    devices = [*DEVICES, second]
    lake.table = points_of(devices)
    with records.write() as tx:
        tx.devices.upsert([second])
    for moment in ("2026-09-30T23:45", "2026-10-31T23:45"):
        lake.drop("A-1204-water", moment)
    for name, registers in (("A-1204-water", (0, 100, 110)), ("A-1204-water2", (0, 60, 80))):
        for moment, cubic in zip(
            ("2025-12-31T23:45", "2026-09-30T23:45", "2026-10-31T23:45"), registers, strict=True
        ):
            lake.put(name, moment, cubic * 1000)
    lake.reads(at("2026-01-01T00:00"))
    lake.close()
    lines = [x for x in lake.statement("A/12/1204").lines if x.key == "line.water_meter.year"]
    assert [line.arguments["year_to_date"] for line in lines] == ["170.000", "190.000"]
    assert [line.amount for line in lines] == [3450, 3450 + 4830]


def test_a_year_that_is_not_known_is_not_a_year_of_zero(lake: Lake) -> None:
    """The register went down in spring and nobody recorded why: the tiers of October are not known."""
    lake.put("A-1204-water", "2025-12-31T23:45", 900_000)
    lake.reads(at("2026-01-01T00:00"))
    _, run = lake.close()
    assert lake.keys(run) == [("problem.year", "A/12/1204", "A-1204-water")]
    assert [s.unit for s in run.statements] == ["A/12/1205"]
    swap = Exchange(
        0, "lake", "A-1204-water", "volume", at("2026-03-01T10:00"), 900_000, 400_000, "li", "worn"
    )
    record_exchange(lake.records, swap, NOW)
    assert lake.bill(NOW + 5).problems == ()


def test_a_new_meter_is_no_new_year(records: Records) -> None:
    """170 m3 by a meter that was replaced as a device of its own in June, 20 by the new one in October."""
    new = device("A-1204-water-new", "water_meter", "A/12/1204")
    lake = Lake(records, shares=())
    lake.table = points_of([*DEVICES, new])
    lake.store.readings.pop(lake.table.of_device("A-1204-water")[0].id)
    for moment, cubic in (("2025-12-31T23:45", 30), ("2026-05-31T23:45", 190), ("2026-06-10T09:00", 200)):
        lake.put("A-1204-water", moment, cubic * 1000)
    for month in (1, 6):
        lake.reads(at(f"2026-{month:02d}-01T00:00"))
    withdraw(lake, "A-1204-water")
    with records.write() as tx:
        tx.devices.upsert([new])
    for moment, cubic in (("2026-06-30T23:45", 1), ("2026-09-30T23:45", 1), ("2026-10-31T23:45", 21)):
        lake.put("A-1204-water-new", moment, cubic * 1000)
    lake.reads(at("2026-07-01T00:00"))
    _, run = lake.close()
    assert run.problems == ()
    (line,) = [x for x in lake.statement("A/12/1204").lines if x.key == "line.water_meter.year"]
    assert line.arguments["year_to_date"] == "190.000"
    assert line.amount == 3450 + 4830
    wrong = replace(DEVICES[1], status=DeviceStatus.WITHDRAWN, parameters={"multiplier": "x"})
    with records.write() as tx:
        tx.devices.upsert([wrong])
    run = lake.bill(NOW + 5)
    assert (run.locked, lake.keys(run)) == (0, [("problem.meter", "A/12/1204", "A-1204-water")])


# ---------------------------------------------------------------- whose meter


def test_a_meter_in_a_room_of_a_unit_is_the_unit_s(records: Records) -> None:
    lake = Lake(records, shares=())
    kitchen = Space("A/12/1204/kitchen", "zone", {"en": "Kitchen"})
    lake.site = replace(lake.site, spaces={**lake.site.spaces, kitchen.path: kitchen})
    with records.write() as tx:
        tx.devices.upsert([replace(DEVICES[1], space=kitchen.path)])
    lake.close()
    assert "A-1204-water" in {u.device for u in lake.statement("A/12/1204").usages}


def test_a_meter_that_a_unit_pays_is_not_shared_out_too(records: Records) -> None:
    share = replace(Lake(records).site.shares[0], meters=("A-public-power", "A-1205-power"))
    lake = Lake(records, shares=(share,))
    _, run = lake.close()
    assert lake.keys(run) == [("problem.pool_owned", "", "A-1205-power")]
    assert run.statements == ()


def test_a_share_that_nobody_pays_is_pointed_at(records: Records) -> None:
    share = replace(Lake(records).site.shares[0], space="C")
    lake = Lake(records, shares=(share,))
    _, run = lake.close()
    assert [(p.key, p.holds) for p in run.problems] == [("problem.no_payers", False)]
    assert len(run.statements) == 2


# ---------------------------------------------------------------- meters that go and come


def test_a_meter_withdrawn_later_does_not_change_what_is_locked(lake: Lake) -> None:
    lake.close()
    withdraw(lake, "A-1204-gas")
    run = lake.bill(NOW + 5)
    assert (run.locked, run.problems) == (0, ())


def test_a_meter_withdrawn_within_the_period_is_billed_up_to_its_last_register(lake: Lake) -> None:
    lake.drop("A-1204-gas", "2026-10-31T23:45")
    lake.put("A-1204-gas", "2026-10-12T09:00", 1_040_200)
    withdraw(lake, "A-1204-gas")
    reads, run = lake.close()
    read = next(r for r in reads.reads if r.device == "A-1204-gas")
    assert (read.steps, read.at, read.method) == (1_040_200, at("2026-10-12T09:00"), "last_of_withdrawn")
    assert run.problems == ()
    gas = next(u for u in lake.statement("A/12/1204").usages if u.device == "A-1204-gas")
    assert gas.quantity == D("4.000")
    for name in ("A-1204-power", "A-1204-water", "A-1205-power", "A-public-power"):
        closing = lake.store.readings[lake.table.of_device(name)[0].id][-1].value
        lake.put(name, "2026-11-30T23:45", closing + 1000)
    later = at("2026-12-01T00:30")
    _, run = close_period(lake.site, lake.table, lake.store, lake.records, "2026-11", later, "clerk")
    november = next(s for s in run.statements if s.unit == "A/12/1204")
    assert "A-1204-gas" not in {u.device for u in november.usages}, "it is finished"


def test_a_meter_that_came_within_the_period_gets_its_opening_register_from_a_person(lake: Lake) -> None:
    lake.drop("A-1204-gas", "2026-09-30T23:45")
    _, run = lake.close()
    assert lake.keys(run) == [("problem.missing", "A/12/1204", "A-1204-gas")]
    handed_over = at("2026-10-10T15:00")
    read = correct_read(
        lake.site, lake.records, "A-1204-gas", "volume", OPEN, 1_040_000, NOW, "li", "handed over",
        at=handed_over,
    )  # fmt: skip
    assert (read.version, read.at, read.method, read.actor) == (2, handed_over, "manual", "li")
    run = lake.bill(NOW + 5)
    gas = next(u for u in lake.statement("A/12/1204").usages if u.device == "A-1204-gas")
    assert (run.problems, gas.quantity, gas.flags) == ((), D("11.000"), ("substituted",))


def test_a_device_registered_after_the_first_cut_off_can_be_given_a_register(lake: Lake) -> None:
    read = correct_read(
        lake.site, lake.records, "A-1204-gas", "volume", OPEN, 1_040_000, NOW, "li", "acceptance list"
    )
    assert (read.version, read.at) == (1, OPEN)
    _, run = lake.close()
    assert run.problems == ()
    with lake.records.read() as tx:
        first = {r.device: r.steps for r in tx.metering.period_reads("lake", OPEN)}
    assert first["A-1204-gas"] == 1_040_000, "a person's register stays"


@pytest.mark.parametrize(
    ("device_id", "point", "cut_off", "steps", "reason", "key"),
    [
        ("A-1204-gas", "volume", CLOSE, 5, " ", "error.read_reason"),
        ("A-1204-gas", "volume", CLOSE, -1, "why", "error.read_range"),
        ("A-1204-gas", "volume", CLOSE, 10**8, "why", "error.read_range"),
        ("A-1204-gas", "flow", CLOSE, 5, "why", "error.read_register"),
        ("nobody", "volume", CLOSE, 5, "why", "error.read_register"),
        ("A-1204-gas", "volume", CLOSE + 1, 5, "why", "error.read_cut_off"),
        ("A-1204-gas", "volume", at("2026-12-01T00:00"), 5, "why", "error.read_cut_off"),
    ],
)
def test_what_cannot_be_a_person_s_register(
    lake: Lake, device_id: str, point: str, cut_off: int, steps: int, reason: str, key: str
) -> None:
    with pytest.raises(Rejected) as refused:
        correct_read(lake.site, lake.records, device_id, point, cut_off, steps, NOW, "li", reason)
    assert refused.value.reason == key
    with lake.records.read() as tx:
        assert list(tx.audit_rows("lake")) == []


def test_an_opening_register_that_comes_late_is_found_by_the_next_run(lake: Lake) -> None:
    lake.drop("A-1204-gas", "2026-09-30T23:45")
    lake.close()
    lake.put("A-1204-gas", "2026-09-30T22:00", 1_036_000)
    _, run = lake.close(NOW + 5)
    assert (run.locked, run.problems) == (1, ())


def test_an_exchange_cannot_lie_ahead(lake: Lake) -> None:
    swap = Exchange(0, "lake", "A-1204-gas", "volume", NOW + 1, 1, 0, "li", "worn")
    with pytest.raises(Rejected, match=r"error\.exchange_ahead"):
        record_exchange(lake.records, swap, NOW)


def test_a_wrap_and_an_exchange_in_one_month(lake: Lake) -> None:
    """The old one wraps and is taken down at 2.000; the new one starts at 7.000."""
    for moment in ("2026-09-30T23:45", "2026-10-31T23:45"):
        lake.drop("A-1204-water", moment)
    lake.put("A-1204-water", "2026-09-30T23:45", 99_999_000)
    lake.put("A-1204-water", "2026-10-31T23:45", 9_500)
    swap = Exchange(0, "lake", "A-1204-water", "volume", at("2026-10-20T10:00"), 2_000, 7_000, "li", "worn")
    record_exchange(lake.records, swap, NOW)
    lake.close()
    usage = next(u for u in lake.statement("A/12/1204").usages if u.device == "A-1204-water")
    assert usage.quantity == D("5.500")
    assert usage.segments == ((99_999_000, 2_000, "rollover"), (7_000, 9_500, "after exchange"))
    assert usage.flags == ("rollover", "exchange")


# ---------------------------------------------------------------- runs beside each other


def another_clerk(lake: Lake, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """So many times somebody corrects a register and bills between our look and our lock."""
    real, left = billing.Work, [times]

    def slow(*given: object) -> object:
        if left[0]:
            left[0] -= 1
            steps = 150_100 + left[0]
            monkeypatch.setattr(billing, "Work", real)
            correct_read(lake.site, lake.records, "A-1205-power", "energy", CLOSE, steps, NOW, "li", "dial")
            lake.bill(NOW + 1)
            monkeypatch.setattr(billing, "Work", slow)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(billing, "Work", slow)


def test_of_two_runs_at_once_the_second_looks_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.close()
    correct_read(lake.site, lake.records, "A-1204-gas", "volume", CLOSE, 1_052_000, NOW, "li", "dial")
    another_clerk(lake, monkeypatch, 1)
    run = lake.bill(NOW + 2)
    assert run.locked == 0, "the other one had it all"
    assert [s.number for s in run.statements] == ["202610-A1204-2", "202610-A1205-2"]
    with lake.records.read() as tx:
        assert [row.at for row in tx.audit_rows("lake") if row.action == "statements.lock"] == [NOW + 1, NOW]


def test_a_run_that_is_always_second_gives_up_with_a_sentence(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.close()
    another_clerk(lake, monkeypatch, 3)
    with pytest.raises(Conflict, match=r"conflict\.billing_run"):
        lake.bill(NOW + 2)


# ---------------------------------------------------------------- zones and sites


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("Europe/Berlin", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
        ("Africa/Cairo", "2026-03-01T00:00:00+02:00", "2026-04-01T00:00:00+02:00"),
    ],
)
def test_a_month_with_a_clock_change(name: str, start: str, end: str) -> None:
    assert period_bounds("2026-03", 1, zone(name)) == (from_iso(start), from_iso(end))


def test_a_cut_off_at_a_midnight_that_does_not_exist() -> None:
    """In Cairo the 24th of April 2026 begins at 01:00."""
    start, end = period_bounds("2026-04", 24, zone("Africa/Cairo"))
    assert (start, end) == (from_iso("2026-03-24T00:00:00+02:00"), from_iso("2026-04-24T01:00:00+03:00"))


def test_two_sites_in_one_database_keep_apart(records: Records) -> None:
    """The same unit, the same device ids, other registers."""
    lake = Lake(records)
    hill = replace(lake.site, id="hill")
    rows = [
        Device("hill", d.id, d.name, d.device_class, d.profile, d.address, d.space, d.parameters)
        for d in DEVICES
    ]
    with records.write() as tx:
        tx.devices.upsert(rows)
    lake.close()
    before = lake.statement("A/12/1204")
    swap = Exchange(0, "hill", "A-1204-gas", "volume", at("2026-10-17T10:00"), 1_040_000, 0, "li", "worn")
    record_exchange(records, swap, NOW)
    lake.drop("A-1204-gas", "2026-10-31T23:45")
    lake.put("A-1204-gas", "2026-10-31T23:45", 1_000)
    _, run = close_period(hill, lake.table, lake.store, records, "2026-10", NOW, "clerk")
    assert [s.number for s in run.statements] == ["202610-A1204-1", "202610-A1205-1"]
    assert lake.statement("A/12/1204") == before
    assert bill_period(lake.site, lake.table, records, "2026-10", NOW + 5, "clerk").locked == 0
    with records.read() as tx:
        (other,) = tx.metering.statements("hill", "2026-10", "A/12/1204")
        assert len(tx.metering.exchanges("lake")) == 0
    assert other.total != before.total


def test_a_unit_without_meters_pays_its_share_only(records: Records) -> None:
    lake = Lake(records)
    lake.site = a_site({"A/12/1204": "89.6", "A/12/1205": "120.4", "A/1/101": "70"}, DEVICES)
    _, run = lake.close()
    keys = [line.key for line in lake.statement("A/1/101").lines]
    assert keys == ["line.public_share"]
    shares = [x.amount for s in run.statements for x in s.lines if x.key == "line.public_share"]
    assert sum(shares) == 55863


def test_a_reading_that_the_meter_calls_estimated_is_marked_all_the_way(lake: Lake) -> None:
    lake.drop("A-1204-gas", "2026-10-31T23:45")
    lake.put("A-1204-gas", "2026-10-31T23:45", 1_051_000, Quality.ESTIMATED)
    reads, run = lake.close()
    flags = {r.device: r.flag for r in reads.reads}
    assert (flags["A-1204-gas"], flags["A-1204-water"]) == (ReadFlag.ESTIMATED, ReadFlag.ACTUAL)
    usages = {u.device: u.flags for s in run.statements for u in s.usages}
    assert (usages["A-1204-gas"], usages["A-1204-water"]) == (("estimated",), ())
    text = StatementFiles().csv(run.statements, "en").decode()
    assert next(line for line in text.splitlines() if "A-1204-gas" in line).endswith("estimated,")
