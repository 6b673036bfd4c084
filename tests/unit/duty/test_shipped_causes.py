"""What several shipped rules say of one thing has one ticket: a phase, the grid's voltage, a lift, a panel, an engine, a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state
from tests.unit.duty.plain_book import PlainBook

from dutyroom.errors import Conflict
from dutyroom.flows.desk import Desk
from dutyroom.flows.episodes import Context
from dutyroom.flows.ground import ground_of
from dutyroom.model.duty import AlarmState, Condition, Device, TicketState
from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import DAY, HOUR, MINUTE
from dutyroom.topology import Topology

FEEDERS = ("f0", "f1", "f2", "f3")  # the first feeds the others, the second the meters
METERS = tuple(f"m{n}" for n in range(6))
PHASES = [gauge(f"voltage_{p}", "V", 60) for p in "abc"]


def room_of(
    devices: list[Device], specs: dict[str, list[PointSpec]], **feeds: dict[str, tuple[str, ...]]
) -> Room:
    room = Room(devices, specs, topology=Topology(dict(feeds)))
    room.records.rows.people = [person("li")]
    return room


def told(room: Room) -> list[str]:
    return [key.split("|")[1] + "|" + key.split("|")[2] for key in room.records.rows.outbox]


# ------------------------------------------------------------ electricity


def estate(phases: Callable[[str], tuple[float, float, float]]) -> Room:
    """Feeders and meters that speak once a minute; after five minutes each shows these voltages."""
    room = room_of(
        [*(device(f, "feeder", 60) for f in FEEDERS), *(device(m, "electricity_meter", 60) for m in METERS)],
        {"feeder": PHASES, "electricity_meter": PHASES},
        power={**dict.fromkeys(FEEDERS[1:], ("f0",)), **dict.fromkeys(METERS, ("f1",))},
    )
    for second in range(0, 1500, 5):
        room.at(second, step=5)
        for number, name in enumerate((*METERS, *reversed(FEEDERS))):  # what is fed speaks first
            if second % 60 == 5 * number:
                volts = phases(name) if second >= 300 else (230, 230, 230)
                room.reads(*((name, f"voltage_{p}", value) for p, value in zip("abc", volts, strict=True)))
    return room


@pytest.mark.parametrize("at", ["f0", "f1"])
def test_a_phase_that_is_lost_is_one_ticket_at_the_topmost_feeder_that_lost_it(at: str) -> None:
    """The meters are wired in another order: what is b above is c there."""
    below = {"f0": FEEDERS, "f1": ("f1",)}[at]

    def phases(name: str) -> tuple[float, float, float]:
        return (230, 230, 3) if name in METERS else (230, 3, 230) if name in below else (230, 230, 230)

    room = estate(phases)
    assert room.tickets() == [f"electricity.phase_b_lost|{at}"]
    assert told(room) == room.tickets()


@pytest.mark.parametrize(
    ("volts", "rule"),
    [
        ((238, 238, 238), "voltage_high"),
        ((190, 190, 190), "voltage_low"),
        ((230, 212, 236), "voltage_unbalance"),
    ],
)
def test_the_voltage_of_the_grid_is_one_ticket(volts: tuple[float, float, float], rule: str) -> None:
    room = estate(lambda _: volts)
    assert room.tickets() == [f"electricity.{rule}|f0"]
    assert told(room) == room.tickets()


def test_a_phase_that_is_lost_further_down_days_later_is_not_hidden_by_the_old_one() -> None:
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    devices = {name: device(name, "feeder", 60) for name in ("f0", "f1")}
    book = PlainBook(Context(SITE, rules, devices, Topology({"power": {"f1": ("f0",)}})))
    for name, after in (("f0", 0), ("f1", 2 * DAY)):
        book.act(
            [Condition(f"electricity.phase_{'b' if after else 'a'}_lost", name, True, T0 + after)], T0 + after
        )
        for minute in range(1, 5):
            book.act([], T0 + after + minute * MINUTE)
    assert book.jobs() == ["electricity.phase_a_lost|f0", "electricity.phase_b_lost|f1"]


def test_a_meter_that_lost_a_phase_alone_has_its_ticket() -> None:
    room = estate(lambda name: (3, 230, 230) if name == "m2" else (230, 230, 230))
    assert room.tickets() == ["electricity.phase_a_lost|m2"]


# ------------------------------------------------------------ a generator

GENERATOR = [
    state("running", 60),
    state("fault_code", 60),
    *(gauge(n, "", 60) for n in ("coolant", "voltage", "frequency", "oil_pressure")),
]


def says(room: Room, running: int, volts: float, hertz: float, bar: float, **more: float) -> None:
    figures = {"running": running, "voltage": volts, "frequency": hertz, "oil_pressure": bar, **more}
    room.reads(*(("gen", name, value) for name, value in figures.items()))


@pytest.mark.parametrize("every", [60, 10])
def test_one_sample_of_its_run_up_or_run_down_rings_nothing(every: int) -> None:
    room = room_of([device("gen", "generator", every)], {"generator": GENERATOR})
    for turn in range(30):
        room.at(every * turn)
        if turn in (5, 20):  # it speeds up, and slows down
            says(room, 1, 150, 35, 0.7)
        else:
            says(room, *((1, 231, 50, 4) if 5 < turn < 20 else (0, 0, 0, 0)))
    assert room.tickets() == []


def test_one_that_stumbles_is_one_ticket() -> None:
    room = room_of([device("gen", "generator", 60)], {"generator": GENERATOR})
    for turn in range(12):
        room.at(60 * turn)
        says(room, 1, *((231, 50, 4) if turn < 5 else (150, 35, 0.7)))
    assert room.tickets() == ["generator.oil_low|gen"]


def test_an_engine_that_overheats_and_trips_in_a_cut_is_one_ticket_beside_the_cut() -> None:
    room = room_of(
        [device("f0", "feeder", 10), device("gen", "generator", 60, backs="f0")],
        {"feeder": PHASES, "generator": GENERATOR},
    )
    for second in range(0, 3000, 10):
        room.at(second, step=5)
        room.reads(*(("f0", f"voltage_{p}", 230 if second < 300 else 0) for p in "abc"))
        if second % 60 == 0:
            run = 320 <= second < 1800
            hot, code = (105 if 1200 <= second < 2400 else 70), (5 if second >= 1800 else 0)
            says(room, int(run), 230 * run, 50 * run, 4 * run, coolant=hot, fault_code=code)
    assert room.tickets() == ["generator.coolant_hot|gen", "power.mains_lost|f0"]
    work = next(t for t in room.records.rows.tickets.values() if t.object == "gen")
    assert work.priority == 2


# ------------------------------------------------------------ a lift, a panel


def lift_of(faulty: int, stands: int, until: int = 1200) -> Iterator[tuple[int, Room]]:
    """From when on it has a fault code, and stands between floors; each turn."""
    specs = [state(name, 10) for name in ("fault_code", "door_zone", "moving")]
    room = room_of([device("lift", "elevator", 10)], {"elevator": specs})
    for second in range(0, until, 10):
        room.at(second)
        room.reads(
            ("lift", "fault_code", 7 * (second >= faulty)),
            ("lift", "door_zone", int(second < stands)),
            ("lift", "moving", 0),
        )
        yield second, room


def test_a_lift_that_stands_between_floors_with_a_fault_code_is_one_ticket() -> None:
    *_, (_, room) = lift_of(100, 100)
    assert room.tickets() == ["elevator.stopped_outside|lift"]
    (work,) = room.records.rows.tickets.values()
    assert work.priority == 2


def test_and_so_it_is_where_the_fault_was_known_for_long() -> None:
    *_, (_, room) = lift_of(100, 900)
    assert room.tickets() == ["elevator.fault|lift"]
    (work,) = room.records.rows.tickets.values()
    assert (work.priority, (work.respond_by or 0) - T0) == (2, (962 + 600) * 1000), (
        "by the clock: two seconds for a word on its way"
    )
    assert told(room) == ["elevator.fault|lift", "elevator.stopped_outside|lift"]


@pytest.mark.parametrize("after", [100, 400, 620, 3300, 4300])
@pytest.mark.parametrize("fault", [0, 36])
@pytest.mark.parametrize("answer", [False, True])
def test_a_lift_whose_passengers_press_the_alarm_later_is_one_ticket(
    after: int, fault: int, answer: bool
) -> None:
    """It stands outside a landing, somebody may have taken that; who did was not asked of people in it. After an hour it is another
    thing."""
    lift = device("lift", "elevator", 30)
    room = room_of(
        [lift], {"elevator": [state(n, 30) for n in ("trapped", "fault_code", "door_zone", "moving")]}
    )
    for second in range(0, 300 + after + 390, 30):
        stands = second >= 300
        room.at(second, 5)
        room.reads(
            ("lift", "door_zone", int(not stands)),
            ("lift", "moving", 0),
            ("lift", "fault_code", fault * stands),
            ("lift", "trapped", int(second >= 300 + after)),
        )
        if answer and second == 390:
            (work,) = room.records.rows.tickets.values()
            Desk(room.records, room.clock).accept(SITE, work.id, "li")
    works = {t.cause: t for t in room.records.rows.tickets.values()}
    later = ["elevator.stopped_outside|lift"] if after > 3600 else []
    assert sorted(works) == ["elevator.entrapment|lift", *later]
    assert works["elevator.entrapment|lift"].priority == 1
    respond_by, called = (
        works["elevator.entrapment|lift"].respond_by,
        room.alarm("elevator.entrapment", "lift"),
    )
    assert respond_by == (called.called_at or called.recorded_at) + 180_000, "not that of the stop"
    mine = [r.dedupe.split("|") for r in room.records.rows.outbox.values() if "entrapment" in r.dedupe]
    assert [line[-1].split(":")[0] for line in mine] == ["raised", "unanswered"]


@pytest.mark.parametrize(("between", "orders"), [(60, 1), (1800, 1), (4500, 2)])
@pytest.mark.parametrize("answer", [False, True])
def test_a_fault_that_is_over_before_people_ring_is_their_order(
    between: int, orders: int, answer: bool
) -> None:
    room = room_of(
        [device("lift", "elevator", 30)], {"elevator": [state(n, 30) for n in ("trapped", "fault_code")]}
    )
    for second in range(0, 600 + between + 600, 30):
        room.at(second, 5)
        fault, people = 300 <= second < 600, second >= 600 + between
        room.reads(("lift", "fault_code", 17 * fault), ("lift", "trapped", int(people)))
        if answer and second == 450:
            (work,) = room.records.rows.tickets.values()
            Desk(room.records, room.clock).accept(SITE, work.id, "li")
    works = {t.cause: t for t in room.records.rows.tickets.values()}
    assert len(works) == orders
    work, alarm = works["elevator.entrapment|lift"], room.alarm("elevator.entrapment", "lift")
    assert (work.priority, alarm.ticket) == (1, work.id)
    assert work.respond_by == (alarm.called_at or alarm.recorded_at) + 180_000
    mine = [r.dedupe.split("|") for r in room.records.rows.outbox.values() if "entrapment" in r.dedupe]
    assert [line[-1].split(":")[0] for line in mine] == ["raised", "unanswered"]


def lift_with_people(pressed: range, until: int, rules: str = "", away: range = range(0)) -> Room:
    """It stands outside a landing with a fault from second 300 on; the alarm is pressed meanwhile, and reset a minute after. away: it is
    switched off. The work order is accepted as soon as it is of people."""
    lift = device("lift", "elevator", 30)
    specs = {"elevator": [state(n, 30) for n in ("trapped", "fault_code", "door_zone", "moving")]}
    room = Room([lift], specs, rules=parse_rules(rules, "rules.yaml"))
    room.records.rows.people = [person("li")]
    desk = Desk(room.records, room.clock)
    for second in range(0, until, 30):
        room.at(second, 5)
        stands = int(second >= 300)
        rows = (
            ("door_zone", 1 - stands),
            ("moving", 0),
            ("fault_code", 36 * stands),
            ("trapped", int(second in pressed)),
        )
        if second not in away:
            room.reads(*(("lift", name, value) for name, value in rows))
        work = next((t for t in room.records.rows.tickets.values() if "entrapment" in t.cause), None)
        if work is not None and work.state.value == "open":
            desk.accept(SITE, work.id, "li")
        if second == pressed.stop + 60:
            alarm = room.alarm("elevator.entrapment", "lift")
            desk.acknowledge(SITE, alarm.id, "li")
            desk.reset(SITE, alarm.id, "li", "freed")
    return room


@pytest.mark.parametrize("away", [range(0), range(2400, 3600)])
def test_what_stands_when_people_are_freed_stays_on_their_work_order(away: range) -> None:
    """Somebody is there; the controller is switched off for a while."""
    room = lift_with_people(range(900, 1500, 30), 4500, away=away)
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.state.value) == ("elevator.entrapment|lift", "accepted")


def test_people_in_a_lift_are_told_of_at_once_though_its_ticket_is_as_urgent_already() -> None:
    """A site that sets the stop to priority 1."""
    room = lift_with_people(
        range(900, 1500, 30), 1000, "rules:\n  - {id: elevator.stopped_outside, priority: 1}\n"
    )
    told = [r for r in room.records.rows.outbox.values() if "entrapment" in r.dedupe]
    assert [(r.created_at - T0) // 1000 for r in told] == [900]


def test_but_none_whose_work_is_done() -> None:
    for second, room in lift_of(100, 900):
        if second == 500:
            (work,) = room.records.rows.tickets.values()
            desk = Desk(room.records, room.clock)
            desk.accept(SITE, work.id, "li")
            desk.done(SITE, work.id, "li", "reset")
    assert room.tickets() == ["elevator.fault|lift", "elevator.stopped_outside|lift"]


@pytest.mark.parametrize("before", [0, 60, 110])
def test_a_pre_alarm_that_becomes_a_fire_is_one_ticket(before: int) -> None:
    """before: by how many seconds the panel takes it back sooner than it says fire."""
    room = room_of(
        [device("panel", "fire_panel", 60)], {"fire_panel": [state("prealarm", 60), state("alarm", 60)]}
    )
    for second in range(0, 900, 10):
        room.at(second)
        room.reads(
            ("panel", "prealarm", int(400 <= second < 600 - before)), ("panel", "alarm", int(second >= 600))
        )
        if second == 460:
            assert room.tickets() == ["fire.prealarm|panel"]
    assert room.tickets() == ["fire.alarm|panel"]
    (work,) = room.records.rows.tickets.values()
    assert work.priority == 1
    assert work.respond_by == T0 + (600 + 180) * 1000, "as soon as a fire is to be answered"
    assert told(room)[:2] == ["fire.prealarm|panel", "fire.alarm|panel"]


def test_a_fire_does_not_take_a_ticket_whose_work_is_done() -> None:
    room = room_of(
        [device("panel", "fire_panel", 60)], {"fire_panel": [state("prealarm", 60), state("alarm", 60)]}
    )
    desk = Desk(room.records, room.clock)
    for second in range(0, 700, 10):
        room.at(second)
        room.reads(("panel", "prealarm", int(second >= 100)), ("panel", "alarm", int(second >= 600)))
        if second == 300:
            (work,) = room.records.rows.tickets.values()
            desk.accept(SITE, work.id, "li")
            desk.done(SITE, work.id, "li", "steam from a kettle")
    assert room.tickets() == ["fire.alarm|panel", "fire.prealarm|panel"]
    fire = next(t for t in room.records.rows.tickets.values() if t.cause.startswith("fire.alarm"))
    assert (fire.state, fire.priority) == (TicketState.OPEN, 1)
    assert "fire.alarm|panel" in told(room)


def panel(**rows: Callable[[int], int]) -> Room:
    room = room_of([device("panel", "fire_panel", 60)], {"fire_panel": [state(name, 60) for name in rows]})
    for second in range(0, 1200, 60):
        room.at(second)
        room.reads(*(("panel", name, of(second)) for name, of in rows.items()))
    return room


def test_a_panel_on_battery_that_says_that_it_has_a_fault_is_one_ticket() -> None:
    room = panel(mains=lambda s: int(s < 300), fault=lambda s: int(s >= 300))
    assert room.tickets() == ["fire.mains_lost|panel"]
    assert told(room) == room.tickets()


def test_one_with_a_fault_of_its_own_has_its_ticket() -> None:
    room = panel(mains=lambda _: 1, fault=lambda s: int(s >= 300), battery_fault=lambda _: 0)
    assert room.tickets() == ["fire.fault|panel"]


def test_a_loop_that_fails_behind_a_fault_that_stands_for_long_is_told() -> None:
    room = panel(fault=lambda s: int(s >= 120), line_fault=lambda s: int(s >= 600))
    assert room.tickets() == ["fire.fault|panel", "fire.line_fault|panel"]


def test_a_battery_that_fails_while_the_mains_is_away_is_told_on_its_ticket() -> None:
    room = panel(
        mains=lambda s: int(s < 300), fault=lambda s: int(s >= 300), battery_fault=lambda s: int(s >= 900)
    )
    assert room.tickets() == ["fire.mains_lost|panel"]
    assert told(room) == ["fire.mains_lost|panel", "fire.battery_fault|panel"]


# ------------------------------------------------------------ water


@pytest.mark.parametrize("after", [0, 1200])
def test_a_burst_in_a_flat_that_its_riser_shows_too_is_one_ticket_that_names_the_flat(after: int) -> None:
    """after: by how many seconds the riser's others open their taps later, and it passes its limit."""
    homes = [f"w{n}" for n in range(3)]
    litre = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=None, interval_s=300)
    room = room_of(
        [device("riser", "water_meter", 60, use="riser"), *(device(h, "water_meter", 300) for h in homes)],
        {"water_meter": [gauge("flow", "m3/h", 60), litre]},
        water=dict.fromkeys(homes, ("riser",)),
    )
    volume = 10.0
    for second in range(0, 7200, 60):
        room.at(second, step=30)
        burst = second >= 3600
        volume += 2.8 / 60 * burst
        room.reads(("riser", "flow", 0.1 + 2.8 * burst + 0.6 * (second >= 3600 + after)))
        if second % 300 == 0:
            room.reads(("w0", "volume", volume), ("w1", "volume", 10.0), ("w2", "volume", 10.0))
    assert len(room.tickets()) == 1
    assert sorted(told(room)) == ["water.burst|riser", "water.unit_burst|w0"]


