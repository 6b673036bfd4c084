"""What an instrument that is silent hides of a cut: nothing, wherever its own alarm stands."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state
from tests.unit.duty.test_watch_power import board_day, quick_board

from dutyroom.flows.announcing import AnnouncingDesk, Wish
from dutyroom.flows.desk import Desk
from dutyroom.model.announced import Announced
from dutyroom.rules.parse import parse_rules
from dutyroom.topology import Topology


@pytest.mark.parametrize("why", ["shelved", "out of service", "gateway", "planned"])
@pytest.mark.parametrize("again", [False, True])
def test_a_cut_behind_an_instrument_whose_alarm_nobody_looks_at_is_told(why: str, again: bool) -> None:
    """Its alarm is on the shelf, it is out of service, hangs on a dead gateway, or is quiet while people work at that; half an hour
    later all that hangs on the board falls silent."""
    room = quick_board(gateway=why in ("gateway", "planned"))
    room.records.rows.devices = list(room.devices.values())
    if why == "planned":
        wish = Wish(
            Announced.OUTAGE, T0 + 7_200_000, "a new switch", utility="network", devices=("gw", "board")
        )
        AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    board_day(room, 0, 300)
    if why == "gateway":
        room.reads(("gw", "online", 0))
    board_day(room, 300, 2000, board=False)
    silent = room.alarm("feeder.offline", "board")
    if why == "shelved":
        Desk(room.records, room.clock).shelve(SITE, silent.id, "wang", room.clock.at + 20_000_000, "broken")
    if why == "out of service":
        Desk(room.records, room.clock).remove(SITE, "board", "wang", "a new meter is on its way")
    state, told = room.alarms()["feeder.offline@board"], len(room.records.rows.outbox)
    assert state == {"shelved": "shelved", "out of service": "out_of_service"}.get(why, "suppressed")
    board_day(room, 2000, 2040, board=False, pumps=False)
    if again:
        room.restart()
    board_day(room, 2040, 2300, board=False, pumps=False)
    cut = room.alarm("power.mains_lost", "board")
    assert (cut.state, cut.priority, cut.arguments["inferred"]) == ("unacknowledged", 1, "power")
    assert cut.affected == 6
    assert all(room.alarm("pump.offline", f"p{n}").root == cut.id for n in range(6))
    assert len(room.records.rows.outbox) == told + 1
    assert room.alarms()["feeder.offline@board"] == state
    board_day(room, 2300, 3000, board=False)
    assert room.alarms()["power.mains_lost@board"] == "returned"
    assert room.alarms()["feeder.offline@board"] == state
    assert not [key for key in room.alarms() if key.startswith("pump")]


def house() -> Room:
    """Two boards in a row: a feeder, a board, and six pumps."""
    pumps = [device(f"p{n}", "pump", 10) for n in range(6)]
    room = Room(
        [device(name, "feeder", 10) for name in ("feeder", "board", "other")] + pumps,
        {"feeder": [gauge("voltage")], "pump": [state("running", 10)]},
        rules=parse_rules("rules:\n  - {id: pump.offline, parameters: {after: 30s}}\n", "rules.yaml"),
        topology=Topology({"power": {"board": ("feeder",), **{p.id: ("board",) for p in pumps}}}),
    )
    room.records.rows.people = [person("li")]
    return room


def house_day(
    room: Room, since: int, until: int, feeder: float | None, board: float | None, pumps: bool = True
) -> None:
    said = {"feeder": feeder, "board": board, "other": 230}
    for second in range(since, until, 10):
        room.at(second, 10).reads(*((name, "voltage", v) for name, v in said.items() if v is not None))
        if pumps:
            room.reads(*((f"p{n}", "running", 1) for n in range(6)))


def test_a_board_that_says_it_is_dead_is_told_though_the_instrument_above_it_has_been_silent_for_long() -> (
    None
):
    room = house()
    house_day(room, 0, 300, 230, 230)
    house_day(room, 300, 2000, None, 230)
    assert room.tickets() == ["feeder.offline|feeder"]
    house_day(room, 2000, 2060, None, 0, pumps=False)
    assert room.tickets() == ["feeder.offline|feeder", "power.mains_lost|board"]
    assert len(room.records.rows.outbox) == 2
    house_day(room, 2060, 2300, None, 0, pumps=False)
    cut = room.alarm("power.mains_lost", "board")
    assert all(room.alarm("pump.offline", f"p{n}").root == cut.id for n in range(6))
    assert len(room.records.rows.outbox) == 2


def test_a_cut_behind_two_silent_instruments_in_a_row_is_told() -> None:
    room = house()
    house_day(room, 0, 300, 230, 230)
    house_day(room, 300, 2000, None, None)
    told = len(room.records.rows.outbox)
    house_day(room, 2000, 2300, None, None, pumps=False)
    cut = room.alarm("feeder.offline", "board")
    assert (cut.state, cut.priority, cut.arguments["inferred"]) == ("unacknowledged", 1, "power")
    assert all(room.alarm("pump.offline", f"p{n}").root == cut.id for n in range(6))
    assert len(room.records.rows.outbox) == told + 1


def boards(speaks: bool, since: int) -> Room:
    """Five boards on a feeder lose their supply, and say so one after the other; speaks: so does the feeder, that it
    has power. since: when its instrument was heard last."""
    five = [device(f"b{n}", "feeder", 10) for n in range(5)]
    room = Room(
        [device("feeder", "feeder", 10), device("other", "feeder", 10), *five],
        {"feeder": [gauge("voltage")]},
        topology=Topology({"power": {b.id: ("feeder",) for b in five}}),
    )
    room.records.rows.people = [person("li")]
    for second in range(0, 1200, 10):
        dead = second >= 900
        room.at(second).reads(("other", "voltage", 230))
        if speaks or second < since:
            room.reads(("feeder", "voltage", 230))
        room.at(second + 5).reads(*((b.id, "voltage", 0 if dead else 230) for b in five))
        if second == 940:
            room.restart()
    return room


@pytest.mark.parametrize("since", [900, 300])
def test_boards_that_say_that_they_are_dead_below_one_that_says_nothing_are_one_cut(since: int) -> None:
    """The parent's message never comes; its instrument died with the cut, or long before."""
    room = boards(speaks=False, since=since)
    assert room.tickets() == ["feeder.offline|feeder"]
    cut = room.alarm("feeder.offline", "feeder")
    assert (cut.priority, cut.affected) == (1, 5)
    assert [int(t.priority) for t in room.records.rows.tickets.values()] == [1]
    assert len(room.records.rows.outbox) == (1 if since == 900 else 2)
    assert {room.alarm("power.mains_lost", f"b{n}").state.value for n in range(5)} == {"suppressed"}
    room.reads(*((f"b{n}", "voltage", 230) for n in range(5)))
    room.at(1215).reads(*((f"b{n}", "voltage", 230) for n in range(5)))
    room.at(1260)
    assert not [key for key in room.alarms() if key.startswith("power")]


