"""Addresses that are heard and are not ours: ignored, counted as such, and heard again when taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.flows.crashes import Breaking, Counting, reread_to_the_end
from tests.flows.intake_rig import Rig, T, batch, meter, probe, tank

from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.live import Live
from dutyroom.flows.notours import MOST, NotOurs, without
from dutyroom.flows.strangers import Strangers
from dutyroom.model.telemetry import Finding, Lane, Message
from dutyroom.profiles.result import Decoded, Ignored, Refused
from dutyroom.timebase import DAY, HOUR, MINUTE

TOLD = ("received", "decoded", "ignored", "stored", "duplicate")


def listed(rig: Rig) -> list[str]:
    found = Strangers(rig.journal).all(
        rig.shelf.library, rig.registry.find, foreign=rig.intake.not_ours.addresses
    )
    return [s.address for s in found]


def counts(rig: Rig) -> tuple[int, int, int]:
    rig.keep.drain()  # a ledger balances when all is stored
    row = rig.ledger()[""]
    return row.received, row.ignored, row.quarantined


def test_what_waits_and_what_comes_is_ignored_until_it_is_taken_back(rig: Rig) -> None:
    rig.ingest.handle([probe(n, T + n, "next-door") for n in range(5)] + [probe(9, T + 9, "p2")])
    assert counts(rig) == (6, 0, 6)
    rig.intake.disown("next-door", "admin", T)
    assert listed(rig) == ["p2"]
    rig.reread()
    assert counts(rig) == (6, 5, 1)
    rig.ingest.handle([probe(7, T + MINUTE, "next-door")])
    assert counts(rig) == (7, 6, 1)
    assert rig.journal.quarantine_size() == 1
    rig.again()
    assert [(m.address, m.at, m.actor) for m in rig.intake.not_ours.marks] == [("next-door", T, "admin")]
    rig.ingest.handle([probe(7, T + 2 * MINUTE, "next-door")])
    assert counts(rig) == (8, 7, 1)
    rig.intake.not_ours.take_back("next-door", "admin", T + 1)
    rig.ingest.handle([probe(8, T + 3 * MINUTE, "next-door")])
    assert counts(rig) == (9, 7, 2)
    assert listed(rig) == ["next-door", "p2"]
    with rig.records.read() as tx:
        trail = [(row.actor, row.action, row.target) for row in tx.audit_rows("site")]
    assert trail == [
        ("admin", "device.not_ours_back", "next-door"),
        ("admin", "device.not_ours", "next-door"),
    ]


@pytest.mark.parametrize("away", ["journal", "records"])
def test_what_is_taken_back_while_the_disk_is_full_or_the_records_are_away_is_read_when_they_are_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    rig.intake.disown("p1", "admin", T)
    rig.ingest.handle([probe(7, T)])
    rig.intake.not_ours.take_back("p1", "admin", T + 1)
    rig.register(tank())
    broken, name = (rig.journal, "reopen") if away == "journal" else (rig.records, "read")

    def refuse(*_: object) -> None:
        raise Unavailable("try again")

    with monkeypatch.context() as patch:
        patch.setattr(broken, name, refuse)
        with pytest.raises(Unavailable):
            rig.reread()
    rig.reread()
    assert rig.stored("tank-p1", "level") == [("03:00:00Z", 7.0)]


def test_of_a_shared_message_only_its_own_part_is_ignored(rig: Rig) -> None:
    rig.register(meter("m1"))
    rig.ingest.handle([batch(T, m1=(1, T), m2=(2, T)), batch(T + MINUTE, m2=(2, T), m3=(3, T))])
    rig.disown("m2")
    assert listed(rig) == ["m3"]
    assert rig.journal.quarantine_size() == 1
    assert [row.addresses for row in rig.journal.quarantine()] == [("m3", "m2")]  # which may come back
    rig.disown("m3")
    assert rig.journal.quarantine_size() == 0
    assert counts(rig) == (1, 1, 0)
    rig.ingest.handle([batch(T + HOUR, m1=(2, T + HOUR), m2=(2, T), m3=(2, T))])
    assert rig.journal.quarantine_size() == 0
    rig.keep.drain()
    assert rig.stored("meter-m1", "volume") == [("03:00:00Z", 1.0), ("04:00:00Z", 2.0)]


def test_what_was_ignored_is_read_at_its_own_times_when_it_is_taken_back_and_adopted(rig: Rig) -> None:
    """What waited when it was marked, what was ignored since, and the part of a shared message."""
    rig.register(meter("m1"))
    waited = batch(T, m2=(1, T))
    shared = batch(T + MINUTE, m1=(5, T), m2=(2, T + MINUTE))
    rig.ingest.handle([waited, shared])
    rig.disown("m2")
    ignored = batch(T + 2 * MINUTE, m2=(3, T + 2 * MINUTE))
    part = batch(T + 3 * MINUTE, m1=(6, T + 3 * MINUTE), m2=(4, T + 3 * MINUTE))
    other = probe(9, T + 3 * MINUTE, "next-door")
    rig.intake.disown("next-door", "admin", T)
    rig.ingest.handle([ignored, part, other])
    assert counts(rig) == (3, 3, 0)
    assert rig.journal.quarantine_size() == 0

    rig.take_back("m2")
    assert counts(rig) == (3, 1, 2)
    assert listed(rig) == ["m2"]
    assert rig.journal.quarantine_size() == 4
    rig.register(meter("m2"))
    rig.reread()
    assert counts(rig) == (1, 1, 0)
    assert rig.stored("meter-m2", "volume") == [
        ("03:00:00Z", 1.0),
        ("03:01:00Z", 2.0),
        ("03:02:00Z", 3.0),
        ("03:03:00Z", 4.0),
    ]
    assert rig.stored("meter-m1", "volume") == [("03:00:00Z", 5.0), ("03:03:00Z", 6.0)]
    assert rig.ledger()["meter-m2"].decoded == 2
    assert rig.ledger()["meter-m2"].duplicate == 0
    assert rig.journal.quarantine_size() == 0


def test_taken_back_and_marked_again_nothing_is_there_twice(rig: Rig) -> None:
    rig.ingest.handle([probe(n, T + n, "p1") for n in range(3)])
    for _ in range(3):
        rig.disown("p1")
        assert counts(rig) == (3, 3, 0)
        rig.take_back("p1")
        assert counts(rig) == (3, 0, 3)
        assert rig.journal.quarantine_size() == 3


def test_of_one_message_addresses_that_come_back_one_after_the_other_are_each_read_once(rig: Rig) -> None:
    """It came when both were not ours. The second one's return counted it as waiting once more, and read all again."""
    rig.disown("m1", "m2")
    rig.ingest.handle([batch(T, m1=(1, T), m2=(2, T))])
    rig.come_home("m1", "m2")
    assert rig.told(*TOLD) == {"": (0, 0, 0, 0, 0), "meter-m1": (1, 1, 0, 1, 0), "meter-m2": (0, 0, 0, 1, 0)}
    assert rig.stored("meter-m1", "volume") == [("03:00:00Z", 1.0)]
    assert rig.stored("meter-m2", "volume") == [("03:00:00Z", 2.0)]