def flowing(flows: dict[str, float], homes: int = 0, **uses: dict[str, object]) -> list[str]:
    """Meters that let so much through from five minutes on (m3/h), each with so many homes below; the tickets."""
    below = {f"{name}-{n}": (name,) for name in uses for n in range(homes)}
    room = room_of(
        [
            *(device(name, "water_meter", 60, **given) for name, given in uses.items()),
            *(device(home, "other") for home in below),
        ],
        {"water_meter": [gauge("flow", "m3/h", 60)]},
        water=below,
    )
    room.ground = ground_of(room.topology, "Asia/Shanghai")
    room.restart()
    for second in range(0, 1200, 60):
        room.at(second)
        room.reads(*((name, "flow", flow * (second >= 300)) for name, flow in flows.items()))
    return room.tickets()


def test_what_is_a_burst_goes_by_what_hangs_on_the_meter_where_nobody_entered_it() -> None:
    uses = {"riser": {"use": "riser"}, "master": {"use": "master"}, "garden": {"use": "public"}}
    assert flowing({"riser": 2.9, "master": 14, "garden": 9}, **uses) == []
    assert len(flowing({"riser": 3.1, "master": 16, "garden": 11}, **uses)) == 3
    assert flowing({"riser": 8.9, "master": 20}, 60, riser=uses["riser"], master=uses["master"]) == []
    assert len(flowing({"riser": 9.1, "master": 22}, 60, riser=uses["riser"], master=uses["master"])) == 2
    known = {"known": {"use": "master", "burst_flow": 6.0}}
    assert flowing({"known": 7}, 60, **known) == ["water.burst|known"]


