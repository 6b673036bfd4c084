"""A power cut is one event: mains lost, its consequences, the generator, the way back."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.model.duty import AlarmState, TicketState
from dutyroom.model.telemetry import PointSpec, Quality
from dutyroom.rules.parse import parse_rules
from dutyroom.topology import Topology

LIFTS = [device(f"lift{n}", "elevator", 60) for n in range(1, 5)]
PUMPS = [device(f"pump{n}", "pump", 60) for n in range(1, 4)]
GATEWAYS = [device(f"gw{n}", "gateway") for n in (1, 2)]
METERS = [device(f"m{n}", "electricity_meter", 900) for n in range(1, 7)]
ESTATE = [
    device("feeder", "feeder", 10),
    device("feeder2", "feeder", 10),
    device("gen", "generator", 10, backs="feeder"),
    *LIFTS,
    *PUMPS,
    *GATEWAYS,
    *METERS,
]
SPECS: dict[str, list[PointSpec]] = {
    "feeder": [gauge("voltage", "V"), state("online")],
    "generator": [state("running", 10), state("fault_code", 10), gauge("fuel", "%")],
    "elevator": [state("trapped", 60), state("fault_code", 60)],
    "pump": [state("running"), state("online")],
    "gateway": [state("online")],
    "electricity_meter": [gauge("power", "kW", 900)],
}
POWER = {d.id: ("feeder",) for d in (*LIFTS, *PUMPS, *GATEWAYS)}
TOPOLOGY = Topology({"power": POWER, "network": {m.id: ("gw1",) for m in METERS}})


def estate(topology: Topology = TOPOLOGY) -> Room:
    room = Room(ESTATE, SPECS, topology=topology)
    room.records.rows.people = [person("li")]
    normal(room)
    return room


def normal(room: Room) -> None:
    room.reads(
        ("feeder", "voltage", 230), ("feeder2", "voltage", 230), ("gen", "running", 0), ("gen", "fault_code", 0),
        *((d.id, "trapped", 0) for d in LIFTS), *((d.id, "running", 1) for d in PUMPS),
        *((d.id, "online", 1) for d in GATEWAYS), *((d.id, "power", 1) for d in METERS),
    )  # fmt: skip


def cut(room: Room, until: int, *, generator: int | None, fault: int | None = None, since: int = 10) -> None:
    """Mains away from `since`: only feeder and generator speak; last wills come at once."""
    room.at(since)
    room.reads(("gw1", "online", 0), ("gw2", "online", 0))
    for second in range(since, until, 5):
        room.at(second)
        runs = generator is not None and second - since >= generator
        failed = fault is not None and second - since >= fault
        room.reads(("feeder", "voltage", 0), ("feeder2", "voltage", 230))
        room.reads(("gen", "running", int(runs)), ("gen", "fault_code", 11 if failed else 0))


def test_a_cut_with_a_generator_that_starts_is_one_ticket() -> None:
    room = estate()
    cut(room, 1200, generator=12)
    assert room.tickets() == ["power.mains_lost|feeder"]
    assert len(room.records.rows.outbox) == 1
    states = room.alarms()
    assert states.pop("power.mains_lost@feeder") == "unacknowledged"
    assert set(states.values()) == {"suppressed"}
    assert {k.partition("@")[0] for k in states} == {"elevator.offline", "pump.offline", "gateway.offline"}
    root = room.alarm("power.mains_lost", "feeder")
    assert root.affected == len(states) == 9
    assert all(room.alarm(*key.split("@")).root == root.id for key in states)


def test_what_comes_back_clears_and_what_stays_away_is_raised_after_its_grace() -> None:
    room = estate()
    cut(room, 900, generator=12)
    back = [d for d in LIFTS if d.id != "lift3"]
    for second in range(900, 1260, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("feeder2", "voltage", 230), ("gen", "running", 0))
        room.reads(*((d.id, "trapped", 0) for d in back), *((d.id, "running", 1) for d in PUMPS))
        room.reads(*((d.id, "online", 1) for d in GATEWAYS))
        if second == 1190:
            assert room.alarms()["elevator.offline@lift3"] == "suppressed"
    assert room.alarms() == {
        "power.mains_lost@feeder": "returned",
        "elevator.offline@lift3": "unacknowledged",
    }
    assert room.tickets() == ["elevator.offline|lift3", "power.mains_lost|feeder"]


def test_a_generator_that_fails_is_a_second_ticket_and_its_fault_is_attached() -> None:
    room = estate()
    cut(room, 400, generator=None, fault=12)
    assert room.tickets() == ["generator.start_failure|gen", "power.mains_lost|feeder"]
    assert room.alarms()["generator.fault@gen"] == "suppressed"
    failure = room.alarm("generator.start_failure", "gen")
    assert room.alarm("generator.fault", "gen").root == failure.id
    assert failure.raised_at - room.alarm("power.mains_lost", "feeder").raised_at <= 32_000


def test_the_fault_alone_has_its_own_ticket() -> None:
    room = estate()
    room.at(10).reads(("gen", "fault_code", 11))
    room.at(80)
    assert room.tickets() == ["generator.fault|gen"]


def test_a_load_with_a_live_second_feed_is_never_suppressed() -> None:
    dual = {**POWER, "lift1": ("feeder", "feeder2")}
    room = estate(Topology({"power": dual}))
    cut(room, 1500, generator=12)
    assert room.alarms()["elevator.offline@lift1"] == "unacknowledged"
    assert room.alarms()["elevator.offline@lift2"] == "suppressed"
    assert room.tickets() == ["elevator.offline|lift1", "power.mains_lost|feeder"]


def test_entrapment_in_a_cut_is_never_suppressed_and_never_waits() -> None:
    room = estate()
    room.at(10).reads(("feeder", "voltage", 0), ("lift2", "trapped", 1))
    assert room.tickets() == ["elevator.entrapment|lift2"]
    cut(room, 60, generator=12, since=11)
    assert room.tickets() == ["elevator.entrapment|lift2", "power.mains_lost|feeder"]
    assert room.alarms()["elevator.entrapment@lift2"] == "unacknowledged"


def test_a_gateway_is_the_root_of_its_meters() -> None:
    room = estate()
    room.at(10).reads(("gw1", "online", 0))
    for second in range(60, 90_000, 60):
        room.at(second, 60)
        room.reads(("feeder", "voltage", 230), *((d.id, "trapped", 0) for d in LIFTS), ("gen", "fuel", 80))
        room.reads(*((d.id, "running", 1) for d in PUMPS), ("feeder2", "voltage", 230))
    assert room.tickets() == ["gateway.offline|gw1"]
    assert {v for k, v in room.alarms().items() if k.startswith("meter.silent")} == {"suppressed"}


@pytest.mark.parametrize("seed", range(30))
def test_any_order_within_the_window_gives_one_ticket(seed: int) -> None:
    """The feeder's own message comes up to half a minute after its consequences'."""
    chance = random.Random(seed)
    children = [device(f"g{n:03}", "gateway") for n in range(60)]
    room = Room(
        [device("feeder", "feeder", 10), *children],
        SPECS,
        topology=Topology({"power": {c.id: ("feeder",) for c in children}}),
    )
    room.reads(("feeder", "voltage", 230), *((c.id, "online", 1) for c in children))
    events = [(chance.uniform(1, 5), (c.id, "online", 0)) for c in children]
    events += [(60 + chance.uniform(0, 30) + n, ("feeder", "voltage", 0)) for n in (0, 10, 20)]
    for second, row in sorted(events, key=lambda e: e[0]):
        room.at(second)
        room.reads(row)
    room.at(200)
    assert room.tickets() == ["power.mains_lost|feeder"]
    assert room.alarm("power.mains_lost", "feeder").affected == 60
    assert list(room.alarms().values()).count("unacknowledged") == 1


def test_a_root_that_says_nothing_is_inferred_from_what_hangs_on_it() -> None:
    room = estate(Topology({"power": POWER, "network": {d.id: ("gw2",) for d in LIFTS}}))
    for second in range(0, 1500, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("feeder2", "voltage", 230), ("gen", "running", 0))
        room.reads(*((d.id, "running", 1) for d in PUMPS))
    assert room.tickets() == ["gateway.offline|gw2"]
    assert room.alarm("gateway.offline", "gw2").affected == 4
    room.reads(*((d.id, "trapped", 0) for d in LIFTS))
    room.at(1520)
    assert room.alarms() == {"gateway.offline@gw2": "returned"}


def test_a_second_cut_by_a_root_that_says_nothing_is_told_though_nobody_acknowledged_the_first() -> None:
    """A board speaks on change, and not of its power; what hangs on it falls silent twice."""
    pumps = [device(f"p{n}", "pump", 60) for n in range(6)]
    room = Room(
        [device("board", "feeder"), device("feeder", "feeder", 10), *pumps],
        {"feeder": [gauge("voltage", interval=None)], "pump": [state("running", 60)]},
        topology=Topology({"power": {p.id: ("board",) for p in pumps}}),
    )
    room.records.rows.people = [person("li")]

    def minutes(since: int, until: int, alive: bool) -> None:
        for minute in range(since, until):
            room.at(minute * 60, 10).reads(("feeder", "voltage", 230))
            if alive:
                room.reads(*((p.id, "running", 1) for p in pumps))

    room.reads(("board", "voltage", 230))
    minutes(0, 10, alive=True)
    minutes(10, 35, alive=False)
    assert room.alarms()["feeder.offline@board"] == "unacknowledged"
    minutes(35, 100, alive=True)
    room.reads(("board", "voltage", 229))  # a sign of life after all
    assert room.alarms() == {"feeder.offline@board": "returned"}
    minutes(100, 125, alive=False)
    assert room.alarms()["feeder.offline@board"] == "unacknowledged"
    assert len(room.alarm("feeder.offline", "board").spans) == 2, "it does not come and go"
    assert len(room.records.rows.outbox) == 2
    assert room.tickets() == ["feeder.offline|board"]
    assert room.alarm("feeder.offline", "board").affected == 6, "those of the first cut have come back"
    assert room.alarm("feeder.offline", "board").first_out is False, "by what fell silent first, this time"


def quick_board(gateway: bool = False) -> Room:
    """A board that speaks every 10 s, and six pumps on it that are missed after half a minute. gateway: the board's."""
    pumps = [device(f"p{n}", "pump", 10) for n in range(6)]
    room = Room(
        [device("board", "feeder", 10), device("feeder", "feeder", 10), device("gw", "gateway"), *pumps],
        {"feeder": [gauge("voltage")], "pump": [state("running", 10)], "gateway": [state("online")]},
        rules=parse_rules("rules:\n  - {id: pump.offline, parameters: {after: 30s}}\n", "rules.yaml"),
        topology=Topology(
            {"power": {p.id: ("board",) for p in pumps}, "network": {"board": ("gw",)} if gateway else {}}
        ),
    )
    room.records.rows.people = [person("li")]
    return room


