"""The journal as a spool: bounds, a disk without room, and a reader that was away."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.flows.keep import READER, Keep
from dutyroom.flows.spool import READERS, SpoolWarning
from dutyroom.interfaces import LedgerQuestion
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Finding,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Readings,
)
from dutyroom.timebase import DAY, Ms

T: Ms = 1_800_000_000_000
MB = 1 << 20


def batch(number: int, lane: Lane = Lane.NORMAL, size: int = 20_000) -> Batch:
    """A message that does not shrink, with one reading of point 1 or 2."""
    payload = random.Random(number).randbytes(size)
    record = MessageRecord(Message("t", payload, T + number), Outcome.DECODED, "meter", "p")
    return Batch("s", lane, T + number, (record,), Readings.of([(1 + int(lane), T + number, 1.0, 0, 0)]))


def pass_all(journal: SqliteJournal, *readers: str) -> None:
    for reader in readers or READERS:
        for lane in Lane:
            journal.advance(reader, lane, journal.last(lane))


def fill(journal: SqliteJournal, most: int = 1_500, start: int = 0, lane: Lane = Lane.NORMAL) -> int:
    """Appends until there is no room; returns how many were taken."""
    for number in range(most):
        try:
            journal.append(batch(start + number, lane))
        except Unavailable:
            return number
    raise AssertionError("never full")


def count(journal: SqliteJournal) -> int:
    seq, many = 0, 0
    while rows := journal.read(Lane.NORMAL, seq, 100):
        seq, many = rows[-1][0], many + len(rows)
    return many


def test_a_small_journal_is_not_full_for_ever_of_what_nobody_reads(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite", most=4 * MB, readers=READERS)
    for number in range(600):  # three times the journal's size, from as many senders
        payload = random.Random(number).randbytes(20_000)
        message = Message(f"strange/{number}", payload, T + number)
        record = MessageRecord(message, Outcome.QUARANTINED, reason="unknown_topic")
        journal.append(Batch("s", Lane.NORMAL, T + number, (record,), Readings.of([])))
        pass_all(journal)
    held = sum(len(row.payload) for row in journal.quarantine())
    assert 0.6 * MB < held < MB
    assert journal.quarantine()[0].topic == "strange/599"
    assert [row.kind for row in journal.findings(0)] == ["quarantine_full"]


def test_what_takes_the_room_of_a_full_journal_is_named(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite", most=MB // 2, readers=READERS)
    for number in range(60):
        journal.note([Finding(f"kind{number}", "meter", T, "x" * 9_000)], {})
    with pytest.raises(Unavailable, match=r"ledger and findings take 0\.\d MB of it; .* DUTYROOM_SPOOL_GB"):
        journal.append(batch(1))


def test_what_was_not_passed_is_never_dropped_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite", most=12 * MB, readers=READERS)
    taken = fill(journal)
    assert taken > 400
    assert journal.spool().share == 1.0
    assert journal.last(Lane.NORMAL) == taken
    assert count(journal) == taken
    with pytest.raises(Unavailable, match="journal is full"):
        journal.append(batch(9_000))
    assert count(journal) == taken  # and nothing of it is there
    journal.note([Finding("late", "meter", T)], {(T, "meter", "stored"): 1})  # readers go on
    pass_all(journal, "keep")
    with pytest.raises(Unavailable):  # one of two has passed it
        journal.append(batch(9_001))
    pass_all(journal)
    for number in range(1_000):  # as long as they follow there is room for ever
        journal.append(batch(10_000 + number))
        if number % 50 == 0:
            pass_all(journal)
    assert journal.spool().used < 13 * MB
    assert (tmp_path / "j.sqlite").stat().st_size < 16 * MB
    assert journal.balance(LedgerQuestion(0, by="device")).totals.received == taken + 1_000
    journal.close()


def test_the_newest_batches_stay_for_what_a_broker_delivers_again(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite", most=12 * MB, readers=READERS)
    for number in range(1_500):
        journal.append(batch(number))
        pass_all(journal)
    assert [m.received_at for m in journal.recent(100)] == [T + n for n in range(1_400, 1_500)]
    journal.close()


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_large_batches_that_were_passed_never_leave_it_full(tmp_path: Path, size: int) -> None:
    """The newest 200 would be more than the whole journal may be."""
    journal = SqliteJournal(tmp_path / "j.sqlite", most=8 * MB, readers=READERS)
    fill_at = 0
    for number in range(120):
        try:
            journal.append(batch(number, size=size))
        except Unavailable:
            fill_at = fill_at or number
            pass_all(journal)
            journal.append(batch(number, size=size))
    assert fill_at
    assert journal.recent(1)[0].received_at == T + 119
    assert journal.spool().share < 1
    journal.close()


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    for number in range(300):
        journal.append(batch(number))
    pass_all(journal)
    journal.append(batch(300))
    assert count(journal) == 301
    assert journal.spool().share == 0.0
    journal.close()


def test_a_file_that_cannot_grow_takes_nothing_and_is_whole(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    for number in range(20):
        journal.append(batch(number))
    writer = journal._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={pages + 40}")
    taken = fill(journal, start=20)
    assert taken > 0
    with pytest.raises(Unavailable):
        journal.append(batch(900, size=400_000), batch(901, Lane.PRIORITY))
    assert count(journal) == 20 + taken
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    writer.execute("PRAGMA max_page_count=1000000")
    journal.append(batch(900), batch(901, Lane.PRIORITY))
    assert (count(journal), len(journal.read(Lane.PRIORITY, 0, 9))) == (21 + taken, 1)
    journal.close()


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_spool import SqliteJournal, Unavailable, batch
journal = SqliteJournal(Path(sys.argv[1]))
taken = 0
try:
    while True:
        journal.append(batch(taken))
        taken += 1
except Unavailable as err:
    print(taken, flush=True)
"""