@pytest.mark.parametrize("toilet", [False, True])
def test_water_that_no_meter_counted_is_no_toilet_in_a_flat(toilet: bool) -> None:
    """The nights of a riser, and its balance some days later; toilet: one in a flat explains the nights."""
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    devices = {
        "riser": device("riser", "water_meter", 900, use="riser"),
        "flat": device("flat", "water_meter", 900),
    }
    book = PlainBook(Context(SITE, rules, devices, Topology({"water": {"flat": ("riser",)}})))
    said = [("water.leak", "flat", 0)] if toilet else []
    said += [("water.night_flow", "riser", 2 * DAY), ("water.balance", "riser", 5 * DAY)]
    for rule, object, after in said:
        book.act([Condition(rule, object, True, T0 + after)], T0 + after)
        for minute in range(1, 5):
            book.act([], T0 + after + minute * MINUTE)
    expected = ["water.balance|riser", "water.leak|flat"] if toilet else ["water.night_flow|riser"]
    assert book.jobs() == expected


def test_what_one_detector_says_of_one_fire_is_one_ticket() -> None:
    specs = [state(name, 60) for name in ("alarm", "smoke_alarm", "hot", "fire")]
    room = room_of(
        [device("panel", "fire_panel", 60), device("other", "fire_panel", 60)], {"fire_panel": specs}
    )
    for second in range(0, 600, 60):
        room.at(second)
        burns = int(second >= 300)
        room.reads(*(("panel", spec.name, burns) for spec in specs))
        room.reads(*(("other", spec.name, int(spec.name == "alarm" and second >= 360)) for spec in specs))
    assert len(room.tickets()) == 2
    assert {cause.split("|")[1] for cause in room.tickets()} == {"panel", "other"}
    assert len({name for name in told(room) if name.endswith("|panel")}) == 4, "each of them sounds"


