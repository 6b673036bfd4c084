"""What nobody could read is read again when a device or a profile is there, as if it had come just then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.flows.crashes import Breaking, Counting, reread_to_the_end
from tests.flows.intake_rig import PROBE, READS, Rig, T, batch, meter, probe, read, tank

from dutyroom.flows.loops import IngestWork
from dutyroom.interfaces import QuarantineRow
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Lane, Message, Quality
from dutyroom.timebase import HOUR, MINUTE

HOURS = [T - 3 * HOUR, T - 2 * HOUR, T - HOUR]


def test_an_adopted_device_has_its_readings_at_its_own_times(rig: Rig) -> None:
    for number, at in enumerate(HOURS):
        rig.ingest.handle([batch(T + number, m1=(1 + number, at))])
    assert {row.addresses for row in rig.journal.quarantine()} == {("m1",)}
    rig.register(meter("m1"))
    rig.reread()
    assert rig.stored("meter-m1", "volume") == [("00:00:00Z", 1.0), ("01:00:00Z", 2.0), ("02:00:00Z", 3.0)]
    assert rig.journal.quarantine_size() == 0
    assert len(rig.journal.quarantine("reprocessed")) == 3
    rows = rig.ledger()
    assert (rows[""].received, rows["meter-m1"].decoded, rows["meter-m1"].stored) == (0, 3, 3)
    assert {row.kind for row in rig.journal.findings(0)} == {"unknown_device"}  # and none is late


def test_what_has_no_clock_keeps_the_time_it_was_received(rig: Rig) -> None:
    rig.ingest.handle([probe(1.5, T), probe(1.6, T + MINUTE)])
    rig.register(tank())
    rig.ingest.handle([probe(1.9, T + 2 * MINUTE)])  # before it was read again
    rig.reread()
    assert rig.stored("tank-p1", "level") == [("03:00:00Z", 1.5), ("03:01:00Z", 1.6), ("03:02:00Z", 1.9)]
    point = rig.table.find("tank-p1", "level")
    assert point is not None
    value = rig.live.get(point.id)
    assert value is not None
    assert (value.value, value.received_at) == (1.9, T + 2 * MINUTE)


def test_reading_again_says_nothing_of_when_a_device_was_heard(rig: Rig) -> None:
    rig.ingest.handle([probe(1.5, T)])
    before = rig.live.messages
    rig.register(tank())
    rig.reread()
    assert rig.live.heard("tank-p1") is None
    assert rig.live.messages == before
    (_, again) = rig.journal.read(Lane.NORMAL, 1, 10)[0]
    assert again.again
    assert again.messages[0].message.received_at == T


def test_a_message_of_several_devices_waits_for_each_of_them(rig: Rig) -> None:
    rig.register(meter("m1"))
    rig.ingest.handle([batch(T, m1=(1, HOURS[0]), m2=(2, HOURS[0]), m3=(3, HOURS[0]))])
    rig.ingest.handle([batch(T + 1, m2=(2.5, HOURS[1]), m3=(3.5, HOURS[1]))])
    rig.reread()
    assert [(row.part, row.addresses) for row in rig.journal.quarantine_after(0, 9)] == [
        (True, ("m2", "m3")),
        (False, ("m2", "m3")),
    ]
    rig.register(meter("m2"))
    rig.reread()
    assert [(row.part, row.addresses) for row in rig.journal.quarantine_after(0, 9)] == [
        (True, ("m3",)),
        (True, ("m3",)),
    ]
    rig.register(meter("m3"))
    rig.reread()
    assert rig.journal.quarantine_size() == 0
    assert rig.stored("meter-m1", "volume") == [("00:00:00Z", 1.0)]
    assert rig.stored("meter-m2", "volume") == [("00:00:00Z", 2.0), ("01:00:00Z", 2.5)]
    assert rig.stored("meter-m3", "volume") == [("00:00:00Z", 3.0), ("01:00:00Z", 3.5)]
    rows = rig.ledger()
    assert [rows[d].decoded for d in ("meter-m1", "meter-m2", "meter-m3")] == [1, 1, 0]
    assert sum(row.received for row in rows.values()) == 2
    assert all(row.duplicate == row.conflict == 0 for row in rows.values())


NEW = """
name: Acme meter
class: water_meter
match: {topics: ["acme/{id}/up"]}
identity: "{id}"
time: {from: t, format: epoch_s}
points:
  volume: {from: v, quantity: volume, kind: counter, step: 0.001}
