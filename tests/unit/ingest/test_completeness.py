"""How much of what was expected has come, by device and local day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.intake_rig import TZ, Rig, T

from dutyroom.errors import Rejected
from dutyroom.flows.completeness import Share, intervals, overall, shares
from dutyroom.interfaces import LedgerQuestion
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Message, PointTable, Readings
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, day_starts

METER = """
name: A meter
class: tank
interval: 15min
match: {topics: ["probe/{device}/up"]}
identity: "{device}"
time: {from: ts, format: epoch_ms}
points:
  level: {from: v, quantity: level, unit: m}
  mode: {from: m, kind: state, map: {a: 0, b: 1}, labels: {0: value.state.off, 1: value.state.on}}
"""
DAYS = day_starts(T - DAY, T + DAY, TZ)  # yesterday, today, tomorrow at the site


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, {"probe": METER})
    made.register(*(Device("site", d, "", "tank", "acme/probe", d, "") for d in ("m1", "m2", "m3")))
    yield made
    made.close()


def up(device: str, at: Ms, received: Ms) -> Message:
    body = {"ts": at, "v": 1 + at % 7, "m": "ab"[at // MINUTE % 2]}
    return Message(f"probe/{device}/up", json.dumps(body).encode(), received)


def found(rig: Rig, now: Ms) -> list[Share]:
    with rig.records.read() as tx:
        expected, added = intervals(tx.devices.all("site"), rig.table), tx.devices_added("site", DAYS[0])
    days = list(zip(DAYS, (*DAYS[1:], DAYS[-1] + DAY), strict=True))
    since = rig.inner.kept_since()
    return shares(expected, rig.inner.kept(DAYS), days, since if since is not None else now, now, added)


def test_the_worst_stand_first_and_late_ones_count_on_their_day(rig: Rig) -> None:
    start = DAYS[1]
    every = [start + n * 15 * MINUTE for n in range(96)]
    rig.ingest.handle([up("m1", start - HOUR, start - HOUR)])  # the site has begun before
    rig.ingest.handle([up("m1", at, at + 1000) for at in every])
    rig.ingest.handle([up("m2", at, at + 1000) for at in every[:48]])
    rig.keep.drain()
    rig.ingest.handle([up("m1", at, at + 1000) for at in every])  # once more: duplicates
    rig.keep.drain()
    now = start + DAY + 20 * MINUTE
    assert [(s.device, s.received, s.expected) for s in found(rig, now)] == [
        ("m3", 0, 96),
        ("m2", 48, 96),
        ("m1", 96, 96),
    ]
    rig.ingest.handle([up("m2", at, now) for at in every[48:72]])  # a day late, for some of it
    rig.keep.drain()
    assert [(s.device, s.received) for s in found(rig, now)] == [("m3", 0), ("m2", 72), ("m1", 96)]
    total = overall(found(rig, now))
    assert total is not None
    assert round(total, 3) == round(168 / 288, 3)


def test_today_counts_up_to_now_and_what_is_due_just_now_may_still_come(rig: Rig) -> None:
    start = DAYS[1]
    rig.ingest.handle([up("m1", start + n * 15 * MINUTE, start + n * 15 * MINUTE) for n in range(-4, 4)])
    rig.keep.drain()
    assert [(s.device, s.received, s.expected) for s in found(rig, start + HOUR)][-1] == ("m1", 3, 3)
    assert found(rig, start + 20 * MINUTE) == []


def test_of_its_first_hour_a_new_site_is_not_accused(rig: Rig) -> None:
    rig.ingest.handle([up("m1", T - DAY, T), up("m1", T, T), up("m1", T + 15 * MINUTE, T + 15 * MINUTE)])
    rig.keep.drain()
    assert found(rig, T + 55 * MINUTE) == []
    assert {s.expected for s in found(rig, T + 2 * HOUR)} == {3}


def test_of_the_time_before_it_was_added_a_device_is_not_accused(rig: Rig) -> None:
    start = DAYS[1]
    every = [start + n * 15 * MINUTE for n in range(-4, 96)]
    rig.ingest.handle([up("m1", at, at) for at in every])
    rig.ingest.handle([up("m2", at, at) for at in every if at > start + 18 * HOUR])
    rig.keep.drain()
    with rig.records.write() as tx:
        tx.audit("site", start + 18 * HOUR, "li", "device.added", "m2")
        tx.audit("site", start + DAY + HOUR, "li", "device.added", "m3")
    now = start + DAY + 20 * MINUTE
    assert [(s.device, s.received, s.expected) for s in found(rig, now)] == [("m2", 23, 24), ("m1", 96, 96)]
    later = [(s.day, s.device, s.received, s.expected) for s in found(rig, start + DAY + 4 * HOUR)]
    assert [row for row in later if row[1] == "m3"] == [(start + DAY, "m3", 0, 11)]


def test_a_device_has_an_interval_of_its_own_or_its_profile_s() -> None:
    devices = [
        Device("s", "own", "", "tank", "p", "1", "", interval_s=60),
        Device("s", "gone", "", "tank", "p", "2", "", status=DeviceStatus.WITHDRAWN, interval_s=60),
        Device("s", "none", "", "tank", "p", "3", ""),
    ]
    assert intervals(devices, PointTable()) == {"own": 60}
    assert overall([]) is None


def test_what_the_store_refuses_is_an_outcome_of_its_own(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    store, write = rig.store, rig.store.write

    def refusing(readings: Readings, table: PointTable) -> None:
        rows = [n for n, at in enumerate(readings.at.tolist()) if at % HOUR == 0]
        write(readings, table)
        if rows:
            raise Rejected("some", dict.fromkeys(rows, "field type conflict"))

    monkeypatch.setattr(store, "write", refusing)
    every = [T + n * 15 * MINUTE for n in range(8)]
    rig.ingest.handle([up("m1", at, at + 1000) for at in every[:3]])
    rig.ingest.handle([up("m2", at, at + 1000) for at in every])
    rig.keep.drain()
    page = rig.journal.balance(LedgerQuestion(0, by="device"))
    assert [(r.device, r.readings, r.stored, r.refused, r.balances) for r in page.rows] == [
        ("m1", 6, 4, 2, True),
        ("m2", 16, 12, 4, True),
    ]
