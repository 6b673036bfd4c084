"""What newer messages pushed out of the quarantine is read again from the raw messages, each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.crashes import Breaking, Counting, reread_to_the_end
from tests.flows.intake_rig import READS, Rig, T, batch, meter, probe, read, tank

from dutyroom.backends.quarantine import Quarantine
from dutyroom.interfaces import PushedOut
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Lane, Message
from dutyroom.timebase import DAY, HOUR, MINUTE

KEPT = 3
MENDED = READS.replace("from: vol.m3", "from: [vol.m3, vol.cbm]")


class Small(Rig):
    """Of each sender three messages wait."""

    def open(self) -> None:
        super().open()
        self.inner._quarantine = Quarantine(kept=KEPT)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Small(tmp_path)
    yield made
    made.close()


def mend(rig: Rig) -> None:
    rig.shelve("reads", MENDED)
    rig.shelf.reload()
    assert rig.refused() == []


def renamed(number: int, **more: object) -> Message:
    """Each with a value of its own, an hour after the one before."""
    return read(T + number, T - 10 * HOUR + number * HOUR, {"vol": {"cbm": number}, **more})


def values(rig: Rig, device: str = "meter-7", name: str = "volume") -> list[float]:
    return [value for _, value in rig.stored(device, name)]


def test_a_week_of_a_meter_that_renamed_its_fields_is_read_whole(rig: Rig) -> None:
    rig.knows_reads()
    for number in range(10):
        rig.ingest.handle([renamed(number)])
    assert rig.journal.quarantine_size() == KEPT
    assert rig.journal.pushed_out() == [PushedOut("meter-7", 7, 0, T, T + 6)]
    rig.reread()
    assert rig.journal.pushed_out()[0].kept == 7  # as unreadable as before
    rig.again()  # the service is started anew, and then the profile is mended
    mend(rig)
    rig.reread()
    assert values(rig) == [float(number) for number in range(10)]
    assert rig.stored("meter-7", "volume")[0][0] == "17:00:00Z"  # their own times
    row = rig.ledger()["meter-7"]
    assert (row.received, row.decoded, row.quarantined, row.stored) == (10, 10, 0, 10)
    assert rig.journal.pushed_out() == []
    rig.rereading.ask()
    rig.reread()
    assert rig.ledger()["meter-7"] == row


def test_what_still_nobody_reads_stays_and_the_rest_is_read(rig: Rig) -> None:
    rig.knows_reads()
    for number in range(8):
        rig.ingest.handle([renamed(number) if number % 2 else read(T + number, T, {"beat": number})])
    mend(rig)
    rig.reread()
    assert values(rig) == [1.0, 3.0, 5.0, 7.0]
    assert rig.journal.pushed_out()[0].kept == 3
    row = rig.ledger()["meter-7"]
    assert (row.received, row.decoded, row.quarantined) == (8, 4, 4)


def test_an_adopted_device_has_what_was_pushed_out_too(rig: Rig) -> None:
    for number in range(8):
        at = T - 10 * HOUR + number * HOUR
        rig.ingest.handle([batch(T + number, m1=(number, at)), probe(number, T + number * MINUTE)])
    assert rig.journal.pushed_out() == [PushedOut("", 10, 0, T, T + 4 * MINUTE)]
    assert {(row.newest.topic, row.kept, row.count) for row in rig.journal.strangers(9)} == {
        ("gw/g1/up", 8, 8),  # as many are read again when it is adopted
        ("probe/p1/level", 8, 8),
    }
    rig.register(meter("m1"))
    rig.reread()
    assert values(rig, "meter-m1") == [float(number) for number in range(8)]
    assert rig.journal.pushed_out()[0].kept == 5
    rig.register(tank())
    rig.reread()
    assert values(rig, "tank-p1", "level") == [float(number) for number in range(8)]
    rows = rig.ledger()
    assert (rows["meter-m1"].decoded, rows["tank-p1"].decoded, rows[""].received) == (8, 8, 0)


def test_of_a_message_of_several_devices_each_gets_its_own(rig: Rig) -> None:
    rig.register(meter("m1"))
    for number in range(6):
        at = T - 10 * HOUR + number * HOUR
        rig.ingest.handle([batch(T + number, m1=(1, at), m2=(2 + number, at), m3=(30 + number, at))])
    assert rig.journal.pushed_out()[0].kept == 3
    rig.register(meter("m2"))
    rig.reread()
    assert rig.journal.pushed_out()[0].kept == 3  # for m3
    rig.register(meter("m3"))
    rig.reread()
    assert values(rig, "meter-m2") == [2.0 + number for number in range(6)]
    assert values(rig, "meter-m3") == [30.0 + number for number in range(6)]
    rows = rig.ledger()
    assert (rows["meter-m1"].readings, rows["meter-m1"].decoded) == (6, 6)
    assert (rows["meter-m2"].received, rows["meter-m2"].readings) == (0, 6)
    assert sum(row.received for row in rows.values()) == 6
    assert all(row.duplicate == row.conflict == 0 for row in rows.values())
    assert rig.journal.pushed_out() == []


def test_a_profile_that_knows_the_topic_meanwhile_leaves_it_to_its_device(rig: Rig) -> None:
    for number in range(6):
        rig.ingest.handle([Message("reads/7/up", renamed(number).payload, T + number)])
    assert {row.reason for row in rig.journal.quarantine()} == {"unknown_topic"}
    mend(rig)
    rig.reread()
    rows, _ = rig.journal.pushed_out_after(0, 9)
    assert [(row.reason, row.addresses) for row in rows] == [("unknown_device", ("7",))] * 3
    rig.register(Device("site", "meter-7", "", "water_meter", "acme/reads", "7", ""))
    rig.reread()
    assert values(rig) == [float(number) for number in range(6)]


def test_of_an_address_that_is_not_ours_it_waits_until_it_is(rig: Rig) -> None:
    for number in range(6):
        rig.ingest.handle([batch(T + number, m1=(number, T - 9 * HOUR + number * HOUR))])
    rig.disown("m1")
    assert (rig.journal.quarantine_size(), rig.journal.pushed_out()[0].kept) == (0, 3)
    rig.intake.not_ours.take_back("m1", "a", T)
    rig.register(meter("m1"))
    rig.reread()
    rig.reread()
    assert values(rig, "meter-m1") == [float(number) for number in range(6)]
    assert rig.ledger()["meter-m1"].decoded == 6


def test_more_than_wait_of_an_address_that_comes_back_are_read_and_counted_once(rig: Rig) -> None:
    """They counted as gone, and as waiting once more with each time that it came back."""
    rig.intake.disown("p1", "admin", T)
    for number in range(8):
        rig.ingest.handle([probe(number, T + number * MINUTE)])
    for _ in range(2):
        rig.take_back("p1")
        assert rig.journal.pushed_out() == [PushedOut("", 5, 0, T, T + 4 * MINUTE)]
        assert rig.told("received", "ignored", "quarantined")[""] == (8, 0, 8)
        rig.disown("p1")
    rig.intake.not_ours.take_back("p1", "admin", T)
    rig.register(tank())
    rig.reread()
    assert values(rig, "tank-p1", "level") == [float(number) for number in range(8)]
    assert (rig.ledger()["tank-p1"].decoded, rig.ledger()[""].received) == (8, 0)
    assert rig.journal.pushed_out() == []


def test_of_messages_that_were_pushed_out_a_second_address_that_comes_back_counts_none_again(
    rig: Rig,
) -> None:
    rig.disown("m1", "m2")
    for number in range(6):
        at = T - 10 * HOUR + number * HOUR
        rig.ingest.handle([batch(T + number, m1=(number, at), m2=(10 + number, at))])
    rig.come_home("m1", "m2")
    assert rig.told("received", "decoded", "ignored", "stored", "duplicate") == {
        "": (0, 0, 0, 0, 0),
        "meter-m1": (6, 6, 0, 6, 0),
        "meter-m2": (0, 0, 0, 6, 0),
    }
    assert values(rig, "meter-m1") == [float(number) for number in range(6)]
    assert values(rig, "meter-m2") == [10.0 + number for number in range(6)]
    assert (rig.journal.quarantine_size(), rig.journal.pushed_out()) == (0, [])


def test_what_waited_when_it_was_ignored_and_is_pushed_out_when_it_comes_back_counts_once(rig: Rig) -> None:
    for number in range(3):
        rig.ingest.handle([probe(number, T + number * MINUTE)])
    rig.disown("p1")
    for number in range(3, 8):
        rig.ingest.handle([probe(number, T + number * MINUTE)])
    rig.take_back("p1")
    assert rig.told("received", "ignored", "quarantined")[""] == (8, 0, 8)
    rig.register(tank())
    rig.reread()
    assert values(rig, "tank-p1", "level") == [float(number) for number in range(8)]
    assert (rig.ledger()["tank-p1"].decoded, rig.ledger()[""].received) == (8, 0)
    assert rig.ledger()["tank-p1"].duplicate == 0


def test_what_the_raw_messages_have_no_longer_is_counted(rig: Rig) -> None:
    rig.knows_reads()
    for number in range(10):
        rig.ingest.handle([renamed(number)])
    rig.keep.drain()
    old = {Lane.NORMAL: 4}
    rig.inner.trim(T + 8 * DAY, 7.0, old)
    assert rig.journal.pushed_out() == [PushedOut("meter-7", 3, 4, T, T + 6)]
    mend(rig)
    rig.reread()
    assert values(rig) == [float(number) for number in range(4, 10)]
    assert rig.ledger()["meter-7"].quarantined == 4
    assert rig.journal.pushed_out() == [PushedOut("meter-7", 0, 4, T, T + 6)]
    rig.inner.trim(T + 8 * DAY, 7.0, old)
    assert rig.journal.pushed_out() == []


def play(folder: Path, counting: Counting) -> tuple[dict[str, object], int]:
    """As long as no profile reads them they are pushed out; whenever the process ends, another goes on."""
    rig = Small(folder, wrap=lambda journal: Breaking(journal, counting))
    at, counting.end_at = counting.end_at, -1
    try:
        rig.knows_reads()
        for number in range(6):
            rig.ingest.handle([renamed(number), Message("nobody/1", b"%d" % number, T + number)])
        rig.keep.drain()
        counting.steps, counting.end_at = 0, at
        rig.shelve("reads", MENDED)
        rig.shelf.reload()
        ends = reread_to_the_end(rig)
        ledger = {d: (r.received, r.decoded, r.quarantined, r.readings) for d, r in rig.ledger().items()}
        return {"values": values(rig), "ledger": ledger, "out": rig.journal.pushed_out()}, ends
    finally:
        rig.close()


def test_wherever_the_process_ends_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    counting = Counting()
    expected, _ = play(tmp_path / "whole", counting)
    assert expected["values"] == [float(number) for number in range(6)]
    assert expected["ledger"] == {"meter-7": (6, 6, 0, 6), "": (6, 0, 6, 0)}
    for step in range(1, counting.steps + 1):
        counting = Counting()
        counting.end_at = step
        found, ends = play(tmp_path / str(step), counting)
        assert (ends, found) == (1, expected), step


def test_a_message_that_an_older_version_kept_is_gone_when_it_is_pushed_out(rig: Rig) -> None:
    rig.knows_reads()
    rig.ingest.handle([renamed(0)])
    rig.inner._writer.execute("UPDATE quarantine SET place=-1")
    for number in range(1, 5):
        rig.ingest.handle([renamed(number)])
    assert rig.journal.pushed_out() == [PushedOut("meter-7", 1, 1, T, T + 1)]
    assert json.loads(rig.journal.pushed_out_after(0, 9)[0][0].payload)["vol"] == {"cbm": 1}
