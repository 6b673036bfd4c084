"""Of a gateway's message one device is understood and another, with new firmware, is not: its part waits under it."""

from __future__ import annotations

import json

import pytest
from tests.flows.intake_rig import BATCH, Rig, T, meter

from dutyroom.backends.quarantine import Quarantine
from dutyroom.model.telemetry import Lane, Message
from dutyroom.timebase import HOUR

MENDED = BATCH.replace("from: m3", "from: [m3, cbm]")


def mixed(number: int, **meters: dict[str, object]) -> Message:
    """Each an hour after the one before."""
    at = (T - 10 * HOUR + number * HOUR) // 1000
    body = {"meters": [{"id": name, "ts": at, **said} for name, said in meters.items()]}
    return Message("gw/g1/up", json.dumps(body).encode(), T + number)


def mend(rig: Rig, text: str = MENDED) -> None:
    rig.shelve("batch", text)
    rig.shelf.reload()
    assert [str(m) for m in rig.shelf.shelved.mistakes if m.field != "examples"] == []


def values(rig: Rig, device: str) -> list[float]:
    return [value for _, value in rig.stored(device, "volume")]


def waiting(rig: Rig) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(row.reason, row.device, row.addresses) for row in rig.journal.quarantine_after(0, 99)]


def test_the_part_of_one_device_waits_and_is_read_alone(rig: Rig) -> None:
    rig.register(meter("m1"), meter("m2"))
    for number in range(3):
        rig.ingest.handle([mixed(number, m1={"m3": 1 + number}, m2={"cbm": 10 + number})])
    assert waiting(rig) == [("nothing_read", "meter-m2", ("m2",))] * 3
    assert rig.journal.quarantine()[0].detail == "meters"
    rig.reread()
    rig.again()
    rig.reread()
    before = rig.journal.last(Lane.NORMAL)
    rig.rereading.ask()
    rig.reread()
    assert rig.journal.last(Lane.NORMAL) == before  # nothing was written for nothing
    mend(rig)
    rig.reread()
    assert (values(rig, "meter-m1"), values(rig, "meter-m2")) == ([1.0, 2.0, 3.0], [10.0, 11.0, 12.0])
    assert rig.journal.quarantine_size() == 0
    rows = rig.ledger()
    assert (rows["meter-m1"].received, rows["meter-m1"].decoded, rows["meter-m1"].readings) == (3, 3, 3)
    assert (rows["meter-m2"].received, rows["meter-m2"].readings, rows["meter-m2"].stored) == (0, 3, 3)
    assert all(row.duplicate == row.conflict == row.quarantined == 0 for row in rows.values())


@pytest.mark.parametrize("said", [{"m3": None}, {}, {"m3": None, "new": 4}, {"cbm": None}])
def test_of_a_device_that_has_nothing_to_say_nothing_waits(rig: Rig, said: dict[str, object]) -> None:
    rig.register(meter("m1"), meter("m2"))
    rig.ingest.handle([mixed(0, m1={"m3": 1}, m2=said)])
    assert rig.journal.quarantine_size() == 0


def test_a_stranger_and_a_silent_device_in_one_message_wait_each_by_itself(rig: Rig) -> None:
    rig.inner._quarantine = Quarantine(kept=2)
    rig.register(meter("m1"), meter("m2"))
    for number in range(5):
        rig.ingest.handle([mixed(number, m1={"m3": 1}, m2={"cbm": 10 + number}, m9={"m3": 90 + number})])
    assert sorted(waiting(rig)) == [
        ("nothing_read", "meter-m2", ("m2",)),
        ("nothing_read", "meter-m2", ("m2",)),
        ("unknown_device", "", ("m9",)),
        ("unknown_device", "", ("m9",)),
    ]
    assert [row.newest.addresses for row in rig.journal.strangers(9)] == [("m9",)]
    assert ("quarantine_full", "meter-m2") in {(row.kind, row.device) for row in rig.journal.findings(0)}
    mend(rig)
    rig.reread()
    assert values(rig, "meter-m2") == [10.0 + number for number in range(5)]
    rig.register(meter("m9"))
    rig.reread()
    assert values(rig, "meter-m9") == [90.0 + number for number in range(5)]
    assert (rig.journal.quarantine_size(), rig.journal.pushed_out()) == (0, [])
    rows = rig.ledger()
    assert sum(row.received for row in rows.values()) == 5
    assert all(row.duplicate == row.conflict == 0 for row in rows.values())


def test_an_adopted_device_that_says_nothing_known_waits_as_one_of_ours(rig: Rig) -> None:
    rig.register(meter("m1"))
    rig.ingest.handle([mixed(0, m1={"m3": 1}, m2={"cbm": 10}, m9={"m3": 90})])
    assert waiting(rig) == [("unknown_device", "", ("m2", "m9"))]
    rig.register(meter("m2"))
    rig.reread()
    assert waiting(rig) == [("unknown_device", "", ("m9", "m2"))]
    last = rig.journal.last(Lane.NORMAL)
    rig.rereading.ask()
    rig.reread()
    assert rig.journal.last(Lane.NORMAL) == last
    rig.register(meter("m9"))
    rig.reread()
    assert waiting(rig) == [("nothing_read", "meter-m2", ("m2",))]
    mend(rig)
    rig.reread()
    assert (values(rig, "meter-m2"), values(rig, "meter-m9")) == ([10.0], [90.0])
    assert waiting(rig) == []


def test_of_two_silent_devices_the_one_that_is_not_mended_waits_on(rig: Rig) -> None:
    rig.register(meter("m1"), meter("m2"), meter("m3"))
    rig.ingest.handle([mixed(0, m1={"m3": 1}, m2={"cbm": 10}, m3={"kub": 20})])
    assert waiting(rig) == [("nothing_read", "meter-m2", ("m2", "m3"))]
    mend(rig)
    rig.reread()
    assert waiting(rig) == [("nothing_read", "meter-m3", ("m3",))]
    mend(rig, BATCH.replace("from: m3", "from: [m3, cbm, kub]"))
    rig.reread()
    assert [values(rig, f"meter-{name}") for name in ("m1", "m2", "m3")] == [[1.0], [10.0], [20.0]]
    assert sum(row.received for row in rig.ledger().values()) == 1


def test_a_part_that_no_profile_reads_meanwhile_waits_on(rig: Rig) -> None:
    rig.register(meter("m1"), meter("m2"))
    rig.ingest.handle([mixed(0, m1={"m3": 1}, m2={"cbm": 10})])
    mend(rig, BATCH.replace("gw/{gateway}/up", "other/{gateway}/up"))
    rig.reread()
    assert waiting(rig) == [("nothing_read", "meter-m2", ("m2",))]
