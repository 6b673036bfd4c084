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


def test_a_broker_that_restarts_says_of_all_that_they_have_gone_and_that_is_no_cut() -> None:
    """It has kept that for our session; the relays and the feed take a minute or two to be back."""
    room = house()
    room.broker = False
    room.at(90)
    room.broker = True
    wills(room, 91, ["feeder", *ids(PUMPS)], every=0)
    room.at(200)
    speak(room, 200, 900, ["feeder", *ids(PUMPS)])
    assert room.tickets() == []
    assert room.records.rows.outbox == {}


def test_a_broker_says_its_farewell_just_before_its_line_is_away() -> None:
    room = house()
    wills(room, 62, ["feeder", *ids(PUMPS)], every=0)
    room.broker = False
    room.at(120)
    room.broker = True
    room.at(180)
    speak(room, 180, 900, ["feeder", *ids(PUMPS)])
    assert room.tickets() == []
    assert room.records.rows.outbox == {}


def test_an_access_point_that_restarts_where_the_instrument_is_broken_is_no_cut() -> None:
    room = house()
    speak(room, 70, 900, ids(PUMPS))
    assert room.tickets() == ["feeder.offline|feeder"]
    wills(room, 901, ids(PUMPS), every=0)
    room.at(1020)
    speak(room, 1020, 1500, ids(PUMPS))
    assert room.alarm("feeder.offline", "feeder").priority == 3
    assert len(room.records.rows.outbox) == 1


@pytest.mark.parametrize("fed", [False, True])
def test_the_gateway_that_carries_the_feeds_instrument_does_not_take_its_cut(fed: bool) -> None:
    """fed: what feeds it is entered. Its own last will comes with those of the relays."""
    names, carried, others = ids(PUMPS)[:6], ids(PUMPS)[6:14], ids(PUMPS)[14:22]
    power = dict.fromkeys([*names, *carried, *others, *(["g0", "g1"] if fed else [])], ("feeder",))
    by = dict.fromkeys(["feeder", *carried], ("g0",)) | dict.fromkeys(others, ("g1",))
    room = Room(
        [device("feeder", "feeder", 10), *PUMPS[:22], device("g0", "gateway"), device("g1", "gateway")],
        SPECS,
        topology=Topology({"power": power, "network": by}),
    )
    room.records.rows.people = [person("li")]
    room.reads(("g0", "online", 1), ("g1", "online", 1))
    speak(room, 0, 300, ["feeder", *names, *carried, *others])
    wills(room, 310, names, every=5)
    wills(room, 345, ["g0", "g1"], every=30)
    room.at(600)
    assert room.tickets() == ["feeder.offline|feeder"]
    room.at(1500)
    assert room.tickets() == ["feeder.offline|feeder"]
    assert room.alarm("feeder.offline", "feeder").priority == 1
    assert (len(room.records.rows.tickets), len(room.records.rows.outbox)) == (1, 1)
    room.reads(("g0", "online", 1), ("g1", "online", 1))
    speak(room, 1510, 2400, ["feeder", *names, *carried, *others])
    assert room.tickets() == ["feeder.offline|feeder"]
    assert (len(room.records.rows.tickets), len(room.records.rows.outbox)) == (1, 1)


def test_what_a_gateway_carries_has_no_session_of_its_own() -> None:
    room = house(network=True)
    wills(room, 62, ids(PUMPS))
    room.at(125)
    assert room.tickets() == []


@pytest.mark.parametrize("lasts", [20, 180])
def test_a_lift_that_does_not_come_back_after_a_short_cut_is_told_five_minutes_after_it(lasts: int) -> None:
    """Less than three minutes without power; its silence is told after ten by its own rule."""
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
    back = 60 + lasts
    day(60, back, 0, [])
    day(back, back + 310, 230, names[1:])
    assert room.tickets() == ["power.mains_lost|feeder"]
    day(back + 310, back + 360, 230, names[1:])
    assert room.tickets() == ["elevator.offline|e0", "power.mains_lost|feeder"]
    day(back + 360, 1800, 230, names[1:])
    assert len(room.records.rows.outbox) == 2