"""
NOISE = """
name: Noise
class: other
match: {topics: ["noise/{id}"]}
identity: "{id}"
layouts: [{name: noise, ignore: not telemetry}]
"""


def test_a_profile_that_comes_later_reads_what_waits(rig: Rig) -> None:
    rig.ingest.handle([Message("acme/77/up", json.dumps({"v": 4, "t": HOURS[0] // 1000}).encode(), T)])
    (row,) = rig.journal.quarantine()
    assert (row.reason, row.addresses) == ("unknown_topic", ())
    rig.shelve("new", NEW)
    assert [rig.shelf.look(), rig.shelf.look()] == [False, True]
    assert rig.refused() == []
    rig.reread()
    (row,) = rig.journal.quarantine()
    assert (row.reason, row.addresses) == ("unknown_device", ("77",))
    rig.register(Device("site", "new-77", "", "water_meter", "acme/new", "77", ""))
    rig.reread()
    assert rig.stored("new-77", "volume") == [("00:00:00Z", 4.0)]


def test_a_profile_mended_later_reads_what_it_refused(rig: Rig) -> None:
    wrong = PROBE.replace("unwrap: [scalar]", "unwrap: [json]").replace("from: $,", "from: m,")
    rig.shelve("probe", wrong)
    rig.shelf.reload()
    rig.register(tank())
    rig.ingest.handle([probe("=1.5", T), probe('{"m": 1.7}', T + MINUTE)])
    (row,) = rig.journal.quarantine()
    assert row.reason == "malformed"
    rig.shelve("probe", wrong.replace("unwrap: [json]", "unwrap: [raw]\ntext: '[^0-9]*(?P<m>[0-9.]+).*'"))
    rig.shelf.reload()
    assert rig.refused() == []
    rig.reread()
    assert rig.journal.quarantine_size() == 0
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.5, 1.7]
    assert rig.ledger()["tank-p1"].decoded == 2


def test_what_a_profile_now_ignores_is_settled(rig: Rig) -> None:
    rig.ingest.handle([Message("noise/1", b"{}", T)])
    rig.shelve("noise", NOISE)
    rig.shelf.reload()
    assert rig.refused() == []
    rig.reread()
    assert rig.journal.quarantine_size() == 0
    assert rig.ledger()[""].ignored == 1


@pytest.fixture
def known(rig: Rig) -> Rig:
    rig.knows_reads()
    rig.ingest.handle([read(T, T - 4 * HOUR, {"vol": {"m3": 0.5}, "n": 1})])
    return rig


def test_a_device_that_renamed_its_fields_loses_nothing(known: Rig) -> None:
    rig = known
    for number, at in enumerate(HOURS):
        rig.ingest.handle([read(T + 1 + number, at, {"vol": {"cbm": 1 + number}, "n": 2 + number})])
    found = rig.journal.quarantine_after(0, 9)
    assert [(row.reason, row.detail, row.device) for row in found] == [
        ("nothing_read", "sn, ts, vol, n", "meter-7")
    ] * 3
    rig.keep.drain()
    assert (rig.ledger()["meter-7"].quarantined, rig.ledger()["meter-7"].received) == (3, 4)
    assert "nothing_read" in {row.kind for row in rig.journal.findings(0)}
    assert rig.live.heard("meter-7") == T + 3
    rig.reread()
    assert rig.journal.quarantine_size() == 3
    rig.again()  # the service is started anew, and then the profile is mended
    rig.shelve("reads", READS.replace("from: vol.m3", "from: [vol.m3, vol.cbm]"))
    rig.shelf.reload()
    assert rig.refused() == []
    rig.reread()
    assert rig.journal.quarantine_size() == 0
    own_times = [("00:00:00Z", 1.0), ("01:00:00Z", 2.0), ("02:00:00Z", 3.0)]
    assert rig.stored("meter-7", "volume") == [("23:00:00Z", 0.5), *own_times]
    row = rig.ledger()["meter-7"]
    assert (row.received, row.decoded, row.quarantined, row.stored) == (4, 4, 0, 4)
    assert rig.ledger().keys() == {"meter-7"}


@pytest.mark.parametrize(
    "said", [{"vol": {"m3": None}}, {}, {"n": 2}, {"fw": "2.1"}, {"vol": {"cbm": None}}, {"vol": {}}]
)
def test_a_device_that_has_nothing_to_say_fills_no_quarantine(known: Rig, said: dict[str, object]) -> None:
    known.ingest.handle([read(T, T, said)])
    assert known.journal.quarantine_size() == 0


def test_of_meters_behind_one_gateway_the_one_of_which_nothing_is_read_is_named(rig: Rig) -> None:
    rig.register(meter("m1"), meter("m2"), meter("m3"))
    said = [{"id": "m1", "m3": 2}, {"id": "m2", "cbm": 2}, {"id": "m3", "m3": "?"}]
    body = {"meters": [{**one, "ts": HOURS[0] // 1000} for one in said]}
    rig.ingest.handle(
        [batch(T, m1=(1, HOURS[0]), m2=(1, HOURS[0])), Message("gw/g1/up", json.dumps(body).encode(), T + 1)]
    )
    found = {(row.kind, row.device) for row in rig.journal.findings(0)}
    assert found == {("nothing_read", "meter-m2"), ("malformed", "meter-m3")}
    (row,) = rig.journal.quarantine()
    assert (row.reason, row.device, row.part, row.addresses) == ("nothing_read", "meter-m2", True, ("m2",))


def test_what_a_mended_profile_ignores_of_a_silent_device_is_settled(known: Rig) -> None:
    known.ingest.handle([read(T, T, {"type": "beat", "up": 5}), read(T + 1, T, {"type": "x", "up": 6})])
    assert known.journal.quarantine_size() == 2
    beat = "layouts:\n- {name: beat, ignore: heartbeat, when: {type: beat}}\n- name: reads"
    head, points = READS.split("time:")
    known.shelve("reads", head + beat + "\n  time:" + points.replace("\n", "\n  "))
    known.shelf.reload()
    assert known.refused() == []
    known.reread()
    assert [row.payload[-4:] for row in known.journal.quarantine()] == [b": 6}"]
    rows = known.ledger()
    one = rows["meter-7"]
    assert (one.received, one.quarantined, one.ignored, "" in rows) == (3, 1, 1, False)


def test_a_silent_device_that_was_registered_by_a_wrong_profile_is_read_by_the_right_one(known: Rig) -> None:
    other = (
        READS.replace("Acme reads", "Acme other")
        .replace("vol.m3", "liters")
        .replace("volume, kind", "volume, unit: L, kind")
    )
    known.shelve("other", other)
    known.shelf.reload()
    assert known.refused() == []
    known.ingest.handle([read(T, T - HOUR, {"liters": 2500})])
    assert known.journal.quarantine()[0].reason == "nothing_read"
    known.register(Device("site", "meter-7", "", "water_meter", "acme/other", "7", ""))
    known.reread()
    assert known.stored("meter-7", "volume")[-1] == ("02:00:00Z", 2.5)


def test_a_retained_message_stays_one(rig: Rig) -> None:
    rig.ingest.handle([probe(1.5, T, retained=True)])
    rig.register(tank())
    rig.reread()
    ((_, _), (_, again)) = rig.journal.read(Lane.NORMAL, 0, 10)
    assert again.readings.quality.tolist() == [Quality.RETAINED]


def test_the_same_value_twice_in_one_millisecond_stays_two(rig: Rig) -> None:
    rig.ingest.handle([probe(1.5, T), Message("probe/p1/level", b"1.6", T)])
    rig.register(tank())
    rig.reread()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.5, 1.6]


class Inbound:
    """A broker that has something each time it is asked, some times."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages, self.waits = messages, list[float]()

    def take(self, timeout_s: float, limit: int) -> list[tuple[object, Message]]:
        self.waits.append(timeout_s)
        return [(0, self.messages.pop(0))] if self.messages else []

    def acknowledge(self, tokens: object) -> None:
        return None


