"""Planned outages and fire tests: what they cover, what they never cover, and how they end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state

from dutyroom.alarms import step
from dutyroom.errors import Conflict, Rejected
from dutyroom.flows.announcing import AnnouncingDesk, Wish
from dutyroom.model.announced import Announced
from dutyroom.model.duty import AlarmEvent
from dutyroom.topology import Topology

LIFTS = [device(f"lift{n}", "elevator", 60) for n in (1, 2)]
ESTATE = [
    device("feeder", "feeder", 10), device("board", "feeder", 10), *LIFTS, device("gw", "gateway"),
    device("panel", "fire_panel", 60), device("panel2", "fire_panel", 60), device("hob", "sensor"),
]  # fmt: skip
SPECS = {
    "feeder": [gauge("voltage", "V")],
    "elevator": [state("trapped", 60), state("fault_code", 60)],
    "gateway": [state("online")],
    "fire_panel": [state("alarm", 60), state("fault", 60), state("mains", 60)],
    "sensor": [state("gas")],
}
POWER = {
    "board": ("feeder",),
    "lift1": ("board",),
    "lift2": ("board",),
    "gw": ("board",),
    "panel": ("board",),
}


def estate() -> tuple[Room, AnnouncingDesk]:
    room = Room(ESTATE, SPECS, topology=Topology({"power": POWER}))
    room.records.rows.people = [person("li")]
    room.records.rows.devices = list(ESTATE)
    normal(room)
    return room, AnnouncingDesk(room.records, room.clock)


def normal(room: Room, volts: float = 230) -> None:
    room.reads(("feeder", "voltage", 230), ("board", "voltage", volts), ("hob", "gas", 0))
    for panel in ("panel", "panel2"):
        room.reads((panel, "alarm", 0), (panel, "fault", 0), (panel, "mains", 1))
    room.reads(*((lift.id, "trapped", 0) for lift in LIFTS), ("gw", "online", 1))


def outage(minutes: int = 60, **more: object) -> Wish:
    given = {"utility": "power", "devices": ("board",), **more}
    return Wish(Announced.OUTAGE, T0 + minutes * 60_000, "switchgear service", **given)  # type: ignore[arg-type]


def dark(room: Room, since: int, until: int) -> None:
    """The board is off: it says so, lifts fall silent, the gateway's last will comes."""
    for second in range(since, until, 10):
        room.at(second, 10)
        room.reads(("feeder", "voltage", 230), ("board", "voltage", 0), ("hob", "gas", 0))
        room.reads(("panel", "alarm", 0), ("panel", "mains", 0), ("panel2", "alarm", 0), ("gw", "online", 0))


def test_a_planned_outage_is_recorded_counted_and_silent() -> None:
    room, desk = estate()
    made = desk.announce(SITE, "wang", outage())
    dark(room, 60, 1200)
    assert set(room.alarms().values()) == {"suppressed"}
    assert {key.partition("@")[0] for key in room.alarms()} == {
        "power.mains_lost", "elevator.offline", "gateway.offline", "fire.mains_lost",
    }  # fmt: skip
    assert room.tickets() == []
    assert not room.records.rows.outbox
    assert room.records.rows.announcements[made.id].affected == 5
    said = {c.reason for c in room.records.rows.alarm_log if c.event is AlarmEvent.SUPPRESS}
    assert said == {"switchgear service"}


def test_what_had_come_and_gone_before_and_nobody_has_acknowledged_is_covered_too() -> None:
    """The board was dark for a minute yesterday: the alarm is there still, and so is its work order."""
    room, desk = estate()
    for second in range(10, 100, 10):
        room.at(second).reads(("board", "voltage", 0 if second < 60 else 230))
    assert room.alarms()["power.mains_lost@board"] == "returned"
    told, work = dict(room.records.rows.outbox), room.tickets()
    room.at(7200, 60)
    normal(room)
    desk.announce(SITE, "wang", outage(minutes=180))
    dark(room, 7260, 8400)
    assert room.alarms()["power.mains_lost@board"] == "suppressed"
    assert {key for key in room.records.rows.outbox if "mains_lost" in key} == {
        k for k in told if "mains_lost" in k
    }
    assert "power.mains_lost|board" in set(work) & set(room.tickets())
    dark(room, 8400, 10900)  # and beyond the end
    assert room.alarms()["power.mains_lost@board"] == "unacknowledged"
    assert len([key for key in room.records.rows.outbox if "mains_lost" in key]) == 2