def test_a_ticket_of_ones_own_after_the_cause_has_gone_is_told() -> None:
    """A lift's fault was told, became the entrapment's, and stands when that is over."""
    specs = [state("fault_code", 10), state("trapped", 10)]
    room = room_of([device("lift", "elevator", 10)], {"elevator": specs})
    desk = Desk(room.records, room.clock)
    for second in range(0, 1800, 10):
        room.at(second)
        room.reads(("lift", "fault_code", 7 * (second >= 60)), ("lift", "trapped", int(100 <= second < 400)))
        if second == 500:
            (work,) = room.records.rows.tickets.values()
            desk.accept(SITE, work.id, "li")
            desk.done(SITE, work.id, "li", "freed")
            alarm = room.alarm("elevator.entrapment", "lift")
            desk.acknowledge(SITE, alarm.id, "li", "freed")
            desk.reset(SITE, alarm.id, "li", "freed")
    assert "elevator.fault|lift" in room.tickets()
    assert told(room).count("elevator.fault|lift") == 2


def test_a_ticket_is_not_closed_without_a_reason_while_what_joined_it_stands() -> None:
    specs = [state(name, 10) for name in ("fault_code", "door_zone", "moving")]
    room = room_of([device("lift", "elevator", 10)], {"elevator": specs})
    desk = Desk(room.records, room.clock)
    for second in range(0, 1300, 10):
        room.at(second)
        fault, zone = 7 * (100 <= second < 1050), int(second < 900)
        room.reads(("lift", "fault_code", fault), ("lift", "door_zone", zone), ("lift", "moving", 0))
    (work,) = room.records.rows.tickets.values()
    assert "elevator.fault@lift" not in room.alarms() or room.alarms()["elevator.fault@lift"] == "returned"
    desk.accept(SITE, work.id, "li")
    desk.done(SITE, work.id, "li", "reset")
    with pytest.raises(Conflict, match="standing"):
        desk.close(SITE, work.id, "li")
    desk.close(SITE, work.id, "li", "the lift is locked")