def board_day(
    room: Room,
    since: int,
    until: int,
    *,
    board: bool = True,
    pumps: bool = True,
    silent: Collection[int] = (),
) -> None:
    for second in range(since, until, 10):
        room.at(second, 10).reads(("feeder", "voltage", 230))
        if board:
            room.reads(("board", "voltage", 230))
        if pumps:
            room.reads(*((f"p{n}", "running", 1) for n in range(6) if n not in silent))


def test_a_cut_that_is_inferred_where_the_instrument_had_been_silent_once_ends_and_is_as_grave_as_it_is() -> (
    None
):
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 1000, board=False)
    board_day(room, 1000, 2000)
    assert room.alarms() == {"feeder.offline@board": "returned"}
    told = len(room.records.rows.outbox)
    board_day(room, 2000, 2180, board=False, pumps=False)  # less than its own five minutes
    alarm = room.alarm("feeder.offline", "board")
    assert (alarm.priority, alarm.arguments["inferred"]) == (1, "power")
    assert len(room.records.rows.outbox) == told + 1
    assert [t.priority for t in room.records.rows.tickets.values()] == [1]
    board_day(room, 2180, 2400)
    assert room.alarms() == {"feeder.offline@board": "returned"}, "it was raised for ever"


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_cut_behind_an_instrument_that_has_been_silent_for_long_is_told(
    answered: bool, again: bool
) -> None:
    """The meter of a board breaks, which is no more than that; half an hour later all that hangs on the board falls silent."""
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 2000, board=False)
    silent = room.alarm("feeder.offline", "board")
    assert silent.priority == 3
    if answered:
        room.records.rows.alarms[silent.id] = replace(silent, state=AlarmState.ACKNOWLEDGED)
    told = len(room.records.rows.outbox)
    board_day(room, 2000, 2040, board=False, pumps=False)
    if again:
        room.restart()
    board_day(room, 2040, 2300, board=False, pumps=False)
    alarm = room.alarm("feeder.offline", "board")
    assert (alarm.state, alarm.priority, alarm.arguments["inferred"]) == ("unacknowledged", 1, "power")
    assert len(room.records.rows.outbox) == told + 1
    assert [t.priority for t in room.records.rows.tickets.values()] == [1]
    board_day(room, 2300, 3000, board=False)
    assert {key: room.alarm(*key.split("@")).priority for key in room.alarms()} == {"feeder.offline@board": 3}
    board_day(room, 3000, 3100)
    assert room.alarms() == {"feeder.offline@board": "returned"}