def test_messages_that_come_go_first_and_never_wait_long(rig: Rig) -> None:
    rig.ingest.handle([probe(n, T + n) for n in range(10)])
    rig.register(tank())
    woken: list[int] = []
    broker = Inbound([probe(100 + n, T + MINUTE + n) for n in range(3)])
    work = IngestWork(broker, rig.ingest, lambda: woken.append(1), between=rig.rereading.step)
    orders = []
    while True:
        before = rig.rereading.read, len(broker.messages)
        work()
        orders.append((rig.rereading.read - before[0], before[1] - len(broker.messages)))
        if not broker.messages and not rig.rereading.busy:
            break
    assert orders == [(3, 1), (3, 1), (3, 1), (1, 0), (0, 0)]  # the last one looks for what was pushed out
    assert broker.waits == [0.25, 0.0, 0.0, 0.0, 0.0]
    rig.keep.drain()
    assert len(rig.stored("tank-p1", "level")) == 13


def test_our_own_mistake_with_one_message_stops_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.ingest.handle([probe(n, T + n) for n in range(7)])
    rig.register(tank())
    whole = rig.ingest.again

    def fragile(rows: list[QuarantineRow]) -> int:
        if any(row.payload == b"4" for row in rows):
            raise ZeroDivisionError("a bug")
        return whole(rows)

    monkeypatch.setattr(rig.ingest, "again", fragile)
    rig.reread()
    assert [row.payload for row in rig.journal.quarantine()] == [b"4"]
    assert len(rig.stored("tank-p1", "level")) == 6