# ------------------------------------------------------------ what stands for long


KINDS = {
    "tank": "tank",
    "filling": "pump",
    "flat": "water_meter",
    "riser": "water_meter",
    "supply": "feeder",
    "lift": "elevator",
    "gate": "gate",
    "gen": "generator",
}
FEEDS = {"water": {"flat": ("riser",)}}
AFTER = [  # what stands, and what is another thing days later
    ("tank.unusual|tank", "tank.overflow|tank"),
    ("tank.unusual|tank", "tank.dry|tank"),
    ("tank.unusual|tank", "tank.leak|tank"),
    ("tank.dry|tank", "pump.no_rise|filling"),
    ("water.burst|flat", "water.burst|riser"),
    ("water.home_leak|flat", "water.night_flow|riser"),
    ("meter.leak_flag|flat", "water.home_leak|flat"),
    ("meter.leap|flat", "water.home_leak|flat"),
    (
        "meter.decrease|flat",
        "water.unit_burst|flat",
    ),  # of a meter that was exchanged, which nobody has put on record
    ("electricity.phase_b_lost|supply", "electricity.voltage_low|supply"),
    ("elevator.fault|lift", "elevator.door_open_long|lift"),
]


def later(
    first: str, second: str, after: int, shelved: bool = False, taken: bool = False
) -> tuple[list[str], list[str]]:
    """Two alarms, the second so long after the first, which somebody has shelved, or whose ticket somebody has taken: open
    tickets, and what people were told of."""
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    devices = {
        name: device(name, kind, 60, **({"fills": "tank"} if name == "filling" else {}))
        for name, kind in KINDS.items()
    }
    book = PlainBook(Context(SITE, rules, devices, Topology(FEEDS)))
    for cause, at in ((first, T0), (second, T0 + after)):
        rule, name = cause.split("|")
        book.act([Condition(rule, name, True, at)], at)
        for minute in range(1, 30):
            book.act([], at + minute * MINUTE)
        if shelved and cause == first:
            (alarm,) = book.alarms.values()
            until = T0 + 60 * DAY
            book.alarms[alarm.id] = replace(alarm, state=AlarmState.SHELVED, shelved_until=until)
        if taken and cause == first:
            (ticket,) = book.tickets.values()
            book.tickets[ticket.id] = replace(ticket, state=TicketState.ACCEPTED, accepted_at=at)
    return book.jobs(), [f"{rule}|{name}" for _, rule, name in book.told]


