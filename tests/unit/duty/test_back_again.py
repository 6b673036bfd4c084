"""What comes back after a cut piece by piece, and what goes again while it does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.rules.parse import parse_rules
from dutyroom.topology import Topology

BOARDS = tuple(f"b{n}" for n in range(4))
PUMPS = tuple(f"p{n}{m}" for n in range(4) for m in range(3))
QUICK = parse_rules("rules:\n  - {id: pump.offline, parameters: {after: 30s}}\n", "rules.yaml")
VOLTS = ("feeder", "other", *BOARDS)


def house(network: Mapping[str, tuple[str, ...]] | None = None, gateway: tuple[str, ...] = ()) -> Room:
    """A feeder, four boards on it with three pumps each, another feeder. gateway: what feeds one."""
    power = {**dict.fromkeys(BOARDS, ("feeder",)), **{p: (f"b{p[1]}",) for p in PUMPS}}
    room = Room(
        [
            *(device(name, "feeder", 10) for name in VOLTS),
            *(device(p, "pump", 10) for p in PUMPS),
            device("gw", "gateway"),
        ],
        {"feeder": [gauge("voltage")], "pump": [state("running", 10)], "gateway": [state("online")]},
        rules=QUICK,
        topology=Topology({"power": power | ({"gw": gateway} if gateway else {}), "network": network or {}}),
    )
    room.records.rows.people = [person("li")]
    return room


def day(room: Room, since: int, until: int, dead: tuple[str, ...] = (), silent: tuple[str, ...] = ()) -> None:
    """All speak every ten seconds. dead: those that say that they have no power; silent: those that say nothing."""
    for second in range(since, until, 10):
        volts = [(name, "voltage", 0 if name in dead else 230) for name in VOLTS if name not in silent]
        room.at(second, 10).reads(*volts, *((p, "running", 1) for p in PUMPS if p not in silent))


def told(room: Room) -> int:
    return len(room.records.rows.outbox)


@pytest.mark.parametrize("mute", [False, True])
def test_one_that_does_not_come_back_is_told_and_not_the_board_that_was_back_after_the_feeder(
    mute: bool,
) -> None:
    """The voltage of the boards is back some seconds after that of the feeder, as each has its own instrument."""
    room, feeder = house(), ("feeder",)
    day(room, 0, 600)
    day(
        room, 600, 1200, dead=(*BOARDS, *(() if mute else feeder)), silent=(*PUMPS, *(feeder if mute else ()))
    )
    cut = [f"{'feeder.offline' if mute else 'power.mains_lost'}|feeder"]
    assert (room.tickets(), told(room)) == (cut, 1)
    day(room, 1200, 1220, dead=BOARDS, silent=("p00",))
    day(room, 1220, 1700, silent=("p00",))
    assert (
        room.tickets() == [*cut, "pump.offline|p00"]
        if mute
        else ["power.mains_lost|feeder", "pump.offline|p00"]
    )
    assert told(room) == 2


@pytest.mark.parametrize("stays", [False, True])
def test_boards_that_come_back_below_an_instrument_that_was_silent_before_have_their_grace(
    stays: bool,
) -> None:
    room = house()
    day(room, 0, 300)
    day(room, 300, 1200, silent=("feeder",))
    day(room, 1200, 1800, dead=BOARDS, silent=("feeder", *PUMPS))
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], 2)
    day(room, 1800, 1820, dead=BOARDS[2:], silent=("feeder",))
    last = BOARDS[3:] if stays else ()
    day(room, 1820, 2080, dead=last, silent=("feeder",))
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], 2)
    day(room, 2080, 2200, dead=last, silent=("feeder",))
    more = ["power.mains_lost|b3"] if stays else []
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder", *more], 2 + stays)


def test_a_cut_behind_an_instrument_whose_silence_nobody_was_told_of_yet_is_one_message() -> None:
    room = house()
    day(room, 0, 100)
    day(room, 100, 600, silent=("feeder",))
    assert ("feeder.offline@feeder" in room.alarms(), told(room)) == (True, 0)
    day(room, 600, 800, silent=("feeder", *BOARDS, *PUMPS))
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], 1)


@pytest.mark.parametrize("speaks", [True, False])
def test_a_board_that_is_dead_a_minute_after_the_instrument_above_it_is_back_is_told(speaks: bool) -> None:
    """It speaks, or falls silent with its pumps."""
    room, b1 = house(), tuple(p for p in PUMPS if p[1] == "1")
    day(room, 0, 100)
    day(room, 100, 1000, silent=("feeder",))
    day(room, 1000, 1060)
    since = told(room)
    day(room, 1060, 1120, dead=("b1",), silent=b1 if speaks else ("b1", *b1))
    rule = "power.mains_lost" if speaks else "feeder.offline"
    assert room.tickets() == sorted(["feeder.offline|feeder", f"{rule}|b1"])
    assert (room.alarm(rule, "b1").priority, told(room)) == (1, since + 1)


@pytest.mark.parametrize("mute", [False, True])
@pytest.mark.parametrize("speaks", [True, False])
def test_a_board_that_fails_two_minutes_after_a_cut_is_told_within_a_minute(mute: bool, speaks: bool) -> None:
    """It was live in between. speaks: in the cut and after it, the board's instrument; mute: not that of the feeder."""
    room, b1 = house(), tuple(p for p in PUMPS if p[1] == "1")
    boards, feeder = (BOARDS, ()) if speaks else ((), BOARDS), ("feeder",)
    day(room, 0, 600)
    day(room, 600, 1200, (*boards[0], *(() if mute else feeder)), (*PUMPS, *boards[1], *(feeder * mute)))
    day(room, 1200, 1220, dead=boards[0], silent=boards[1])
    day(room, 1220, 1320)
    cut = [f"{'feeder.offline' if mute else 'power.mains_lost'}|feeder"]
    assert (room.tickets(), told(room)) == (cut, 1)
    day(room, 1320, 1390, dead=("b1",), silent=b1 if speaks else ("b1", *b1))
    again = ["power.mains_lost|b1" if speaks else "feeder.offline|b1"]
    assert (room.tickets(), told(room)) == (sorted(cut + again), 2)
    day(room, 1390, 1800, dead=("b1",), silent=b1 if speaks else ("b1", *b1))
    assert (room.tickets(), told(room)) == (sorted(cut + again), 2)