def test_a_disk_without_room_takes_nothing_and_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MB, 3 * MB))

    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(file), str(Path(__file__).parent)],
        check=False,
        preexec_fn=small,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    taken = int(done.stdout)
    assert taken > 50
    journal = SqliteJournal(file)  # when there is room again
    assert journal._writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert count(journal) == taken
    assert [b.received_at for _, b in journal.read(Lane.NORMAL, 0, 9_999)] == [T + n for n in range(taken)]
    assert journal.append(batch(taken)) == taken + 1
    journal.close()


def test_what_is_urgent_has_a_reserve_in_a_full_journal(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite", most=12 * MB, readers=READERS)
    taken = fill(journal)
    with pytest.raises(Unavailable):  # together with others it has none
        journal.append(batch(taken), batch(taken, Lane.PRIORITY))
    urgent = fill(journal, lane=Lane.PRIORITY)
    with pytest.raises(Unavailable):
        journal.append(batch(taken))
    assert 20 <= urgent <= 40  # 5 % of 12 MB, 20 kB each
    assert journal.spool().share == 1.0
    assert [b.received_at for _, b in journal.read(Lane.PRIORITY, 0, 99)] == [T + n for n in range(urgent)]
    assert count(journal) == taken
    pass_all(journal)
    journal.append(batch(taken))
    journal.close()


def test_it_warns_once_a_level_and_anew_when_it_had_fallen() -> None:
    warning = SpoolWarning()
    shares = (0.5, 0.71, 0.69, 0.72, 0.85, 0.91, 0.95, 0.82, 0.92, 0.75, 0.65, 0.5, 0.71, 1.0)
    said = [warning.look(share, T) for share in shares]
    assert [f.detail for f in said if f] == ["71 %", "91 %", "71 %", "100 %"]


def point(number: int) -> Point:
    return Point(number, "s", "meter", DeviceClass.SENSOR, "", PointSpec(f"p{number}"))


class Slow(MemoryReadingStore):
    """Notes in which order points are written, and lets live load in between."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[int] = []
        self.between = lambda: None

    def write(self, readings: Readings, table: PointTable) -> None:
        super().write(readings, table)
        self.order += readings.point.tolist()
        self.between()


def test_a_reader_that_was_away_drains_in_order_priority_first_while_messages_come(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    records = open_records(f"sqlite:///{tmp_path}/r.sqlite")
    for number in range(400):
        journal.append(batch(number, size=100))
    store, table = Slow(), PointTable([point(1), point(2)])
    came = [400]

    def live() -> None:
        """With every write of normal ones: more of both lanes."""
        if came[0] < 480 and store.order[-1] == 2:
            journal.append(batch(came[0], size=100), batch(came[0], Lane.PRIORITY, size=100))
            came[0] += 1

    store.between = live
    keep = Keep("s", table, journal, store, records, batches=8)
    assert sum(iter(keep.drain, 0)) == 400 + 2 * 80  # each call leaves what came during its last write
    at = journal.cursor(READER, Lane.NORMAL), journal.cursor(READER, Lane.PRIORITY)
    assert at == (journal.last(Lane.NORMAL), journal.last(Lane.PRIORITY))
    # No urgent batch waits for more than the normal ones of one write, however many there are.
    urgent = [n for n, p in enumerate(store.order) if p == 1]
    assert urgent[:50] == [
        4 + 9 * n for n in range(50)
    ]  # the first pass does not know yet how large they are
    series = store.range(point(2), 0, T + DAY)
    assert series.at.tolist() == [T + n for n in range(480)]
    assert journal.balance(LedgerQuestion(0, by="row", wrong=True)).count == 0
    records.close()
    journal.close()


def test_two_threads_and_a_full_journal_lose_nothing(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite", most=8 * MB, readers=READERS)
    ended = threading.Event()
    refused = [0]

    def write() -> None:
        number = 0
        while number < 1_000:
            try:
                journal.append(batch(number))
                number += 1
            except Unavailable:
                refused[0] += 1  # the same again, as the ingest loop does
        ended.set()

    seen: list[int] = []
    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set() or journal.cursor("keep", Lane.NORMAL) < journal.last(Lane.NORMAL):
        rows = journal.read(Lane.NORMAL, journal.cursor("keep", Lane.NORMAL), 150)
        seen += [b.received_at - T for _, b in rows]
        if rows:
            journal.advance("watch", Lane.NORMAL, rows[-1][0])
            journal.advance("keep", Lane.NORMAL, rows[-1][0])
    writer.join()
    assert seen == list(range(1_000))
    journal.close()