@pytest.mark.parametrize(("first", "second"), AFTER)
@pytest.mark.parametrize("shelved", [False, True])
def test_what_stands_for_long_or_is_on_a_shelf_hides_nothing_new(
    first: str, second: str, shelved: bool
) -> None:
    jobs, told = later(first, second, 8 * DAY, shelved=shelved, taken=True)
    assert jobs == sorted([first, second])
    assert told == [first, second]


@pytest.mark.parametrize(("first", "second"), AFTER)
def test_and_what_comes_soon_after_is_the_same_thing(first: str, second: str) -> None:
    assert later(first, second, 40 * MINUTE) == ([first], [first])


@pytest.mark.parametrize("interval", [60, 900, 1800])
def test_what_speaks_seldom_had_no_turn_before_and_is_of_the_same_thing(interval: int) -> None:
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    meters = [f"m{n}" for n in range(10)]
    devices = {
        "f0": device("f0", "feeder", 60),
        **{m: device(m, "electricity_meter", interval) for m in meters},
    }
    book = PlainBook(Context(SITE, rules, devices, Topology({"power": dict.fromkeys(meters, ("f0",))})))
    book.context = replace(book.context, interval=lambda name: (devices[name].interval_s or 0) * 1000)
    begin = T0 + 2 * MINUTE
    book.act([Condition("electricity.phase_b_lost", "f0", True, begin)], begin)
    for minute in range(1, 60):
        turn = [m for n, m in enumerate(meters) if minute == 1 + n * interval // 600]
        now = begin + minute * MINUTE
        book.act([Condition("electricity.phase_b_lost", m, True, now) for m in turn], now)
    assert book.jobs() == ["electricity.phase_b_lost|f0"]


def test_a_tank_that_overflows_hours_after_its_level_was_unusual_is_told_on_the_same_ticket() -> None:
    jobs, told = later("tank.unusual|tank", "tank.overflow|tank", 8 * HOUR)
    assert jobs == ["tank.unusual|tank"]
    assert told == ["tank.unusual|tank", "tank.overflow|tank"]


@pytest.mark.parametrize("taken", [False, True])
def test_what_is_graver_does_not_hide_on_a_ticket_that_somebody_took_days_ago(taken: bool) -> None:
    """A fault code of a lift is looked after, or nobody has looked; then it stands between floors."""
    first, second = "elevator.fault|lift", "elevator.stopped_outside|lift"
    jobs, told = later(first, second, 2 * DAY, taken=taken)
    assert jobs == ([first, second] if taken else [first])
    assert told == [first, second]
    assert later(first, second, 2 * HOUR, taken=taken)[0] == [first]


def test_a_tank_that_runs_dry_after_its_pump_brought_nothing_is_one_ticket_whatever_topology_says() -> None:
    assert later("pump.no_rise|filling", "tank.dry|tank", HOUR) == (
        ["pump.no_rise|filling"],
        ["pump.no_rise|filling", "tank.dry|tank"],
    )


def test_doors_that_do_not_close_until_the_controller_gives_up_are_one_ticket() -> None:
    jobs, _ = later("elevator.door_reversals|lift", "elevator.fault|lift", 15 * MINUTE)
    assert jobs == ["elevator.door_reversals|lift"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("elevator.door_reversals|lift", "elevator.door_open_long|lift"),
        ("elevator.fault|lift", "elevator.offline|lift"),  # switched off for the repair
        ("gate.forced|gate", "gate.held_open|gate"),
        ("gate.held_open|gate", "gate.forced|gate"),
        *(
            (f"generator.{rule}|gen", "generator.fault|gen")
            for rule in ("voltage_low", "voltage_high", "frequency_low", "frequency_high", "fuel_low_running")
        ),
        ("generator.fuel_low_running|gen", "generator.frequency_low|gen"),
        *(
            (f"generator.{rule}|gen", "generator.not_running|gen")
            for rule in ("voltage_low", "voltage_high", "frequency_low", "frequency_high", "fuel_low_running")
        ),
        ("water.unit_burst|flat", "meter.leap|flat"),
        ("meter.leap|flat", "water.unit_burst|flat"),
    ],
)
def test_what_goes_before_it_and_what_comes_of_it_are_one_ticket(first: str, second: str) -> None:
    assert later(first, second, 10 * MINUTE)[0] == [first]


