"""New firmware renames the register's field while battery and rssi still come: by the way a message takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.flows.intake_rig import TZ, Rig, T

from dutyroom.flows.completeness import intervals, shares
from dutyroom.flows.health import Health
from dutyroom.flows.loops import Loop
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.silent_words import silent_in
from dutyroom.interfaces import FindingRow
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Message
from dutyroom.timebase import DAY, HOUR, Ms, day_starts
from dutyroom.wiring.health import health_of

METER = """
name: A meter
class: water_meter
interval: 1h
match: {topics: ["acme/{id}/up"]}
identity: "{id}"
points:
  battery: {from: battery, quantity: voltage, unit: V}
  rssi: {from: rssi}
  volume: {from: volume, quantity: volume, kind: counter, step: 0.001, digits: 9}
"""
MENDED = METER.replace("from: volume", "from: [volume, total_m3]")


class House:
    """The rig with the loop that looks at its health."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.now = rig, T
        self.start()

    def start(self) -> None:
        rig = self.rig
        runtime: Any = SimpleNamespace(
            site=SimpleNamespace(id="site"), table=rig.table, health=Health(), live=rig.live, store=rig.store,
            records=rig.records, journal=rig.journal, clock=SimpleNamespace(now=lambda: self.now), intake=rig.intake,
        )  # fmt: skip
        self.loop: Loop = health_of(cast(SiteRuntime, runtime), rig.registry)

    def hours(self, count: int, field: str) -> None:
        """A message an hour, its register under this name."""
        for _ in range(count):
            self.now += HOUR
            said = {field: round(100 + (self.now - T) / HOUR / 10, 3), "battery": 3.6, "rssi": -90}
            self.rig.ingest.handle([Message("acme/7/up", json.dumps(said).encode(), self.now)])
            self.rig.keep.drain()
            self.loop.work()

    def found(self) -> list[FindingRow]:
        return list(self.rig.journal.findings(0))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    rig = Rig(tmp_path, {"meter": METER})
    rig.register(Device("site", "meter-7", "", "water_meter", "acme/meter", "7", ""))
    yield House(rig)
    rig.close()


def test_a_renamed_register_is_told_and_over_when_it_is_read_again(house: House) -> None:
    house.hours(12, "volume")
    last = house.now
    house.hours(5, "total_m3")
    assert house.found() == []
    house.hours(1, "total_m3")
    (row,) = house.found()
    said = silent_in(row.detail)
    assert said is not None
    assert (row.kind, row.device, said.lost, set(said.read)) == (
        "point_silent", "meter-7", (("volume", last),), {"battery", "rssi"},
    )  # fmt: skip
    assert house.rig.journal.quarantine_size() == 0  # it is decoded: nothing else tells of it
    assert house.rig.ledger()["meter-7"].quarantined == 0

    house.rig.again()
    house.start()
    house.hours(2, "total_m3")
    (row,) = house.found()
    assert row.count == 1
    house.hours(1, "volume")
    assert house.found() == []


def test_a_mended_profile_ends_it(house: House) -> None:
    house.hours(12, "volume")
    house.hours(6, "total_m3")
    assert [row.kind for row in house.found()] == ["point_silent"]
    house.rig.shelve("meter", MENDED)
    house.rig.shelf.reload()
    house.hours(1, "total_m3")
    assert house.found() == []
    assert house.rig.stored("meter-7", "volume")[-1][1] == 101.9


def test_completeness_is_the_register_s_and_not_that_of_what_stands_before_it(house: House) -> None:
    house.hours(24, "volume")
    house.hours(24, "total_m3")
    rig, days = house.rig, day_starts(T - DAY, T + 3 * DAY, TZ)
    with rig.records.read() as tx:
        expected = intervals(tx.devices.all("site"), rig.table)
    since = rig.inner.kept_since()
    assert since is not None
    spans = list(zip(days, (*days[1:], days[-1] + DAY), strict=True))
    found = {s.day: s for s in shares(expected, rig.inner.kept(days), spans, since, house.now, {})}
    came: dict[Ms, tuple[int, int]] = {day: (s.received, s.expected) for day, s in found.items()}
    assert came == {days[1]: (11, 11), days[2]: (12, 24), days[3]: (0, 10)}