def test_what_a_person_discards_meanwhile_stays_discarded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.ingest.handle([probe(n, T + n) for n in range(3)])
    rig.register(tank())
    whole = rig.inner.quarantine_after
    discarded: list[int] = []

    def slow(*asked: Any) -> Any:
        rows = whole(*asked)
        if not discarded:
            discarded.append(rows[1].id)
            rig.journal.settle(discarded, "discarded")
        return rows

    monkeypatch.setattr(rig.inner, "quarantine_after", slow)
    rig.reread()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [0.0, 2.0]
    assert [row.id for row in rig.journal.quarantine("discarded")] == discarded
    assert rig.ledger()[""].quarantined == 1


# ---------------------------------------------------------------- the process ends at any point


def outcome(rig: Rig) -> dict[str, object]:
    rows = rig.ledger()
    return {
        "stored": {d: rig.stored(d, n) for d, n in (("meter-m1", "volume"), ("tank-p1", "level"))},
        "open": [(row.topic, row.reason, row.part, row.addresses) for row in rig.journal.quarantine()],
        "read": len(rig.journal.quarantine("reprocessed")),
        "messages": {d: (r.received, r.decoded, r.quarantined, r.readings) for d, r in rows.items()},
        "quality": sorted(
            (int(at), int(q))
            for _, b in rig.journal.read(Lane.NORMAL, 0, 100)
            for at, q in zip(b.readings.at, b.readings.quality, strict=True)
        ),
    }


def play(folder: Path, counting: Counting) -> tuple[dict[str, object], int]:
    """Messages of strangers, then the devices are registered; whenever the process ends, another
    goes on."""
    rig = Rig(folder, wrap=lambda journal: Breaking(journal, counting))
    counting.end_at, at = -1, counting.end_at
    try:
        for number in range(4):
            rig.ingest.handle(
                [
                    batch(T + number, m1=(number, T - number * HOUR), m2=(9, T)),
                    probe(number / 10, T + number * MINUTE, retained=number == 3),
                    Message("nobody/1", b"%d" % number, T + number),
                ]
            )
        rig.keep.drain()
        rig.register(meter("m1"), tank())
        counting.steps, counting.end_at = 0, at
        ends = reread_to_the_end(rig)
        return outcome(rig), ends
    finally:
        rig.close()


def test_wherever_the_process_ends_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    counting = Counting()
    expected, ends = play(tmp_path / "whole", counting)
    assert ends == 0
    assert expected["read"] == 4
    assert expected["messages"]["meter-m1"] == (4, 4, 0, 4)  # type: ignore[index]
    steps = counting.steps
    assert steps > 30
    for step in range(1, steps + 1):
        counting = Counting()
        counting.end_at = step
        found, ends = play(tmp_path / str(step), counting)
        assert ends == 1, step
        assert found == expected, step


def test_what_is_kept_of_a_message_too_large_is_never_taken_for_one(rig: Rig) -> None:
    rig.register(tank())
    rig.ingest.handle([Message("probe/p1/level", b"1.5" + b" " * 300_000, T)])
    (row,) = rig.journal.quarantine()
    assert (row.reason, len(row.payload)) == ("too_large", 4_000)
    assert "300003 bytes" in row.detail
    rig.rereading.ask()
    rig.reread()
    assert rig.journal.quarantine() == [row]
    assert rig.stored("tank-p1", "level") == []
