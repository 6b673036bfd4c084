"""Numbers that devices give their messages: what never came, what came late, and counts that began anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flows.intake_rig import Rig, T
from tests.shipped_profiles import shipped_library

from dutyroom.flows.sequences import Sequences, missing_in
from dutyroom.interfaces import LedgerQuestion
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Message
from dutyroom.timebase import HOUR, MINUTE, Ms

COUNTED = """
name: A counted probe
class: sensor
match: {topics: ["probe/{device}/up"]}
identity: "{device}"
sequence: {from: n, modulus: 65536}
points:
  level: {from: v, quantity: level, unit: m}
"""


def gaps(numbers: list[int], modulus: int | None = None) -> int:
    seen = Sequences.of({})
    total = 0
    for number in numbers:
        seen.begin()
        seen.see("d", number, modulus, T)
        total += sum(seen.gaps.values())
        again = Sequences.of({d: bytes(b) for d, b in seen.taken().items()})  # as after a restart
        seen.commit()
        seen.known.update(again.known)
    return total


@pytest.mark.parametrize(
    ("numbers", "modulus", "missing"),
    [
        ([5, 6, 7], None, 0),
        ([5, 9], None, 3),
        ([5, 9, 6, 8], None, 1),  # two came late
        ([5, 6, 6, 6, 7], None, 0),  # sent again until somebody answers
        ([5, 6, 7, 5, 8], None, 0),  # an old one once more
        ([254, 255, 0, 1], 256, 0),
        ([250, 3], 256, 8),
        ([250, 3, 255, 1], 256, 6),
        ([5_000, 5_001, 0, 1, 2], 65_536, 0),  # began anew
        ([5_000, 5_001, 3, 4, 5], 65_536, 0),  # and its first ones never came
        ([40_000, 40_002, 0, 1, 4], 65_536, 3),
        ([1, 2**31], 2**32, 0),  # another device under the same name, or another count
        ([7], None, 0),
        ([1, 500, *range(2, 500), 501], 65_536, 0),  # a gateway hands over what it held, the newest first
        ([1, 500, *range(499, 1, -1), 501], None, 0),
        ([1, 500, *range(300, 400), 501], None, 398),
    ],
)
def test_what_is_missing(numbers: list[int], modulus: int | None, missing: int) -> None:
    assert gaps(numbers, modulus) == missing


@given(st.permutations(range(20)), st.sampled_from([None, 256]))
def test_what_came_in_another_order_is_not_missing(order: list[int], modulus: int | None) -> None:
    """From the second number on: what the count began with is not known."""
    assert gaps([100, *(101 + n for n in order), 121], modulus) == 0


@given(st.lists(st.integers(0, 300), max_size=40), st.sampled_from([None, 301]))
def test_gaps_are_never_fewer_than_none(numbers: list[int], modulus: int | None) -> None:
    assert gaps(numbers, modulus) >= 0


def test_a_codec_says_how_many() -> None:
    assert missing_in("group/node: 7 after 3, 3 missing") == 3
    assert missing_in("something else") == 0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, {"probe": COUNTED})
    made.register(Device("site", "p1", "", "sensor", "acme/probe", "p1", ""))
    yield made
    made.close()


def up(number: int, at: Ms, **flags: bool) -> Message:
    return Message("probe/p1/up", json.dumps({"n": number, "v": 1.5 + number}).encode(), at, **flags)


def total(rig: Rig) -> int:
    return rig.journal.balance(LedgerQuestion(0, by="device")).totals.gaps


def test_gaps_stand_in_the_ledger_also_after_a_restart(rig: Rig) -> None:
    rig.ingest.handle([up(1, T), up(2, T + MINUTE), up(5, T + 2 * MINUTE)])
    assert total(rig) == 2
    rig.again()
    rig.ingest.handle([up(5, T + 3 * MINUTE, duplicate=True), up(8, T + HOUR)])
    assert total(rig) == 4
    rig.ingest.handle([up(8, T + HOUR), up(4, T + HOUR + 1), up(9, T + HOUR + 2)])
    found = rig.journal.balance(LedgerQuestion(0, by="hour"))
    # The last one is waited for no more: what was missed in an hour is known by the next start, too.
    assert {row.at: row.gaps for row in found.rows} == {T // HOUR * HOUR: 1, (T + HOUR) // HOUR * HOUR: 2}
    (said,) = [f for f in rig.journal.findings(0) if f.kind == "sequence_gap"]
    assert (said.device, said.count, said.detail) == ("p1", 2, "8 after 5, 2 missing")
    rig.keep.drain()
    assert found.totals.balances


def test_uplinks_of_lorawan_servers_are_counted(tmp_path: Path) -> None:
    library = shipped_library("UTC")
    counted = {p.id: p.layouts[0].sequence for p in library.profiles.values() if p.envelope == "lorawan"}
    assert counted
    assert all(rule is not None and rule.modulus == 2**32 for rule in counted.values())


PROBE = Device("site", "p1", "", "sensor", "acme/probe", "p1", "")


def while_away(rig: Rig, *messages: Message) -> None:
    """They wait, as nobody knows the device."""
    rig.register(replace(PROBE, status=DeviceStatus.WITHDRAWN))
    rig.ingest.handle(messages)
    rig.register(PROBE)


def test_what_waited_is_not_missing_once_it_is_read(rig: Rig) -> None:
    """Whether it is read before the next message or after it."""
    rig.ingest.handle([up(1, T)])
    while_away(rig, up(2, T + 1), up(3, T + 2))
    rig.reread()
    rig.ingest.handle([up(4, T + 3)])
    assert total(rig) == 0
    while_away(rig, up(5, T + 4), up(7, T + 5))
    rig.ingest.handle([up(8, T + HOUR)])
    assert total(rig) == 3
    rig.reread()
    assert total(rig) == 1  # the sixth never came
    rig.again()
    rig.ingest.handle([up(9, T + HOUR + 1)])
    assert total(rig) == 1
    assert rig.journal.quarantine_size() == 0


def test_one_that_never_came_is_one_also_among_those_that_waited(rig: Rig) -> None:
    rig.ingest.handle([up(1, T)])
    while_away(rig, *(up(n, T + n) for n in range(2, 100) if n != 10))
    rig.reread()
    rig.ingest.handle([up(100, T + 200)])
    assert total(rig) == 1


def test_however_many_waited_none_of_them_is_missing(rig: Rig) -> None:
    """Also where the newest are read first, as the older ones had been pushed out."""
    rig.ingest.handle([up(1, T)])
    while_away(rig, *(up(n, T + n) for n in range(2, 200)))
    rig.ingest.handle([up(200, T + 200)])
    assert total(rig) == 198
    rig.reread()
    assert total(rig) == 0
    while_away(rig, *(up(n, T + n) for n in range(201, 1_401)))
    rig.reread()
    rig.ingest.handle([up(1_401, T + HOUR)])
    assert total(rig) == 0


def test_what_an_older_version_has_noted_is_read() -> None:
    old = msgspec.msgpack.encode((9, -2, {5: T, 7: T}))
    seen = Sequences.of({"d": old})
    seen.see("d", 7, None, T)
    assert seen.gaps == {(T // HOUR * HOUR, "d"): -1}


def test_an_old_message_that_is_read_begins_no_count(rig: Rig) -> None:
    while_away(rig, up(1, T), up(2, T + 1), up(40, T + 2))
    rig.ingest.handle([up(100, T + HOUR)])
    rig.reread()
    rig.ingest.handle([up(101, T + HOUR + 1), up(103, T + HOUR + 2)])
    assert total(rig) == 1
    while_away(rig, up(102, T + HOUR + 3, retained=True))  # what a broker had kept is no news
    rig.reread()
    assert total(rig) == 1


def test_one_that_comes_after_its_number_was_missed_is_another(rig: Rig) -> None:
    rig.ingest.handle([up(1, T), up(3, T + 1)])
    while_away(rig, up(2, T + 2 * HOUR))
    rig.reread()
    assert total(rig) == 1
