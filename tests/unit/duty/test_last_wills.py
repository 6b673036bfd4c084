"""A broker says that devices have gone: forty relays in a power cut, an access point that restarts, a gateway's."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.model.duty import Device
from dutyroom.topology import Topology

SPECS = {
    "feeder": [gauge("voltage"), state("online")],
    "pump": [state("running", 30), state("online")],
    "gateway": [state("online")],
}
PUMPS = [device(f"p{n}", "pump", 30) for n in range(40)]


def house(pace: int = 10, network: bool = False) -> Room:
    """pace: of the feeder; network: the pumps are heard by a gateway."""
    topology = Topology(
        {
            "power": {pump.id: ("feeder",) for pump in PUMPS},
            **({"network": {pump.id: ("g0",) for pump in PUMPS}} if network else {}),
        }
    )
    room = Room([device("feeder", "feeder", pace), *PUMPS, device("g0", "gateway")], SPECS, topology=topology)
    room.records.rows.people = [person("li")]
    speak(room, 0, 61, ["feeder", *ids(PUMPS)], pace)
    return room


def ids(devices: list[Device]) -> list[str]:
    return [one.id for one in devices]


def speak(room: Room, since: int, until: int, who: list[str], pace: int = 10) -> None:
    for second in range(since, until, 10):
        room.at(second)
        rows = [(d, "running", 1) for d in who if d != "feeder" and second % 30 == 0]
        if "feeder" in who and second % pace == 0:
            rows.append(("feeder", "voltage", 230))
        if rows:
            room.reads(*rows)


def wills(room: Room, since: int, who: list[str], every: int = 1) -> None:
    for number, name in enumerate(who):
        room.at(since + number * every)
        room.reads((name, "online", 0))


@pytest.mark.parametrize("own", [False, True])
def test_forty_last_wills_are_a_cut_within_a_minute(own: bool) -> None:
    """own: the feeder's instrument has one, too."""
    room = house()
    wills(room, 62, ["feeder", *ids(PUMPS)] if own else ids(PUMPS))
    assert room.tickets() == []
    room.at(120)
    assert room.tickets() == ["feeder.offline|feeder"]
    assert room.alarm("feeder.offline", "feeder").priority == 1
    assert len(room.records.rows.outbox) == 1
    room.at(1500, step=10)
    assert room.tickets() == ["feeder.offline|feeder"]
    assert len(room.records.rows.outbox) == 1


def test_three_of_forty_are_none() -> None:
    room = house()
    wills(room, 62, ids(PUMPS)[:3])
    speak(room, 70, 400, ["feeder", *ids(PUMPS)[3:]])
    assert room.tickets() == []


def test_an_access_point_that_restarts_is_no_cut_where_the_feed_speaks_on() -> None:
    room = house(pace=60)
    wills(room, 62, ids(PUMPS))
    for second in range(110, 180, 10):
        room.at(second)
        if second % 60 == 0:
            room.reads(("feeder", "voltage", 230))
    speak(room, 180, 900, ["feeder", *ids(PUMPS)], 60)
    assert room.tickets() == []
    assert room.records.rows.outbox == {}


def test_those_that_lost_their_session_for_a_moment_are_no_cut() -> None:
    room = house()
    wills(room, 62, ids(PUMPS)[:15])
    speak(room, 80, 400, ["feeder", *ids(PUMPS)])
    assert room.tickets() == []


def test_what_a_gateway_carries_has_no_session_of_its_own() -> None:
    room = house(network=True)
    wills(room, 62, ids(PUMPS))
    room.at(125)
    assert room.tickets() == []


def test_a_lift_that_does_not_come_back_after_a_short_cut_is_told_five_minutes_after_it() -> None:
    """Three minutes without power; its silence is told after ten by its own rule."""
    lifts = [device(f"e{n}", "elevator", 30) for n in range(6)]
    names = ids(lifts)
    room = Room(
        [device("feeder", "feeder", 10), *lifts],
        {"feeder": [gauge("voltage")], "elevator": [state("trapped", 30)]},
        topology=Topology({"power": dict.fromkeys(names, ("feeder",))}),
    )
    room.records.rows.people = [person("li")]

    def day(since: int, until: int, volts: int, who: list[str]) -> None:
        for second in range(since, until, 10):
            room.at(second)
            room.reads(("feeder", "voltage", volts), *((name, "trapped", 0) for name in who))

    day(0, 60, 230, names)
    day(60, 240, 0, [])
    assert room.tickets() == ["power.mains_lost|feeder"]
    day(240, 550, 230, names[1:])
    assert room.tickets() == ["power.mains_lost|feeder"]
    day(550, 590, 230, names[1:])
    assert room.tickets() == ["elevator.offline|e0", "power.mains_lost|feeder"]
    day(590, 1800, 230, names[1:])
    assert len(room.records.rows.outbox) == 2