def test_boards_that_are_dead_below_one_that_has_power_are_causes_of_their_own() -> None:
    room = boards(speaks=True, since=0)
    assert room.tickets() == [f"power.mains_lost|b{n}" for n in range(5)]


@pytest.mark.parametrize("before", [0, 40, 900])
@pytest.mark.parametrize("fed", [False, True])
def test_a_cut_that_takes_the_gateway_of_the_boards_instrument_too_is_told_as_a_cut(
    before: int, fed: bool
) -> None:
    """The gateway's last will comes with the cut or before it; fed: by the board."""
    room = quick_board(gateway=True)
    if fed:
        feeds = room.topology.feeds
        power = {**feeds["power"], "gw": ("board",)}
        room.topology = Topology({"power": power, "network": feeds["network"]})
        room.restart()
    board_day(room, 0, 1000 - before)
    room.reads(("gw", "online", 0))
    board_day(room, 1000 - before, 1000, board=False)
    board_day(room, 1000, 1600, board=False, pumps=False)
    cause = "feeder.offline" if before < 300 else "power.mains_lost"
    cut = room.alarm(cause, "board")
    assert (cut.state, cut.priority, cut.arguments["inferred"]) == ("unacknowledged", 1, "power")
    assert all(room.alarm("pump.offline", f"p{n}").root == cut.id for n in range(6))
    own = ["gateway.offline|gw"] if not fed or before == 900 else []
    assert room.tickets() == sorted([f"{cause}|board", *own])


def test_what_falls_silent_behind_a_gateway_that_only_its_broker_takes_for_dead_is_told() -> None:
    """Its last will came after its return, and stands; what it carries speaks on, but for one."""
    pumps = [device(f"p{n}", "pump", 10) for n in range(10)]
    room = Room(
        [device("gw", "gateway"), *pumps],
        {"pump": [state("running", 10)], "gateway": [state("online")]},
        topology=Topology({"network": {p.id: ("gw",) for p in pumps}}),
    )
    for second in range(0, 2400, 10):
        room.at(second, 10).reads(*((p.id, "running", 1) for p in pumps if second < 1000 or p.id != "p0"))
        if second == 300:
            room.reads(("gw", "online", 0))
    assert room.alarms() == {
        "gateway.offline@gw": "unacknowledged",
        "pump.offline@p0": "unacknowledged",
    }
    assert room.tickets() == ["gateway.offline|gw", "pump.offline|p0"]


@pytest.mark.parametrize("tripped", [(0,), (0, 1, 2)])
def test_an_instrument_out_of_service_that_says_there_is_no_power_hides_no_board(
    tripped: tuple[int, ...],
) -> None:
    """It hangs on the bench and reads 0 V; what it should measure has power, until boards trip one after the other."""
    devices = [device("t", "feeder", 10), *(device(f"b{n}", "feeder", 10) for n in range(4))]
    room = Room(
        devices,
        {"feeder": [gauge("voltage")]},
        topology=Topology({"power": {f"b{n}": ("t",) for n in range(4)}}),
    )
    room.records.rows.people, room.records.rows.devices = [person("li")], list(devices)
    room.reads(*((d.id, "voltage", 230) for d in devices))
    Desk(room.records, room.clock).remove(SITE, "t", "wang", "on the bench")
    for second in range(10, 1800, 10):
        dead = {n for n in tripped if second >= 600 + 90 * n}
        room.at(second)
        room.reads(("t", "voltage", 0), *((f"b{n}", "voltage", 0 if n in dead else 230) for n in range(4)))
    assert room.alarms()["power.mains_lost@t"] == "out_of_service"
    assert room.tickets() == [f"power.mains_lost|b{n}" for n in tripped]