def test_fire_entrapment_and_gas_sound_in_an_outage() -> None:
    room, desk = estate()
    desk.announce(SITE, "wang", outage(utility="", devices=(), spaces=("A",)))
    room.at(60).reads(
        ("panel", "alarm", 1), ("lift1", "trapped", 1), ("hob", "gas", 1), ("panel2", "fault", 1)
    )
    vital = ["elevator.entrapment|lift1", "fire.alarm|panel", "gas.leak|hob"]
    assert room.tickets() == vital
    room.at(180)  # what the panel's fault is may be known a minute and a half later
    assert room.tickets() == sorted([*vital, "fire.fault|panel2"])
    room.reads(("lift2", "fault_code", 7))
    room.at(220)
    assert room.alarms()["elevator.fault@lift2"] == "suppressed"


def test_what_still_stands_at_its_end_is_told_at_once_as_one_cause() -> None:
    room, desk = estate()
    desk.announce(SITE, "wang", outage(30))
    dark(room, 60, 1800)
    assert room.tickets() == []
    room.at(1801)
    states = room.alarms()
    assert states.pop("power.mains_lost@board") == "unacknowledged"
    assert set(states.values()) == {"suppressed"}
    room.at(1816)  # after one reading more and the rule's `off_delay`
    assert room.tickets() == ["power.mains_lost|board"]
    assert len(room.records.rows.outbox) == 1
    assert room.alarm("power.mains_lost", "board").affected == 4


def test_one_that_came_back_in_time_leaves_nothing() -> None:
    room, desk = estate()
    desk.announce(SITE, "wang", outage(30))
    dark(room, 60, 1500)
    for second in range(1500, 2000, 10):
        room.at(second, 10)
        normal(room)
    assert room.alarms() == {}
    assert room.tickets() == []


def test_it_is_prolonged_and_ended_by_a_person() -> None:
    room, desk = estate()
    made = desk.announce(SITE, "wang", outage(20))
    dark(room, 60, 1100)
    desk.move_end(SITE, made.id, "li", T0 + 3_600_000, "a cable has to be changed")
    dark(room, 1100, 2000)
    assert room.tickets() == []
    desk.cancel(SITE, made.id, "li", "power is back")
    room.at(2016)
    assert room.tickets() == ["power.mains_lost|board"]
    assert [row[:2] for row in room.records.rows.audit] == [
        ("wang", "announcement.outage"), ("li", "announcement.moved"), ("li", "announcement.cancelled"),
    ]  # fmt: skip
    with pytest.raises(Conflict, match="announced_over"):
        desk.cancel(SITE, made.id, "li", "again")


def test_what_stood_before_and_what_is_elsewhere_is_not_covered() -> None:
    room, desk = estate()
    room.reads(("lift1", "fault_code", 3))
    for second in range(30, 300, 30):
        room.at(second).reads(
            ("lift1", "fault_code", 3), ("feeder", "voltage", 230), ("board", "voltage", 230)
        )
    room.at(300)
    desk.announce(SITE, "wang", outage())
    room.reads(("feeder", "voltage", 0))
    room.at(310).reads(("feeder", "voltage", 0))
    room.at(320)
    assert room.alarms()["elevator.fault@lift1"] == "unacknowledged"
    assert room.alarms()["power.mains_lost@feeder"] == "unacknowledged"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ends": T0}, "announced_end"),
        ({"ends": T0 + 15 * 86_400_000}, "announced_end"),
        ({"reason": " "}, "conflict.reason"),
        ({"utility": "", "devices": ()}, "announced_place"),
        ({"devices": ("nobody",)}, "no_device"),
        ({"utility": "steam"}, "no_utility"),
        ({"spaces": ("Z",)}, "no_space"),
        ({"kind": Announced.FIRE_TEST, "ends": T0 + 13 * 3_600_000}, "announced_end"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], reason: str) -> None:
    _, desk = estate()
    with pytest.raises((Conflict, Rejected), match=reason):
        desk.announce(SITE, "wang", replace(outage(), **given))


