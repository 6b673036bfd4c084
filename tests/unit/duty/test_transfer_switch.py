"""What hangs on a transfer switch between mains and generator: its step from one to the other is no cut of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.duty.duty_room import T0, Room, device, gauge, person, state

from dutyroom.flows.ground import ground_of
from dutyroom.topology import Topology

VOLTS = [gauge("voltage", "V", 30)]
POWER = {"board": ("switch",), "switch": ("mains", "generator"), "lift": ("board",), "other": ("mains",)}


def estate(
    mains: Callable[[int], bool], board: Callable[[int], bool], phase: int, until: int = 900, start: int = 8
) -> Room:
    """The generator runs from `start` seconds after the mains is away on; the board is asked at another moment than the mains."""
    devices = [
        device("mains", "feeder", 30),
        device("board", "feeder", 30),
        device("other", "feeder", 30),
        device("generator", "generator", 10),
        device("switch", "transfer_switch", 10),
        device("lift", "elevator", 30),
    ]
    specs = {
        "feeder": VOLTS,
        "generator": [state("running", 10)],
        "elevator": [state("moving", 30)],
    }
    topology = Topology({"power": POWER})
    room = Room(devices, specs, topology=topology)
    room.ground = ground_of(topology, "UTC")
    room.restart()
    room.records.rows.people = [person("li")]
    gone = next((s for s in range(until) if not mains(s)), until)
    back = next((s for s in range(gone, until) if mains(s)), until)
    for second in range(until):
        room.at(second, step=1)
        if second % 30 == 0:
            room.reads(("mains", "voltage", 230 * mains(second)), ("other", "voltage", 230 * mains(second)))
        if second % 30 == phase:
            room.reads(("board", "voltage", 230 * board(second)), ("lift", "moving", 0))
        if second % 10 == 0:
            room.reads(("generator", "running", int(gone + start <= second < back + 200)))
    return room


def told(room: Room) -> list[str]:
    return [key.split("|")[1] + "|" + key.split("|")[2] for key in room.records.rows.outbox]


@pytest.mark.parametrize("phase", [1, 5, 11, 17, 22, 29])
@pytest.mark.parametrize("step", [3, 15, 28, 50])
def test_a_board_that_is_asked_while_the_switch_goes_over_is_of_the_mains_failure(
    phase: int, step: int
) -> None:
    room = estate(lambda s: not 301 <= s < 600, lambda s: not 301 <= s < 301 + step, phase)
    assert len(room.tickets()) == 1
    assert len(told(room)) == 1


def test_a_board_that_stays_dead_though_the_generator_runs_is_told() -> None:
    room = estate(lambda s: not 301 <= s < 600, lambda s: not 301 <= s < 600, 11, until=560)
    assert sorted(room.tickets()) == ["power.mains_lost|board", "power.mains_lost|mains"]


@pytest.mark.parametrize("phase", [2, 11, 29])
def test_the_step_back_to_the_mains_is_no_cut(phase: int) -> None:
    """Minutes after the mains is back, and long after what it explained has come back."""
    at = 1400 - 1400 % 30 + phase
    room = estate(
        lambda s: not 301 <= s < 600,
        lambda s: not (301 <= s < 310 or at <= s < at + 4),
        phase,
        until=1700,
    )
    assert room.tickets() == ["power.mains_lost|mains"]
    assert told(room) == ["power.mains_lost|mains"]


def test_a_board_whose_own_feeder_trips_is_told_within_a_minute() -> None:
    """The mains is there, and the generator has no reason to start."""
    room = estate(lambda s: True, lambda s: s < 301, 11, until=380, start=9999)
    assert room.tickets() == ["power.mains_lost|board"]


def test_a_contact_that_is_loose_is_told_though_each_time_is_short() -> None:
    """The mains is there all the time: what comes again and again is no step of the switch."""
    away = [range(at, at + 25) for at in range(300, 900, 120)]
    room = estate(lambda _: True, lambda s: not any(s in each for each in away), 11, until=1000, start=9999)
    assert room.tickets() == ["power.mains_lost|board"]


@pytest.mark.parametrize("every", [10, 30])
@pytest.mark.parametrize("phase", [1, 4, 9])
@pytest.mark.parametrize(("lasts", "back"), [(12, False), (12, True), (50, False)])
def test_a_switch_between_two_feeders_goes_over_as_one_cut(
    every: int, phase: int, lasts: int, back: bool
) -> None:
    devices = [device(name, "feeder", every) for name in ("first", "second", "board", "other")]
    topology = Topology({"power": {"board": ("first", "second"), "other": ("first",)}})
    room = Room(devices, {"feeder": VOLTS}, topology=topology)
    room.records.rows.people = [person("li")]
    for second in range(1300):
        room.at(second, step=1)
        if second % every == 0:
            first = 230 * (not 300 < second < 600)
            room.reads(("first", "voltage", first), ("other", "voltage", first), ("second", "voltage", 230))
        if second % every == phase:
            gone = 301 <= second < 301 + lasts or (back and 900 <= second < 912)
            room.reads(("board", "voltage", 230 * (not gone)))
    assert room.tickets() == ["power.mains_lost|first"]
    assert told(room) == ["power.mains_lost|first"]


def standby(
    first: Callable[[int], bool], second: Callable[[int], bool | None], board: Callable[[int], bool | None]
) -> Room:
    """Two feeders and a generator, which never runs, on one board; None = its instrument says nothing."""
    devices = [device(name, "feeder", 10) for name in ("first", "second", "board")]
    devices.append(device("set", "generator", 10))
    topology = Topology({"power": {"board": ("first", "second", "set")}})
    room = Room(devices, {"feeder": VOLTS, "generator": [state("running", 10)]}, topology=topology)
    room.records.rows.people = [person("li")]
    room.ground = ground_of(topology, "UTC")
    room.restart()
    for at in range(0, 900, 10):
        room.at(at, step=1)
        volts = {"first": first(at), "second": second(at), "board": board(at)}
        room.reads(
            ("set", "running", 0),
            *((name, "voltage", 230 * on) for name, on in volts.items() if on is not None),
        )
    return room


def seconds_to(room: Room, cause: str, since: int) -> float | None:
    """From an instant to the ticket of a cause; None = it has none."""
    found = [t.opened_at for t in room.records.rows.tickets.values() if t.cause == cause]
    return (found[0] - T0) / 1000 - since if found else None


MISSED = "generator.start_failure|set"


def test_a_generator_is_not_missed_as_long_as_the_second_feeder_carries_its_board() -> None:
    room = standby(lambda s: s < 300, lambda _: True, lambda s: s < 300 or s > 315)
    assert told(room) == ["power.mains_lost|first"]


def test_when_the_second_feeder_fails_as_well_it_has_its_time_to_start_from_then_on() -> None:
    room = standby(lambda s: s < 300, lambda s: s < 600, lambda s: s < 300 or 315 < s < 600)
    since = seconds_to(room, MISSED, 600)
    assert since is not None
    assert 25 <= since <= 65


@pytest.mark.parametrize("mute", [False, True])
def test_a_generator_that_fails_when_both_feeders_do_is_told(mute: bool) -> None:
    """The second one's instrument says so, or goes dark with it."""
    second = (lambda s: None if s >= 300 else True) if mute else (lambda s: s < 300)
    since = seconds_to(standby(lambda s: s < 300, second, lambda s: s < 300), MISSED, 300)
    assert since is not None
    assert since <= (100 if mute else 45)