def test_an_instrument_that_speaks_again_soon_after_a_restart_in_a_cut_is_silent_no_longer() -> None:
    """It had been silent long enough to be told itself; the process does not live long enough to miss it once more."""
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 850, board=False, pumps=False)
    room.restart()
    board_day(room, 850, 900, board=False, pumps=False)
    board_day(room, 900, 960, board=False)
    board_day(room, 960, 1600)
    assert room.alarms() == {"feeder.offline@board": "returned"}


def test_an_instrument_that_falls_silent_after_a_cut_that_was_inferred_is_told_as_such() -> None:
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 480, board=False, pumps=False)
    board_day(room, 480, 2000)
    assert room.alarms() == {"feeder.offline@board": "returned"}
    board_day(room, 2000, 3000, board=False)
    alarm = room.alarm("feeder.offline", "board")
    assert (alarm.state, alarm.priority, "inferred" in alarm.arguments) == ("unacknowledged", 3, False)
    room.restart()
    board_day(room, 3000, 3500)
    assert room.alarms() == {"feeder.offline@board": "returned"}


@pytest.mark.parametrize("gateway", [False, True])
def test_one_that_falls_silent_alone_behind_a_silent_instrument_is_told(gateway: bool) -> None:
    """Its neighbours speak, so the feed has power; also where the instrument is silent for another reason."""
    room = quick_board(gateway)
    board_day(room, 0, 300)
    if gateway:
        room.reads(("gw", "online", 0))
    board_day(room, 300, 2000, board=False)
    board_day(room, 2000, 2600, board=False, silent=(0,))
    assert room.alarms()["pump.offline@p0"] == "unacknowledged"
    tickets = room.tickets()
    assert "pump.offline|p0" in tickets
    if (
        not gateway
    ):  # a cut of all the others, later, is told; the one that was silent before is no part of it
        board_day(room, 2600, 2800, board=False, pumps=False)
        assert room.alarm("feeder.offline", "board").priority == 1
        assert room.alarms()["pump.offline@p0"] == "unacknowledged"
        tickets = room.tickets()
        board_day(room, 2800, 4000, board=False, silent=(0,))
        assert (room.alarms()["pump.offline@p0"], room.tickets()) == ("unacknowledged", tickets)