# ---------------------------------------------------------------- fire tests


def fire_test(desk: AnnouncingDesk, minutes: int = 60, **more: Any) -> int:
    return desk.announce(SITE, "wang", Wish(Announced.FIRE_TEST, T0 + minutes * 60_000, "yearly", **more)).id


def test_alarms_of_a_fire_test_sound_are_marked_and_share_one_ticket() -> None:
    room, desk = estate()
    test = fire_test(desk)
    room.at(60).reads(("panel", "alarm", 1), ("panel", "fault", 1))
    room.at(70).reads(("panel2", "alarm", 1))
    room.at(80)
    assert set(room.alarms().values()) == {"unacknowledged"}
    room.at(181)
    marked = [room.alarm(*key.split("@")) for key in room.alarms()]
    assert all(a.test and a.announced == test and a.arguments["test"] is True for a in marked)
    assert room.tickets() == [f"test|{test}"]
    assert {a.ticket for a in marked} == {1}
    assert len(room.records.rows.outbox) == 1
    assert room.records.rows.announcements[test].affected == 3


def test_what_still_stands_when_the_test_is_over_is_a_true_alarm() -> None:
    room, desk = estate()
    test = fire_test(desk, 10)
    room.at(60).reads(("panel", "alarm", 1), ("panel2", "alarm", 1))
    acknowledge(room, "fire.alarm", "panel")
    room.at(120).reads(("panel2", "alarm", 0))
    room.at(599).reads(("panel", "alarm", 1))
    assert room.alarm("fire.alarm", "panel").test
    room.at(601)
    alarm = room.alarm("fire.alarm", "panel")
    assert (alarm.test, alarm.state, alarm.announced) == (False, "unacknowledged", None)
    assert fires(room) == ["fire.alarm|panel", f"test|{test}"]
    assert room.alarm("fire.alarm", "panel2").test, "it had gone: it only wants its reset"
    assert "alarm.reason.test_over" in {c.reason for c in room.records.rows.alarm_log}
    room.at(700).reads(("panel2", "alarm", 1))
    assert fires(room) == ["fire.alarm|panel", "fire.alarm|panel2", f"test|{test}"], (
        "after it, a fire is a fire"
    )


def test_only_the_panel_under_test_is_marked_and_only_for_fire() -> None:
    room, desk = estate()
    test = fire_test(desk, devices=("panel",))
    room.at(60).reads(("panel2", "alarm", 1), ("lift1", "trapped", 1), ("hob", "gas", 1))
    mine = ["elevator.entrapment|lift1", "fire.alarm|panel2", "gas.leak|hob"]
    assert room.tickets() == [*mine, f"test|{test}"]
    assert not any(room.alarm(*key.split("@")).test for key in room.alarms())


def test_a_fire_on_the_latch_of_a_test_has_three_minutes_of_its_own_though_an_older_order_is_open() -> None:
    """An old fire was reset and its work order left; then a test, whose latch nobody reset; after it, it burns."""
    room, desk = estate()
    room.at(30).reads(("panel", "alarm", 1))
    acknowledge(room, "fire.alarm", "panel")
    room.at(40).reads(("panel", "alarm", 0))
    with room.records.write() as tx:
        after, change = step(room.alarm("fire.alarm", "panel"), AlarmEvent.RESET, room.clock.at, "li", "seen")
        tx.alarms.update(after)
        tx.alarms.log(change)
        tx.change(SITE, room.clock.at, "alarm", str(after.id))
    room.at(60)
    fire_test(desk, minutes=10)
    room.at(70).reads(("panel", "alarm", 1))
    room.at(90).reads(("panel", "alarm", 0))
    room.at(1000, 10).reads(("panel", "alarm", 1))
    room.at(1010)
    said = [key.split("|")[-1] for key in room.records.rows.outbox if "fire.alarm" in key]
    assert said[-1] == "raised", said
    assert not any(what.startswith("unanswered") for what in said)
    room.at(1185)
    said = [key.split("|")[-1].partition(":")[0] for key in room.records.rows.outbox if "fire.alarm" in key]
    assert said[-1] == "unanswered"


