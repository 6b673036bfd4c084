"""The watch ends at any point and a new one on the same records and journal goes on: the same
alarms, tickets and messages as without an end, none lost, none twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.duty.duty_room import SITE, T0, FakeJournal, FakeRecords, Room, device, gauge, person, state

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql.records import open_records
from dutyroom.flows import watch as watching
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Lane, PointSpec
from dutyroom.topology import Topology

DEVICES: list[Device] = [
    device("feeder", "feeder", 10),
    device("gen", "generator", 10, backs="feeder"),
    device("panel", "fire_panel", 10),
    device("riser", "water_meter", 10, use="riser"),
    device("gate", "gate"),
    *(device(f"lift{n}", "elevator", 30) for n in range(4)),
    *(device(f"gw{n}", "gateway") for n in range(3)),
]
SPECS: dict[str, list[PointSpec]] = {
    "feeder": [gauge("voltage", "V")],
    "generator": [state("running", 10), state("fault_code", 10)],
    "fire_panel": [state("alarm", 10)],
    "water_meter": [gauge("flow", "m3/h")],
    "gate": [state("door_open")],
    "elevator": [state("trapped", 30)],
    "gateway": [state("online")],
}
TOPOLOGY = Topology({"power": {f"{kind}{n}": ("feeder",) for kind in ("lift", "gw") for n in range(3)}})
UNTIL = 1500
END = 2400  # after UNTIL no process ends: silence needs its full allowance after a start

Step = Callable[[Room], None]


class Ended(BaseException):
    """The process ends here: nothing catches it."""


class Breaking:
    """Records that end the process at the n-th step of its work."""

    def __init__(self, inner: Any, count: Callable[[], None]) -> None:
        self.inner, self.count = inner, count

    @contextmanager
    def write(self) -> Iterator[Any]:
        self.count()
        with self.inner.write() as tx:
            yield tx
            self.count()
        self.count()

    @contextmanager
    def read(self) -> Iterator[Any]:
        self.count()
        with self.inner.read() as tx:
            yield tx


class BreakingJournal:
    """The same for a journal."""

    def __init__(self, inner: Any, count: Callable[[], None]) -> None:
        self.inner, self.count = inner, count

    def __getattr__(self, name: str) -> Any:
        if name in ("read", "note", "advance", "last"):
            self.count()
        return getattr(self.inner, name)


class Counting:
    """Counts steps; ends the process at one of them, once."""

    def __init__(self) -> None:
        self.steps = self.loud = 0
        self.end_at = -1

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.end_at:
            raise Ended


def readings(second: int) -> Iterator[tuple[tuple[str, str, float], Lane]]:
    """What the estate says in a second: a cut, a fire, a burst, a door, a lift that stays away."""
    dark = 100 <= second < 700
    if second % 10 == 0:
        yield ("feeder", "voltage", 0 if dark else 230), Lane.NORMAL
        yield ("gen", "running", int(125 <= second < 720)), Lane.NORMAL
        yield ("gen", "fault_code", int(400 <= second < 430)), Lane.NORMAL
        yield ("panel", "alarm", int(300 <= second < 330)), Lane.PRIORITY
        yield ("riser", "flow", 4.8 if second >= 900 else 0.2), Lane.NORMAL
    if second in (0, 500, 640):
        yield ("gate", "door_open", int(second == 500)), Lane.NORMAL
    for n in range(4):
        if second % 30 == n and not (dark and n < 3) and not (n == 1 and second >= 100):
            yield (f"lift{n}", "trapped", int(n == 3 and 800 <= second < 900)), Lane.NORMAL
    if second in (0, 101, 705):
        for n in range(3):
            yield (f"gw{n}", "online", int(second != 101)), Lane.NORMAL


def play(room: Room, counting: Counting) -> int:
    """The whole day; whenever the process ends, a new one goes on. Returns how often it did."""
    ends = 0
    for second in range(0, END, 2):
        if second == UNTIL:
            counting.loud, counting.end_at = counting.steps, -1
        room.clock.at = T0 + second * 1000
        for late in (second, second + 1):
            for row, lane in readings(late):
                room.journal.inner.append(room.batch(row, lane=lane))
        while True:
            try:
                room.watch.drain()
                room.watch.tick(room.clock.at)
                break
            except Ended:
                ends += 1
                room.restart()
    return ends


def outcome(room: Room) -> dict[str, list[Any]]:
    """Everything that people see. Silences that a root explained are left out: a new process gives
    every device its full allowance again, so one more or less of them is noticed in time."""
    with room.records.inner.read() as tx:
        found = [*tx.alarms.open_ones(SITE), *tx.alarms.search(SITE, ended=True, limit=500)]
        jobs = tx.tickets.search(SITE, limit=500)
        told = messages(tx)
    loud = [a for a in found if not (a.rule == "elevator.offline" and a.object != "lift1")]
    return {
        "alarms": sorted(
            (a.rule, a.object, a.state, a.root is None, 0 if a.rule == "elevator.offline" else a.raised_at)
            for a in loud
        ),
        "tickets": sorted((t.cause, t.state) for t in jobs),
        "messages": sorted(m.dedupe.split("|")[:3] for m in told),
    }


def messages(tx: Any) -> list[Any]:
    if hasattr(tx, "rows"):
        return list(tx.rows.outbox.values())
    return list(tx.outbox.search(SITE, limit=500))


def in_memory(counting: Counting) -> Room:
    records = FakeRecords()
    records.rows.people = [person("li"), person("wang")]
    return Room(
        DEVICES,
        SPECS,
        topology=TOPOLOGY,
        records=Breaking(records, counting),
        journal=BreakingJournal(FakeJournal(), counting),
    )


def on_disk(folder: Path, counting: Counting) -> Room:
    records = open_records(f"sqlite:///{folder / 'records.sqlite'}")
    with records.write() as tx:
        for login in ("li", "wang"):
            tx.people.upsert(person(login))
    journal = SqliteJournal(folder / "journal.sqlite")
    return Room(
        DEVICES,
        SPECS,
        topology=TOPOLOGY,
        records=Breaking(records, counting),
        journal=BreakingJournal(journal, counting),
    )


@pytest.fixture(scope="module")
def undisturbed() -> tuple[dict[str, list[Any]], int]:
    counting = Counting()
    room = in_memory(counting)
    play(room, counting)
    return outcome(room), counting.loud


def test_the_undisturbed_day_is_what_the_duty_log_says(undisturbed: tuple[dict[str, list[Any]], int]) -> None:
    seen = undisturbed[0]
    assert [cause for cause, _ in seen["tickets"]] == [
        "elevator.entrapment|lift3",
        "elevator.offline|lift1",
        "fire.alarm|panel",
        "gate.held_open|gate",
        "generator.fault|gen",
        "power.mains_lost|feeder",
        "water.burst|riser",
    ]
    assert len(seen["messages"]) == 18, (
        "one for each of the two and each ticket, and that nobody answered fire and entrapment"
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_same_after_an_end_anywhere(
    seed: int, undisturbed: tuple[dict[str, list[Any]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_SNAPSHOT_EVERY", 40)
    monkeypatch.setattr(watching, "_SNAPSHOT_AGE", 90_000)
    wanted, steps = undisturbed
    chance = random.Random(seed)
    for _ in range(3):
        counting = Counting()
        room = in_memory(counting)
        counting.end_at = chance.randrange(1, steps)
        assert play(room, counting) == 1
        assert outcome(room) == wanted, f"ended at step {counting.end_at}"


@pytest.mark.parametrize("seed", range(2))
def test_the_same_on_disk_with_many_ends(
    seed: int, undisturbed: tuple[dict[str, list[Any]], int], tmp_path: Path
) -> None:
    counting = Counting()
    room = on_disk(tmp_path, counting)
    chance = random.Random(100 + seed)
    counting.end_at = 50

    def again() -> None:
        counting.end_at = counting.steps + chance.randrange(300, 1500)

    restart = room.restart

    def restarted() -> None:
        again()
        restart()

    room.restart = restarted  # type: ignore[method-assign]
    assert play(room, counting) > 3
    assert outcome(room) == undisturbed[0]
