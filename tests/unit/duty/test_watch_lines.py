"""Several lines (brokers), some of which are away: what the others bring is judged as ever."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.model.telemetry import Quality
from dutyroom.site import BrokerAddress

A, B = "a:1883", "b:1883"
SPECS = {
    "pump": [state("running", 60)],
    "tank": [gauge("level", "m", 60)],
    "gate": [state("door_open")],
    "feeder": [gauge("voltage", "V")],
    "generator": [state("running")],
}


def two_lines() -> Room:
    """A tank by the one line; two pumps and a gate by the other."""
    devices = [device("tank", "tank", 60, height=3), device("gate", "gate")]
    room = Room([*devices, *(device(p, "pump", 60) for p in ("p1", "p2"))], SPECS, several=True)
    room.records.rows.people = [person("li")]
    room.reads(("gate", "door_open", 0), line=B)
    return room


def minutes(room: Room, since: int, until: int, alive: Collection[str]) -> None:
    for minute in range(since, until):
        room.at(minute * 60, 10)
        if "tank" in alive:
            room.reads(("tank", "level", 2), line=A)
        room.reads(*((p, "running", 1) for p in ("p1", "p2") if p in alive), line=B)


@pytest.mark.parametrize("killed", [False, True])
def test_silence_on_the_line_that_is_there_is_judged_while_another_is_away(killed: bool) -> None:
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.away = frozenset({A})
    minutes(room, 10, 100, ("p1", "p2"))
    if killed:
        room.restart()
    minutes(room, 100, 120, ("p2",))
    assert room.alarms() == {"pump.offline@p1": "unacknowledged"}, (
        "and nothing of what the other line would bring"
    )
    minutes(room, 120, 130, ("p1", "p2"))
    room.away = frozenset()
    minutes(room, 130, 155, ("p1", "p2"))
    assert room.alarms() == {"pump.offline@p1": "returned"}, "half an hour from when its line is back"
    minutes(room, 155, 162, ("p1", "p2"))
    assert room.alarms()["tank.silent@tank"] == "unacknowledged"


@pytest.mark.parametrize("known", [True, False])
def test_a_second_line_that_goes_too_and_is_back_first_makes_nothing_silent(known: bool) -> None:
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.away = frozenset({A})
    minutes(room, 10, 40, ("p1", "p2"))
    room.away = frozenset({A, B}) if known else None
    minutes(room, 40, 100, ())
    room.away = frozenset({A})
    minutes(room, 100, 104, ())
    assert room.alarms() == {}
    minutes(room, 104, 112, ("p1",))
    assert room.alarms() == {"pump.offline@p2": "unacknowledged"}


def test_what_waits_on_the_line_that_is_there_needs_no_other_message() -> None:
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.away = frozenset({A})
    room.at(700).reads(("gate", "door_open", 1), line=B)
    room.at(900, 10)
    assert "gate.held_open@gate" in room.alarms()


def flap(room: Room, second: int, away: Collection[str], then: Collection[str] = ()) -> None:
    """Lines go for two seconds."""
    room.away = frozenset(away)
    room.at(second + 2)
    room.away = frozenset(then)


@pytest.mark.parametrize("other", [(), (B,)])
def test_a_line_that_comes_and_goes_hides_no_silence(other: tuple[str, ...]) -> None:
    """Every ten minutes; the other one is there, or away all the time."""
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.away = frozenset(other)
    for minute in range(10, 60):
        minutes(room, minute, minute + 1, () if other else ("p1", "p2"))
        if minute % 10 == 0:
            flap(room, minute * 60, {A, *other}, other)
        if room.alarms():
            break
    assert room.alarms() == {"tank.silent@tank": "unacknowledged"}
    assert 39 <= minute <= 46, "half an hour, and a minute for each time at most"


def test_a_line_that_goes_for_a_moment_leaves_those_who_were_about_to_speak_a_minute() -> None:
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    minutes(room, 10, 39, ("p1", "p2"))  # the tank has spoken in minute 9
    room.at(39 * 60 - 5).away = frozenset({A})
    room.at(39 * 60 + 25).away = frozenset()
    room.at(39 * 60 + 80)
    assert room.alarms() == {}
    minutes(room, 41, 42, ("p1", "p2"))
    assert room.alarms() == {"tank.silent@tank": "unacknowledged"}


def test_what_waits_at_a_line_that_comes_and_goes_is_told_while_another_is_away() -> None:
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.away = frozenset({A})
    room.at(700).reads(("gate", "door_open", 1), line=B)
    for second in range(740, 900, 40):
        room.at(second).reads(("p1", "running", 1), line=B)
        flap(room, second, {A, B}, {A})
    assert "gate.held_open@gate" in room.alarms()


def test_a_broker_that_the_site_has_no_more_is_none_that_is_there() -> None:
    """Its address was changed, and the new one is wrong: nobody is silent for that."""
    room = two_lines()
    room.brokers = (BrokerAddress("a"), BrokerAddress("b"))
    room.restart()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.watch.stop()
    room.brokers, room.away = (BrokerAddress("a2"), BrokerAddress("b")), frozenset({"a2:1883"})
    room.restart()
    minutes(room, 10, 100, ("p1", "p2"))
    assert room.alarms() == {}
    minutes(room, 100, 140, ("p1",))
    assert room.alarms() == {"pump.offline@p2": "unacknowledged"}, "what the other one brings is judged"


def test_what_a_broker_had_kept_of_a_device_that_went_to_another_one_moves_it_not() -> None:
    room = two_lines()
    minutes(room, 0, 10, ("tank", "p1", "p2"))
    room.reads(("tank", "level", 2), line=B, quality=Quality.RETAINED)
    room.away = frozenset({A})
    minutes(room, 10, 100, ("p1", "p2"))
    assert room.alarms() == {}


def of_the_mains(switch: str) -> Room:
    """Feeder by one line, generator by another; a cut at 100 s, when the generator's line has gone."""
    room = Room([device("mains", "feeder", 10), device("set", "generator")], SPECS, several=True)
    room.at(1).reads(("mains", "voltage", 230), line=A)
    room.reads(("set", "running", 0), line=switch)
    for second in range(10, 100, 10):
        room.at(second).reads(("mains", "voltage", 230), line=A)
    room.away = frozenset({B})
    for second in range(100, 400, 10):
        room.at(second).reads(("mains", "voltage", 0), line=A)
    return room


def test_a_generator_whose_line_is_away_has_not_failed_to_start() -> None:
    room = of_the_mains(B)
    assert room.tickets() == ["power.mains_lost|mains"], "what is not known is neither late nor done"
    room.away = frozenset()
    room.reads(("set", "running", 1), at=108, line=B)
    for second in range(400, 600, 10):
        room.at(second).reads(("mains", "voltage", 0), line=A)
    assert room.tickets() == ["power.mains_lost|mains"]


def test_a_generator_that_did_not_start_is_told_when_its_line_is_back_or_is_another_one() -> None:
    assert of_the_mains(A).tickets() == ["generator.start_failure|set", "power.mains_lost|mains"]
    room = of_the_mains(B)
    room.away = frozenset()
    for second in range(400, 480, 10):
        room.at(second).reads(("mains", "voltage", 0), line=A)
    assert room.tickets() == ["generator.start_failure|set", "power.mains_lost|mains"]