def test_a_fire_before_the_test_stays_a_fire_in_it() -> None:
    room, desk = estate()
    room.at(30).reads(("panel", "alarm", 1))
    fire_test(desk)
    room.at(60).reads(("panel", "alarm", 1))
    assert not room.alarm("fire.alarm", "panel").test
    assert "fire.alarm|panel" in room.tickets()


def fires(room: Room) -> list[str]:
    return [cause for cause in room.tickets() if cause.startswith(("fire.alarm", "test"))]


def acknowledge(room: Room, rule: str, object: str) -> None:
    with room.records.write() as tx:
        found = next(a for a in tx.alarms.open_ones(SITE) if (a.rule, a.object) == (rule, object))
        alarm, line = step(found, AlarmEvent.ACKNOWLEDGE, room.clock.at, "li")
        tx.alarms.update(alarm)
        tx.alarms.log(line)
        tx.change(SITE, room.clock.at, "alarm", str(alarm.id))


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_is_still_coming_back_when_a_planned_outage_ends_has_its_grace(cancelled: bool) -> None:
    """The board is live again two minutes before the end; lifts that speak each five minutes need ten."""
    lifts = [device(f"lift{n}", "elevator", 300) for n in range(20)]
    devices = [device("board", "feeder", 10), *lifts]
    room = Room(devices, SPECS, topology=Topology({"power": {lift.id: ("board",) for lift in lifts}}))
    room.records.rows.people, room.records.rows.devices = [person("li")], devices
    desk = AnnouncingDesk(room.records, room.clock)

    def day(since: int, until: int, volts: float, away: tuple[str, ...] = ()) -> None:
        for second in range(since, until, 10):
            room.at(second, 10).reads(("board", "voltage", volts))
            due = [x for n, x in enumerate(lifts) if (second // 10) % 30 == n and x.id not in away]
            if volts and due:
                room.reads(*((lift.id, "trapped", 0) for lift in due))

    day(0, 600, 230)
    made = desk.announce(SITE, "wang", outage(60))
    day(600, 3420, 0)
    assert len(room.alarms()) == 21
    day(3420, 3500, 230, away=("lift19",))
    if cancelled:
        desk.cancel(SITE, made.id, "li", "power is back")
    day(3500, 3640, 230, away=("lift19",))
    room.restart()
    day(3640, 3990, 230, away=("lift19",))
    assert room.alarms() == {"elevator.offline@lift19": "suppressed"}
    assert not room.records.rows.tickets
    day(3990, 4060, 230, away=("lift19",))
    assert room.tickets() == ["elevator.offline|lift19"]
    assert len(room.records.rows.outbox) == 1


def test_what_comes_back_with_the_end_of_a_planned_outage_has_its_grace() -> None:
    """The board is seen to be live in the very decision in which the outage ends."""
    lifts = [device(f"lift{n}", "elevator", 10) for n in range(5)]
    devices = [device("board", "feeder", 10), *lifts]
    for end in range(1200, 1240, 10):
        room = Room(devices, SPECS, topology=Topology({"power": {lift.id: ("board",) for lift in lifts}}))
        room.records.rows.people, room.records.rows.devices = [person("li")], devices
        every = [("board", "voltage", 230), *((lift.id, "trapped", 0) for lift in lifts)]
        for second in range(0, 300, 10):
            room.at(second, 10).reads(*every)
        AnnouncingDesk(room.records, room.clock).announce(
            SITE, "wang", replace(outage(), ends=T0 + end * 1000)
        )
        for second in range(300, 1190, 10):
            room.at(second, 10).reads(("board", "voltage", 0))
        for second in range(1190, 1500, 10):
            room.at(second, 10).reads(*(every if second > 1260 else every[:1]))
        assert room.records.rows.tickets == {}, end


def test_an_outage_of_everything_at_a_board_covers_what_hangs_on_it() -> None:
    """Also where the panel's mains is of the fire system: it is the announced outage, and no more. Its fire is told."""
    room, desk = estate()
    desk.announce(SITE, "wang", outage(30, utility=""))
    dark(room, 60, 1790)
    assert {key.partition("@")[0] for key in room.alarms()} == {
        "power.mains_lost", "elevator.offline", "gateway.offline", "fire.mains_lost",
    }  # fmt: skip
    assert set(room.alarms().values()) == {"suppressed"}
    assert room.tickets() == []
    room.at(1790).reads(("panel", "alarm", 1))
    assert room.alarms()["fire.alarm@panel"] == "unacknowledged"
    room.at(1795).reads(("panel", "alarm", 0))
    for second in range(1800, 2600, 10):
        room.at(second, 10)
        normal(room)
    assert room.tickets() == ["fire.alarm|panel"]


def test_an_outage_of_one_of_two_feeds_covers_no_board_that_is_dead_on_the_other_too() -> None:
    """Work at T1 is announced; the board that T2 feeds as well has no reason to lose its supply."""
    devices = [device(name, "feeder", 10) for name in ("t1", "t2", "board")]
    room = Room(
        devices, {"feeder": [gauge("voltage", "V")]}, topology=Topology({"power": {"board": ("t1", "t2")}})
    )
    room.records.rows.people, room.records.rows.devices = [person("li")], devices
    AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", outage(devices=("t1",)))
    for second in range(0, 1500, 10):
        board = 0 if second > 300 else 230
        room.at(second).reads(
            ("t1", "voltage", 0 if second else 230), ("t2", "voltage", 230), ("board", "voltage", board)
        )
    assert room.alarms()["power.mains_lost@t1"] == "suppressed"
    assert room.tickets() == ["power.mains_lost|board"]


@pytest.mark.parametrize("early", range(1, 12))
def test_one_that_ends_some_seconds_after_the_power_is_back_leaves_nothing(early: int) -> None:
    room, desk = estate()
    desk.announce(SITE, "wang", outage(30))
    dark(room, 60, 1800 - early)
    for second in range(1800 - early, 2000, 10):
        room.at(second)
        normal(room)
    assert room.tickets() == []


@pytest.mark.parametrize("since", [600, 1100, 1195, 1205])
@pytest.mark.parametrize("given", [{}, {"utility": ""}, {"devices": ("feeder",)}])
@pytest.mark.parametrize("back", [True, False])
def test_who_announces_the_rest_of_the_work_anew_prolongs_it(
    since: int, given: dict[str, Any], back: bool
) -> None:
    """The second outage begins before the first is over, or at once after; what is dead since the first is told at the end of the
    second, if it is dead then."""
    room, desk = estate()
    desk.announce(SITE, "wang", outage(20))
    dark(room, 60, since)
    room.at(since)
    desk.announce(SITE, "li", outage(50, **given))
    dark(room, since, 2900)
    assert room.tickets() == []
    if back:
        for second in range(2900, 3900, 10):
            room.at(second)
            normal(room)
    else:
        dark(room, 2900, 3900)
    assert room.tickets() == ([] if back else ["power.mains_lost|board"])
    assert len(room.records.rows.outbox) == (not back)


def test_an_outage_that_is_announced_minutes_after_another_one_was_over_takes_no_ticket_back() -> None:
    room, desk = estate()
    desk.announce(SITE, "wang", outage(20))
    dark(room, 60, 1600)
    room.at(1600)
    desk.announce(SITE, "li", outage(50))
    dark(room, 1600, 2900)
    assert room.tickets() == ["power.mains_lost|board"]
    assert len(room.records.rows.outbox) == 1