def test_what_comes_back_late_after_a_cut_behind_a_silent_instrument_is_told_after_its_grace() -> None:
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 900, board=False, pumps=False)
    room.restart()
    board_day(room, 900, 1100, board=False, silent=(0,))
    assert room.alarms()["pump.offline@p0"] == "suppressed"
    board_day(room, 1100, 1400, board=False, silent=(0,))
    assert room.alarms()["pump.offline@p0"] == "unacknowledged"


def test_half_of_what_hangs_on_a_silent_instrument_is_not_told_one_by_one() -> None:
    """That half of it falls silent at once is no chance: a part of the feed may be dead."""
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 2000, board=False)
    board_day(room, 2000, 2900, board=False, silent=(0, 1, 2))
    assert room.tickets() == ["feeder.offline|board"]
    assert room.alarm("feeder.offline", "board").affected == 3


def test_an_instrument_that_stays_silent_after_a_cut_is_an_alarm_of_its_own_kind() -> None:
    room = quick_board()
    board_day(room, 0, 300)
    board_day(room, 300, 900, board=False, pumps=False)
    assert room.alarm("feeder.offline", "board").priority == 1
    board_day(room, 900, 3000, board=False)
    alarm = room.alarm("feeder.offline", "board")
    assert (alarm.cleared_at, alarm.priority, alarm.key) == (None, 3, "alarm.feeder.offline")
    assert set(room.alarms()) == {"feeder.offline@board"}
    board_day(room, 3000, 3100)
    assert room.alarms() == {"feeder.offline@board": "returned"}


