"""A day whose end is known, watched by a process that ends anywhere: inside a transaction, between its commit and
the journal's, between two batches, between the journal and the clock. What people see must be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql.records import SqlRecords, open_records
from dutyroom.flows.desk import Desk
from dutyroom.model.duty import Alarm, Device
from dutyroom.model.telemetry import Lane, PointSpec
from dutyroom.topology import Topology

DEVICES: list[Device] = [
    device("mains", "feeder", 10),
    device("feeder", "feeder", 10),
    device("gen", "generator", 10, backs="mains,feeder"),
    device("switch", "transfer_switch", 10),
    device("mute", "feeder", 10),
    *(device(f"board{n}", "feeder", 10) for n in range(3)),
    device("gen2", "generator", 10, backs="mute"),
    device("panel", "fire_panel", 10),
    device("riser", "water_meter", 10, use="riser"),
    device("gate", "gate"),
    device("gate2", "gate"),
    *(device(f"lift{n}", "elevator", 30) for n in range(4)),
    *(device(f"gw{n}", "gateway") for n in range(3)),
]
SPECS: dict[str, list[PointSpec]] = {
    "feeder": [gauge("voltage", "V")],
    "generator": [state("running", 10), state("fault_code", 10)],
    "transfer_switch": [state("source", 10)],
    "fire_panel": [state("alarm", 10)],
    "water_meter": [gauge("flow", "m3/h")],
    "gate": [state("door_open")],
    "elevator": [state("trapped", 30)],
    "gateway": [state("online")],
}
POWER = {f"{kind}{n}": ("feeder",) for kind in ("lift", "gw") for n in range(3)} | {"feeder": ("mains",)}
POWER |= {f"board{n}": ("mute",) for n in range(3)}
STEP = 2  # seconds
UNTIL, END = 1700, 2700  # after UNTIL no process ends: a silence needs its whole allowance after a start
# What people do: (second, action, rule, object).
DESK = (
    (340, "shelve", "gate.held_open", "gate2"),  # for 400 s
    (360, "acknowledge", "fire.alarm", "panel"),
    (500, "reset", "fire.alarm", "panel"),
    (520, "acknowledge", "power.mains_lost", "mains"),
    (1000, "acknowledge", "elevator.entrapment", "lift3"),
)
WRITES = ("INSERT", "UPDATE", "DELETE", "before the commit", "after the commit", "journal.advance")
Step = tuple[tuple[str, str, float], Lane]


class Ended(BaseException):
    """The process ends here: nothing catches it."""


class Counting:
    """Counts steps: statements of the records, commits, what is asked of the journal; and of those the ones that
    write. Ends the process at one."""

    def __init__(self) -> None:
        self.steps = self.writes = 0
        self.end_at = self.end_at_write = -1
        self.on = True
        self.where: list[str] = []

    def __call__(self, what: str) -> None:
        if not self.on:
            return
        self.steps += 1
        writes = what.startswith(WRITES)
        self.writes += writes
        if self.steps == self.end_at or (writes and self.writes == self.end_at_write):
            self.end_at = self.end_at_write = -1
            self.where.append(what)
            raise Ended


class Asked:
    """A journal of which each question is a step."""

    def __init__(self, inner: SqliteJournal, count: Counting) -> None:
        self.inner, self.count = inner, count

    def __getattr__(self, name: str) -> Any:
        if name in ("read", "note", "advance", "last"):
            self.count(f"journal.{name}")
        return getattr(self.inner, name)


class Written:
    """Records of which the end of each transaction is a step, before it and after it."""

    def __init__(self, inner: SqlRecords, count: Counting) -> None:
        self.inner, self.count = inner, count

    @contextmanager
    def write(self) -> Iterator[Any]:
        with self.inner.write() as tx:
            yield tx
            self.count("before the commit")
        self.count("after the commit")

    def read(self) -> Any:
        return self.inner.read()


def readings(second: int) -> Iterator[Step]:
    """A power cut with a load that is late, a fire, a burst, a shelved door, an entrapment, a lift that stays away. In the same
    cut a mains whose instrument says nothing, with a set that does not start."""
    dark = 100 <= second < 700
    if second % 10 == 0:
        for feeder in ("mains", "feeder"):
            yield (feeder, "voltage", 0 if dark else 230), Lane.NORMAL
        for board in (*(["mute"] if not dark else []), "board0", "board1", "board2"):
            yield (board, "voltage", 0 if dark else 230), Lane.NORMAL
        yield ("gen", "running", int(125 <= second < 900)), Lane.NORMAL
        yield ("gen2", "running", 0), Lane.NORMAL
        yield ("gen", "fault_code", int(400 <= second < 430)), Lane.NORMAL
        yield (
            ("switch", "source", 1 if second < 100 or second >= 720 else 2 if second >= 240 else 0),
            Lane.NORMAL,
        )
        yield ("panel", "alarm", int(300 <= second < 330)), Lane.PRIORITY
        yield ("riser", "flow", 4.8 if 800 <= second < 1500 else 0.2), Lane.NORMAL
    if second in (0, 500, 660):
        yield ("gate", "door_open", int(second == 500)), Lane.NORMAL
    if second in (0, 200, 1100):
        yield ("gate2", "door_open", int(second == 200)), Lane.NORMAL
    for n in range(4):
        if second % 30 == n and not (dark and n < 3) and not (n == 1 and second >= 100):
            yield (f"lift{n}", "trapped", int(n == 3 and 800 <= second < 900)), Lane.NORMAL
    if second in (0, 101, 705):
        for n in range(3):
            yield (f"gw{n}", "online", int(second != 101)), Lane.NORMAL


class Day:
    """The day in a folder; `play` returns how often the process ended."""

    def __init__(self, folder: Path, chance: Callable[[Counting], None] | None = None) -> None:
        """chance: says where the process ends next; None = nowhere."""
        self.folder, self.chance, self.count = folder, chance, Counting()
        folder.mkdir(parents=True, exist_ok=True)
        self._open()
        with self.records.write() as tx:
            for login in ("li", "wang"):
                tx.people.upsert(person(login))
        self.room = Room(
            DEVICES,
            SPECS,
            topology=Topology({"power": POWER}),
            records=self._records(),
            journal=self._journal(),
        )

    def _open(self) -> None:
        self.records = open_records(f"sqlite:///{self.folder / 'records.sqlite'}")
        self.journal = SqliteJournal(self.folder / "journal.sqlite")
        count = self.count

        @event.listens_for(self.records._engine, "before_cursor_execute")
        def statement(*given: Any) -> None:
            count(" ".join(str(given[2]).split()[:3]))

    def _records(self) -> Written:
        return Written(self.records, self.count)

    def _journal(self) -> Asked:
        return Asked(self.journal, self.count)

    def _again(self) -> None:
        """Another process on the same files."""
        self.close()
        self._open()
        self.room.records, self.room.journal = self._records(), self._journal()
        self.room.restart()
        self._aim()

    def _aim(self) -> None:
        if self.chance is not None:
            self.chance(self.count)

    def close(self) -> None:
        self.records.close()
        self.journal.close()

    def play(self) -> int:
        ends = 0
        self._aim()
        for second in range(0, END, STEP):
            if second >= UNTIL:
                self.count.end_at = self.count.end_at_write = -1
            self.room.clock.at = T0 + second * 1000
            batches = [
                self.room.batch(row, lane=lane)
                for late in range(second, second + STEP)
                for row, lane in readings(late)
            ]
            if batches:
                self.journal.append(*batches)
            self._people(second)
            while True:
                try:
                    self.room.watch.drain()
                    self.count("between journal and clock")
                    self.room.watch.tick(self.room.clock.at)
                    break
                except Ended:
                    ends += 1
                    self._again()
        return ends

    def _people(self, second: int) -> None:
        self.count.on = False
        desk = Desk(self.records, self.room.clock, self.room.rules)
        for due, action, rule, object in DESK:
            if due != second:
                continue
            with self.records.read() as tx:
                alarm = next(a for a in tx.alarms.open_ones(SITE) if (a.rule, a.object) == (rule, object))
            if action == "shelve":
                desk.shelve(SITE, alarm.id, "li", self.room.clock.at + 400_000, "door is being mended")
            else:
                getattr(desk, action)(SITE, alarm.id, "li")
        self.count.on = True

    # ------------------------------------------------------------ what people see

    def outcome(self) -> Mapping[str, Sequence[object]]:
        """Alarms (rule, object, raised, cleared, state, under a root, whose ticket), tickets, messages one by one,
        lists. Of silences, which count anew after a start, those that stand on their own, without their times."""
        self.count.on = False
        with self.records.read() as tx:
            found = list(tx.alarms.search(SITE, limit=1000))
            tickets = {t.id: t for t in tx.tickets.search(SITE, limit=1000)}
            told = [(m.person, *m.dedupe.split("|")[1:3], m.key) for m in tx.outbox.search(SITE, limit=1000)]
            lines = tx.checks.of(SITE, [a.id for a in found])
            causes = {a.id: (a.rule, a.object) for a in found}
        alarms = [_seen(a, tickets[a.ticket].cause if a.ticket else "") for a in found if _counts(a)]
        return {
            "alarms": sorted(alarms, key=str),
            "tickets": sorted((t.cause, t.number != "", t.state.value) for t in tickets.values()),
            "messages": sorted(told),
            "lists": sorted((causes[c.alarm], c.object, c.step, c.since, c.done_at or 0) for c in lines),
            "twice": [a.episode for a in found if sum(b.episode == a.episode for b in found) > 1],
        }


def _silence(alarm: Alarm) -> bool:
    return alarm.rule.endswith((".offline", ".silent")) and alarm.rule != "gateway.offline"


def _counts(alarm: Alarm) -> bool:
    return not _silence(alarm) or alarm.object == "lift1"


def _seen(alarm: Alarm, cause: str) -> tuple[object, ...]:
    times = (0, 0) if _silence(alarm) else (alarm.raised_at - T0, (alarm.cleared_at or T0) - T0)
    return alarm.rule, alarm.object, *times, alarm.state.value, alarm.root is None, cause
