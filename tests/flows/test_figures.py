"""The loop that writes figures: nothing twice, nothing left out, whatever is away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.acceptance.estate_day import HandClock

from dutyroom.alarms import step
from dutyroom.backends.influx_figures import lines_of
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.flows.figures import READER, Figures
from dutyroom.interfaces import Records
from dutyroom.model.duty import Alarm, AlarmEvent, AlarmState, Device, Priority
from dutyroom.model.figures import Figure
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, Readings
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND
from dutyroom.topology import Topology

T = 1_793_491_200_000
FRESH = Alarm(0, "estate", "water.burst", 1, "A-1", "A", "", AlarmState.NORMAL, Priority.HIGH, False, T, T)


class Kept:
    """A store that can be away; what was written, by what makes a line one line."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, tuple[tuple[str, str], ...], int], dict[str, float]] = {}
        self.away, self.calls = False, 0

    def write(self, figures: Sequence[Figure]) -> None:
        if self.away:
            raise Unavailable("the store is away")
        self.calls += 1
        for f in figures:
            self.lines[f.measurement, tuple(sorted(f.tags.items())), f.at] = dict(f.fields)

    def of(self, measurement: str) -> list[tuple[int, dict[str, float]]]:
        found = [(key[2], fields) for key, fields in self.lines.items() if key[0] == measurement]
        return sorted(found, key=lambda line: line[0])


class Room:
    """Records, journal, clock and the loop."""

    def __init__(self, folder: Path) -> None:
        self.records: Records = open_records(f"sqlite:///{folder}/records.sqlite")
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self.clock, self.store = HandClock(T), Kept()
        self.again()

    def again(self) -> None:
        """The process starts."""
        self.figures = Figures("estate", self.records, self.journal, self.store, self.clock, Topology)

    def raise_one(self, number: int, site: str = "estate") -> None:
        now = self.clock.at
        alarm, change = step(replace(FRESH, site=site, object=f"A-{number}"), AlarmEvent.RAISE, now, "system")
        with self.records.write() as tx:
            kept = tx.alarms.insert(replace(alarm, episode=f"e{number}"))
            tx.alarms.log(replace(change, alarm=kept.id))
            tx.change(site, now, "alarm", str(kept.id))

    def receive(self, count: int, at: int) -> None:
        message = Message("t", b"{}", at)
        records = tuple(MessageRecord(message, Outcome.DECODED, "A-1", "p") for _ in range(count))
        self.journal.append(Batch("estate", Lane.NORMAL, at, records, Readings.empty()))

    def close(self) -> None:
        self.journal.close()
        self.records.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


def settle(room: Room) -> None:
    for _ in range(100):
        if room.figures.step() > 0:
            return
    raise AssertionError("it never rests")


def test_transitions_are_written_once_and_others_sites_are_not_ours(room: Room) -> None:
    room.raise_one(1)
    room.raise_one(2, site="other")
    settle(room)
    assert len(room.store.of("dutyroom_alarm")) == 1
    calls = room.store.calls
    settle(room)
    assert room.store.calls == calls
    room.again()
    settle(room)
    assert len(room.store.of("dutyroom_alarm")) == 1


def test_a_storm_is_written_in_bounded_pieces(room: Room) -> None:
    for number in range(600):
        room.raise_one(number)
    settle(room)
    assert len(room.store.of("dutyroom_alarm")) == 600


def test_a_kill_between_writing_and_the_cursor_doubles_nothing(room: Room) -> None:
    for number in range(3):
        room.raise_one(number)
    settle(room)
    before = dict(room.store.lines)
    with room.records.write() as tx:
        tx.advance("estate", READER, Lane.NORMAL, 0)
    room.again()
    settle(room)
    assert room.store.lines == before


def test_a_store_that_is_away_gets_all_minutes_and_alarms_when_it_is_back(room: Room) -> None:
    settle(room)
    room.store.away = True
    for minute in range(1, 31):
        room.clock.at = T + minute * MINUTE
        room.raise_one(minute)
        with pytest.raises(Unavailable):
            room.figures.step()
    room.store.away = False
    settle(room)
    assert [at for at, _ in room.store.of("dutyroom_data")] == [T + m * MINUTE for m in range(31)]
    assert len(room.store.of("dutyroom_alarm")) == 30
    standing = [fields["standing"] for at, fields in room.store.of("dutyroom_standing") if fields["open"]]
    assert standing == list(range(1, 31))


