"""From MQTT messages to the journal and the store, with shipped profiles and real SQLite files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.shipped_profiles import shipped_library

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.keep import Keep
from dutyroom.flows.live import Live
from dutyroom.flows.loops import IngestWork
from dutyroom.flows.registry import Registry
from dutyroom.interfaces import LedgerQuestion, ReadingStore, Records
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Attribute, Batch, Lane, Message, PointTable, Quality, Reading
from dutyroom.profiles.decode import Library
from dutyroom.timebase import HOUR, MINUTE, from_iso, to_iso

T = from_iso("2026-11-25T03:00:00Z")
WATER = Device("site", "A-1204-water", "1204", "water_meter", "wmbusmeters/water", "76348799", "A/12/1204")


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped_library()


@dataclass
class Rig:
    """The telemetry half of a site on a folder; `again()` is a restart."""

    folder: Path
    library: Library
    records: Records
    adopt: bool = False

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.journal = SqliteJournal(self.folder / "journal.sqlite")
        self.store: ReadingStore = EmbeddedReadingStore(self.folder / "readings.sqlite")
        with self.records.read() as tx:
            self.table = PointTable(tx.devices.points("site"))
            devices = tx.devices.all("site")
        self.live = Live()
        self.live.start(self.store.latest(list(self.table)))
        self.registry = Registry([*devices, WATER])
        self.ingest = Ingest(
            "site", self.library, self.registry, self.table, self.journal, self.records, self.live, self.adopt
        )
        self.keep = Keep("site", self.table, self.journal, self.store, self.records)

    def again(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        self.store.close()
        self.journal.close()

    def stored(self, device: str, name: str) -> list[tuple[str, float]]:
        point = self.table.find(device, name)
        assert point is not None
        series = self.store.range(point, 0, T + 1000 * HOUR)
        return [(to_iso(int(at)), point.physical(v)) for at, v in zip(series.at, series.value, strict=True)]

    def findings(self) -> dict[str, int]:
        return {row.kind: row.count for row in self.journal.findings(0)}


@pytest.fixture
def rig(tmp_path: Path, library: Library) -> Iterator[Rig]:
    records = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    with records.write() as tx:
        tx.devices.upsert([WATER])
    made = Rig(tmp_path, library, records)
    yield made
    made.close()
    records.close()


def water(total: float, at: str = "2026-11-25T03:00:00Z", received: int = T, **more: object) -> Message:
    body = {
        "media": "water",
        "meter": "multical21",
        "id": "76348799",
        "total_m3": total,
        "timestamp": at,
    } | more
    return Message("wmbusmeters/76348799", json.dumps(body).encode(), received)


def victron(value: object, received: int, **flags: bool) -> Message:
    """A device without a clock of its own."""
    return Message("N/c0619ab2/genset/0/Ac/Power", json.dumps({"value": value}).encode(), received, **flags)


def test_a_reading_goes_from_the_topic_to_the_store_exactly(rig: Rig) -> None:
    assert rig.ingest.handle([water(6.408)]) == 1
    assert rig.keep.drain() == 1
    assert rig.stored("A-1204-water", "volume") == [("2026-11-25T03:00:00Z", 6.408)]
    point = rig.table.find("A-1204-water", "volume")
    assert point is not None
    value = rig.live.get(point.id)
    assert value is not None
    assert value.value == 6408.0


def test_one_bad_message_fails_alone(rig: Rig) -> None:
    bad = [
        Message("wmbusmeters/1", b"{", T),
        Message("wmbusmeters/2", b"\xff\xfe\x00", T),
        Message("no/such/topic", b"{}", T),
        Message("wmbusmeters/3", b"x" * 1_000_000, T),
        water(1.0, id="99999999"),
    ]
    assert rig.ingest.handle([*bad, water(6.408)]) == 1
    reasons = {row.topic: row.reason for row in rig.journal.quarantine()}
    assert set(reasons) == {
        "wmbusmeters/1",
        "wmbusmeters/2",
        "no/such/topic",
        "wmbusmeters/3",
        "wmbusmeters/76348799",
    }
    assert reasons["no/such/topic"] == "unknown_topic"
    assert reasons["wmbusmeters/3"] == "too_large"
    assert reasons["wmbusmeters/76348799"] == "unknown_device"
    (unknown,) = [row for row in rig.journal.ledger(0) if row.device == ""]
    assert unknown.received == unknown.quarantined == 5


def test_the_ledger_of_readings_balances_with_duplicates_and_conflicts(rig: Rig) -> None:
    for message in [
        water(6.408),
        water(6.408),
        water(6.5),
        water(6.3),
        water(6.6, at="2026-11-25T04:00:00Z"),
    ]:
        rig.ingest.handle([message])
    rig.keep.drain()
    (row,) = [r for r in rig.journal.ledger(0) if r.device == "A-1204-water"]
    assert row.readings == row.stored + row.duplicate + row.conflict
    assert (row.stored, row.duplicate, row.conflict) == (2, 1, 2)
    # the larger value wins whatever came first
    assert rig.stored("A-1204-water", "volume") == [
        ("2026-11-25T03:00:00Z", 6.5),
        ("2026-11-25T04:00:00Z", 6.6),
    ]
    assert rig.findings()["conflict"] == 2


def test_a_device_that_says_all_twice_is_a_finding_of_one_row(rig: Rig) -> None:
    for minute in range(5):
        message = water(6 + minute, at=f"2026-11-25T03:0{minute}:00Z", received=T + minute * MINUTE)
        rig.ingest.handle([message, replace(message, received_at=message.received_at + 40)])
        rig.keep.drain()
    (row,) = rig.journal.findings(0)
    assert (row.kind, row.device, row.count) == ("duplicate", "A-1204-water", 5)
    assert row.last_at == T + 4 * MINUTE + 40
    assert row.detail == "1 of its messages had come before"


@pytest.mark.parametrize("flag", ["duplicate", "retained"])
def test_what_the_broker_says_again_is_no_finding(flag: str, rig: Rig) -> None:
    rig.ingest.handle([water(6.408)])
    rig.keep.drain()
    rig.ingest.handle([replace(water(6.408), **{flag: True})])
    rig.keep.drain()
    assert rig.findings() == {}
    assert sum(row.duplicate for row in rig.journal.ledger(0)) == 1


def test_a_message_with_anything_new_in_it_is_no_duplicate(rig: Rig) -> None:
    rig.ingest.handle([water(6.408)])
    rig.ingest.handle([water(6.408, flow_m3h=0.2)])
    rig.keep.drain()
    assert rig.findings() == {}


def test_an_attribute_is_written_when_it_changes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, object]] = []
    keep = rig.keep._unsaid

    def counting(attributes: Sequence[Attribute]) -> list[Attribute]:
        found = keep(attributes)
        written.extend((a.name, a.value) for a in found if a.name == "status")
        return found

    monkeypatch.setattr(rig.keep, "_unsaid", counting)
    for hour, status in enumerate(["OK", "OK", "LEAK", "LEAK", "OK"], start=1):
        rig.ingest.handle([water(6.0, at=f"2026-11-25T0{hour}:00:00Z", status=status)])
        rig.keep.drain()
    rig.ingest.handle([water(5.0, at="2026-11-25T00:30:00Z", status="OLD")])
    rig.keep.drain()
    assert written == [("status", "OK"), ("status", "LEAK"), ("status", "OK")]
    with rig.records.read() as tx:
        assert {a.value for a in tx.devices.attributes("site", "A-1204-water") if a.name == "status"} == {
            "OK"
        }


def test_late_readings_are_stored_and_named(rig: Rig) -> None:
    rig.ingest.handle([water(7.0, at="2026-11-25T03:00:00Z")])
    rig.ingest.handle([water(6.0, at="2026-11-24T03:00:00Z")])
    rig.keep.drain()
    assert [at for at, _ in rig.stored("A-1204-water", "volume")] == [
        "2026-11-24T03:00:00Z",
        "2026-11-25T03:00:00Z",
    ]
    assert rig.findings()["late"] == 1


def test_an_absurd_clock_takes_the_receive_time_and_is_named(rig: Rig) -> None:
    rig.ingest.handle([water(7.0, at="1970-01-01T00:11:00Z")])
    rig.keep.drain()
    assert rig.stored("A-1204-water", "volume") == [("2026-11-25T03:00:00Z", 7.0)]
    assert rig.findings() == {"clock_wrong": 1}


def test_a_retained_message_is_marked_so(rig: Rig) -> None:
    message = water(7.0)
    rig.ingest.handle([Message(message.topic, message.payload, T, retained=True)])
    ((_, batch),) = rig.journal.read(Lane.NORMAL, 0, 10)
    assert set(batch.readings.quality.tolist()) == {Quality.RETAINED}


def test_readings_without_a_clock_get_the_receive_time_and_stay_apart(tmp_path: Path, rig: Rig) -> None:
    rig.adopt = True
    rig.again()
    rig.ingest.handle([victron(1.0, T), victron(2.0, T)])
    rig.keep.drain()
    (device,) = [d for d in rig.registry.by_id if d.startswith("victron")]
    assert rig.stored(device, "power") == [
        ("2026-11-25T03:00:00Z", 0.001),
        ("2026-11-25T03:00:00.001Z", 0.002),
    ]


def again(message: Message) -> Message:
    """As a broker marks what it delivers once more."""
    return replace(message, duplicate=True)


def test_what_the_broker_delivers_again_after_a_crash_keeps_its_first_time(rig: Rig) -> None:
    rig.adopt = True
    rig.again()
    rig.ingest.handle([victron(1.0, T), victron(2.0, T)])
    rig.keep.drain()
    rig.again()  # committed, but never acknowledged
    later = T + 60_000
    rig.ingest.handle([again(victron(1.0, later)), again(victron(2.0, later)), victron(3.0, later)])
    rig.keep.drain()
    (device,) = [d for d in rig.registry.by_id if d.startswith("victron")]
    assert rig.stored(device, "power") == [
        ("2026-11-25T03:00:00Z", 0.001),
        ("2026-11-25T03:00:00.001Z", 0.002),
        ("2026-11-25T03:01:00Z", 0.003),
    ]


def test_a_delivery_again_behind_its_first_in_one_batch_is_one_reading(rig: Rig) -> None:
    rig.adopt = True
    rig.again()
    rig.ingest.handle([victron(1.0, T), again(victron(1.0, T + 9000))])
    rig.keep.drain()
    (device,) = [d for d in rig.registry.by_id if d.startswith("victron")]
    assert rig.stored(device, "power") == [("2026-11-25T03:00:00Z", 0.001)]


def test_a_device_may_say_the_same_thing_twice_after_a_reconnect(rig: Rig) -> None:
    rig.adopt = True
    rig.again()
    rig.ingest.handle([victron(1.0, T)])
    rig.again()
    rig.ingest.handle([victron(1.0, T + 9000)])
    rig.keep.drain()
    (device,) = [d for d in rig.registry.by_id if d.startswith("victron")]
    assert len(rig.stored(device, "power")) == 2


def test_what_could_not_be_committed_keeps_its_first_time_at_the_next_try(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise Unavailable("disk full")

    rig.adopt = True
    rig.again()
    rig.ingest.handle([victron(1.0, T)])
    with monkeypatch.context() as patch:
        patch.setattr(rig.journal, "append", full)
        with pytest.raises(Unavailable):
            rig.ingest.handle([again(victron(1.0, T + 9000))])
    rig.ingest.handle([again(victron(1.0, T + 9000))])
    rig.keep.drain()
    (device,) = [d for d in rig.registry.by_id if d.startswith("victron")]
    assert rig.stored(device, "power") == [("2026-11-25T03:00:00Z", 0.001)]


class Broker:
    """An inbound that hands over what it is given and remembers what was acknowledged."""

    def __init__(self, *messages: Message) -> None:
        self.waiting = list(enumerate(messages))
        self.acknowledged: list[object] = []

    def take(self, timeout_s: float, limit: int) -> list[tuple[object, Message]]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return [(number, message) for number, message in taken]

    def acknowledge(self, tokens: object) -> None:
        self.acknowledged.extend(tokens)  # type: ignore[call-overload]


def test_nothing_is_acknowledged_before_it_is_durable(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(water(1.0), water(2.0, at="2026-11-25T04:00:00Z"))
    woken: list[bool] = []
    work = IngestWork(broker, rig.ingest, lambda: woken.append(True))

    def full(*_: object) -> int:
        raise Unavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(rig.journal, "append", full)
        with pytest.raises(Unavailable):
            work()
    assert broker.acknowledged == []
    assert rig.live.messages == 0
    work()
    assert broker.acknowledged == [0, 1]
    assert rig.keep.drain() == 1
    assert len(rig.stored("A-1204-water", "volume")) == 2
    assert woken == [True]


class Lanes(Broker):
    """With a session of its own for what is urgent; acknowledgements go by session."""

    urgent = False

    def __init__(self, *messages: Message) -> None:
        super().__init__(*messages)
        self.pressing: list[tuple[object, Message]] = []

    def take(self, timeout_s: float, limit: int) -> list[tuple[object, Message]]:
        self.urgent = bool(self.pressing)
        return self.take_urgent(timeout_s, limit) or super().take(timeout_s, limit)

    def take_urgent(self, timeout_s: float, limit: int) -> list[tuple[object, Message]]:
        taken, self.pressing = self.pressing[:limit], self.pressing[limit:]
        return taken


def test_what_is_urgent_is_taken_while_others_wait_for_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Lanes(water(1.0))
    work = IngestWork(broker, rig.ingest, lambda: None, urgent=broker)
    append = rig.journal.append

    def full(*batches: Batch) -> int:
        if any(batch.lane is Lane.NORMAL for batch in batches):
            raise Unavailable("the journal is full")
        return append(*batches)

    with monkeypatch.context() as patch:
        patch.setattr(rig.journal, "append", full)
        with pytest.raises(Unavailable):
            work()
        # One that no profile reads, and one whose profile calls it ordinary: the site names them urgent.
        broker.pressing += [("a", Message("fire/1", b"?", T)), ("b", water(2.0, at="2026-11-25T04:00:00Z"))]
        with pytest.raises(Unavailable):
            work()
        assert broker.acknowledged == ["a", "b"]
        assert [len(b.messages) for _, b in rig.journal.read(Lane.PRIORITY, 0, 9)] == [2]
        patch.setattr(rig.journal, "append", lambda *_: (_ for _ in ()).throw(Unavailable("no reserve")))
        broker.pressing += [("c", water(3.0, at="2026-11-25T05:00:00Z"))]
        for _ in range(2):
            with pytest.raises(Unavailable):
                work()
    work()
    assert broker.acknowledged == ["a", "b", "c", 0]  # what is urgent first, each session's in order
    rig.keep.drain()
    assert len(rig.stored("A-1204-water", "volume")) == 3
    assert [row.topic for row in rig.journal.quarantine()] == ["fire/1"]


def test_a_message_on_which_our_own_code_fails_is_set_aside(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rig.library.decode

    def fragile(message: Message, *args: object, **kwargs: object) -> object:
        if b"boom" in message.payload:
            raise ZeroDivisionError("a bug")
        return whole(message, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.library, "decode", fragile)
    broker = Broker(water(1.0), Message("a", b"boom", T), water(2.0, at="2026-11-25T04:00:00Z"))
    IngestWork(broker, rig.ingest, lambda: None)()
    rig.keep.drain()
    assert broker.acknowledged == [0, 1, 2]
    assert len(rig.stored("A-1204-water", "volume")) == 2
    assert [row.reason for row in rig.journal.quarantine()] == ["internal_error"]


def test_what_was_committed_before_the_journal_failed_is_not_committed_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, append = rig.library.decode, rig.journal.append
    appended: list[int] = []

    def fragile(message: Message, *args: object, **kwargs: object) -> object:
        if b"boom" in message.payload:
            raise ZeroDivisionError("a bug")
        return whole(message, *args, **kwargs)  # type: ignore[arg-type]

    def third_fails(*batches: Batch) -> int:
        appended.append(sum(len(batch.messages) for batch in batches))
        if len(appended) == 3:
            raise Unavailable("disk full")
        return append(*batches)

    monkeypatch.setattr(rig.library, "decode", fragile)
    monkeypatch.setattr(rig.journal, "append", third_fails)
    hours = [f"2026-11-25T{hour:02d}:00:00Z" for hour in range(3, 10)]
    given = [water(float(number), at=at, received=T + 7 * HOUR) for number, at in enumerate(hours)]
    broker = Broker(*given[:3], Message("a", b"boom", T), *given[3:])
    work = IngestWork(broker, rig.ingest, lambda: None)
    with pytest.raises(Unavailable):
        work()
    before = list(broker.acknowledged)
    assert before == list(range(sum(appended[:2]))) != []
    work()
    assert broker.acknowledged == list(range(8))  # each of them once, in order
    rig.keep.drain()
    totals = rig.journal.balance(LedgerQuestion(0, by="device")).totals
    assert (totals.received, totals.readings, totals.duplicate) == (8, 7, 0)
    assert [row.reason for row in rig.journal.quarantine()] == ["internal_error"]
    assert len(rig.stored("A-1204-water", "volume")) == 7


def test_a_store_that_is_away_loses_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("influx: timeout")

    rig.ingest.handle([water(1.0)])
    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "write", away)
        with pytest.raises(Unavailable):
            rig.keep.drain()
    rig.ingest.handle([water(2.0, at="2026-11-25T04:00:00Z")])
    rig.again()
    assert rig.keep.drain() == 2
    assert rig.stored("A-1204-water", "volume") == [
        ("2026-11-25T03:00:00Z", 1.0),
        ("2026-11-25T04:00:00Z", 2.0),
    ]


def test_texts_are_stored_as_they_were_sent_and_are_there_after_a_restart(rig: Rig) -> None:
    hours = [f"2026-11-25T{hour:02d}:00:00Z" for hour in range(3, 9)]
    status = ["OK", "DRY", "OK", "LEAK BURST", "OK", "REVERSE"]
    given = [
        water(float(n), at=at, received=T + 6 * HOUR, status=text)
        for n, (at, text) in enumerate(zip(hours, status, strict=True))
    ]
    rig.ingest.handle(given)
    rig.keep.drain()
    rig.again()
    rig.ingest.handle(given)  # the same again, late
    rig.ingest.handle(
        [water(1.0, at=hours[1], received=T + 6 * HOUR, status="ALARM")]
    )  # another text: the larger one stays
    rig.keep.drain()
    rig.again()
    point = rig.table.find("A-1204-water", "status")
    assert point is not None
    series = rig.store.range(point, T - HOUR, T + 9 * HOUR)
    assert [series.text.get(row) for row in range(len(series))] == status
    value = rig.live.get(point.id)
    assert value is not None
    assert value.text == "REVERSE"
    (conflict,) = [f for f in rig.journal.findings(0) if f.kind == "conflict"]
    assert conflict.detail == f"A-1204-water/status at {T + HOUR}: DRY and ALARM"


def test_live_never_goes_back_and_keeps_its_age(rig: Rig) -> None:
    live, table = rig.live, rig.table
    rig.ingest.handle([water(2.0, at="2026-11-25T04:00:00Z", received=T + HOUR)])
    version = live.version
    rig.ingest.handle([water(1.0, at="2026-11-25T03:00:00Z", received=T + HOUR)])
    point = table.find("A-1204-water", "volume")
    assert point is not None
    value = live.get(point.id)
    assert value is not None
    assert value.value == 2000.0
    assert live.since(version)[1] == []
    fresh = Live()
    fresh.start({point.id: Reading(point.id, T, 5.0)})
    kept = fresh.get(point.id)
    assert kept is not None
    assert kept.received_at == T


def test_what_came_by_the_priority_session_is_known_again_however_much_others_deliver(rig: Rig) -> None:
    rig.adopt = True
    rig.again()
    rig.ingest.handle([victron(5, T)], True)
    for start in range(0, 16_384, 8_192):
        some = [Message(f"nobody/{n}", b"%d" % n, T + 1 + n) for n in range(start, start + 8_192)]
        rig.ingest.handle(some)
    rig.ingest.handle([again(victron(5, T + 60_000))], True)
    rig.keep.drain()
    (device,) = [d for d in rig.registry.by_id if d.startswith("victron")]
    assert rig.stored(device, "power") == [("2026-11-25T03:00:00Z", 0.005)]


def test_what_is_committed_is_not_handled_again_when_the_pages_fail(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(rig.live, "update", broken)
    broker = Broker(victron(5, T), victron(6, T + 1_000))
    IngestWork(broker, rig.ingest, lambda: None)()
    assert broker.acknowledged == [0, 1]
    assert [m.payload for m in rig.journal.recent(10)] == [b'{"value": 5}', b'{"value": 6}']
