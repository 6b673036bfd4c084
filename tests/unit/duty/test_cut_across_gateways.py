"""A cut that silences gateways with what they carry, and the instrument of the feed itself."""

from __future__ import annotations

import pytest
from tests.unit.duty.two_gateways import BOARDS, CARRIED, EVERY, FED, PUMPS, day, house, told


@pytest.mark.parametrize("fed", [True, False])
def test_two_gateways_dark_with_the_feeder_above_all_they_carry_are_one_cut(fed: bool) -> None:
    room = house(FED if fed else None)
    day(room, 0, 200)
    day(room, 200, 260, {"feeder", *BOARDS, *PUMPS})
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], ["feeder.offline|feeder"])
    cut = room.alarm("feeder.offline", "feeder")
    assert (cut.priority, cut.arguments["inferred"]) == (1, "power")
    day(room, 260, 860, {"feeder", *BOARDS, *PUMPS})
    assert (len(told(room)), len(room.records.rows.tickets)) == (1, 1)
    day(room, 860, 990)
    assert set(room.alarms().values()) == {"returned"}
    assert (len(told(room)), len(room.records.rows.tickets)) == (1, 1)


def test_their_last_wills_and_the_feeders_silence_are_enough_before_anything_else_is_missed() -> None:
    """With the rules as shipped a pump is missed after ten minutes, a board after five."""
    room = house(FED, quick=False)
    day(room, 0, 200)
    day(room, 200, 500, {"feeder", *BOARDS, *PUMPS}, gateways={245: ("g0", 0), 246: ("g1", 0)})
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], ["feeder.offline|feeder"])
    assert room.alarm("feeder.offline", "feeder").raised_at < room.alarm("feeder.offline", "b0").raised_at
    assert room.alarms()["gateway.offline@g0"] == room.alarms()["gateway.offline@g1"] == "suppressed"


def test_one_gateway_that_hangs_on_the_feeder_and_carries_all_of_it_is_a_cut_with_its_instrument() -> None:
    room = house({"g0": "b2"}, dict.fromkeys((*BOARDS, *PUMPS), ("g0",)), quick=False)
    day(room, 0, 200)
    day(room, 200, 860, {"feeder", *BOARDS, *PUMPS}, gateways={245: ("g0", 0)})
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], ["feeder.offline|feeder"])


@pytest.mark.parametrize("pace", [10, 30])
def test_two_gateways_away_below_a_feeder_that_speaks_are_two_causes(pace: int) -> None:
    room = house(FED, pace=pace)
    day(room, 0, 200, pace=pace)
    day(room, 200, 900, {*BOARDS, *PUMPS}, pace=pace, gateways={245: ("g0", 0), 246: ("g1", 0)})
    assert room.tickets() == ["gateway.offline|g0", "gateway.offline|g1"]
    assert len(told(room)) == 2


def test_gateways_away_with_an_instrument_that_one_of_them_carries_are_no_cut() -> None:
    room = house(None, CARRIED | {"feeder": ("g0",)})
    day(room, 0, 200)
    day(room, 200, 700, {"feeder", *BOARDS, *PUMPS}, gateways={245: ("g0", 0), 246: ("g1", 0)})
    assert not any(
        "inferred" in a.arguments and a.object == "feeder" for a in room.records.rows.alarms.values()
    )
    assert "gateway.offline|g0" in room.tickets()


def test_a_gateway_away_behind_a_feeder_that_is_slow_is_told_and_no_board_is_taken_for_dead() -> None:
    """Nobody knows for some seconds whether it is a cut; what is dark behind the gateway is no evidence meanwhile."""
    room = house(None, dict.fromkeys((*BOARDS, *PUMPS), ("g0",)), pace=60)
    day(room, 0, 240, pace=60)
    day(room, 240, 700, {*BOARDS, *PUMPS}, pace=60)
    assert (room.tickets(), told(room)) == (["gateway.offline|g0"], ["gateway.offline|g0"])


def test_two_boards_that_say_that_they_are_dead_below_a_feeder_that_says_nothing_are_one_cut() -> None:
    room = house(carried={})
    day(room, 0, 200)
    gone = {"feeder", "b2", *PUMPS}
    day(room, 200, 260, gone, dead=("b0", "b1"))
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], ["feeder.offline|feeder"])
    day(room, 260, 860, gone, dead=("b0", "b1"))
    assert len(told(room)) == 1