@pytest.mark.parametrize("first", ["m1", "m2"])
def test_what_waited_for_others_of_its_message_too_is_found_when_it_is_taken_back(
    rig: Rig, first: str
) -> None:
    """While it was not ours the message waited for the others only, was read for them, or was theirs alone to ignore."""
    rig.ingest.handle([batch(T, m1=(1, T), m2=(2, T), m3=(3, T))])
    rig.disown("m3")
    rig.register(meter(first))
    rig.reread()
    other = "m2" if first == "m1" else "m1"
    rig.disown(other)
    rig.take_back("m3", other)
    rig.register(meter("m3"), meter(other))
    rig.reread()
    stored = [rig.stored(f"meter-m{n}", "volume") for n in (1, 2, 3)]
    assert stored == [[("03:00:00Z", float(n))] for n in (1, 2, 3)]
    rows = rig.ledger()
    assert sum(row.received for row in rows.values()) == 1
    assert sum(row.duplicate for row in rows.values()) == 0


def test_of_a_message_of_which_none_is_ours_each_comes_back(rig: Rig) -> None:
    rig.ingest.handle([batch(T, m1=(1, T), m2=(2, T))])
    rig.disown("m1", "m2")
    assert counts(rig) == (1, 1, 0)
    rig.take_back("m1")
    assert counts(rig) == (1, 0, 1)
    rig.take_back("m2")
    assert counts(rig) == (1, 0, 1)
    rig.register(meter("m1"), meter("m2"))
    rig.reread()
    assert [rig.stored(f"meter-m{n}", "volume") for n in (1, 2)] == [
        [("03:00:00Z", float(n))] for n in (1, 2)
    ]
    assert counts(rig) == (0, 0, 0)


