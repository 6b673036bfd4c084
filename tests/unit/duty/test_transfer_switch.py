"""What hangs on a transfer switch between mains and generator: its step from one to the other is no cut of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

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


@pytest.mark.parametrize("both", [False, True])
def test_a_generator_is_not_missed_as_long_as_the_second_feeder_carries_its_board(both: bool) -> None:
    devices = [device(name, "feeder", 10) for name in ("first", "second", "board")]
    devices.append(device("set", "generator", 10))
    topology = Topology({"power": {"board": ("first", "second", "set")}})
    room = Room(devices, {"feeder": VOLTS, "generator": [state("running", 10)]}, topology=topology)
    room.records.rows.people = [person("li")]
    room.ground = ground_of(topology, "UTC")
    room.restart()
    for turn in range(90):
        second = 10 * turn
        room.at(second, step=1)
        first, other = second < 300, not (both and second >= 600)
        volts = {"first": first, "second": other, "board": first or (other and second > 315)}
        room.reads(("set", "running", 0), *((name, "voltage", 230 * on) for name, on in volts.items()))
    missed = [key for key in told(room) if key.startswith("generator.")]
    assert missed == ["generator.start_failure|set"] * both
    assert "power.mains_lost|first" in told(room)