def test_taking_the_dead_feeder_out_of_service_in_its_cut_tells_nobody_of_what_hangs_on_it() -> None:
    room = quick_board()
    room.records.rows.devices = list(room.devices.values())
    board_day(room, 0, 300)
    board_day(room, 300, 900, board=False, pumps=False)
    assert len(room.tickets()) == 1
    told = len(room.records.rows.outbox)
    Desk(room.records, room.clock).remove(SITE, "board", "wang", "the fitter is there")
    board_day(room, 900, 2400, board=False, pumps=False)
    assert len(room.tickets()) == 1
    assert len(room.records.rows.outbox) == told


def test_taking_the_dead_transformer_out_of_service_in_its_cut_calls_nobody_to_the_feeders_that_say_so() -> (
    None
):
    """They go on saying it; one that trips when all is over is told."""
    names = ["t", *(f"f{n}" for n in range(4))]
    room = Room(
        [device(name, "feeder", 10) for name in names],
        {"feeder": [gauge("voltage")]},
        topology=Topology({"power": dict.fromkeys(names[1:], ("t",))}),
    )
    room.records.rows.people, room.records.rows.devices = [person("li")], list(room.devices.values())
    desk = Desk(room.records, room.clock)
    for second in range(0, 3600, 10):
        if second == 900:
            desk.remove(SITE, "t", "wang", "the fitter is there")
        room.at(second)
        cut = 300 <= second < 1200
        trip = second >= 2400
        room.reads(*((name, "voltage", 0 if cut or (trip and name == "f2") else 230) for name in names))
        if second == 2390:
            assert room.tickets() == ["power.mains_lost|t"]
            assert len(room.records.rows.outbox) == 1
    assert room.tickets() == ["power.mains_lost|f2", "power.mains_lost|t"]


@pytest.mark.parametrize("way", ["own", "gateway"])
def test_an_instrument_whose_network_is_away_as_announced_is_no_reason_that_a_panel_is_on_battery(
    way: str,
) -> None:
    """The fitter at the gateway trips the board."""
    devices = [device("b", "feeder", 10), device("p", "fire_panel", 30), device("g", "gateway")]
    specs = {
        "feeder": [gauge("voltage")], "gateway": [state("online")],
        "fire_panel": [state("alarm", 30), state("mains", 30)],
    }  # fmt: skip
    network = {"b": ("g",)} | ({"p": ("g2",)} if way == "gateway" else {})
    topology = Topology({"power": {"p": ("b",)}, "network": network})
    room = Room([*devices, device("g2", "gateway")], specs, topology=topology)
    room.records.rows.people, room.records.rows.devices = [person("li")], list(room.devices.values())
    room.reads(("g", "online", 1), ("b", "voltage", 230), ("p", "alarm", 0), ("p", "mains", 1))
    wish = Wish(Announced.OUTAGE, T0 + 9_000_000, "a new gateway", utility="network", devices=("g",))
    AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    room.reads(("g", "online", 0))
    for second in range(30, 2400, 30):
        room.at(second, 10)
        room.reads(("p", "alarm", 0), ("p", "mains", int(second < 1200)))
    assert room.tickets() == ["fire.mains_lost|p"]


def test_a_gateway_out_of_service_explains_its_instrument_though_the_panel_of_that_board_is_heard() -> None:
    devices = [device("b", "feeder", 10), device("p", "fire_panel", 30), device("g", "gateway")]
    devices += [device(f"l{n}", "elevator", 30) for n in range(4)]
    specs = {
        "feeder": [gauge("voltage")], "gateway": [state("online")], "elevator": [state("trapped", 30)],
        "fire_panel": [state("alarm", 30), state("mains", 30)],
    }  # fmt: skip
    below = {d.id: ("b",) for d in devices if d.id != "b"}
    carried = {d.id: ("g",) for d in devices if d.id not in ("p", "g")}
    room = Room(devices, specs, topology=Topology({"power": below, "network": carried}))
    room.records.rows.people, room.records.rows.devices = [person("li")], list(devices)
    room.reads(("g", "online", 1))
    for second in range(0, 5400, 10):
        room.at(second)
        if second == 600:
            room.reads(("g", "online", 0))
        if second == 1500:
            Desk(room.records, room.clock).remove(SITE, "g", "wang", "a new one is on its way")
        rows: list[tuple[str, str, float]] = []
        if second % 30 == 0:
            rows += [("p", "alarm", 0), ("p", "mains", 1)]
            rows += [(d.id, "trapped", 0) for d in devices if d.id[0] == "l" and second < 600]
        room.reads(*rows, *([("b", "voltage", 230)] if second < 600 else []))
    assert room.tickets() == ["gateway.offline|g"]