def test_a_retained_last_will_may_raise_after_a_start_but_never_clears() -> None:
    room = estate()
    room.at(5)
    room.restart()
    room.reads(("gw1", "online", 0), quality=Quality.RETAINED)
    room.at(70)
    assert "gateway.offline@gw1" in room.alarms()
    room.reads(("gw1", "online", 1), quality=Quality.RETAINED)
    assert room.alarms()["gateway.offline@gw1"] == "unacknowledged"


def test_an_older_cut_that_nobody_has_seen_to_is_no_reason_to_ring_twice_for_the_next() -> None:
    """A feeder's cut of before waits, unseen and with its ticket open; now the mains fails above it."""
    estate = [device("mains", "feeder", 10), device("feeder", "feeder", 10), device("gw1", "gateway")]
    room = Room(estate, SPECS, topology=Topology({"power": {"feeder": ("mains",), "gw1": ("feeder",)}}))
    room.records.rows.people = [person("li")]

    def volts(since: int, until: int, mains: int, feeder: int) -> None:
        for second in range(since, until, 5):
            room.at(second)
            room.reads(("mains", "voltage", mains), ("feeder", "voltage", feeder))

    volts(10, 60, 230, 0)
    volts(60, 900, 230, 230)
    assert room.alarms()["power.mains_lost@feeder"] == "returned"
    volts(900, 1000, 0, 0)
    room.reads(("gw1", "online", 0))
    volts(1000, 1100, 0, 0)
    room.reads(("gw1", "online", 0))
    volts(1100, 1200, 0, 0)
    mains, feeder = (room.alarm("power.mains_lost", d) for d in ("mains", "feeder"))
    assert room.alarms() == {
        "power.mains_lost@feeder": "suppressed",
        "power.mains_lost@mains": "unacknowledged",
        "gateway.offline@gw1": "suppressed",
    }
    assert feeder.root == room.alarm("gateway.offline", "gw1").root == mains.id
    first, second = sorted(room.records.rows.tickets.values(), key=lambda t: t.id)
    assert (first.object, first.state, second.object, second.alarm) == ("feeder", "open", "mains", mains.id)
    assert [m.arguments["object"] for m in room.records.rows.outbox.values()] == ["feeder", "mains"]
    room.reads(("gw1", "online", 1))
    volts(1200, 1800, 230, 230)  # all is well again: the old ticket is still there for a person, none is new
    assert room.tickets() == ["power.mains_lost|feeder", "power.mains_lost|mains"]


@pytest.mark.parametrize("closed", [True, False])
def test_a_second_cut_two_hours_after_one_that_nobody_acknowledged_is_told(closed: bool) -> None:
    room = Room([device("feeder", "feeder", 10)], SPECS)
    room.records.rows.people = [person("li")]

    def volts(since: int, until: int, feeder: int) -> None:
        for second in range(since, until, 5):
            room.at(second, step=5)
            room.reads(("feeder", "voltage", feeder))

    def told() -> list[str]:
        return [m.dedupe.split("|")[-1].partition(":")[0] for m in room.records.rows.outbox.values()]

    volts(10, 60, 0)
    for start in range(60, 240, 60):  # it trembles: one call
        volts(start, start + 30, 230)
        volts(start + 30, start + 60, 0)
    volts(240, 7200, 230)
    assert told() == ["raised"]
    if closed:
        with room.records.write() as tx:
            (work,) = tx.tickets.search("s", open_only=True)
            tx.tickets.update(replace(work, state=TicketState.CLOSED, closed_at=room.clock.at))
            tx.change("s", room.clock.at, "ticket", str(work.id))
    volts(7200, 7300, 0)
    assert told() == ["raised", "again"]
    assert len(room.records.rows.tickets) == 1 + closed