def test_a_board_that_speaks_a_first_time_in_a_cut_does_not_end_it() -> None:
    """Boards speak once a minute: the last of them says that it is dead when the cut is known from the others."""
    room = house(carried={})
    day(room, 0, 200)
    cut = {"feeder", "b2", *PUMPS}
    day(room, 200, 240, cut, dead=("b0", "b1"))
    assert room.alarms()["feeder.offline@feeder"] == "unacknowledged"
    day(room, 240, 900, cut - {"b2"}, dead=BOARDS)
    assert room.alarms()["feeder.offline@feeder"] == "unacknowledged"
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], ["feeder.offline|feeder"])


def test_a_feeder_that_spoke_on_is_not_dead_when_what_is_silent_below_it_is_missed_at_last() -> None:
    """Boards are missed after five minutes; a feeder that speaks once a minute has spoken four times by then."""
    room = house(carried={}, quick=False, pace=60)
    day(room, 0, 200, pace=60)
    day(room, 200, 560, {*BOARDS, *PUMPS}, pace=60)
    assert {a.object for a in room.records.rows.alarms.values()} == set(BOARDS)
    assert not any("inferred" in a.arguments for a in room.records.rows.alarms.values())


def test_what_a_dead_boards_gateway_no_longer_hands_out_makes_no_other_board_dead() -> None:
    room = house({"g0": "b2"}, dict.fromkeys(("b0", *PUMPS[:4]), ("g0",)))
    day(room, 0, 200)
    day(room, 200, 700, {"b0", *PUMPS[:4], *PUMPS[8:]}, dead=("b2",), gateways={245: ("g0", 0)})
    assert (room.tickets(), told(room)) == (["power.mains_lost|b2"], ["power.mains_lost|b2"])
    assert room.alarms()["gateway.offline@g0"] == "suppressed"


def test_what_was_missed_long_before_there_was_enough_to_infer_the_cut_is_of_it() -> None:
    """Two pumps are missed after half a minute, the boards after five, and nothing below has spoken in between."""
    near = ("feeder", "p20", "p21")
    room = house(None, {d: ("g0" if d in near else "g1",) for d in EVERY if d not in ("other", "b2")})
    day(room, 0, 200)
    day(room, 200, 860, {"feeder", *BOARDS, *PUMPS})
    assert room.alarm("feeder.offline", "feeder").arguments["inferred"] == "power"
    assert not [ticket for ticket in room.tickets() if ticket.startswith("pump")]


@pytest.mark.parametrize("silent", [30, 1000])
@pytest.mark.parametrize("will", [45, 110])
def test_a_gateway_that_reboots_below_an_instrument_that_is_broken_is_no_cut(silent: int, will: int) -> None:
    """What it does not carry speaks on. Its last will is told a while after it went, and known a minute after that."""
    room = house({"g0": "b2"}, dict.fromkeys(("b0", *PUMPS[:4]), ("g0",)), quick=False)
    gone = {"feeder", "b0", *PUMPS[:4]}
    day(room, 0, 100)
    day(room, 100, 100 + silent, {"feeder"})
    since = 100 + silent
    day(room, since, since + 200, gone, gateways={since + will: ("g0", 0)})
    day(room, since + 200, since + 320, {"feeder"}, gateways={since + 200: ("g0", 1)})
    assert not any("inferred" in a.arguments for a in room.records.rows.alarms.values())
    assert not any(int(t.priority) == 1 for t in room.records.rows.tickets.values())


def test_boards_that_say_that_they_are_dead_are_no_want_of_a_gateway_that_is_taken_for_silent() -> None:
    """The gateways have power of their own; all else behind one is silent, and the feeder says nothing."""
    room = house(quick=False)
    day(room, 0, 200)
    day(room, 200, 300, {"feeder", *PUMPS}, dead=BOARDS)
    assert room.alarms()["gateway.silent@g1"] == "suppressed"
    assert room.alarms()["feeder.offline@feeder"] == "unacknowledged"
    assert (room.tickets(), told(room)) == (["feeder.offline|feeder"], ["feeder.offline|feeder"])
