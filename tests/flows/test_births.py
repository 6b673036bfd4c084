"""Sparkplug B through the flow: births are kept over a restart, and data that came before theirs are not lost."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from tests.shipped_profiles import shipped_profiles

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.flows.rereading import Rereading
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Lane, Message, Outcome, PointTable
from dutyroom.profiles.codecs.sparkplug_payload import Written, write_payload
from dutyroom.profiles.decode import Library
from dutyroom.profiles.profile import Profile
from dutyroom.timebase import from_iso, zone

T = from_iso("2026-11-25T03:00:00Z")
METER = Device("site", "em-1", "EM 1", "electricity_meter", "sparkplug/any", "plant/node-1/em-1", "A")
DOUBLE = 10  # data type of the specification


@lru_cache(1)
def sparkplug() -> Profile:
    return next(p for p in shipped_profiles() if p.id == "sparkplug/any")


class Site:
    """The way from a message to the journal; `restarted` is the same after a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = open_records(f"sqlite:///{folder}/records.sqlite")
        self.journal = SqliteJournal(folder / "journal.sqlite")
        library = Library([sparkplug()], zone("UTC"))
        with self.records.write() as tx:
            tx.devices.upsert([METER])
            self.table = PointTable(tx.devices.points("site"))
        self.ingest = Ingest(
            "site", library, Registry([METER]), self.table, self.journal, self.records, Live()
        )
        self.rereading = Rereading(self.journal, self.ingest)

    def restarted(self) -> Site:
        self.close()
        return Site(self.folder)

    def close(self) -> None:
        self.journal.close()
        self.records.close()

    def send(self, kind: str, seq: int, at: int, *metrics: Written) -> None:
        topic = f"spBv1.0/plant/{kind}/node-1/em-1"
        self.ingest.handle([Message(topic, write_payload(metrics, at, seq), at)])
        while self.rereading.step():
            pass

    def read(self) -> list[tuple[str, int, float]]:
        found = []
        for _, batch in self.journal.read(Lane.NORMAL, 0, 1000):
            r = batch.readings
            rows = zip(r.point.tolist(), r.at.tolist(), r.value.tolist(), strict=True)
            found += [(self.table[p].spec.name, at - T, value) for p, at, value in rows]
        return [row for row in found if row[0] == "Power"]


def birth(value: float) -> Written:
    return Written(name="Power", alias=7, type=DOUBLE, value=value)


def data(value: float) -> Written:
    return Written(alias=7, type=DOUBLE, value=value)


@pytest.mark.parametrize("restart", [False, True])
def test_data_that_came_before_their_birth_are_read_when_it_comes(tmp_path: Path, restart: bool) -> None:
    site = Site(tmp_path)
    site.send("DDATA", 1, T, data(5.0))
    assert site.read() == []
    assert [row.reason for row in site.journal.quarantine()] == ["rejected"]
    if restart:
        site = site.restarted()
    site.send("DBIRTH", 2, T + 1000, birth(6.0))
    assert sorted(site.read()) == [("Power", 0, 5.0), ("Power", 1000, 6.0)]
    assert site.journal.quarantine() == []
    site.close()


def test_a_restart_keeps_the_births(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.send("DBIRTH", 1, T, birth(1.0))
    site = site.restarted()
    site.send("DDATA", 2, T + 1000, data(2.0))
    assert site.read() == [("Power", 0, 1.0), ("Power", 1000, 2.0)]
    outcomes = [m.outcome for _, b in site.journal.read(Lane.NORMAL, 0, 9) for m in b.messages]
    assert outcomes == [Outcome.DECODED, Outcome.DECODED]
    site.close()