@pytest.mark.parametrize(
    "chain",
    [
        ("elevator.door_reversals|lift", "elevator.fault|lift", "elevator.offline|lift"),
        ("elevator.door_open_long|lift", "elevator.fault|lift", "elevator.stopped_outside|lift"),
        ("generator.fuel_low_running|gen", "generator.fault|gen", "generator.not_running|gen"),
    ],
)
def test_what_comes_of_one_that_has_joined_another_ticket_joins_it_too(chain: tuple[str, ...]) -> None:
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    devices = {name: device(name, kind, 60) for name, kind in KINDS.items()}
    book = PlainBook(Context(SITE, rules, devices, Topology(FEEDS)))
    for number, cause in enumerate(chain):
        rule, name = cause.split("|")
        since = T0 + number * 10 * MINUTE
        book.act([Condition(rule, name, True, since)], since)
        for minute in range(1, 10):
            book.act([], since + minute * MINUTE)
    assert book.jobs() == [chain[0]]
    assert [f"{rule}|{name}" for _, rule, name in book.told] == list(chain)


@pytest.mark.parametrize("away", [20, 60, 85, 110])
def test_a_panel_that_is_on_battery_for_a_moment_has_no_ticket_for_the_fault_that_it_says_then(
    away: int,
) -> None:
    """It says that it has lost its mains and that it has a fault, and not always in one word."""
    for lag in (0, 10, 40):
        room = room_of(
            [device("panel", "fire_panel", 10)], {"fire_panel": [state(n, 10) for n in ("mains", "fault")]}
        )
        for second in range(0, 900, 10):
            room.at(second)
            room.reads(("panel", "mains", int(not 300 <= second < 300 + away)))
            room.reads(("panel", "fault", int(300 + lag <= second < 300 + away + lag)))
        assert room.tickets() == [], lag
        assert {a.rule for a in room.records.rows.alarms.values()} == {"fire.mains_lost", "fire.fault"}


def test_a_generator_that_overspeeds_is_one_ticket() -> None:
    room = room_of([device("gen", "generator", 10)], {"generator": GENERATOR})
    for second in range(0, 600, 10):
        room.at(second)
        says(room, 1, *((231, 50, 4) if second < 300 else (260, 54, 4)), fault_code=4 * (second >= 400))
    assert room.tickets() == ["generator.frequency_high|gen"]