def raw_goes(rig: Rig) -> None:
    rig.keep.drain()
    rig.inner.trim(T + 8 * DAY, 7.0, {lane: rig.inner.last(lane) for lane in Lane})
    rig.again()  # the newest are held in memory
    assert not rig.inner.read(Lane.NORMAL, 0, 9)


@pytest.mark.parametrize("ours", [(), ("m1",)])
@pytest.mark.parametrize("looked", [False, True])
def test_a_message_that_waits_forgets_none_of_those_it_waited_for(
    rig: Rig, ours: tuple[str, ...], looked: bool
) -> None:
    """Whole or in part: one comes back and waits on, the raw messages go, then the other one comes back."""
    rig.register(*map(meter, ours))
    rig.ingest.handle([batch(T, m1=(1, T), m2=(2, T), m3=(3, T), m4=(4, T))])
    rig.disown("m2", "m3", "m4")
    rig.take_back("m2")
    rig.take_back("m4")
    if looked:  # profiles changed
        rig.rereading.ask()
        rig.reread()
    raw_goes(rig)
    rig.register(meter("m2"))
    rig.reread()
    rig.take_back("m3")
    assert {"m3", "m4"} <= set(listed(rig))
    rig.register(*map(meter, {"m1", "m3", "m4"} - set(ours)))
    rig.reread()
    for n in (1, 2, 3, 4):
        assert rig.stored(f"meter-m{n}", "volume") == [("03:00:00Z", float(n))]
    rows = rig.ledger().values()
    assert sum(row.received for row in rows) == sum(row.decoded for row in rows) == 1
    assert sum(row.duplicate for row in rows) == 0
    assert rig.journal.quarantine_size() == 0


def test_who_comes_back_while_its_message_waits_for_another_one_is_listed(rig: Rig) -> None:
    rig.intake.disown("m2", "admin", T)
    rig.ingest.handle([batch(T, m1=(1, T), m2=(2, T))])
    rig.reread()
    assert listed(rig) == ["m1"]
    rig.take_back("m2")
    assert sorted(listed(rig)) == ["m1", "m2"]


def test_what_is_taken_back_while_nobody_reads_is_looked_for_at_the_next_start(rig: Rig) -> None:
    rig.intake.disown("p1", "admin", T)
    rig.ingest.handle([probe(n, T + n, "p1") for n in range(200)])
    rig.ingest.handle([probe(7, T + 7, "p1", retained=True)])
    rig.intake.not_ours.take_back("p1", "admin", T)
    rig.rereading.step()  # begun, and broken off
    rig.again()
    rig.reread()
    assert counts(rig) == (201, 1, 200)  # the retained one is no other message than the one before
    assert rig.journal.quarantine_size() == 200
    assert not rig.rereading.busy
    assert rig.intake.not_ours.returned() == ()


class Recalled(Breaking):
    def __getattr__(self, name: str) -> Any:
        if name in ("reopen", "recall", "read", "settle"):
            return self._counted(getattr(self.inner, name))
        return super().__getattr__(name)


def recalled(folder: Path, counting: Counting) -> tuple[object, int]:
    rig = Rig(folder, wrap=lambda journal: Recalled(journal, counting))
    end_at, counting.end_at = counting.end_at, -1
    try:
        rig.ingest.handle([batch(T, m2=(1, T)), batch(T + 1, m1=(5, T), m2=(2, T + MINUTE))])
        rig.disown("m2")
        rig.ingest.handle([batch(T + 2, m2=(3, T + 2 * MINUTE)), probe(1, T + 2)])
        rig.intake.not_ours.take_back("m2", "admin", T)
        rig.register(meter("m2"))
        counting.steps, counting.end_at = 0, end_at
        ends = reread_to_the_end(rig)
        steps, counting.end_at = counting.steps, -1
        rig.keep.drain()
        counting.steps = steps
        rows = rig.ledger()
        said = {d: (r.received, r.decoded, r.ignored, r.quarantined, r.readings) for d, r in rows.items()}
        waiting = [(row.topic, row.addresses) for row in rig.journal.quarantine()]
        return (rig.stored("meter-m2", "volume"), said, waiting), ends
    finally:
        rig.close()


