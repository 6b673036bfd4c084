"""The telemetry half of a site that learns: profiles on disk, a registry that grows, a quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.intake import Intake
from dutyroom.flows.keep import Keep
from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.flows.rereading import Rereading
from dutyroom.flows.shelf import Shelf
from dutyroom.interfaces import LedgerRow, Records
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Message, PointTable
from dutyroom.profiles.decode import load_library
from dutyroom.timebase import HOUR, from_iso, to_iso, zone

T = from_iso("2026-11-25T03:00:00Z")
TZ = zone("Asia/Shanghai")

# A gateway's batch: meters with clocks of their own.
BATCH = """
name: A gateway's batch
class: water_meter
match: {topics: ["gw/{gateway}/up"]}
each: "meters[*]"
identity: "{@.id}"
time: {from: ts, format: epoch_s}
points:
  volume: {from: m3, quantity: volume, kind: counter, step: 0.001}
"""
# One value a topic, no clock.
PROBE = """
name: A probe
class: tank
match: {topics: ["probe/{device}/level"]}
unwrap: [scalar]
identity: "{device}"
points:
  level: {from: $, quantity: level, unit: m}
"""
# A probe that says in between that it is there.
BEATS = """
name: A probe
class: tank
match: {topics: ["probe/{device}/level"]}
identity: "{device}"
layouts:
  - {name: beat, when: {beat: 1}, ignore: heartbeat}
  - name: level
    points:
      level: {from: m, quantity: level, unit: m}
"""
# A meter that counts its messages, which other firmware may name otherwise.
READS = """
name: Acme reads
class: water_meter
match: {topics: ["reads/{id}/up"]}
identity: "{@.sn}"
time: {from: ts, format: epoch_s}
sequence: {from: n}
attributes: {firmware: fw}
points:
  volume: {from: vol.m3, quantity: volume, kind: counter, step: 0.001}
"""


def batch(received: int, **meters: tuple[float, int]) -> Message:
    """meters: volume in m3 and the meter's own time in ms."""
    body = {"meters": [{"id": name, "m3": m3, "ts": at // 1000} for name, (m3, at) in meters.items()]}
    return Message("gw/g1/up", json.dumps(body).encode(), received)


def probe(value: object, received: int, device: str = "p1", **flags: bool) -> Message:
    return Message(f"probe/{device}/level", str(value).encode(), received, **flags)


def read(received: int, at: int, said: Mapping[str, object], **flags: bool) -> Message:
    return Message(
        "reads/7/up", json.dumps({"sn": "7", "ts": at // 1000, **said}).encode(), received, **flags
    )


def meter(address: str) -> Device:
    return Device("site", f"meter-{address}", "", "water_meter", "acme/batch", address, "")


def tank(address: str = "p1") -> Device:
    return Device("site", f"tank-{address}", "", "tank", "acme/probe", address, "")


@dataclass
class Rig:
    """`again()` is a restart. shelved: the profiles that are shipped."""

    folder: Path
    shelved: dict[str, str] = field(default_factory=lambda: {"batch": BATCH, "probe": PROBE})
    wrap: Callable[[Any], Any] = lambda journal: journal
    chunk: int = 3

    def __post_init__(self) -> None:
        self.shipped, self.own = self.folder / "shipped", self.folder / "own"
        for name, text in self.shelved.items():
            self.shelve(name, text, self.shipped)
        self.records: Records = open_records(f"sqlite:///{self.folder}/records.sqlite")
        self.clock = T
        self.open()

    def shelve(self, name: str, text: str, folder: Path | None = None) -> Path:
        file = (folder or self.own) / "acme" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def open(self) -> None:
        self.inner = SqliteJournal(self.folder / "journal.sqlite")
        self.journal = self.wrap(self.inner)
        self.store = EmbeddedReadingStore(self.folder / "readings.sqlite")
        own = [self.own] if any(self.own.glob("*/*.yaml")) else []
        library = load_library(self.shipped, TZ, b"key", own)
        with self.records.read() as tx:
            self.table = PointTable(tx.devices.points("site"))
            self.registry = Registry(tx.devices.all("site"))
        self.live = Live()
        self.live.start(self.store.latest(list(self.table)))
        self.ingest = Ingest(
            "site", library, self.registry, self.table, self.journal, self.records, self.live
        )
        self.rereading = Rereading(self.journal, self.ingest, self.chunk)
        self.rereading.ask()
        self.intake = Intake(
            "site",
            library,
            self.registry,
            self.table,
            self.records,
            self.ingest,
            self.rereading,
            self.store.latest,
        )
        self.shelf = Shelf(self.shipped, [self.own], library, b"key", self.intake.renew, lambda: self.clock)
        self.keep = Keep("site", self.table, self.journal, self.store, self.records)

    def again(self) -> None:
        self.store.close()
        self.inner.close()
        self.open()

    def close(self) -> None:
        self.store.close()
        self.inner.close()
        self.records.close()

    def write(self) -> AbstractContextManager[Any]:
        return self.records.write()

    def register(self, *devices: Device) -> None:
        with self.write() as tx:
            tx.devices.upsert(devices)
        self.intake.register(devices)

    def refused(self) -> list[str]:
        """What is wrong with the profiles, but that they have no examples."""
        return [str(m) for m in self.shelf.shelved.mistakes if m.field != "examples"]

    def knows_reads(self) -> None:
        """The device of `read` is registered."""
        self.shelve("reads", READS)
        self.shelf.reload()
        assert self.refused() == []
        self.register(Device("site", "meter-7", "", "water_meter", "acme/reads", "7", ""))

    def reread(self) -> None:
        while self.rereading.step():
            pass
        self.keep.drain()

    def disown(self, *addresses: str) -> None:
        for address in addresses:
            self.intake.disown(address, "admin", T)
            self.reread()

    def take_back(self, *addresses: str) -> None:
        for address in addresses:
            self.intake.not_ours.take_back(address, "admin", T)
            self.reread()

    def come_home(self, *addresses: str) -> None:
        """One after the other is taken back, then registered."""
        for address in addresses:
            self.take_back(address)
            self.register(meter(address))
            self.reread()

    def stored(self, device: str, name: str) -> list[tuple[str, float]]:
        point = self.table.find(device, name)
        if point is None:
            return []
        series = self.store.range(point, 0, T + 1000 * HOUR)
        return [
            (to_iso(int(at))[11:], point.physical(v))
            for at, v in zip(series.at.tolist(), series.value.tolist(), strict=True)
        ]

    def ledger(self) -> dict[str, LedgerRow]:
        """Of one hour, by device; balanced, or it fails."""
        rows = list(self.journal.ledger(0))
        for row in rows:
            assert row.received == row.decoded + row.ignored + row.quarantined, row
            assert row.readings == row.stored + row.duplicate + row.conflict, row
            assert min(row.received, row.quarantined, row.decoded) >= 0, row
        return {row.device: row for row in rows}

    def told(self, *columns: str) -> dict[str, tuple[int, ...]]:
        """Of the ledger, by device."""
        return {
            device: tuple(getattr(row, name) for name in columns) for device, row in self.ledger().items()
        }