def test_a_flag_of_a_leak_that_its_meter_holds_for_a_day_after_the_repair_is_no_other_leak() -> None:
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    book = PlainBook(Context(SITE, rules, {"flat": device("flat", "water_meter", 900)}, Topology(FEEDS)))
    for hour in range(5 * 24):
        now = T0 + hour * HOUR
        said = {0: ("water.home_leak", True), 1: ("meter.leak_flag", True), 72: ("water.home_leak", False)}
        said[96] = ("meter.leak_flag", False)
        rule, active = said.get(hour, ("", False))
        book.act([Condition(rule, "flat", active, now)] if rule else [], now)
    assert book.jobs() == ["water.home_leak|flat"]


# ------------------------------------------------------------ people at work, words of long ago


@pytest.mark.parametrize("mode", [None, 0, 1])
def test_codes_of_a_lift_on_inspection_are_of_who_works_on_it(mode: int | None) -> None:
    """One whose mode was never told is judged without it."""
    room = room_of(
        [device("lift", "elevator", 10)], {"elevator": [state("fault_code", 10), state("mode", 10)]}
    )
    for second in range(0, 300, 10):
        room.at(second)
        mine = [] if mode is None else [("lift", "mode", mode * (100 <= second < 200))]
        room.reads(("lift", "fault_code", 41 * (100 <= second < 200)), *mine)
    assert room.tickets() == ([] if mode else ["elevator.fault|lift"])


def test_a_code_that_stays_when_the_work_is_done_is_told() -> None:
    room = room_of(
        [device("lift", "elevator", 10)], {"elevator": [state("fault_code", 10), state("mode", 10)]}
    )
    for second in range(0, 400, 10):
        room.at(second)
        room.reads(("lift", "fault_code", 41 * (second >= 100)), ("lift", "mode", int(100 <= second < 200)))
    (alarm,) = room.records.rows.alarms.values()
    assert (alarm.rule, alarm.raised_at) == ("elevator.fault", T0 + 201_000)


@pytest.mark.parametrize("heard", [False, True])
def test_a_door_that_was_open_when_its_lift_fell_silent_is_no_open_door(heard: bool) -> None:
    """That the lift is silent is told; where it speaks again with its door open, that is."""
    specs = [state(name) for name in ("door", "moving", "mode")]
    room = room_of([device("lift", "elevator", 30)], {"elevator": specs})
    for second in range(0, 1500, 30):
        room.at(second)
        if second <= 300 or (heard and second >= 1200):
            room.reads(("lift", "door", int(second >= 300)), ("lift", "moving", 0), ("lift", "mode", 0))
    door = "elevator.door_open_long|lift"
    assert [t.cause for t in room.records.rows.tickets.values()] == (
        ["elevator.offline|lift", door] if heard else ["elevator.offline|lift"]
    )


@pytest.mark.parametrize("running", [0, 1])
def test_fuel_that_runs_low_while_the_generator_runs_is_told_while_there_is_time(running: int) -> None:
    room = room_of(
        [device("set", "generator", 30)], {"generator": [gauge("fuel", "%", 30), state("running", 30)]}
    )
    for second in range(0, 1200, 30):
        room.at(second)
        room.reads(("set", "fuel", 25 - second / 100), ("set", "running", running))
    assert room.tickets() == ["generator.fuel_low_running|set"] * running


def test_a_part_that_is_disabled_and_lights_the_common_fault_is_one_ticket() -> None:
    room = panel(isolated=lambda s: int(s >= 60), fault=lambda s: int(s >= 60))
    assert room.tickets() == ["fire.isolated|panel"]


@pytest.mark.parametrize(("every", "off"), [(240, 60), (240, 20), (90, 60), (90, 20)])
@pytest.mark.parametrize("fault", ["follows", "stands"])
def test_a_panel_whose_mains_comes_and_goes_is_work(every: int, off: int, fault: str) -> None:
    """A loose terminal: no loss was long enough for a ticket, and each explained the fault anew."""
    room = room_of(
        [device("panel", "fire_panel", 10)], {"fire_panel": [state(n, 10) for n in ("mains", "fault")]}
    )
    for second in range(0, 1500, 10):
        room.at(second)
        lost = second >= 300 and (second - 300) % every < off
        room.reads(("panel", "mains", int(not lost)))
        room.reads(("panel", "fault", int(lost or (fault == "stands" and second >= 300))))
    assert room.tickets() == ["fire.mains_lost|panel"]
    (work,) = room.records.rows.tickets.values()
    assert work.opened_at - T0 <= (300 + 2 * every + 60) * 1000


def test_panels_that_blink_together_have_no_loose_terminal() -> None:
    """Their switch goes over and back, twice within an hour, in a test of the generator."""
    names = ("p0", "p1", "p2")
    room = room_of([device(n, "fire_panel", 10) for n in names], {"fire_panel": [state("mains", 10)]})
    for second in range(0, 2400, 10):
        room.at(second)
        room.reads(*((n, "mains", int((second - 10 * k) % 500 != 300)) for k, n in enumerate(names)))
    assert room.tickets() == []