def test_boards_that_say_that_they_are_dead_again_below_a_mute_feeder_are_the_same_cut_again() -> None:
    """Their loads speak so seldom that they have not been missed yet."""
    room, feeder = house(), ("feeder",)
    day(room, 0, 600)
    day(room, 600, 1200, dead=BOARDS, silent=feeder)
    day(room, 1200, 1270, dead=BOARDS[2:])
    day(room, 1270, 1320)
    day(room, 1320, 1800, dead=BOARDS, silent=feeder)
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], 1)
    assert room.alarm("feeder.offline", "feeder").arguments["inferred"] == "power"


def test_a_board_that_comes_back_by_fits_and_starts_is_no_cut_of_its_own() -> None:
    room = house()
    day(room, 0, 600)
    day(room, 600, 1200, dead=("feeder", *BOARDS), silent=PUMPS)
    day(room, 1200, 1230)
    day(room, 1230, 1250, dead=("b1",))
    day(room, 1250, 1800)
    assert (room.tickets(), told(room)) == (["power.mains_lost|feeder"], 1)


def test_a_second_cut_two_minutes_after_the_first_was_over_is_known_within_a_minute() -> None:
    room, everything = house(), ("feeder", *BOARDS, *PUMPS)
    day(room, 0, 600)
    day(room, 600, 1000, silent=everything)
    day(room, 1000, 1120)
    assert room.alarms()["feeder.offline@feeder"] == "returned"
    day(room, 1120, 1180, silent=everything)
    assert room.alarms()["feeder.offline@feeder"] == "unacknowledged"
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], 1), "the ticket of the first is open"


def test_the_ticket_of_a_cut_stays_that_though_the_gateway_of_its_broken_instrument_comes_back() -> None:
    """The gateway hangs on the feeder; once there is power its instrument's silence may be the gateway's."""
    room = house(network={"feeder": ("gw",)}, gateway=("feeder",))
    day(room, 0, 100)
    day(room, 100, 600, silent=("feeder",))
    day(room, 600, 630, silent=("feeder", *BOARDS, *PUMPS))
    room.reads(("gw", "online", 0))
    day(room, 630, 1000, silent=("feeder", *BOARDS, *PUMPS))
    room.reads(("gw", "online", 1))
    day(room, 1000, 1500, silent=("feeder",))
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], 1)
    assert room.alarms() == {"feeder.offline@feeder": "unacknowledged"}


@pytest.mark.parametrize("hiccup", [False, True])
@pytest.mark.parametrize("every", [10, 60])
def test_a_cut_of_half_of_what_a_gateway_carries_is_no_dead_gateway(every: int, hiccup: bool) -> None:
    """It asks all its meters in turn and hands out what they said at once: those that live have spoken just before the
    others are missed. hiccup: the gateway was away for a moment before, which is nobody's work."""
    pumps = [f"p{n}" for n in range(12)]
    room = Room(
        [device("gw", "gateway"), device("board", "feeder", 10), *(device(p, "pump", every) for p in pumps)],
        {"pump": [state("running", every)], "gateway": [state("online")], "feeder": [gauge("voltage")]},
        rules=QUICK,
        topology=Topology(
            {"power": dict.fromkeys(pumps[:6], ("board",)), "network": dict.fromkeys(pumps, ("gw",))}
        ),
    )
    room.records.rows.people = [person("li")]
    for second in range(0, 1500, 10):
        room.at(second, 10)
        if second < 1200:
            room.reads(("board", "voltage", 230))
        if second % every == 0 and not (hiccup and 1000 <= second < 1080):
            room.reads(*((p, "running", 1) for p in (pumps if second < 1200 else pumps[6:])))
        if hiccup and second in (1000, 1080):
            room.reads(("gw", "online", int(second == 1080)))
    assert room.tickets() == ["feeder.offline|board"]
    assert room.alarm("feeder.offline", "board").arguments["inferred"] == "power"
    assert room.alarms().get("gateway.offline@gw") == ("returned" if hiccup else None)
