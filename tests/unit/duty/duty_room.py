"""A duty room in memory for tests: records, journal, clock, and a small estate on a clock we own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import Any

from dutyroom.errors import Conflict
from dutyroom.flows.late import Past
from dutyroom.flows.watch import Watch
from dutyroom.model.announced import Announcement
from dutyroom.model.duty import (
    Alarm,
    AlarmChange,
    Change,
    Check,
    Device,
    OutboxRow,
    Person,
    Role,
    Ticket,
    TicketChange,
    TicketState,
)
from dutyroom.model.metering import Exchange
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Event,
    Finding,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Readings,
)
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import NOWHERE
from dutyroom.rules.parse import parse_rules
from dutyroom.rules.spec import Rule
from dutyroom.site import BrokerAddress, Site
from dutyroom.topology import Topology

SITE = "s"
T0 = 1_760_000_000_000
DONE = (TicketState.CLOSED, TicketState.CANCELLED)


@dataclass
class Rows:
    alarms: dict[int, Alarm] = field(default_factory=dict)
    alarm_log: list[AlarmChange] = field(default_factory=list)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    ticket_log: list[TicketChange] = field(default_factory=list)
    checks: dict[tuple[int, int, str, str], Check] = field(default_factory=dict)
    outbox: dict[str, OutboxRow] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    cursors: dict[Lane, int] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    announcements: dict[int, Announcement] = field(default_factory=dict)
    audit: list[tuple[str, str, str]] = field(default_factory=list)  # actor, action, detail


class FakeAlarms:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def open_ones(self, site: str) -> Sequence[Alarm]:
        return [a for a in self.rows.alarms.values() if a.ended_at is None]

    def get(self, site: str, alarm: int) -> Alarm | None:
        return self.rows.alarms.get(alarm)

    def insert(self, alarm: Alarm) -> Alarm:
        if any((a.rule, a.object) == (alarm.rule, alarm.object) for a in self.open_ones("")):
            raise Conflict(f"{alarm.rule} on {alarm.object} is open already")
        stored = replace(alarm, id=len(self.rows.alarms) + 1)
        self.rows.alarms[stored.id] = stored
        return stored

    def update(self, alarm: Alarm) -> None:
        assert alarm.id in self.rows.alarms
        self.rows.alarms[alarm.id] = alarm

    def log(self, change: AlarmChange) -> None:
        assert change.alarm
        self.rows.alarm_log.append(change)

    def history(self, alarm: int) -> Sequence[AlarmChange]:
        return [c for c in self.rows.alarm_log if c.alarm == alarm]

    def search(
        self,
        site: str,
        *,
        ended: bool | None = None,
        limit: int = 200,
        object: str = "",
        since: int | None = None,
        **_: Any,
    ) -> Sequence[Alarm]:
        found = [
            a
            for a in self.rows.alarms.values()
            if (ended is None or (a.ended_at is not None) == ended)
            and (not object or a.object == object)
            and (since is None or a.raised_at >= since)
        ]
        return found[::-1][:limit]


class FakeTickets:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def insert(self, ticket: Ticket) -> Ticket:
        if any(t.cause == ticket.cause and t.state not in DONE for t in self.rows.tickets.values()):
            raise Conflict(f"{ticket.cause} has a ticket")
        number = len(self.rows.tickets) + 1
        stored = replace(ticket, id=number, number=f"WO-{number:06}")
        self.rows.tickets[number] = stored
        return stored

    def update(self, ticket: Ticket) -> None:
        assert ticket.id in self.rows.tickets
        self.rows.tickets[ticket.id] = ticket

    def log(self, change: TicketChange) -> None:
        assert change.ticket
        self.rows.ticket_log.append(change)

    def get(self, site: str, ticket: int) -> Ticket | None:
        return self.rows.tickets.get(ticket)

    def search(self, site: str, *, open_only: bool = False, **_: Any) -> Sequence[Ticket]:
        return [t for t in self.rows.tickets.values() if not open_only or t.state not in DONE]


class FakeChecks:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def insert(self, check: Check) -> bool:
        assert check.alarm
        key = (check.alarm, check.since, check.object, check.step)
        if key in self.rows.checks:
            return False
        self.rows.checks[key] = replace(check, id=len(self.rows.checks) + 1)
        return True

    def of(self, site: str, alarms: Collection[int]) -> Sequence[Check]:
        return [c for c in self.rows.checks.values() if c.alarm in alarms]

    def update(self, check: Check) -> None:
        self.rows.checks[check.alarm, check.since, check.object, check.step] = check


class FakeOutbox:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def insert(self, row: OutboxRow) -> bool:
        if row.dedupe in self.rows.outbox:
            return False
        self.rows.outbox[row.dedupe] = row
        return True


class FakePeople:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def all(self, site: str) -> Sequence[Person]:
        return self.rows.people


class FakeMetering:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def exchanges(self, site: str) -> Sequence[Exchange]:
        return self.rows.exchanges


class FakeDevices:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def all(self, site: str) -> Sequence[Device]:
        return self.rows.devices

    def get(self, site: str, device: str) -> Device | None:
        return next((d for d in self.rows.devices if d.id == device), None)

    def upsert(self, devices: Sequence[Device]) -> None:
        changed = {d.id: d for d in devices}
        self.rows.devices[:] = [changed.get(d.id, d) for d in self.rows.devices]

    def events(self, site: str, point: int, since: int, limit: int, code: str) -> Sequence[Event]:
        found = [e for e in self.rows.events if (e.point, e.code) == (point, code) and e.at >= since]
        return sorted(found, key=lambda e: -e.at)[:limit]


class FakeAnnouncements:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def insert(self, announcement: Announcement) -> Announcement:
        stored = replace(announcement, id=len(self.rows.announcements) + 1)
        self.rows.announcements[stored.id] = stored
        return stored

    def get(self, site: str, announcement: int) -> Announcement | None:
        return self.rows.announcements.get(announcement)

    def update(self, announcement: Announcement) -> None:
        self.rows.announcements[announcement.id] = announcement

    def current(self, site: str, since: int) -> Sequence[Announcement]:
        return [a for a in self.rows.announcements.values() if a.ends >= since]


class FakeTx:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.announcements = FakeAnnouncements(rows)
        self.alarms, self.tickets = FakeAlarms(rows), FakeTickets(rows)
        self.devices, self.checks = FakeDevices(rows), FakeChecks(rows)
        self.outbox, self.people, self.metering = FakeOutbox(rows), FakePeople(rows), FakeMetering(rows)

    def cursor(self, site: str, reader: str, lane: Lane) -> int:
        return self.rows.cursors.get(lane, 0)

    def advance(self, site: str, reader: str, lane: Lane, seq: int) -> None:
        self.rows.cursors[lane] = seq

    def blob(self, site: str, name: str) -> bytes | None:
        return self.rows.blobs.get(name)

    def put_blob(self, site: str, name: str, data: bytes) -> None:
        self.rows.blobs[name] = data

    def audit(self, site: str, at: int, actor: str, action: str, target: str, detail: str = "") -> None:
        self.rows.audit.append((actor, action, detail))

    def change(self, site: str, at: int, kind: str, key: str) -> None:
        self.rows.changes.append((kind, key))

    def changes(self, after: int, limit: int = 500) -> Sequence[Change]:
        listed = enumerate(self.rows.changes, start=1)
        return [Change(n, SITE, 0, kind, key) for n, (kind, key) in listed if n > after][:limit]

    def last_change(self) -> int:
        return len(self.rows.changes)


class FakeRecords:
    """All or nothing: a transaction works on a copy. `break_at(step)` raises inside or after one."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.break_at: Callable[[str], None] = lambda step: None

    @contextmanager
    def write(self) -> Iterator[FakeTx]:
        self.break_at("begin")
        rows = Rows(
            *(copy.copy(getattr(self.rows, f.name)) for f in fields(Rows))
        )  # what is in them never changes
        yield FakeTx(rows)
        self.break_at("commit")
        self.rows = rows
        self.break_at("committed")

    @contextmanager
    def read(self) -> Iterator[FakeTx]:
        self.break_at("read")
        yield FakeTx(self.rows)