def test_a_feeder_whose_instrument_tells_its_phases_is_one_ticket_in_a_cut() -> None:
    phases = [gauge(f"voltage_{name}") for name in "abc"]
    room = Room([device("F", "feeder")], {"feeder": [gauge("voltage"), *phases]})
    room.records.rows.people = [person("li")]
    for second, volts in ((0, 230.0), (10, 0.0), (20, 0.0), (80, 0.0)):
        room.at(second)
        room.reads(*(("F", name, volts) for name in ("voltage", "voltage_a", "voltage_b", "voltage_c")))
    assert room.tickets() == ["power.mains_lost|F"]
    assert len(room.records.rows.outbox) == 1
    assert {key: state for key, state in room.alarms().items() if state != "suppressed"} == {
        "power.mains_lost@F": "unacknowledged"
    }


ON_SWITCH = [device(f"load{n}", "elevator", 60) for n in range(12)]


def behind_a_switch() -> Room:
    """Mains and generator feed a transfer switch, and that one feeds twelve elevators."""
    devices = [
        device("mains", "feeder", 10),
        device("set", "generator", 10),
        device("switch", "transfer_switch", 10),
        *ON_SWITCH,
    ]
    specs = {**SPECS, "transfer_switch": [state("source", 10)]}
    feeds = {"switch": ("mains", "set"), **{d.id: ("switch",) for d in ON_SWITCH}}
    room = Room(devices, specs, topology=Topology({"power": feeds}))
    room.records.rows.people = [person("li")]
    return room


def day(room: Room, until: int, *, runs: int = 0, source: int = 0, back: int = 10**6) -> None:
    """From 600 s to `back` the mains is away; what has no supply says nothing."""
    for second in range(0, until, 10):
        room.at(second)
        lost = 600 <= second < back
        room.reads(("mains", "voltage", 0 if lost else 230))
        room.reads(("set", "running", runs if second >= 612 and lost else 0), ("set", "fault_code", 0))
        room.reads(("switch", "source", (source if second >= 620 else 0) if lost else 1))
        if second % 60 == 0 and (not lost or source):
            room.reads(*((d.id, "trapped", 0) for d in ON_SWITCH))


@pytest.mark.parametrize(
    ("runs", "second"), [(0, "generator.start_failure|set"), (1, "power.transfer_late|set")]
)
def test_what_hangs_on_a_switch_without_either_supply_is_of_the_cut(runs: int, second: str) -> None:
    room = behind_a_switch()
    day(room, 2400, runs=runs)
    assert sorted(room.tickets()) == sorted(["power.mains_lost|mains", second])
    silent = [state for key, state in room.alarms().items() if key.startswith("elevator.offline")]
    assert silent == ["suppressed"] * len(ON_SWITCH)


def test_what_one_switch_feeds_is_of_no_cut_when_another_one_is_late() -> None:
    """Both hang on one generator: a load whose second feed is alive is never explained away."""
    loads = [device(f"a{n}", "elevator", 60) for n in range(4)]
    switches = [device(name, "transfer_switch", 10) for name in ("done", "late")]
    specs = {**SPECS, "transfer_switch": [state("source", 10)]}
    feeds = {s.id: ("mains", "set") for s in switches} | {d.id: ("done",) for d in loads}
    devices = [device("mains", "feeder", 10), device("set", "generator", 10), *switches, *loads]
    room = Room(devices, specs, topology=Topology({"power": feeds}))
    room.records.rows.people = [person("li")]
    for second in range(0, 2400, 10):
        room.at(second)
        lost = second >= 600
        room.reads(("mains", "voltage", 0 if lost else 230), ("set", "running", int(second >= 612)))
        room.reads(("done", "source", 2 if second >= 620 else 1), ("late", "source", 0 if lost else 1))
        if second % 60 == 0:
            room.reads(*((d.id, "trapped", 0) for d in loads if d.id != "a0" or second < 900))
    assert sorted(room.tickets()) == [
        "elevator.offline|a0",
        "power.mains_lost|mains",
        "power.transfer_late|set",
    ]


SWITCHES = [device(name, "transfer_switch") for name in ("one", "two")]
BEHIND = {name: [device(f"{name}{n}", "elevator", 60) for n in range(4)] for name in ("one", "two")}