def test_an_outage_of_days_does_not_fill_the_memory(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.store.away = True
    for minute in range(30_000):
        room.clock.at = T + minute * MINUTE
        if minute % 1000 == 0:
            with pytest.raises(Unavailable):
                room.figures.step()
        else:
            room.figures._waiting.extend(Figure("x", {}, {"n": 1}, minute) for _ in range(8))
    assert len(room.figures._waiting) <= 50_000


def test_what_was_counted_in_a_minute_and_in_an_hour(room: Room) -> None:
    settle(room)
    room.receive(5, T + 10 * SECOND)
    room.clock.at = T + MINUTE
    settle(room)
    room.receive(7, T + HOUR)
    room.clock.at = T + 2 * MINUTE
    settle(room)
    lines = dict(room.store.of("dutyroom_data"))
    assert "received" not in lines[T]  # nobody knows since when
    assert [lines[T + n * MINUTE]["received"] for n in (1, 2)] == [5, 7]
    assert {at: f["received"] for at, f in room.store.of("dutyroom_ledger")} == {T: 5, T + HOUR: 7}


def test_a_minute_after_a_pause_does_not_pretend_that_all_of_it_came_in_it(room: Room) -> None:
    settle(room)
    room.receive(5, T)
    room.clock.at = T + 10 * MINUTE
    settle(room)
    assert "received" not in dict(room.store.of("dutyroom_data"))[T + 10 * MINUTE]


def test_what_waits_and_for_how_long(room: Room) -> None:
    room.receive(1, T - 90 * SECOND)
    settle(room)
    ((_, line),) = room.store.of("dutyroom_data")
    assert (line["pending"], line["unjudged"], line["lag_s"]) == (1, 1, 90.0)
    room.journal.advance("keep", Lane.NORMAL, 1)
    room.clock.at = T + MINUTE
    settle(room)
    line = dict(room.store.of("dutyroom_data"))[T + MINUTE]
    assert (line["pending"], line["unjudged"], line["lag_s"]) == (0, 1, 150.0)
    with room.records.write() as tx:
        tx.advance("estate", "watch", Lane.NORMAL, 1)
    room.clock.at = T + 2 * MINUTE
    settle(room)
    line = dict(room.store.of("dutyroom_data"))[T + 2 * MINUTE]
    assert (line["pending"], line["unjudged"], line["lag_s"]) == (0, 0, 0.0)


def test_meters_are_told_once_an_hour(room: Room) -> None:
    with room.records.write() as tx:
        tx.devices.upsert([Device("estate", "A-1", "A-1", "water_meter", "some/meter", "1", "A/1")])
    for minute in range(0, 121, 30):
        room.clock.at = T + minute * MINUTE
        settle(room)
    assert [at for at, _ in room.store.of("dutyroom_meter")] == [T, T + HOUR, T + 2 * HOUR]


def test_no_minute_is_described_twice(room: Room) -> None:
    for second in range(0, 180, 5):
        room.clock.at = T + second * SECOND
        settle(room)
    assert len(room.store.of("dutyroom_data")) == 3
    assert len(room.store.of("dutyroom_standing")) == 12


# ------------------------------------------------------------ as lines


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        (Figure("m", {"site": "a b"}, {"n": 1, "x": 1.5}, 9), "m,site=a\\ b n=1i,x=1.5 9"),
        (Figure("m", {"b": "1", "a": "x=y,z"}, {"n": 0}, 9), "m,a=x\\=y\\,z,b=1 n=0i 9"),
        (Figure("m", {"a": ""}, {"n": 2.0}, 9), "m n=2.0 9"),
        (Figure("m", {"a": "x\ny"}, {"n": 1}, 9), "m,a=x\\ y n=1i 9"),
        (Figure("m", {"a": "x\\"}, {"n": 1}, 9), "m,a=x\\  n=1i 9"),
        (Figure("m", {"a": "总表"}, {"n": 1}, 9), "m,a=总表 n=1i 9"),
    ],
)
def test_a_figure_is_a_line(figure: Figure, line: str) -> None:
    assert list(lines_of(figure)) == [line]


def test_a_figure_without_fields_is_no_line() -> None:
    assert list(lines_of(Figure("m", {}, {}, DAY))) == []