@pytest.mark.parametrize("mute", [False, True])
def test_a_switch_that_hangs_on_the_dead_side_is_told(mute: bool) -> None:
    room = standby(
        lambda s: s < 300, lambda _: True, lambda s: (None if mute else False) if s >= 300 else True
    )
    since = seconds_to(room, MISSED, 300)
    assert since is not None
    assert since <= 180


@pytest.mark.parametrize("away", [20, 70, 100, 500])
def test_a_board_that_the_switch_left_behind_is_told_however_short_the_first_feeder_was_away(
    away: int,
) -> None:
    room = estate(lambda s: not 301 <= s < 301 + away, lambda s: s < 301, 11, until=640)
    dual = estate_of_two(away)
    for played in (room, dual):
        since = seconds_to(played, "power.mains_lost|board", 301)
        assert since is not None
        assert since <= 165, "a minute and two turns, and the half minute in which it is asked"


def estate_of_two(away: int) -> Room:
    devices = [device(name, "feeder", 30) for name in ("first", "second", "board")]
    room = Room(devices, {"feeder": VOLTS}, topology=Topology({"power": {"board": ("first", "second")}}))
    room.records.rows.people = [person("li")]
    for second in range(640):
        room.at(second, step=1)
        if second % 30 == 0:
            room.reads(
                ("first", "voltage", 230 * (not 301 <= second < 301 + away)), ("second", "voltage", 230)
            )
        if second % 30 == 11:
            room.reads(("board", "voltage", 230 * (second < 301)))
    return room


