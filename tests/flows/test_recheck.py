"""A store's server that is killed inside an entry of its log, and loses what it took after that: it gets it again."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.flows.intake_rig import Rig, T, batch, meter

from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.errors import Unavailable
from dutyroom.flows import recheck, unsettled
from dutyroom.flows.keep import Keep
from dutyroom.flows.recheck import KIND, Recheck
from dutyroom.flows.unsettled import shards_of
from dutyroom.interfaces import Run
from dutyroom.model.telemetry import PointTable, Readings
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms

ROLLS = 30  # values of a shard at which this server writes them down


class Server(MemoryReadingStore):
    """Loses what the real one loses (docs/failures.md): by shard what came after a torn entry, up to where it wrote
    its memory down, at the next start."""

    def __init__(self) -> None:
        super().__init__()
        self.life, self.away, self.tells, self.lost = 1, False, True, 0
        self._log: dict[int, list[tuple[Readings, PointTable]]] = defaultdict(list)  # by shard, in its memory
        self._torn: dict[int, int] = {}  # by shard: entries that stand before the gap
        self._many: Counter[int] = Counter()
        self._disk = MemoryReadingStore()

    def run(self) -> Run | None:
        self.there()
        return Run(f"life {self.life}", DAY) if self.tells else None

    def there(self) -> None:
        if self.away:
            raise Unavailable("the server is away")

    def write(self, readings: Readings, table: PointTable) -> None:
        self.there()
        super().write(readings, table)
        shards = shards_of(readings.at, DAY)
        for shard in set(shards.tolist()):
            rows = [row for row, of in enumerate(shards.tolist()) if of == shard]
            columns = (readings.point, readings.at, readings.value, readings.quality, readings.message)
            late = {new: readings.late[row] for new, row in enumerate(rows) if row in readings.late}
            self._log[shard].append((Readings(*(c[rows] for c in columns), {}, late), table))
            self._many[shard] += len(rows)
            if self._many[shard] >= ROLLS:
                self.write_down(shard)

    def write_down(self, shard: int) -> None:
        for readings, table in self._log.pop(shard, []):
            self._disk.write(readings, table)
        self._torn.pop(shard, None)
        self._many.pop(shard, None)

    def kill(self, torn: bool) -> None:
        """And start."""
        for shard, intact in self._torn.items():
            self.lost += sum(len(readings) for readings, _ in self._log[shard][intact:])
            del self._log[shard][intact:]
        self._torn = {shard: len(log) for shard, log in self._log.items()} if torn else {}
        self._rows = defaultdict(dict, {point: dict(rows) for point, rows in self._disk._rows.items()})
        for log in self._log.values():
            for readings, table in log:
                super().write(readings, table)
        self.life += 1


class House:
    """A site that keeps its readings on such a server."""

    def __init__(self, folder: Path) -> None:
        self.rig, self.server, self.ms = Rig(folder), Server(), 0
        self.rig.register(*(meter(str(n)) for n in range(4)))
        self.open()

    def open(self) -> None:
        """As after a start of our own."""
        r = self.rig
        self.recheck = Recheck("site", r.table, r.journal, self.server, r.records, _At(self), lambda: self.ms)
        self.keep = Keep("site", r.table, r.journal, self.server, r.records, 2, self.recheck.wrote)

    def sent(self, minute: int, **volumes: float) -> None:
        at = T + minute * MINUTE
        self.rig.ingest.handle([batch(at, **{name: (m3, at) for name, m3 in volumes.items()})])

    def turn(self) -> bool:
        """What the loop that keeps does; whether there is more."""
        self.recheck.look()
        self.keep.drain()
        return self.recheck.step()

    def calm(self) -> None:
        self.ms += 20 * SECOND
        while self.turn():
            pass

    def stored(self) -> dict[tuple[str, Ms], float]:
        return {
            (point.device, at): row[0]
            for point in self.rig.table
            for at, row in self.server._rows.get(point.id, {}).items()
            if point.spec.name == "volume"
        }

    def found(self) -> list[str]:
        return [row.detail for row in self.rig.journal.findings(0) if row.kind == KIND]


class _At:
    def __init__(self, house: House) -> None:
        self._house = house

    def now(self) -> Ms:
        return T + self._house.ms


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.rig.close()


def test_what_it_lost_is_there_again_and_said_once(house: House) -> None:
    house.sent(0, **{"1": 1.0})
    house.calm()
    house.server.kill(torn=True)
    for minute in range(1, 6):
        house.sent(minute, **{"1": 1.0 + minute, "2": 7.0})
        house.calm()
    whole = house.stored()
    house.server.kill(torn=False)
    assert len(house.stored()) < len(whole)
    house.sent(6, **{"1": 9.0})
    house.calm()
    assert house.stored() == whole | {("meter-1", T + 6 * MINUTE): 9_000.0}
    assert house.found() == ["10"]
    ledger = house.rig.ledger().values()  # nothing of it is counted again
    assert (sum(row.stored for row in ledger), sum(row.duplicate + row.conflict for row in ledger)) == (12, 0)


def test_a_server_that_ends_as_it_should_is_looked_at_once_and_written_to_no_more(house: House) -> None:
    for minute in range(3):
        house.sent(minute, **{"1": 1.0 + minute})
        house.calm()
    house.calm()
    house.server.kill(torn=False)
    writes: list[int] = []
    house.server.write = lambda readings, table: writes.append(len(readings))  # type: ignore[method-assign]
    house.calm()
    assert (writes, house.found()) == ([], [])
    assert house.recheck._unsettled.stretches == []  # it came from the disk


def test_the_winner_of_a_conflict_stays(house: House) -> None:
    house.sent(0, **{"1": 5.0})
    house.sent(0, **{"1": 4.0})
    house.sent(1, **{"1": 2.0})
    house.sent(1, **{"1": 3.0})
    house.calm()
    house.server.kill(torn=True)
    house.calm()
    assert house.stored() == {("meter-1", T): 5_000.0, ("meter-1", T + MINUTE): 3_000.0}


def test_receive_times_of_late_readings_come_again(house: House) -> None:
    house.server.kill(torn=True)
    house.calm()
    house.sent(0, **{"1": 1.0})
    house.calm()
    house.server.kill(torn=True)
    house.calm()
    house.rig.ingest.handle([batch(T + 3 * DAY, **{"1": (2.0, T + MINUTE)})])
    house.calm()
    point = house.rig.table.find("meter-1", "volume")
    assert point is not None
    before = dict(house.server._rows[point.id])
    house.server.kill(torn=False)
    assert house.server._rows[point.id] != before
    house.calm()
    assert house.server._rows[point.id] == before
    assert before[T + MINUTE][2] == T + 3 * DAY


def test_a_server_that_does_not_say_when_it_began_is_left_alone(house: House) -> None:
    house.server.tells = False
    house.sent(0, **{"1": 1.0})
    house.calm()
    house.server.kill(torn=True)
    house.calm()
    assert house.recheck._unsettled.stretches == []
    assert house.stored() == {("meter-1", T): 1_000.0}


def test_an_address_that_several_servers_answer_at_is_left_alone(house: House) -> None:
    lives = itertools.cycle(("one", "other"))
    house.server.run = lambda: Run(next(lives), DAY)  # type: ignore[method-assign]
    more = []
    with capture_logs() as log:
        for minute in range(60):
            house.sent(minute, **{"1": 1.0 + minute})
            house.ms += 20 * SECOND
            more.append(house.turn())
    assert more[5:] == [False] * 55  # else it reads all of it again and again
    assert len(house.recheck._unsettled.stretches) < 5
    assert [entry["reason"] for entry in log if entry["event"] == "recheck.blind"] == [recheck._SEVERAL]


def test_that_nothing_is_told_of_its_starts_is_said_once(house: House) -> None:
    house.server.tells = False
    with capture_logs() as log:
        for minute in range(5):
            house.sent(minute, **{"1": 1.0 + minute})
            house.calm()
    assert [entry["event"] for entry in log].count("recheck.blind") == 1


def test_a_question_that_something_swallows_is_not_asked_with_each_write(house: House) -> None:
    asked: list[Ms] = []

    def run() -> Run | None:
        asked.append(house.ms)
        raise Unavailable("no answer in 3 s")

    house.server.run = run  # type: ignore[method-assign]
    for minute in range(20):
        house.sent(minute, **{"1": 1.0 + minute})
        house.ms += SECOND
        house.turn()
    assert asked == [1_000, 16_000]
    assert len(house.stored()) == 20


def test_what_a_pass_wrote_that_did_not_come_to_its_end_is_in_doubt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readings are there when it is tried again after a start of ours: they count as repeated, and none is written."""
    house.sent(0, **{"1": 1.0})
    house.calm()
    house.server.kill(torn=True)
    house.calm()
    house.sent(1, **{"1": 2.0, "2": 7.0})
    with monkeypatch.context() as context:
        context.setattr(house.rig.journal, "note", _killed)
        with pytest.raises(Unavailable):
            house.keep.drain()
    house.rig.again()
    house.open()
    house.calm()
    whole = house.stored()
    house.server.kill(torn=False)
    assert len(house.stored()) < len(whole)
    house.calm()
    assert house.stored() == whole