def two_switches(**more: tuple[str, ...]) -> Room:
    """Mains and generator feed two switches that speak on change, and each of them four elevators. more: other feeds."""
    loads = [load for mine in BEHIND.values() for load in mine]
    feeds = (
        {s.id: ("mains", "set") for s in SWITCHES} | {d.id: (s,) for s in BEHIND for d in BEHIND[s]} | more
    )
    devices = [device("mains", "feeder", 10), device("spare", "feeder", 10), device("set", "generator")]
    specs = {**SPECS, "generator": [state("running")], "transfer_switch": [state("source")]}
    room = Room([*devices, *SWITCHES, *loads], specs, topology=Topology({"power": feeds}))
    room.records.rows.people = [person("li")]
    return room


def cut_of_two(room: Room, since: int, until: int, done: dict[str, int], stays: str = "") -> None:
    """The mains is away from 600 s on, the generator runs at 610. done: when a switch goes over; stays: what is silent from 600 s on."""
    for second in range(since, until, 10):
        room.at(second)
        lost = second >= 600
        room.reads(("mains", "voltage", 0 if lost else 230), ("spare", "voltage", 230))
        if second in (0, 610):
            room.reads(("set", "running", int(lost)))
        for switch, mine in BEHIND.items():
            if second in (0, done.get(switch)):
                room.reads((switch, "source", 2 if lost else 1))
            if second % 60 == 0 and (not lost or second >= done.get(switch, 10**6)):
                room.reads(
                    *((d.id, "trapped", 0) for d in mine if not (lost and d.id.startswith(stays or "-")))
                )


CUT = ["power.mains_lost|mains", "power.transfer_late|set"]


def test_what_hangs_on_one_of_two_switches_that_is_late_is_of_the_cut() -> None:
    room = two_switches()
    cut_of_two(room, 0, 1800, {"one": 620}, stays="one0")
    assert sorted(room.tickets()) == ["elevator.offline|one0", *CUT], "the load of the other one is alive"
    silent = {key: state for key, state in room.alarms().items() if key.startswith("elevator.offline@two")}
    assert set(silent.values()) == {"suppressed"}
    assert len(silent) == 4
    room.restart()
    cut_of_two(room, 1800, 2400, {"two": 1900})
    assert sorted(room.tickets()) == ["elevator.offline|one0", *CUT]
    assert not [key for key in room.alarms() if "@two" in key]


def test_what_does_not_come_back_with_its_switch_is_told_after_its_grace() -> None:
    room = two_switches()
    cut_of_two(room, 0, 1190, {"two": 900}, stays="two0")
    assert sorted(room.tickets()) == CUT
    cut_of_two(room, 1190, 2400, {}, stays="two")
    assert sorted(room.tickets()) == [*(f"elevator.offline|two{n}" for n in range(4)), *CUT]


def test_a_late_switch_with_a_third_feed_alive_explains_nothing() -> None:
    room = two_switches(two=("mains", "set", "spare"))
    cut_of_two(room, 0, 1800, {"one": 620})
    assert sorted(room.tickets()) == [*(f"elevator.offline|two{n}" for n in range(4)), *CUT]


def test_what_the_generator_feeds_is_of_no_cut() -> None:
    room = behind_a_switch()
    day(room, 1200, runs=1, source=2)
    for second in range(1200, 2400, 10):  # one elevator falls silent while all others have their supply
        room.at(second)
        room.reads(("mains", "voltage", 0), ("set", "running", 1), ("switch", "source", 2))
        if second % 60 == 0:
            room.reads(*((d.id, "trapped", 0) for d in ON_SWITCH[1:]))
    assert sorted(room.tickets()) == ["elevator.offline|load0", "power.mains_lost|mains"]


def test_a_low_voltage_by_a_lost_phase_is_not_told_when_the_phase_is_back() -> None:
    phases = [gauge(f"voltage_{name}", interval=60) for name in "abc"]
    room = Room([device("F", "feeder", 60)], {"feeder": phases})
    for second in range(0, 5400, 60):
        room.at(second)
        gone = 600 <= second < 2400
        room.reads(("F", "voltage_a", 228), ("F", "voltage_b", 2 if gone else 229), ("F", "voltage_c", 230))
    assert room.tickets() == ["electricity.phase_b_lost|F"]
    assert "electricity.voltage_low@F" not in room.alarms()
