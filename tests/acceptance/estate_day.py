"""A day on the simulated estate, on a clock that the test owns: every flow, real SQLite files,
the messages as the devices send them; only the broker is left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.ground import ground_of
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.keep import Keep
from dutyroom.flows.live import Live
from dutyroom.flows.points import names_made
from dutyroom.flows.registry import Registry
from dutyroom.flows.silent_points import SilentPoints
from dutyroom.flows.silent_words import KIND as SILENT
from dutyroom.flows.upkeep import Upkeep
from dutyroom.flows.watch import Watch
from dutyroom.model.duty import Alarm, Check, Device, Ticket, TicketKind
from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library
from dutyroom.rules.engine import Engine
from dutyroom.site import load_site
from dutyroom.wiring.seeding import seed as seed_records
from dutyroom_simulators.estate import make_estate
from dutyroom_simulators.scenarios import Injection, Record
from dutyroom_simulators.sitefolder import write_site
from dutyroom_simulators.world import World

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


@dataclass
class HandClock:
    at: int

    def now(self) -> int:
        return self.at


class EstateDay:
    """until() moves the clock; inject() plays a scenario; the rest is what a duty engineer sees."""

    def __init__(
        self, folder: Path, library: Library, start: int, pace: int = 1, units: int = 24, seed: int = 7
    ) -> None:
        estate = make_estate(seed, units, pace)
        write_site(estate, folder / "site", start)
        self.site = load_site(folder / "site")
        self.clock = HandClock(start)
        self.world = World(estate, Record(), start)
        self.records = open_records(f"sqlite:///{folder}/records.sqlite")
        self.store = MemoryReadingStore()
        devices, self.table = seed_records(self.site, self.records, library, self.store)
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self._library, self._devices = library, devices
        self._start_flows()
        self._turn(start)

    def _start_flows(self) -> None:
        registry = self.registry = Registry(self._devices)
        live = Live()
        live.start(self.store.latest(list(self.table)))
        self.ingest = Ingest(
            self.site.id, self._library, registry, self.table, self.journal, self.records, live
        )
        self.keep = Keep(self.site.id, self.table, self.journal, self.store, self.records)
        site = self.site
        self.upkeep = Upkeep(site.id, site.plans, site.time_zone, self.records, registry.by_id)
        ground = ground_of(site.topology, site.time_zone, site.calendar, self.upkeep)
        engine = Engine(site.rules, self.table, registry.by_id, ground=ground)
        self.silent = SilentPoints(self.table, live, self.store, registry, self._made)
        self.silent.adopt(self.journal.findings(0, 10_000))
        self.watch = Watch(self.site, self.table, self.records, self.journal, engine, self.clock)

    def _made(self, device: Device, point: str) -> bool:
        return point in names_made(device, self._library)

    def again(self, at: int) -> EstateDay:
        """The service and the estate were switched off and start again at an instant."""
        self.clock.at = at
        self.world = World(self.world.estate, self.world.record, self.world.started_at)
        self._start_flows()
        self._turn(at)
        return self

    def _turn(self, at: int) -> None:
        self.clock.at = at
        messages = [Message(p.topic, p.payload, p.at) for p in self.world.step(at)]
        if messages:
            self.ingest.handle(messages)
        self.keep.drain()
        self.watch.drain()
        self.watch.tick(at)
        if self.silent.due(at):
            told = self.silent.look(at)
            self.journal.note(told.findings, {}, over=[(SILENT, device) for device in told.over])

    def until(self, at: int, step: int = 5 * SECOND) -> None:
        while self.clock.at < at:
            self._turn(min(at, self.clock.at + step))

    def play(
        self, scenario: str, step: int = 5 * SECOND, idle: int = 20 * SECOND, **options: str
    ) -> Injection:
        """Plays a scenario to its end and until its aftermath has settled; by larger steps where
        nothing begins or ends."""
        injection = self.world.inject(scenario, self.clock.at + SECOND, options)
        self.until(min(injection.until, injection.at + 4 * MINUTE), step)
        self.until(injection.until - MINUTE, max(step, idle))
        self.until(injection.until + MINUTE, step)
        self.until(int(str(injection.truth()["settled"])), max(step, idle))
        return injection

    def alarms(self) -> list[Alarm]:
        with self.records.read() as tx:
            return list(tx.alarms.search(self.site.id, limit=10_000))

    def tickets(self) -> list[Ticket]:
        with self.records.read() as tx:
            return [t for t in tx.tickets.search(self.site.id, limit=10_000) if t.kind is TicketKind.ALARM]

    def checks(self) -> list[Check]:
        """Of the alarms that have a ticket: the list to look at, and the steps."""
        with self.records.read() as tx:
            alarms = [a.id for a in tx.alarms.search(self.site.id, limit=10_000) if a.ticket is not None]
            return list(tx.checks.of(self.site.id, alarms))

    def findings(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.journal.findings(0, 10_000):
            found[row.kind] = found.get(row.kind, 0) + row.count
        return found

    def ledger(self) -> dict[str, int]:
        names = (
            "received",
            "decoded",
            "ignored",
            "quarantined",
            "readings",
            "stored",
            "duplicate",
            "conflict",
        )
        rows = self.journal.ledger(0)
        return {name: sum(getattr(row, name) for row in rows) for name in names}

    def close(self) -> None:
        self.journal.close()
        self.records.close()