def _killed(*_: object) -> None:
    raise Unavailable("killed here")


def test_what_is_in_doubt_stays_so_across_a_start_of_ours(house: House) -> None:
    house.sent(-1, **{"1": 0.5})
    house.calm()
    house.server.kill(torn=True)
    for minute in range(3):
        house.sent(minute, **{"1": 1.0 + minute})
        house.calm()
    house.sent(3, **{"1": 9.0})
    house.recheck.look()
    house.keep.drain()  # and killed before that was written down
    whole = house.stored()
    house.server.kill(torn=False)
    house.rig.again()
    house.open()
    assert len(house.stored()) < len(whole)
    house.calm()
    assert house.stored() == whole


def test_of_a_long_run_only_the_end_is_looked_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsettled, "MOST", ROLLS)
    monkeypatch.setattr(unsettled, "_SIZE", 8)
    for minute in range(200):
        house.sent(minute, **{"1": float(minute)})
        house.calm()
    assert sum(s.values for s in house.recheck._unsettled.stretches) <= ROLLS + 8
    house.ms += unsettled.COLD
    house.calm()
    assert house.recheck._unsettled.stretches == []  # nothing came for long: it was written down


@pytest.mark.parametrize("seed", range(4))
def test_whenever_it_is_killed_all_is_there_in_the_end(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills with and without torn entries, of several days at once, in the middle of a look, and starts of ours."""
    monkeypatch.setattr(unsettled, "MOST", ROLLS + 8)
    monkeypatch.setattr(unsettled, "_SIZE", 10)
    monkeypatch.setattr(recheck, "_ROWS", 6)
    house, dice, wanted = House(tmp_path), random.Random(seed), {}
    for minute in range(140):
        back = dice.choice((0, 0, 0, DAY // MINUTE, 2 * DAY // MINUTE))
        for number in dice.sample(range(4), dice.randrange(1, 4)):
            at = T + (minute - back) * MINUTE
            volume = float(dice.randrange(1, 100))
            known = wanted.get((f"meter-{number}", at), 0.0)
            wanted[f"meter-{number}", at] = max(known, volume * 1000)
            house.rig.ingest.handle([batch(T + minute * MINUTE, **{str(number): (volume, at)})])
        house.ms += dice.randrange(1, 20) * SECOND
        if dice.random() < 0.2:
            house.server.kill(dice.random() < 0.7)
        house.server.away = dice.random() < 0.1
        try:
            for _ in range(dice.randrange(3)):
                house.turn()
        except Unavailable:
            continue
        if dice.random() < 0.1:
            house.server.kill(dice.random() < 0.7)
        if dice.random() < 0.05:
            house.rig.again()
            house.open()
    house.server.away = False
    house.calm()
    house.server.kill(torn=False)
    house.calm()
    assert house.stored() == wanted
    assert house.server.lost > 0
    house.rig.close()
