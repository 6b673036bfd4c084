"""A broker says that devices have gone: forty relays in a power cut, an access point that restarts, a gateway's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.duty.duty_room import T0, Room, device, gauge, person, state

from dutyroom.flows.ground import ground_of
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


def plant(
    speaks: Callable[[str, int], bool],
    wills: dict[str, int],
    back: int,
    until: int = 900,
    top: bool = False,
    meters: int = 0,
) -> Room:
    """Two feeders whose instruments one gateway carries, each with three boards, and on each of these a gateway and two lifts. speaks:
    whether an instrument or a board's gateway does at a second; back: when the broker hears the gateways again; top: a transformer feeds
    both; meters: on each board, read
    each quarter of an hour."""
    feeders, boards = ("f0", "f1"), [f"b{n}" for n in range(6)]
    power: dict[str, tuple[str, ...]] = {}
    network: dict[str, tuple[str, ...]] = dict.fromkeys(feeders, ("room",))
    devices = [*(device(f, "feeder", 10) for f in feeders), device("room", "gateway")]
    if top:
        devices.append(device("t", "feeder", 10))
        power |= dict.fromkeys(feeders, ("t",))
        network["t"] = ("room",)
    for n, board in enumerate(boards):
        power |= {board: (f"f{n % 2}",), f"g{n}": (board,), f"l{n}a": (board,), f"l{n}b": (board,)}
        network |= dict.fromkeys((board, f"l{n}a", f"l{n}b"), (f"g{n}",))
        devices += [device(board, "feeder", 30), device(f"g{n}", "gateway")]
        devices += [device(f"l{n}{car}", "elevator", 30) for car in "ab"]
        for meter in (f"m{n}{m}" for m in range(meters)):
            devices.append(device(meter, "electricity_meter", 900))
            power[meter], network[meter] = (board,), (f"g{n}",)
    specs = {
        "feeder": [gauge("voltage", "V", 10)], "gateway": [state("online")], "elevator": [state("trapped", 30)],
        "electricity_meter": [gauge("energy", "kWh", 900)],
    }  # fmt: skip
    room = Room(devices, specs, topology=Topology({"power": power, "network": network}))
    room.ground = ground_of(room.topology, "UTC")
    room.restart()
    room.records.rows.people = [person("li")]
    room.reads(("room", "online", 1), *((f"g{n}", "online", 1) for n in range(6)))
    for second in range(0, until, 2):
        room.at(second, 2)
        rows: list[tuple[str, str, float]] = []
        if second % 10 == 0:
            rows += [(f, "voltage", 230) for f in (*feeders, *("t",) * top) if speaks(f, second)]
        for n, board in enumerate(boards):
            if second % 30 == 4 * n and speaks(f"g{n}", second):
                rows += [(board, "voltage", 230), *((f"l{n}{car}", "trapped", 0) for car in "ab")]
            rows += [
                (f"m{n}{m}", "energy", second)
                for m in range(meters)
                if second % 900 == 40 + 40 * n and second < 300
            ]
            if wills.get(f"g{n}") == second:
                rows.append((f"g{n}", "online", 0))
            if second == back and f"g{n}" in wills:
                rows.append((f"g{n}", "online", 1))
        if wills.get("room") == second:
            rows.append(("room", "online", 0))
        room.reads(*rows)
    return room


@pytest.mark.parametrize("wills", [(302, 306, 310), (302, 318, 330), (340, 344, 352)])
def test_a_feeder_that_alone_falls_silent_of_its_gateway_with_last_wills_below_is_told_within_a_minute(
    wills: tuple[int, ...],
) -> None:
    """The other one goes on speaking by that gateway: it is no switch, and no uplink."""
    gone = {"f1", "g1", "g3", "g5"}
    said = dict(zip(("g1", "g3", "g5"), wills, strict=True))
    room = plant(lambda name, second: second < 300 or name not in gone, said, back=9999)
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("feeder.offline|f1", 1)
    assert work.opened_at - T0 <= (wills[1] + 54) * 1000, "20 s to come back, 30 s for a root"
    assert len(room.records.rows.outbox) == 1


@pytest.mark.parametrize("away", ["all", "gateways", "gateways of the feeder"])
def test_gateways_that_restart_together_are_no_cut_of_their_feeder(away: str) -> None:
    """Behind one switch with all instruments; or by themselves, just when a feeder's instrument loses two turns."""

    def speaks(name: str, second: int) -> bool:
        if away == "all":
            return not 300 <= second < 370
        if name == "f1":
            return not 290 < second < 315
        mine = name != "f0" and (away == "gateways" or int(name[1:]) % 2)
        return not (mine and 300 <= second < 345)

    wills = {f"g{n}": 304 + 4 * n for n in range(6) if away != "gateways of the feeder" or n % 2}
    room = plant(speaks, wills, back=370 if away == "all" else 346)
    assert room.tickets() == []


@pytest.mark.parametrize("first", [302, 320, 340])
def test_a_switch_room_whose_gateway_lives_on_is_no_reason_for_a_cut_that_takes_others(first: int) -> None:
    """It carries the instruments of the feeders, which die with them, and nothing else; the broker hears it as before."""
    wills = {f"g{n}": first + 2 * n for n in range(6)}
    room = plant(lambda _, second: second < 300, wills, back=9999, top=True, meters=4)
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("feeder.offline|t", 1)
    assert work.opened_at - T0 <= (first + 96) * 1000
    assert len(room.records.rows.outbox) == 1
