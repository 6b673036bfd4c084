"""What every records database must do: SQLite and PostgreSQL, the same suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event

from dutyroom.backends.records_sql import SqlRecords, open_records
from dutyroom.errors import Conflict, Rejected, Unavailable
from dutyroom.interfaces import Records
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import (
    Alarm,
    AlarmChange,
    AlarmEvent,
    AlarmState,
    Check,
    CheckState,
    Device,
    DeviceStatus,
    Occurrence,
    OccurrenceState,
    OutboxRow,
    OutboxState,
    Person,
    Priority,
    Role,
    Ticket,
    TicketChange,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.model.metering import Exchange, Line, PeriodRead, ReadFlag, Statement
from dutyroom.model.telemetry import Attribute, DeviceClass, Event, Kind, Lane, PointSpec
from dutyroom.timebase import DAY, HOUR

NOW = 1_790_000_000_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.sqlite"
    found: str = request.getfixturevalue("postgres_records_url")
    return found


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    opened = open_records(url)
    yield opened
    opened.close()


def an_alarm(object: str = "riser-a", episode: str = "e1", **more: object) -> Alarm:
    alarm = Alarm(
        id=0,
        site="s",
        rule="water.burst",
        rule_version=3,
        object=object,
        space="A",
        episode=episode,
        state=AlarmState.UNACKNOWLEDGED,
        priority=Priority.HIGH,
        latched=False,
        raised_at=NOW,
        recorded_at=NOW + 5,
        point="flow",
        value=4.8,
        limit=3.0,
        unit="m3/h",
        key="alarm.burst",
        arguments={"value": 4.8, "名": "立管", "none": None, "yes": True},
    )
    return replace(alarm, **more)  # type: ignore[arg-type]


def a_ticket(cause: str = "water.burst|riser-a", **more: object) -> Ticket:
    ticket = Ticket(
        id=0,
        site="s",
        number="",
        kind=TicketKind.ALARM,
        state=TicketState.OPEN,
        priority=Priority.HIGH,
        key="alarm.burst",
        arguments={"value": 4.8},
        object="riser-a",
        space="A",
        opened_at=NOW,
        respond_by=NOW + 600_000,
        cause=cause,
    )
    return replace(ticket, **more)  # type: ignore[arg-type]


def a_device(name: str = "m1", **more: object) -> Device:
    device = Device("s", name, f"表 {name}", "water_meter", "vendor/model", f"addr-{name}", "A/12/1204")
    return replace(device, **more)  # type: ignore[arg-type]


VOLUME = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 8, 3600, 0.0, None)
DOOR = PointSpec("door", "number", "", Kind.STATE, labels={0: "shut", 1: "open"})


# ---------------------------------------------------------------- transactions


def test_a_failed_transaction_leaves_nothing(records: Records) -> None:
    def fail() -> None:
        with records.write() as tx:
            tx.alarms.insert(an_alarm())
            tx.change("s", NOW, "alarm", "1")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    with records.read() as tx:
        assert tx.alarms.open_ones("s") == []
        assert tx.last_change() == 0


def test_a_conflict_does_not_spoil_the_transaction(records: Records) -> None:
    with records.write() as tx:
        tx.alarms.insert(an_alarm())
        with pytest.raises(Conflict):
            tx.alarms.insert(an_alarm(episode="e2"))
        with pytest.raises(Conflict):
            tx.devices.upsert([a_device("m1", address="x"), a_device("m2", address="x")])
        tx.put_blob("s", "after", b"still works")
    with records.read() as tx:
        assert tx.blob("s", "after") == b"still works"
        assert tx.devices.all("s") == []


def test_what_is_there_outlives_the_process(url: str) -> None:
    first = open_records(url)
    with first.write() as tx:
        tx.alarms.insert(an_alarm())
    first.close()
    again = open_records(url)
    with again.read() as tx:
        assert len(tx.alarms.open_ones("s")) == 1
    again.close()


def test_writers_in_several_threads_wait_for_each_other(records: Records) -> None:
    """Read, add one, write: without one writer at a time some additions would be lost."""
    with records.write() as tx:
        tx.put_blob("s", "count", b"0")
    errors: list[BaseException] = []

    def add() -> None:
        try:
            for _ in range(10):
                with records.write() as tx:
                    count = int(tx.blob("s", "count") or b"0") + 1
                    tx.put_blob("s", "count", str(count).encode())
                    tx.change("s", NOW, "alarm", str(count))
        except BaseException as err:
            errors.append(err)

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with records.read() as tx:
        assert tx.blob("s", "count") == b"60"
        assert [c.key for c in tx.changes(0)] == [str(n) for n in range(1, 61)]


def test_a_reader_sees_one_picture_and_does_not_hold_up_a_writer(records: Records) -> None:
    with records.write() as tx:
        tx.put_blob("s", "x", b"before")
    with records.read() as reader:
        assert reader.blob("s", "x") == b"before"
        with records.write() as writer:
            writer.put_blob("s", "x", b"after")
        assert reader.blob("s", "x") == b"before"
    with records.read() as tx:
        assert tx.blob("s", "x") == b"after"


def test_a_writer_that_hangs_is_waited_for_but_not_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dutyroom.backends.records_sql.records._BUSY_MS", 200)
    records = open_records(url)
    with records.write(), pytest.raises(Unavailable, match="lock"), records.write():
        pass
    with records.write() as tx:
        tx.put_blob("s", "x", b"after")
    records.close()


def test_a_reader_cannot_write(records: Records) -> None:
    with records.read() as tx, pytest.raises(Unavailable, match=r"read-?only"):
        tx.put_blob("s", "x", b"1")
    with records.write() as tx:
        assert tx.blob("s", "x") is None
        tx.put_blob("s", "x", b"2")


# ---------------------------------------------------------------- alarms


def test_an_alarm_comes_back_as_it_was_stored(records: Records) -> None:
    with records.write() as tx:
        stored = tx.alarms.insert(an_alarm())
    with records.read() as tx:
        assert stored.id > 0
        assert tx.alarms.get("s", stored.id) == stored
        assert tx.alarms.get("another site", stored.id) is None
        assert tx.alarms.open_ones("s") == [stored]
        assert tx.alarms.open_ones("another site") == []


def test_one_open_episode_for_a_rule_and_object(records: Records) -> None:
    with records.write() as tx:
        first = tx.alarms.insert(an_alarm())
        with pytest.raises(Conflict, match=r"water\.burst on riser-a"):
            tx.alarms.insert(an_alarm(episode="e2"))
        other = tx.alarms.insert(an_alarm(object="riser-b"))
        tx.alarms.update(replace(first, state=AlarmState.NORMAL, ended_at=NOW + 9))
        second = tx.alarms.insert(an_alarm(episode="e2"))
        assert tx.alarms.open_ones("s") == [other, second]
        with pytest.raises(Conflict):  # the first cannot open again beside the second
            tx.alarms.update(first)
        with pytest.raises(Conflict):  # an episode's id is given once
            tx.alarms.insert(an_alarm(ended_at=NOW))


def test_an_alarm_that_is_not_there_cannot_be_changed(records: Records) -> None:
    with records.write() as tx, pytest.raises(Rejected, match="no row 77"):
        tx.alarms.update(an_alarm(id=77))


def test_the_history_of_an_alarm_is_in_the_order_of_writing(records: Records) -> None:
    with records.write() as tx:
        alarm = tx.alarms.insert(an_alarm())
        lines = [
            AlarmChange(
                alarm.id, NOW, "system", AlarmEvent.RAISE, AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED
            ),
            AlarmChange(alarm.id, NOW, "王工", AlarmEvent.NOTE, alarm.state, alarm.state, "阀门已关"),
        ]
        for line in lines:
            tx.alarms.log(line)
        assert tx.alarms.history(alarm.id) == lines
        with pytest.raises(Conflict):  # of an alarm that does not exist
            tx.alarms.log(replace(lines[0], alarm=999))


def test_alarms_are_found_newest_first(records: Records) -> None:
    with records.write() as tx:
        old = tx.alarms.insert(an_alarm(raised_at=NOW - DAY, ended_at=NOW - HOUR))
        new = tx.alarms.insert(an_alarm(episode="e2"))
        other = tx.alarms.insert(an_alarm(object="riser-b", raised_at=NOW - HOUR))
        assert tx.alarms.search("s") == [new, other, old]
        assert tx.alarms.search("s", object="riser-a") == [new, old]
        assert tx.alarms.search("s", since=NOW - HOUR) == [new, other]
        assert tx.alarms.search("s", ended=True) == [old]
        assert tx.alarms.search("s", ended=False, limit=1) == [new]
        assert tx.alarms.search("elsewhere") == []


# ---------------------------------------------------------------- tickets


def test_ticket_numbers_rise_per_site_without_a_gap(records: Records) -> None:
    with records.write() as tx:
        first = tx.tickets.insert(a_ticket())
        with pytest.raises(Conflict, match="WO-000001"):
            tx.tickets.insert(a_ticket())
        second = tx.tickets.insert(a_ticket("water.burst|riser-b"))
        elsewhere = tx.tickets.insert(a_ticket(site="t"))
    assert [first.number, second.number, elsewhere.number] == ["WO-000001", "WO-000002", "WO-000001"]


@pytest.mark.parametrize("end", [TicketState.CLOSED, TicketState.CANCELLED])
def test_a_cause_has_one_ticket_until_it_is_finished(records: Records, end: TicketState) -> None:
    with records.write() as tx:
        first = tx.tickets.insert(a_ticket())
        assert tx.tickets.open_for("s", first.cause) == first
        tx.tickets.update(replace(first, state=TicketState.DONE, done_at=NOW))
        with pytest.raises(Conflict):
            tx.tickets.insert(a_ticket())
        tx.tickets.update(replace(first, state=end, closed_at=NOW))
        assert tx.tickets.open_for("s", first.cause) is None
        second = tx.tickets.insert(a_ticket())
        assert tx.tickets.open_for("s", first.cause) == second
        with pytest.raises(Conflict):  # the old one cannot come back beside it
            tx.tickets.update(first)


def test_tickets_are_found_and_remember(records: Records) -> None:
    with records.write() as tx:
        one = tx.tickets.insert(a_ticket())
        two = tx.tickets.insert(
            a_ticket("report|1", object="", opened_at=NOW + 1, text="漏水", reporter="张")
        )
        line = TicketChange(one.id, NOW, "system", TicketEvent.OPEN, TicketState.OPEN, TicketState.OPEN)
        tx.tickets.log(line)
        assert tx.tickets.history(one.id) == [line]
        assert tx.tickets.search("s") == [two, one]
        assert tx.tickets.search("s", object="riser-a") == [one]
        assert tx.tickets.search("s", since=NOW + 1) == [two]
        tx.tickets.update(replace(two, state=TicketState.CLOSED, closed_at=NOW))
        assert tx.tickets.search("s", open_only=True) == [one]
        assert tx.tickets.get("s", one.id) == one
        assert tx.tickets.get("t", one.id) is None


def test_alarm_and_ticket_name_each_other(records: Records) -> None:
    with records.write() as tx:
        alarm = tx.alarms.insert(an_alarm())
        ticket = tx.tickets.insert(a_ticket(alarm=alarm.id))
        tx.alarms.update(replace(alarm, ticket=ticket.id))
        consequence = tx.alarms.insert(an_alarm(object="pump", root=alarm.id))
        assert tx.alarms.get("s", consequence.id) == replace(consequence, root=alarm.id)
        with pytest.raises(Conflict):
            tx.alarms.update(replace(alarm, ticket=999))


# ---------------------------------------------------------------- plans and messages


def test_an_occurrence_exists_once(records: Records) -> None:
    row = Occurrence(0, "s", "generator.test", "gen-1", NOW, OccurrenceState.DUE, NOW)
    with records.write() as tx:
        stored = tx.occurrences.insert(row)
        assert stored is not None
        assert tx.occurrences.insert(row) is None
        assert tx.occurrences.insert(replace(row, due=NOW + DAY)) is not None
        done = replace(stored, state=OccurrenceState.DONE, done_at=NOW, evidence="ran 32 min", actor="system")
        tx.occurrences.update(done)
        assert tx.occurrences.get("s", stored.id) == done
        assert [o.due for o in tx.occurrences.search("s", plan="generator.test")] == [NOW, NOW + DAY]
        assert [o.due for o in tx.occurrences.search("s", since=NOW + 1)] == [NOW + DAY]
        assert [o.due for o in tx.occurrences.search("s", until=NOW + DAY)] == [NOW]
        assert tx.occurrences.search("s", plan="other") == []


def daily(records: Records, days: int, *, plan: str = "check", lifts: int = 3) -> None:
    """A check of each lift on each day: done before NOW, due from then on; on another site too."""
    with records.write() as tx:
        for site in ("s", "other"):
            for day in range(-days, days):
                state = OccurrenceState.DONE if day < 0 else OccurrenceState.DUE
                due = NOW + day * DAY
                for lift in range(lifts):
                    tx.occurrences.insert(
                        Occurrence(
                            0,
                            site,
                            plan,
                            f"lift-{lift}",
                            due,
                            state,
                            due,
                            done_at=due + HOUR if day < 0 else None,
                        )
                    )


def test_a_limit_keeps_the_oldest_or_the_newest_occurrences_and_an_offset_goes_on(records: Records) -> None:
    daily(records, 3)
    with records.read() as tx:
        everything = tx.occurrences.search("s", limit=None)
        assert [o.due for o in everything] == [NOW + day * DAY for day in range(-3, 3) for _ in range(3)]
        assert tx.occurrences.search("s", limit=4) == everything[:4]
        assert tx.occurrences.search("s", limit=4, newest=True) == everything[:-5:-1]
        assert tx.occurrences.search("s", limit=4, offset=16) == everything[16:]
        assert tx.occurrences.search("s", limit=None, offset=16) == everything[16:]
        assert tx.occurrences.search("s", limit=0) == []
        done = tx.occurrences.search("s", states=(OccurrenceState.DONE,), newest=True, limit=1)
        assert [(o.due, o.object) for o in done] == [(NOW - DAY, "lift-2")]
        assert tx.occurrences.search("s", states=()) == []


def test_occurrences_are_counted_and_grouped_by_plan(records: Records) -> None:
    daily(records, 2)
    with records.write() as tx:
        row = Occurrence(0, "s", "tank", "", NOW - DAY, OccurrenceState.OVERDUE, NOW)
        tank = tx.occurrences.insert(row)
        assert tank is not None
        late = tx.occurrences.search("s", plan="check", since=NOW - DAY, limit=1)[0]
        tx.occurrences.update(replace(late, state=OccurrenceState.MISSED))
    with records.read() as tx:
        book = tx.occurrences
        assert book.counts("s") == {"check": 12, "tank": 1}
        assert book.counts("s", plan="check", since=NOW, until=NOW + DAY) == {"check": 3}
        assert book.counts("s", states=(OccurrenceState.OVERDUE, OccurrenceState.MISSED)) == {
            "check": 1,
            "tank": 1,
        }
        assert book.counts("s", since=NOW + 9 * DAY) == {}
        found = book.groups("s", since=NOW - DAY, until=NOW + DAY)
        assert [(g.first.plan, g.first.due - NOW, g.first.state.value, g.count) for g in found] == [
            ("check", -DAY, "missed", 1),
            ("check", -DAY, "done", 2),
            ("tank", -DAY, "overdue", 1),
            ("check", 0, "due", 3),
        ]
        assert found[2].first == tank
        assert found[3].first == book.search("s", since=NOW, limit=1)[0]
        assert [g.count for g in book.groups("s", states=(OccurrenceState.DUE,))] == [3, 3]


def test_the_last_of_each_plan_and_object(records: Records) -> None:
    daily(records, 3)
    daily(records, 2, plan="service", lifts=1)
    with records.write() as tx:
        excused = Occurrence(0, "s", "check", "lift-1", NOW - 9 * DAY, OccurrenceState.EXCUSED, NOW)
        tx.occurrences.insert(excused)
        late = tx.occurrences.search("s", plan="service", limit=1)[0]
        tx.occurrences.update(replace(late, done_at=NOW))  # an older one was done after the newer
        newest = tx.occurrences.search("s", plan="check", since=NOW - DAY, until=NOW)[0]
        tx.occurrences.update(replace(newest, done_at=None))
    with records.read() as tx:
        book, ended = tx.occurrences, (OccurrenceState.DONE, OccurrenceState.EXCUSED)
        found = book.last_of_each("s", ended)
        assert {(o.plan, o.object, o.state.value, o.due - NOW) for o in found} == {
            ("check", "lift-0", "done", -DAY),
            ("check", "lift-1", "done", -DAY),
            ("check", "lift-2", "done", -DAY),
            ("check", "lift-1", "excused", -9 * DAY),
            ("service", "lift-0", "done", -DAY),
        }
        assert all(o.site == "s" for o in found)
        within = book.last_of_each("s", ended, since=NOW - 3 * DAY, until=NOW - DAY)
        assert {o.due for o in within} == {NOW - 2 * DAY}
        assert book.last_done("s") == {
            ("check", "lift-0"): NOW - DAY,
            ("check", "lift-1"): NOW - DAY + HOUR,
            ("check", "lift-2"): NOW - DAY + HOUR,
            ("service", "lift-0"): NOW,
        }
        assert book.last_done("s", plan="service", since=NOW - DAY) == {
            ("service", "lift-0"): NOW - DAY + HOUR
        }
        assert book.last_done("s", until=NOW - 9 * DAY) == {}


def a_message(dedupe: str = "wang|a|raised", **more: object) -> OutboxRow:
    row = OutboxRow(
        0, "s", dedupe, "wang", "json://u:p@host/", "message.test", {"n": 1}, OutboxState.PENDING, NOW, NOW
    )
    return replace(row, **more)  # type: ignore[arg-type]


def test_one_message_per_person_and_cause(records: Records) -> None:
    with records.write() as tx:
        assert tx.outbox.insert(a_message())
        assert not tx.outbox.insert(a_message())
        assert tx.outbox.insert(a_message(site="t"))
        assert len(tx.outbox.search("s")) == 1


def test_a_message_is_due_until_it_is_sent_or_given_up(records: Records) -> None:
    with records.write() as tx:
        for name, more in {
            "now": {},
            "later": {"next_at": NOW + 9},
            "sent": {"state": OutboxState.SENT},
        }.items():
            tx.outbox.insert(a_message(name, **more))
        (row,) = tx.outbox.due(NOW)
        assert row.dedupe == "now"
        assert [r.dedupe for r in tx.outbox.due(NOW + 9)] == ["now", "later"]
        assert len(tx.outbox.due(NOW + 9, limit=1)) == 1
        assert [r.dedupe for r in tx.outbox.due(NOW + 9, sites=["s", "t"])] == ["now", "later"]
        assert tx.outbox.due(NOW + 9, sites=["t"]) == tx.outbox.due(NOW + 9, sites=[]) == []
        tx.outbox.update(replace(row, state=OutboxState.FAILED, attempts=8, last_error="refused"))
        assert tx.outbox.due(NOW) == []


def test_a_message_is_claimed_once(records: Records) -> None:
    with records.write() as tx:
        tx.outbox.insert(a_message())
        (row,) = tx.outbox.due(NOW)
    with records.write() as tx:
        assert tx.outbox.claim(row, NOW + 60)
    with records.write() as tx:
        assert not tx.outbox.claim(row, NOW + 60)
        assert tx.outbox.due(NOW) == []
        assert [r.id for r in tx.outbox.due(NOW + 60)] == [row.id]


# ---------------------------------------------------------------- devices


def test_devices_are_inserted_changed_or_left(records: Records) -> None:
    one, two = a_device("m1", parameters={"dn": 15, "use": "fire"}), a_device("m2", interval_s=60)
    with records.write() as tx:
        assert tx.devices.upsert([two, one]) == 2
        assert tx.devices.upsert([one, two]) == 0
        assert tx.devices.upsert([replace(one, space="B"), two, a_device("m3")]) == 2
        assert tx.devices.all("s") == [replace(one, space="B"), two, a_device("m3")]
        assert tx.devices.all("t") == []
        assert tx.devices.upsert([]) == 0


def test_what_a_registry_says_of_a_device_is_kept_as_it_was_written(records: Records) -> None:
    plate = {"model": "Acme 水表 T-17", "serial": "0012", "fed_by": ("F-1", "network:G-1")}
    device = replace(a_device("m1"), digits=5, resolution=Decimal("0.010"), **plate)  # type: ignore[arg-type]
    with records.write() as tx:
        assert tx.devices.upsert([device]) == 1
        assert tx.devices.upsert([device]) == 0
        (found,) = tx.devices.all("s")
        assert (found, str(found.resolution)) == (device, "0.010")
        assert tx.devices.upsert([a_device("m1")]) == 1
        assert tx.devices.all("s") == [a_device("m1")]


def test_an_address_belongs_to_one_device_in_use(records: Records) -> None:
    with records.write() as tx:
        tx.devices.upsert([a_device("m1", address="17")])
        with pytest.raises(Conflict, match="same address"):
            tx.devices.upsert([a_device("m2", address="17")])
        tx.devices.upsert([a_device("m1", address="17", status=DeviceStatus.WITHDRAWN)])
        assert tx.devices.upsert([a_device("m2", address="17")]) == 1


def test_a_point_keeps_its_id(records: Records) -> None:
    device = a_device()
    with records.write() as tx:
        tx.devices.upsert([device])
        door, volume = tx.devices.add_points("s", [(device, DOOR), (device, VOLUME)])
        assert (door.spec, volume.spec) == (DOOR, VOLUME)
        assert (volume.device, volume.device_class, volume.space) == (
            "m1",
            DeviceClass.WATER_METER,
            "A/12/1204",
        )
        assert 0 < door.id != volume.id > 0
        wide = replace(VOLUME, name="pulses", digits=None, wrap=2**52, resets=True)
        assert [p.spec for p in tx.devices.add_points("s", [(device, wide)])] == [wide]
        changed = replace(VOLUME, interval_s=900)
        assert tx.devices.add_points("s", [(device, changed)]) == [replace(volume, spec=changed)]
        tx.devices.upsert([replace(device, space="B")])
        assert {p.space for p in tx.devices.points("s")} == {"B"}
        assert [p.id for p in tx.devices.points("s")] == sorted([door.id, volume.id, volume.id + 1])
        assert tx.devices.add_points("s", []) == []


def test_a_large_estate_is_registered_in_few_statements(records: Records) -> None:
    """One for each device or point took minutes at a first start."""
    devices = [a_device(f"m{n}") for n in range(2_000)]
    names = [replace(VOLUME, name=f"p{n}") for n in range(5)]
    wanted = [(device, spec) for device in devices for spec in names][:9_000]
    assert isinstance(records, SqlRecords)
    said: list[str] = []
    event.listen(records._engine, "before_cursor_execute", lambda _, __, text, *more: said.append(text))
    with records.write() as tx:
        assert tx.devices.upsert(devices) == 2_000
        assert len(tx.devices.add_points("s", wanted)) == 9_000
    assert 3 < len(said) < 100


def test_a_point_needs_its_device(records: Records) -> None:
    with records.write() as tx, pytest.raises(Rejected, match="registered device: m1"):
        tx.devices.add_points("s", [(a_device(), VOLUME)])


def test_an_attribute_is_kept_when_it_changes(records: Records) -> None:
    first = Attribute("m1", "firmware", "1.0", NOW)
    with records.write() as tx:
        tx.devices.keep_attributes("s", [first, Attribute("m1", "battery", 97, NOW)])
        tx.devices.keep_attributes("s", [replace(first, at=NOW + 9)])
        assert tx.devices.attributes("s", "m1") == [Attribute("m1", "battery", 97, NOW), first]
        newer = Attribute("m1", "firmware", "1.1", NOW + 10)
        tx.devices.keep_attributes("s", [newer, replace(first, at=NOW + 1)])
        tx.devices.keep_attributes("s", [replace(first, at=NOW + 2, value="0.9")])  # late
        assert tx.devices.attributes("s", "m1")[1] == newer
        tx.devices.keep_attributes("s", [])


def test_events_are_kept_once(records: Records) -> None:
    one = Event(5, NOW, "17", "passage", {"card": "0042", "granted": True}, 3)
    two = replace(one, at=NOW + 1, event_id="18", point=6)
    with records.write() as tx:
        assert tx.devices.keep_events("s", [one, two, one]) == 2
        assert tx.devices.keep_events("s", [one, replace(one, event_id="19")]) == 1
        assert tx.devices.keep_events("t", [one]) == 1
        assert tx.devices.keep_events("s", []) == 0
        assert [e.event_id for e in tx.devices.events("s")] == ["18", "19", "17"]
        assert tx.devices.events("s", point=6) == [two]
        assert tx.devices.events("s", since=NOW + 1) == [two]
        assert len(tx.devices.events("s", limit=1)) == 1
        reset = replace(one, code="counter_reset", event_id="20")
        assert tx.devices.keep_events("s", [reset]) == 1
        assert tx.devices.events("s", code="counter_reset") == [reset]
        assert tx.devices.events("s", since=NOW + 1, code="counter_reset") == []


@pytest.mark.parametrize("code", ["a\x00b", "\ud800", "火警 \U0001f525"])
def test_whatever_a_device_says_can_be_stored(records: Records, code: str) -> None:
    """One odd text must not stop the loop that stores it."""
    with records.write() as tx:
        assert tx.devices.keep_events("s", [Event(1, NOW, code, code, {"text": code}, 0)]) == 1
        (event,) = tx.devices.events("s")
        assert event.code.encode()


def test_a_number_too_large_is_refused(records: Records) -> None:
    with records.write() as tx, pytest.raises(Rejected):
        tx.change("s", 2**70, "alarm", "1")


# ---------------------------------------------------------------- people


def a_person(login: str = "wang", **more: object) -> Person:
    person = Person(
        0, "s", login, "王工", Role.OPERATOR, "zh-CN", "hash", ("mailto://a", "json://b"), ("plumber",)
    )
    return replace(person, **more)  # type: ignore[arg-type]


def test_people_are_inserted_and_changed_by_login(records: Records) -> None:
    with records.write() as tx:
        wang = tx.people.upsert(a_person())
        assert wang.id > 0
        assert tx.people.by_login("wang") == wang
        assert tx.people.by_login("nobody") is None
        changed = tx.people.upsert(a_person(role=Role.ADMINISTRATOR))
        assert changed == replace(wang, role=Role.ADMINISTRATOR)
        tx.people.upsert(a_person("li"))
        assert [p.login for p in tx.people.all("s")] == ["li", "wang"]
        with pytest.raises(Conflict, match="taken"):
            tx.people.upsert(a_person(site="t"))
        renamed = tx.people.upsert(replace(changed, login="wang2"))
        assert tx.people.by_login("wang") is None
        assert tx.people.by_login("wang2") == renamed


def test_a_session_ends_by_time_by_log_out_and_with_the_person(records: Records) -> None:
    with records.write() as tx:
        wang = tx.people.upsert(a_person())
        tx.people.new_session("t1", wang.id, NOW, NOW + HOUR)
        tx.people.new_session("t2", wang.id, NOW, NOW + HOUR)
        assert tx.people.session("t1", NOW) == wang
        assert tx.people.session("t1", NOW + HOUR) is None
        assert tx.people.session("other", NOW) is None
        tx.people.end_session("t1")
        assert tx.people.session("t1", NOW) is None
        tx.people.upsert(a_person(active=False))
        assert tx.people.session("t2", NOW) is None
        with pytest.raises(Conflict):  # of nobody
            tx.people.new_session("t3", 999, NOW, NOW + HOUR)


def test_a_new_password_ends_the_other_sessions(records: Records) -> None:
    with records.write() as tx:
        wang = tx.people.upsert(a_person())
        li = tx.people.upsert(a_person("li"))
        for token, person in (("t1", wang), ("t2", wang), ("t3", li)):
            tx.people.new_session(token, person.id, NOW, NOW + HOUR)
        assert tx.people.end_sessions(wang.id, keep="t2") == 1
        assert [tx.people.session(t, NOW) for t in ("t1", "t2", "t3")] == [None, wang, li]


def test_a_token_is_valid_until_it_is_revoked(records: Records) -> None:
    with records.write() as tx:
        tx.people.new_token("h1", "s", "board", "wall", NOW)
        with pytest.raises(Conflict):
            tx.people.new_token("h2", "s", "board", "api:viewer", NOW)
        assert tx.people.token("h1") == ("s", "board", "wall")
        assert tx.people.tokens("s") == [("board", "wall", NOW)]
        assert tx.people.revoke_token("s", "board")
        assert not tx.people.revoke_token("s", "board")
        assert tx.people.token("h1") is None
        assert tx.people.tokens("s") == []
        tx.people.new_token("h3", "s", "board", "wall", NOW)
        assert tx.people.token("h3") == ("s", "board", "wall")


def test_failed_log_ins_are_counted_by_key_and_time(records: Records) -> None:
    with records.write() as tx:
        for at in (NOW - 2 * DAY, NOW - HOUR, NOW):
            tx.people.note_failure("wang", at)
        tx.people.note_failure("10.0.0.1", NOW)
        assert tx.people.failures("wang", NOW - 2 * HOUR) == 2
        assert tx.people.failures("wang", NOW) == 1
        assert tx.people.failures("wang", 0) == 2  # older than a day: forgotten
        assert tx.people.failures("li", 0) == 0


# ---------------------------------------------------------------- metering


def test_exchanges_are_recorded_once(records: Records) -> None:
    exchange = Exchange(0, "s", "m1", "volume", NOW, 123456, 12, "王工", "broken", Decimal("0.01"), 6)
    with records.write() as tx:
        stored = tx.metering.add_exchange(exchange)
        with pytest.raises(Conflict):
            tx.metering.add_exchange(exchange)
        earlier = tx.metering.add_exchange(replace(exchange, at=NOW - DAY, step=None, digits=None))
        assert tx.metering.exchanges("s") == [earlier, stored]
        assert tx.metering.exchanges("t") == []


def test_a_frozen_read_never_changes(records: Records) -> None:
    read = PeriodRead("s", "m1", "volume", NOW, 2**53 - 1, NOW - 60_000, ReadFlag.ACTUAL)
    missing = PeriodRead("s", "m2", "volume", NOW, None, None, ReadFlag.MISSING)
    corrected = replace(read, steps=124, version=2, flag=ReadFlag.SUBSTITUTED, actor="li", reason="photo")
    with records.write() as tx:
        assert tx.metering.freeze([missing, read]) == 2
        assert tx.metering.freeze([replace(read, steps=1), replace(missing, steps=0)]) == 0
        assert tx.metering.period_reads("s", NOW) == [read, missing]
        assert tx.metering.freeze([corrected]) == 1
        assert tx.metering.period_reads("s", NOW) == [corrected, missing]
        assert tx.metering.period_reads("s", NOW + 1) == []
        assert tx.metering.freeze([]) == 0


def a_statement(unit: str = "A/12/1204", version: int = 1, **more: object) -> Statement:
    line = Line(
        "line.water", {"tier": "1"}, Decimal("12.340"), "m3", Decimal("3.50"), 4319, device="m1", detail=True
    )
    statement = Statement(
        site="s",
        number=f"202610-{unit}-{version}",
        period="2026-10",
        unit=unit,
        version=version,
        start=NOW - 30 * DAY,
        end=NOW,
        created_at=NOW,
        usages=(),
        lines=(line,),
        total=4319,
        currency="CNY",
        digest="abc",
        area=Decimal("89.50"),
    )
    return replace(statement, **more)  # type: ignore[arg-type]


def test_a_locked_statement_never_changes(records: Records) -> None:
    first, other = a_statement(), a_statement("A/12/1203", area=None)
    with records.write() as tx:
        assert tx.metering.lock([first, other]) == 2
        assert tx.metering.lock([replace(first, total=1)]) == 0
        assert tx.metering.statements("s") == [other, first]
        second = a_statement(version=2, total=5000, period="2026-10")
        assert tx.metering.lock([second]) == 1
        assert tx.metering.statements("s", "2026-10") == [other, second]
        assert tx.metering.statements("s", unit=first.unit) == [second]
        assert tx.metering.statements("s", "2026-09") == []
        assert tx.metering.statement("s", first.number) == first
        assert tx.metering.statement("s", "none") is None
        found = tx.metering.statement("s", first.number)
        assert found is not None
        assert str(found.lines[0].quantity) == "12.340"  # digits and all


# ---------------------------------------------------------------- the rest


def test_cursors_are_per_site_reader_and_lane(records: Records) -> None:
    with records.write() as tx:
        assert tx.cursor("s", "watch", Lane.NORMAL) == 0
        tx.advance("s", "watch", Lane.NORMAL, 5)
        tx.advance("s", "watch", Lane.PRIORITY, 2)
        tx.advance("s", "watch", Lane.NORMAL, 9)
        assert tx.cursor("s", "watch", Lane.NORMAL) == 9
        assert tx.cursor("s", "watch", Lane.PRIORITY) == 2
        assert tx.cursor("t", "watch", Lane.NORMAL) == 0


def test_blobs_hold_bytes_by_name(records: Records) -> None:
    with records.write() as tx:
        assert tx.blob("s", "rules") is None
        tx.put_blob("s", "rules", bytes(range(256)))
        tx.put_blob("s", "rules", b"\x00new")
        assert tx.blob("s", "rules") == b"\x00new"


def test_the_change_log_is_read_from_a_place_on(records: Records) -> None:
    with records.write() as tx:
        for number in range(5):
            tx.change("s", NOW + number, "alarm", str(number))
    with records.read() as tx:
        last = tx.last_change()
        changes = tx.changes(0)
        assert [c.key for c in changes] == ["0", "1", "2", "3", "4"]
        assert changes[-1].seq == last
        assert tx.changes(last) == []
        assert [c.key for c in tx.changes(changes[2].seq, limit=1)] == ["3"]


def test_the_audit_trail_is_newest_first(records: Records) -> None:
    with records.write() as tx:
        tx.audit("s", NOW, "wang", "alarm.acknowledge", "7")
        tx.audit("s", NOW + 1, "wang", "alarm.note", "7", "阀门已关")
        rows = tx.audit_rows("s")
        assert [(r.action, r.detail) for r in rows] == [("alarm.note", "阀门已关"), ("alarm.acknowledge", "")]
        assert len(tx.audit_rows("s", limit=1)) == 1
        assert tx.audit_rows("t") == []


def test_when_devices_were_added_is_in_the_trail(records: Records) -> None:
    with records.write() as tx:
        tx.audit("s", NOW, "wang", "device.added", "m1")
        tx.audit("s", NOW + 1, "wang", "device.changed", "m2")
        tx.audit("s", NOW + 2, "wang", "device.added", "m3")
        tx.audit("t", NOW + 2, "wang", "device.added", "m4")
        assert tx.devices_added("s", NOW) == {"m1": NOW, "m3": NOW + 2}
        assert tx.devices_added("s", NOW + 1) == {"m3": NOW + 2}


def test_sites_of_one_database_do_not_mix(records: Records) -> None:
    """The same names, causes and rules on both; each sees its own."""
    with records.write() as tx:
        for site in ("s", "t"):
            tx.devices.upsert([replace(a_device(site=site), name=f"{site}'s meter")])
            alarm = tx.alarms.insert(an_alarm(site=site))
            ticket = tx.tickets.insert(a_ticket(site=site))
            row = tx.occurrences.insert(
                Occurrence(0, site, "p", "o", NOW, OccurrenceState.DUE, NOW, ticket=ticket.id)
            )
            tx.metering.freeze([PeriodRead(site, "m1", "volume", NOW, 1, NOW, ReadFlag.ACTUAL)])
            tx.metering.add_exchange(Exchange(0, site, "m1", "volume", NOW, 5, 0, "li", "worn"))
            tx.audit(site, NOW, "li", "x", site)
    with records.read() as tx:
        for site, other in (("s", "t"), ("t", "s")):
            assert [a.site for a in tx.alarms.open_ones(site)] == [site]
            assert [t.number for t in tx.tickets.search(site)] == ["WO-000001"]
            assert [o.site for o in tx.occurrences.search(site)] == [site]
            assert [d.name for d in tx.devices.all(site)] == [f"{site}'s meter"]
            assert [r.site for r in tx.metering.period_reads(site, NOW)] == [site]
            assert [e.site for e in tx.metering.exchanges(site)] == [site]
            assert [a.target for a in tx.audit_rows(site)] == [site]
            mine = tx.alarms.open_ones(site)[0]
            assert tx.alarms.get(other, mine.id) is None
            assert tx.tickets.get(other, tx.tickets.search(site)[0].id) is None
            assert tx.occurrences.get(other, tx.occurrences.search(site)[0].id) is None
    assert alarm.site == ticket.site == "t"
    assert row is not None
    with pytest.raises(Rejected), records.write() as tx:
        tx.tickets.update(replace(ticket, site="s", assignee="thief"))


def a_check(alarm: int, object: str = "lift-1", **more: object) -> Check:
    made = Check(0, "s", alarm, NOW, object, "", CheckState.UNKNOWN, NOW)
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_line_of_a_list_is_there_once_and_keeps_who_saw_to_it(records: Records) -> None:
    with records.write() as tx:
        alarm = tx.alarms.insert(an_alarm()).id
        other = tx.alarms.insert(an_alarm("riser-b")).id
        assert tx.checks.insert(a_check(alarm))
        assert tx.checks.insert(a_check(alarm, "lift-2", state=CheckState.TRAPPED))
        assert not tx.checks.insert(a_check(alarm, state=CheckState.RUNNING, at=NOW + 5))
        assert tx.checks.insert(a_check(alarm, since=NOW + 60_000))  # raised again: another list
        assert tx.checks.insert(a_check(alarm, "gen", step="running", state=CheckState.AWAITED))
        assert tx.checks.insert(a_check(other))
    with records.write() as tx:
        first, second, *_ = tx.checks.of("s", [alarm])
        assert (first.object, first.state, second.state) == ("lift-1", CheckState.UNKNOWN, CheckState.TRAPPED)
        tx.checks.update(replace(first, done_at=NOW + 9, done_by="wang", note="empty"))
    with records.read() as tx:
        found = tx.checks.of("s", [alarm])
        assert [(c.object, c.since, c.step) for c in found] == [
            ("lift-1", NOW, ""), ("lift-2", NOW, ""), ("lift-1", NOW + 60_000, ""), ("gen", NOW, "running"),
        ]  # fmt: skip
        assert (found[0].done_at, found[0].done_by, found[0].note) == (NOW + 9, "wang", "empty")
        assert len(tx.checks.of("s", [alarm, other])) == 5
        assert tx.checks.of("s", []) == tx.checks.of("t", [alarm]) == []
    with pytest.raises(Rejected), records.write() as tx:
        tx.checks.update(a_check(alarm, id=99))


# ---------------------------------------------------------------- announcements


def test_announcements_are_kept_changed_and_found_by_their_end(records: Records) -> None:
    first = Announcement(
        0,
        "s",
        Announced.OUTAGE,
        NOW,
        NOW + HOUR,
        "配电检修",
        "wang",
        NOW - 5,
        "power",
        ("b1", "b2"),
        ("A/1",),
    )
    with records.write() as tx:
        first = tx.announcements.insert(first)
        ticket = tx.tickets.insert(a_ticket("test|2"))
        test = tx.announcements.insert(
            Announcement(0, "s", Announced.FIRE_TEST, NOW + 9, NOW + DAY, "年检", "li", NOW, ticket=ticket.id)
        )
        tx.announcements.insert(replace(first, id=0, site="other"))
    with records.read() as tx:
        assert tx.announcements.get("s", first.id) == first
        assert tx.announcements.get("other", first.id) is None
        assert tx.announcements.current("s", NOW + HOUR + 1) == [test]
        assert tx.announcements.search("s") == [test, first]
    over = replace(first, affected=7, cancelled_at=NOW + 60, cancelled_by="li")
    with records.write() as tx:
        tx.announcements.update(over)
        alarm = tx.alarms.insert(
            an_alarm(announced=first.id, chattering=True, first_out=True, called_at=NOW, sounded_at=NOW + 1)
        )
    with records.read() as tx:
        assert tx.announcements.current("s", NOW) == [over, test]
        assert tx.alarms.get("s", alarm.id) == alarm
    assert (over.running(NOW + 59), over.over(NOW + 59), first.running(NOW + 59)) == (False, True, True)