@pytest.mark.parametrize("every", [1, 5, 10])
@pytest.mark.parametrize("start", [8, 25])
def test_a_switch_that_does_not_go_over_is_one_ticket_beside_the_cut(every: int, start: int) -> None:
    """An instrument that is asked each second had missed its grace before the switch's own word was late."""
    power = {"board": ("switch",), "switch": ("mains", "generator")}
    devices = [device("mains", "feeder", every), device("board", "feeder", every)]
    devices += [device("generator", "generator", 10), device("switch", "transfer_switch", None)]
    room = Room(
        devices,
        {
            "feeder": [gauge("voltage", "V", every)],
            "generator": [state("running", 10)],
            "transfer_switch": [state("source", None)],
        },
        topology=(topology := Topology({"power": power})),
    )
    room.ground = ground_of(topology, "UTC")
    room.records.rows.people = [person("li")]
    room.restart()
    room.reads(("switch", "source", 1))
    for second in range(800):
        room.at(second, step=1)
        if second % every == 0:
            live = 230 * (not 301 <= second < 600)
            room.reads(("mains", "voltage", live), ("board", "voltage", live))
        if second % 10 == 0:
            room.reads(("generator", "running", int(301 + start <= second < 700)))
    assert told(room) == ["power.mains_lost|mains", "power.transfer_late|generator"]


def test_gateways_that_start_when_the_generator_carries_them_are_no_work() -> None:
    """Each stands on a board behind a switch of its own, without a supply of its own, and needs a minute; what it carries had missed its
    turns before."""
    boards = range(4)
    power: dict[str, tuple[str, ...]] = {}
    network: dict[str, tuple[str, ...]] = {}
    devices = [device("mains", "feeder", 10), device("generator", "generator", 10)]
    for n in boards:
        power |= {f"s{n}": ("mains", "generator"), f"b{n}": (f"s{n}",), f"g{n}": (f"b{n}",)}
        carried = [device(f"l{n}{car}", "elevator", 30) for car in "abc"]
        devices += [
            device(f"s{n}", "transfer_switch", 10),
            device(f"b{n}", "feeder", 30),
            device(f"g{n}", "gateway"),
        ]
        devices += carried
        power |= {lift.id: (f"b{n}",) for lift in carried}
        network |= dict.fromkeys((f"b{n}", *(lift.id for lift in carried)), (f"g{n}",))
    specs = {
        "feeder": VOLTS, "generator": [state("running", 10)], "elevator": [state("moving", 30)],
        "gateway": [state("online")],
    }  # fmt: skip
    topology = Topology({"power": power, "network": network})
    room = Room(devices, specs, topology=topology)
    room.ground = ground_of(topology, "UTC")
    room.restart()
    room.records.rows.people = [person("li")]
    room.reads(*((f"g{n}", "online", 1) for n in boards))
    for second in range(0, 1500, 2):
        room.at(second, step=2)
        rows: list[tuple[str, str, float]] = []
        if second % 10 == 0:
            rows += [("mains", "voltage", 230 * (second < 600)), ("generator", "running", int(second >= 608))]
        for n in boards:
            away = 600 <= second < 680 + 2 * n
            if not away and second % 30 == 6 * n:
                rows += [(f"b{n}", "voltage", 230), *((f"l{n}{car}", "moving", 0) for car in "abc")]
        room.reads(*rows)
        if second == 630:
            room.reads(*((f"g{n}", "online", 0) for n in boards))
        if second == 686:
            room.reads(*((f"g{n}", "online", 1) for n in boards))
    assert room.tickets() == ["power.mains_lost|mains"]
    assert len(told(room)) == 1