def test_wherever_the_process_ends_nothing_that_is_taken_back_is_lost_or_there_twice(tmp_path: Path) -> None:
    counting = Counting()
    expected, ends = recalled(tmp_path / "whole", counting)
    assert ends == 0
    assert expected[0] == [("03:00:00Z", 1.0), ("03:01:00Z", 2.0), ("03:02:00Z", 3.0)]  # type: ignore[index]
    assert counting.steps > 10
    for step in range(1, counting.steps + 1):
        broken = Counting()
        broken.end_at = step
        assert recalled(tmp_path / str(step), broken) == (expected, 1), step


def test_a_registered_device_is_ours_whatever_was_said(rig: Rig) -> None:
    rig.intake.disown("p1", "admin", T)
    rig.register(tank("p1"))
    rig.ingest.handle([probe(1.5, T)])
    rig.keep.drain()
    assert rig.ledger()["tank-p1"].decoded == 1
    with pytest.raises(Rejected, match=r"error\.is_ours"):
        rig.intake.disown("p1", "admin", T)
    with pytest.raises(Rejected, match=r"error\.not_marked"):
        rig.intake.not_ours.take_back("p9", "admin", T)


def test_a_site_that_adopts_leaves_them_out(rig: Rig) -> None:
    library = rig.shelf.library
    ingest = Ingest("site", library, rig.registry, rig.table, rig.journal, rig.records, Live(), adopt=True)
    for address in ("next-door", "m2"):
        ingest.not_ours.mark(address, "admin", T)
    ingest.handle([probe(1, T, "next-door"), batch(T, m1=(1, T), m2=(2, T)), batch(T, m2=(3, T))])
    assert sorted(rig.registry.by_id) == ["acme:m1"]
    rig.keep.drain()
    assert counts(rig) == (2, 2, 0)


def test_only_the_newest_addresses_have_findings(rig: Rig) -> None:
    for start in range(0, 3_000, 500):
        rig.journal.note(
            [Finding("unknown_device", f"a{n}", T + n, "") for n in range(start, start + 500)], {}
        )
    rig.journal.note([Finding("malformed", "", 1, "old")], {})
    found = rig.journal.findings(0, 5_000)
    assert 1_000 <= len(found) <= 1_101
    assert found[0].device == "a2999"
    assert found[-1].kind == "malformed"


def test_what_is_left_of_an_outcome() -> None:
    refused = Refused("unknown_device", "a, b", (("x/y", "a"), ("x/y", "b")))
    assert without(refused, ()) is refused
    assert without(refused, {"c"}) is refused
    assert without(refused, {"a"}) == Refused("unknown_device", "b", (("x/y", "b"),))
    assert without(refused, {"a", "b"}) == Ignored("x/y", "not_ours")
    topic = Refused("unknown_topic", "no profile reads this topic")
    assert without(topic, {"a"}) is topic
    decoded = Decoded("x/y", addresses=("z",), unknown=(("x/y", "a"), ("x/y", "b")))
    left = Decoded("x/y", addresses=("z",), unknown=(("x/y", "b"),), foreign=("a",))
    assert without(decoded, {"a"}) == left
    assert without(decoded, {"c"}) is decoded


def test_there_is_an_end_of_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dutyroom.flows.notours.MOST", 2)
    marked = NotOurs("site", rig.records)
    for address in ("a", "b", "a"):
        marked.mark(address, "admin", T)
    with pytest.raises(Rejected, match=r"error\.too_many_not_ours"):
        marked.mark("c", "admin", T)
    assert sorted(NotOurs("site", rig.records).addresses) == ["a", "b"]
    assert MOST > 2


def test_a_message_that_only_the_registry_could_place_is_ignored_too(rig: Rig) -> None:
    outcome = without(Refused("unknown_device", "a", (("", "a"),)), {"a"})
    assert outcome == Ignored("", "not_ours")
    assert isinstance(rig.ingest._lane(outcome).value, int)
    rig.ingest.handle([Message("nobody/1", b"?", T)])
    assert counts(rig) == (1, 0, 1)
