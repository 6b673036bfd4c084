"""A power cut makes the list of elevators to look at, and follows the steps until the generator is off."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state

from dutyroom.flows.announcing import AnnouncingDesk, Wish
from dutyroom.model.announced import Announced
from dutyroom.model.duty import SYSTEM, Check, CheckState, Device, OutboxRow
from dutyroom.model.telemetry import PointSpec
from dutyroom.timebase import SECOND
from dutyroom.topology import Topology

S = CheckState


def at(name: str, kind: str, space: str, interval: int | None = None, **parameters: str) -> Device:
    made = device(name, kind, interval, **parameters)
    return Device(**{f: getattr(made, f) for f in made.__slots__} | {"space": space})


ESTATE = [
    at("mains", "feeder", "plant", 10),
    at("a-feeder", "feeder", "A", 10),
    at("b-feeder", "feeder", "B", 10),
    at("gen", "generator", "plant", 10, backs="mains,a-feeder,b-feeder"),
    at("switch", "transfer_switch", "plant", 10),
    at("a-board", "other", "A"),
    *(at(f"a-lift{n}", "elevator", "A", 10) for n in (1, 2, 3)),
    *(at(f"b-lift{n}", "elevator", "B/1", 10) for n in (1, 2)),
    at("a-pump", "pump", "A", 10),
]
SPECS: dict[str, list[PointSpec]] = {
    "feeder": [gauge("voltage", "V")],
    "generator": [state("running", 10)],
    "transfer_switch": [state("source", 10)],
    "elevator": [state("trapped", 10), state("fault_code", 10)],
    "pump": [state("running", 10)],
}
POWER = {
    "a-feeder": ("mains",),
    "b-feeder": ("mains",),
    "a-board": ("a-feeder",),
    "a-lift1": ("a-board",),
    "a-lift2": ("a-board",),
    "a-lift3": ("a-feeder",),
    "a-pump": ("a-feeder",),
    "b-lift1": ("b-feeder",),
}
LIFTS = [d.id for d in ESTATE if d.device_class == "elevator"]


def estate(topology: Topology | None = None) -> Room:
    room = Room(ESTATE, SPECS, topology=Topology({"power": POWER}) if topology is None else topology)
    room.records.rows.people = [person("li")]
    return room


def says(
    room: Room, *, dark: tuple[str, ...] = (), running: int = 0, source: int = 1, silent: tuple[str, ...] = ()
) -> None:
    """Everybody speaks once."""
    room.reads(*((f, "voltage", 0 if f in dark else 230) for f in ("mains", "a-feeder", "b-feeder")))
    room.reads(("gen", "running", running), ("switch", "source", source), ("a-pump", "running", 1))
    room.reads(*((lift, "trapped", 0) for lift in LIFTS if lift not in silent))


def lists(room: Room, of: str) -> dict[str, Check]:
    """The lines on devices of the alarm of a feeder."""
    alarm = room.alarm("power.mains_lost", of)
    return {c.object: c for c in room.records.rows.checks.values() if c.alarm == alarm.id and not c.step}


def steps(room: Room, of: str) -> dict[str, tuple[CheckState, float | None]]:
    """State and seconds at which it was done, of each step."""
    alarm = next(
        a for a in room.records.rows.alarms.values() if (a.rule, a.object) == ("power.mains_lost", of)
    )
    found = [c for c in room.records.rows.checks.values() if c.alarm == alarm.id and c.step]
    begun = room.records.rows.alarms[alarm.id].raised_at
    return {c.step: (c.state, None if c.done_at is None else (c.done_at - begun) / SECOND) for c in found}


def messages(room: Room) -> list[OutboxRow]:
    return list(room.records.rows.outbox.values())


def test_the_list_is_there_within_30_s_on_ticket_and_message_with_what_is_known() -> None:
    room = estate()
    says(room)
    room.at(100)
    dead = ("a-lift1", "a-lift2", "a-lift3")
    says(room, dark=("a-feeder",), silent=dead)
    room.reads(("a-lift2", "trapped", 1))
    for second in range(102, 131, 2):
        room.at(second)
        says(room, dark=("a-feeder",), silent=dead)
    found = lists(room, "a-feeder")
    assert {lift: c.state for lift, c in found.items()} == {
        "a-lift1": S.UNKNOWN, "a-lift2": S.TRAPPED, "a-lift3": S.UNKNOWN,
    }  # fmt: skip
    assert all(
        c.at - room.alarm("power.mains_lost", "a-feeder").raised_at <= 2 * SECOND for c in found.values()
    )
    assert "power.mains_lost|a-feeder" in room.tickets()
    told = next(m for m in messages(room) if m.key == "alarm.power.mains_lost")
    assert (told.created_at - T0) / SECOND <= 130  # the cut was at 100 s
    assert told.arguments["checks"] == "a-lift2=trapped a-lift1=unknown a-lift3=unknown"


def test_an_elevator_that_speaks_on_is_running_and_one_with_a_fault_is_stopped() -> None:
    """The message is made when the ticket opens, 20 s after the alarm: as it is known then."""
    room = estate()
    says(room)
    room.at(100)
    for second in range(100, 131, 2):
        room.at(second)
        says(room, dark=("a-feeder",), silent=("a-lift1", "a-lift3"))
        room.reads(("a-lift3", "fault_code", 36))
    told = next(m for m in messages(room) if m.key == "alarm.power.mains_lost")
    assert told.arguments["checks"] == "a-lift3=stopped a-lift1=unknown a-lift2=running"


def test_the_whole_mains_is_one_list_of_all_that_it_feeds() -> None:
    room = estate()
    says(room)
    for second in range(100, 140, 2):
        room.at(second)
        says(room, dark=("mains", "a-feeder", "b-feeder"), silent=tuple(LIFTS), running=1, source=2)
    assert room.tickets() == ["power.mains_lost|mains"]
    assert sorted(lists(room, "mains")) == LIFTS  # also the one whose feed nobody wrote down


@pytest.mark.parametrize(
    ("dark", "wanted"),
    [("a-feeder", ["a-lift1", "a-lift2", "a-lift3"]), ("b-feeder", ["b-lift1", "b-lift2"]), ("mains", LIFTS)],
)
def test_where_the_topology_says_nothing_the_building_counts(dark: str, wanted: list[str]) -> None:
    """The plant room has no elevators: then those of the whole site."""
    room = estate(Topology())
    says(room)
    for second in range(100, 110, 2):
        room.at(second)
        says(room, dark=(dark,), silent=tuple(LIFTS))
    assert sorted(lists(room, dark)) == wanted


def test_an_elevator_of_the_same_building_on_another_feeder_is_not_on_the_list() -> None:
    room = estate(Topology({"power": {**POWER, "b-lift2": ("other-feeder",)}}))
    says(room)
    for second in range(100, 110, 2):
        room.at(second)
        says(room, dark=("b-feeder",), silent=tuple(LIFTS))
    assert sorted(lists(room, "b-feeder")) == ["b-lift1"]


def test_power_that_fails_again_wants_every_elevator_looked_at_again() -> None:
    room = estate()
    says(room)
    for second in range(100, 400, 2):
        room.at(second)
        off = second < 140 or second >= 300
        says(room, dark=("a-feeder",) if off else ())
    alarm = room.alarm("power.mains_lost", "a-feeder")
    mine = [c for c in room.records.rows.checks.values() if c.alarm == alarm.id and c.object == "a-lift1"]
    assert len(mine) == 2
    assert mine[1].since - mine[0].since == 200 * SECOND


def test_a_new_process_makes_no_second_list() -> None:
    room = estate()
    says(room)
    for second in range(100, 160, 2):
        room.at(second)
        says(room, dark=("a-feeder",))
        if second % 10 == 0:
            room.restart()
    assert len(lists(room, "a-feeder")) == 3
    assert len(room.records.rows.checks) == 3 + 4


def test_the_steps_are_followed_to_the_end() -> None:
    room = estate()
    says(room)
    for second in range(100, 1000, 10):
        room.at(second)
        dark = second < 600
        says(
            room,
            dark=("mains", "a-feeder", "b-feeder") if dark else (),
            running=int(120 <= second < 900),
            source=1 if second < 110 or second >= 700 else 0 if second < 130 else 2,
            silent=tuple(LIFTS) if second < 130 else (),
        )
        if second == 120:
            assert steps(room, "mains")["transferred"] == (S.AWAITED, None)
    assert steps(room, "mains") == {
        "running": (S.DONE, 17),  # seconds after the alarm of 103
        "transferred": (S.DONE, 27),
        "back": (S.DONE, 502),
        "off": (S.DONE, 797),
    }
    assert all(c.done_by == SYSTEM for c in room.records.rows.checks.values() if c.step and c.done_at)
    assert room.tickets() == ["power.mains_lost|mains"]


def test_what_was_done_in_a_planned_outage_is_done_when_it_is_told_at_its_end() -> None:
    room = estate()
    says(room)
    desk = AnnouncingDesk(room.records, room.clock)
    room.records.rows.devices = list(ESTATE)
    works = Wish(Announced.OUTAGE, T0 + 300 * SECOND, "works", utility="power", devices=("mains",))
    desk.announce(SITE, "wang", works)
    for second in range(100, 400, 10):
        room.at(second)
        dark = ("mains", "a-feeder", "b-feeder")
        says(room, dark=dark, running=int(second >= 120), source=2 if second > 130 else 0)
        if second == 200:
            assert (room.tickets(), room.alarms()["power.mains_lost@mains"]) == ([], "suppressed")
            assert lists(room, "mains") == {}
    assert room.tickets() == ["power.mains_lost|mains"]
    assert {step: how for step, (how, _) in steps(room, "mains").items()} == {
        "running": S.DONE,
        "transferred": S.DONE,
        "back": S.AWAITED,
        "off": S.AWAITED,
    }


def test_a_load_that_stays_is_late_on_the_list_and_a_ticket_of_its_own() -> None:
    room = estate()
    says(room)
    for second in range(100, 300, 10):
        room.at(second)
        says(
            room,
            dark=("mains", "a-feeder", "b-feeder"),
            running=int(second >= 110),
            source=0,
            silent=tuple(LIFTS),
        )
    assert steps(room, "mains")["running"] == (S.DONE, 7)
    assert steps(room, "mains")["transferred"] == (S.LATE, None)
    assert room.tickets() == ["power.mains_lost|mains", "power.transfer_late|gen"]
    room.at(300)
    says(room, dark=("mains", "a-feeder", "b-feeder"), running=1, source=2)
    assert steps(room, "mains")["transferred"] == (S.LATE, 197)
    assert room.alarms()["power.transfer_late@gen"] == "returned"


def test_a_generator_that_does_not_start_is_told_at_30_s_and_stands_on_the_list() -> None:
    room = estate()
    says(room)
    for second in range(100, 180, 5):
        room.at(second)
        says(room, dark=("mains", "a-feeder", "b-feeder"), source=0, silent=tuple(LIFTS))
    assert room.tickets() == ["generator.start_failure|gen", "power.mains_lost|mains"]
    failure = room.alarm("generator.start_failure", "gen")
    assert failure.recorded_at - room.alarm("power.mains_lost", "mains").recorded_at <= 31 * SECOND
    assert steps(room, "mains")["running"] == (S.LATE, None)
    assert room.alarms()["generator.not_running@gen"] == "suppressed"