class FakeJournal:
    def __init__(self) -> None:
        self.batches: list[tuple[int, Batch]] = []
        self.findings: list[Finding] = []
        self.cursors: dict[Lane, int] = {}
        self.break_at: Callable[[str], None] = lambda step: None

    def append(self, *batches: Batch) -> int:
        for batch in batches:
            self.batches.append((len(self.batches) + 1, batch))
        return len(self.batches)

    def read(self, lane: Lane, after: int, limit: int) -> Sequence[tuple[int, Batch]]:
        self.break_at("journal")
        return list(islice(((s, b) for s, b in self.batches[after:] if b.lane == lane), limit))

    def last(self, lane: Lane) -> int:
        return next((s for s, b in reversed(self.batches) if b.lane == lane), 0)

    def advance(self, reader: str, lane: Lane, seq: int) -> None:
        self.cursors[lane] = seq

    def note(self, findings: Sequence[Finding], outcomes: Mapping[tuple[int, str, str], int]) -> None:
        self.findings += findings


@dataclass
class HandClock:
    at: int = T0

    def now(self) -> int:
        return self.at


class Room:
    """A running duty room: `at(seconds)` moves the clock in steps of one second, ticking."""

    def __init__(
        self,
        devices: Sequence[Device],
        specs: Mapping[str, Sequence[PointSpec]],
        rules: Sequence[Rule] | None = None,
        topology: Topology | None = None,
        records: Any = None,
        journal: Any = None,
        lag: int = 0,
        several: bool = False,
    ) -> None:
        """several: it has several lines."""
        self.lag = lag
        self.devices = {d.id: d for d in devices}
        self.table = PointTable()
        for device in devices:
            for spec in specs.get(device.device_class, ()):
                point = Point(
                    len(self.table) + 1, SITE, device.id, DeviceClass(device.device_class), device.space, spec
                )
                self.table.add(point)
        self.rules = tuple(rules if rules is not None else parse_rules("", "rules.yaml"))
        self.topology = topology or Topology()
        self.records = records or FakeRecords()
        self.journal = journal or FakeJournal()
        self.clock = HandClock()
        self.broker = True
        self.away: frozenset[str] | None = frozenset()  # of several lines those that are; None = all
        self.several = several
        self.brokers: tuple[BrokerAddress, ...] = ()
        self.past: Past | None = None
        self.ground = NOWHERE
        self.crowded: Callable[[], bool] = lambda: False
        self.restart()

    def restart(self) -> None:
        """A new process on the same records and journal."""
        site = Site(SITE, {"en": "S"}, "Asia/Shanghai", topology=self.topology, brokers=self.brokers)
        self.engine = Engine(self.rules, self.table, self.devices, ground=self.ground)
        self.watch = Watch(
            site,
            self.table,
            self.records,
            self.journal,
            self.engine,
            self.clock,
            lambda: self.broker and self.away == frozenset(),
            self.lag,
            past=self.past,
            crowded=self.crowded,
            away=(lambda: self.away) if self.several else None,
        )

    def batch(
        self,
        *rows: tuple[str, str, float],
        at: int | None = None,
        quality: Quality = Quality.GOOD,
        lane: Lane = Lane.NORMAL,
        line: str = "",
    ) -> Batch:
        """(device, point, stored value) rows read at `at` (seconds after T0; now when None)."""
        moment = self.clock.at if at is None else T0 + at * 1000
        columns = [(self.point(d, p).id, moment, float(v), int(quality), 0) for d, p, v in rows]
        session = f"dutyroom-s@{line}" if line else ""
        message = Message("t", b"", self.clock.at, retained=quality is Quality.RETAINED, session=session)
        return Batch(
            SITE, lane, self.clock.at, (MessageRecord(message, Outcome.DECODED),), Readings.of(columns)
        )

    def point(self, device: str, name: str) -> Point:
        found = self.table.find(device, name)
        assert found is not None, (device, name)
        return found

    def reads(self, *rows: tuple[str, str, float], **more: Any) -> None:
        """Readings arrive now and are judged."""
        self.journal.append(self.batch(*rows, **more))
        self.watch.drain()

    def at(self, seconds: float, step: float = 1.0) -> Room:
        """Goes on to T0 + seconds, ticking on the way."""
        end = T0 + round(seconds * 1000)
        while self.clock.at < end:
            self.clock.at = min(end, self.clock.at + round(step * 1000))
            self.watch.drain()
            self.watch.tick(self.clock.at)
        return self

    # what stands

    def alarms(self) -> dict[str, str]:
        """ "rule@object" -> state, of open alarms."""
        with self.records.read() as tx:
            return {f"{a.rule}@{a.object}": a.state.value for a in tx.alarms.open_ones(SITE)}

    def alarm(self, rule: str, object: str) -> Alarm:
        with self.records.read() as tx:
            return next(a for a in tx.alarms.open_ones(SITE) if (a.rule, a.object) == (rule, object))

    def tickets(self) -> list[str]:
        """Causes of tickets that are neither closed nor cancelled."""
        with self.records.read() as tx:
            return sorted(t.cause for t in tx.tickets.search(SITE, open_only=True))


def device(name: str, kind: str, interval: int | None = None, **parameters: Any) -> Device:
    return Device(SITE, name, name, kind, "v/m", name, "A", parameters, interval_s=interval)


def gauge(name: str, unit: str = "", interval: int | None = 10) -> PointSpec:
    return PointSpec(name, unit=unit, interval_s=interval)


def state(name: str, interval: int | None = None) -> PointSpec:
    return PointSpec(name, kind=Kind.STATE, interval_s=interval)


def person(login: str, role: Role = Role.OPERATOR, *contacts: str) -> Person:
    return Person(0, SITE, login, login, role, "en", contacts=contacts or (f"mailto://{login}",))
