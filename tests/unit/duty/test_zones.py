"""A gateway whose devices have no power: one cause, whatever feeds the gateway itself."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import SITE, T0, device
from tests.unit.duty.plain_book import PlainBook
from tests.unit.duty.two_gateways import BOARDS, CARRIED, FED, PUMPS, day, house, told

from dutyroom.flows.episodes import Context
from dutyroom.model.duty import Condition
from dutyroom.rules.parse import parse_rules
from dutyroom.topology import Topology

ALL = {"feeder", *BOARDS, *PUMPS}
CUT = ["feeder.offline|feeder"]


@pytest.mark.parametrize("quick", [True, False])
def test_gateways_with_power_of_their_own_are_silent_in_a_cut_for_want_of_power(quick: bool) -> None:
    """Nobody knows what feeds them: each zone is silent, and that is how a cut of a mute feeder is known within a minute."""
    room = house(quick=quick)
    day(room, 0, 200)
    day(room, 200, 280, ALL)  # the first is overdue at 220
    assert (room.tickets(), told(room)) == (CUT, CUT)
    assert room.alarm("feeder.offline", "feeder").priority == 1
    day(room, 280, 1000, ALL)
    assert room.alarms()["gateway.silent@g0"] == room.alarms()["gateway.silent@g1"] == "suppressed"
    day(room, 1000, 1600)
    assert (told(room), len(room.records.rows.tickets)) == (CUT, 1)
    assert set(room.alarms().values()) == {"returned"}


def test_and_away_by_their_own_word_where_the_feeder_says_itself_that_it_is_dead() -> None:
    room = house(quick=False)
    day(room, 0, 200)
    day(room, 200, 700, {*BOARDS, *PUMPS}, dead=("feeder",), gateways={230: ("g0", 0), 240: ("g1", 0)})
    assert (room.tickets(), told(room)) == (["power.mains_lost|feeder"], ["power.mains_lost|feeder"])
    assert room.alarms()["gateway.offline@g0"] == room.alarms()["gateway.offline@g1"] == "suppressed"


def test_a_gateway_that_stays_away_after_the_cut_is_told_after_its_grace() -> None:
    room = house(quick=False)
    day(room, 0, 200)
    day(room, 200, 700, {*BOARDS, *PUMPS}, dead=("feeder",), gateways={230: ("g0", 0), 240: ("g1", 0)})
    away = {d for d, by in CARRIED.items() if by == ("g1",)}
    day(room, 700, 1100, away, gateways={720: ("g0", 1)})
    assert room.tickets() == ["gateway.offline|g1", "power.mains_lost|feeder"]


@pytest.mark.parametrize("own_word", [True, False])
@pytest.mark.parametrize("mute", [True, False])
def test_nor_is_one_hidden_by_the_silence_of_the_board_that_feeds_it_and_that_it_carries(
    mute: bool, own_word: bool
) -> None:
    """Board and gateway explained each other for ever, and both by the cut that was over."""
    room = house(FED, quick=False)
    day(room, 0, 200)
    wills = {245: ("g0", 0), 246: ("g1", 0)} if own_word else None
    day(room, 200, 1000, ALL if mute else ALL - {"feeder"}, dead=("feeder",), gateways=wills)
    away = {d for d, by in CARRIED.items() if by == ("g1",)}
    day(room, 1000, 1330, away, gateways={1030: ("g0", 1)} if own_word else None)
    cut = CUT[0] if mute else "power.mains_lost|feeder"
    assert room.tickets() == sorted([cut, f"gateway.{'offline' if own_word else 'silent'}|g1"])
    day(room, 1330, 1700, away)
    assert (len(room.tickets()), len(told(room))) == (2, 2)


def test_a_gateway_that_carries_more_than_is_dead_has_a_cause_of_its_own() -> None:
    """One board of three is dead, and all that the gateway carries is silent."""
    room = house(None, dict.fromkeys((*BOARDS, *PUMPS), ("g0",)), quick=False)
    day(room, 0, 200)
    day(room, 200, 300, dead=("b0",), silent=set(PUMPS[:4]))
    assert room.tickets() == ["power.mains_lost|b0"]
    day(room, 300, 750, {*BOARDS, *PUMPS}, gateways={330: ("g0", 0)})
    assert room.tickets() == ["gateway.offline|g0", "power.mains_lost|b0"]


def test_battery_meters_that_are_silent_with_it_speak_for_neither_side() -> None:
    """A gateway of which nobody knows what feeds it carries the pumps of the dead board, and more meters than pumps."""
    meters = [f"w{n}" for n in range(9)]
    room = house(None, dict.fromkeys((*PUMPS[:4], *meters), ("g0",)), quick=False, meters=meters)
    day(room, 0, 200)
    day(room, 200, 1000, PUMPS[:4], dead=("b0",), gateways={230: ("g0", 0)})
    assert room.tickets() == ["power.mains_lost|b0"]
    assert room.alarms()["gateway.offline@g0"] == "suppressed"


def test_but_against_a_cut_that_is_known_from_that_gateway_alone() -> None:
    meters = [f"w{n}" for n in range(9)]
    room = house(None, dict.fromkeys((*BOARDS, *PUMPS[:4], *meters), ("g0",)), quick=False, meters=meters)
    day(room, 0, 200)
    day(room, 200, 1000, (*BOARDS, *PUMPS[:4]), gateways={230: ("g0", 0)})
    assert room.tickets() == ["gateway.offline|g0"]


def test_a_zone_is_not_told_after_a_cut_for_the_few_that_speak_rarely() -> None:
    """Two of six speak every quarter of an hour: the alarm stands until they have had their turns."""
    room = house(slow={"p22": 900, "p23": 900})
    day(room, 0, 1000)
    day(room, 1000, 3000, ALL)
    assert room.alarms()["gateway.silent@g1"] == "suppressed"
    day(room, 3000, 3420, {"p22", "p23"})
    assert room.alarms()["gateway.silent@g1"] == "suppressed"
    assert (told(room), len(room.records.rows.tickets)) == (CUT, 1)
    day(room, 3420, 4600)
    assert (told(room), len(room.records.rows.tickets)) == (CUT, 1)
    assert "gateway.silent@g1" not in room.alarms()


def test_and_hides_no_pump_that_does_not_come_back() -> None:
    room = house(slow={"p22": 900, "p23": 900})
    day(room, 0, 1000)
    day(room, 1000, 3000, ALL)
    day(room, 3000, 3360, {"p22", "p23", "p13"})
    assert room.alarms()["gateway.silent@g1"] == "suppressed"
    assert "pump.offline|p13" in room.tickets()


def test_but_where_those_that_speak_often_stay_silent_it_is_told() -> None:
    room = house(slow={"p22": 900, "p23": 900})
    day(room, 0, 1000)
    day(room, 1000, 3000, ALL)
    away = {d for d, by in CARRIED.items() if by == ("g1",)}
    day(room, 3000, 3400, away)
    assert [t for t in room.tickets() if t not in CUT] == ["gateway.silent|g1"]


@pytest.mark.parametrize("gap", [120, 300, 600])
def test_a_second_cut_soon_after_the_first_is_the_same_ticket(gap: int) -> None:
    """Supply comes back board by board, and one gateway is up when the next cut begins."""
    room = house(FED, quick=False)
    day(room, 0, 200)
    day(room, 200, 800, ALL, gateways={240: ("g0", 0), 241: ("g1", 0)})
    late = {d for d, by in CARRIED.items() if by == ("g1",)}
    day(room, 800, 860, late, gateways={830: ("g0", 1)})
    second = 800 + gap
    day(room, 860, second, gateways={862: ("g1", 1)})
    day(room, second, second + 700, ALL, gateways={second + 25: ("g0", 0), second + 28: ("g1", 0)})
    assert {t.cause for t in room.records.rows.tickets.values()} == set(CUT)
    assert room.alarm("feeder.offline", "feeder").arguments["inferred"] == "power"
    assert room.alarm("feeder.offline", "feeder").state.value in ("unacknowledged", "acknowledged")


def test_a_gateway_away_below_an_instrument_that_is_broken_is_the_gateways_ticket() -> None:
    """Its boards' pumps are missed before it is known to be away, and spoke on after the instrument had fallen silent."""
    room = house()
    day(room, 0, 100)
    day(room, 100, 900, {"feeder"})
    away = {"feeder", *(d for d, by in CARRIED.items() if by == ("g0",))}
    day(room, 900, 1320, away, gateways={925: ("g0", 0)})
    day(room, 1320, 1600, {"feeder"}, gateways={1320: ("g0", 1)})
    tickets = {t.cause: int(t.priority) for t in room.records.rows.tickets.values()}
    assert tickets == {"feeder.offline|feeder": 3, "gateway.offline|g0": 3}
    assert len(told(room)) == 2


@pytest.mark.parametrize("quick", [True, False])
def test_a_cut_known_from_three_gateways_is_not_the_fault_of_the_one_that_carries_the_instrument(
    quick: bool,
) -> None:
    """As shipped nothing but the zones is missed for five minutes."""
    more = {"feeder": ("g0",), "p12": ("g2",), "p13": ("g2",), "b1": ("g2",)}
    room = house(None, CARRIED | more, quick=quick)
    day(room, 0, 200)
    day(room, 200, 1000, ALL)
    assert (room.tickets(), told(room)) == (CUT, CUT)
    assert room.alarms()["gateway.silent@g0"] == "suppressed"


@pytest.mark.parametrize("own_word", [True, False])
def test_gateways_that_fail_together_each_have_their_ticket_and_no_board_is_dead(own_word: bool) -> None:
    """Each carries something of every board, the feeder speaks: seen board by board it looks like three cuts, and each of
    them like the reason of the other gateways."""
    names = ("g0", "g1", "g2")
    carried = {d: (f"g{d[1]}",) for d in BOARDS} | {p: (f"g{int(p[2]) % 3}",) for p in PUMPS}
    room = house(None, carried)
    room.reads(*((name, "online", 1) for name in names))
    day(room, 0, 200)
    wills = {220 + n: (name, 0) for n, name in enumerate(names)} if own_word else None
    day(room, 200, 700, {*BOARDS, *PUMPS}, gateways=wills)
    tickets = sorted((t.cause.split("|")[1], int(t.priority)) for t in room.records.rows.tickets.values())
    assert tickets == [(name, 3) for name in names]
    assert len(told(room)) == 3
    day(room, 700, 1200, gateways={700 + n: (name, 1) for n, name in enumerate(names)} if own_word else None)
    assert len(told(room)) == 3
    assert set(room.alarms().values()) == {"returned"}


def test_a_gateway_that_is_taken_for_silent_and_back_before_anybody_is_told_is_no_ticket() -> None:
    room = house({"g0": "b0"}, dict.fromkeys((*BOARDS, *PUMPS), ("g0",)))
    day(room, 0, 200)
    day(room, 200, 232, {*BOARDS, *PUMPS})
    assert room.alarm("gateway.offline", "g0").arguments["inferred"] == "network"
    day(room, 232, 500)
    assert (room.tickets(), told(room)) == ([], [])


def test_boards_that_say_zero_at_the_return_of_a_cut_come_back_though_the_feeders_instrument_does_not() -> (
    None
):
    """It was broken before the cut: what has been inferred there is over, and its silence goes on."""
    room = house(carried={}, quick=True)
    day(room, 0, 100)
    day(room, 100, 900, {"feeder"})
    day(room, 900, 1300, {"feeder", *BOARDS, *PUMPS})
    assert room.alarm("feeder.offline", "feeder").arguments["inferred"] == "power"
    before = len(told(room))
    day(room, 1300, 1320, {"feeder", "b2", *PUMPS[8:]})
    day(room, 1320, 1380, {"feeder", *PUMPS[8:]}, dead=("b2",))
    day(room, 1380, 1500, {"feeder"})
    assert "inferred" not in room.alarm("feeder.offline", "feeder").arguments
    assert {t.cause for t in room.records.rows.tickets.values()} == set(CUT)
    assert len(told(room)) == before


def test_a_ticket_that_is_due_is_not_put_off_when_the_board_turns_out_to_be_dead() -> None:
    """Its silence would be told at 815; the pumps are missed seconds before, and power is back seconds after."""
    room = house(carried={}, quick=False)
    day(room, 0, 200)
    day(room, 200, 215, set(PUMPS[:4]))
    day(room, 215, 800, {"b0", *PUMPS[:4]})
    assert "inferred" in room.alarm("feeder.offline", "b0").arguments
    assert room.tickets() == []
    day(room, 800, 818, {"b0", *PUMPS[:4]})
    day(room, 818, 900)
    assert (room.tickets(), told(room)) == (["feeder.offline|b0"], ["feeder.offline|b0"])


def test_what_speaks_only_when_something_happens_is_not_missed_with_a_zone() -> None:
    """Doors say nothing for hours: that they are silent does not speak against the cut of the pumps beside them."""
    pumps, doors = [f"p{n}" for n in range(8)], [f"d{n}" for n in range(4)]
    devices = {name: device(name, "feeder", 10) for name in ("b0", "b1")} | {"g0": device("g0", "gateway")}
    devices |= {p: device(p, "pump", 10) for p in pumps} | {d: device(d, "gate") for d in doors}
    power = dict.fromkeys(pumps, ("b0",)) | dict.fromkeys(doors, ("b1",))
    topology = Topology({"power": power, "network": dict.fromkeys((*pumps, *doors), ("g0",))})
    heard = dict.fromkeys(devices, T0)
    rules = {rule.id: rule for rule in parse_rules("", "rules.yaml")}
    book = PlainBook(
        Context(SITE, rules, devices, topology, heard.get, lambda d: (devices[d].interval_s or 0) * 1000)
    )
    book.act([Condition("power.mains_lost", "b0", True, T0 + 10_000)], T0 + 10_000)
    for second in range(11, 200):
        silent = [Condition("gateway.silent", "g0", True, T0 + 60_000)] if second == 60 else []
        book.act(silent, T0 + second * 1000)
    assert book.jobs() == ["power.mains_lost|b0"]


def test_devices_that_are_entered_and_not_there_yet_are_no_part_of_a_silent_zone() -> None:
    """A dozen meters of the next building are in the list of devices, and have never spoken."""
    later = {f"n{n}": ("g1",) for n in range(12)}
    room = house(None, CARRIED | later, quick=False, more=tuple(later))
    day(room, 0, 200)
    day(room, 200, 900, {*BOARDS, *PUMPS}, dead=("feeder",))
    assert room.alarms()["gateway.silent@g1"] == "suppressed"
    day(room, 900, 1300, {"p20"})
    assert "gateway.silent|g1" not in room.tickets()


def test_a_zone_that_speaks_again_hides_no_pump_until_its_hourly_meter_has() -> None:
    """The gateway was away for twenty minutes; its alarm stands for hours longer, for those that speak rarely."""
    room = house(None, dict.fromkeys((*BOARDS, *PUMPS), ("g0",)), quick=False, slow={"p22": 3600})
    day(room, 0, 3700)
    day(room, 3700, 4900, {*BOARDS, *PUMPS})
    day(room, 4900, 5600, {"p21"})
    assert room.tickets() == ["gateway.silent|g0", "pump.offline|p21"]
    assert len(told(room)) == 2


def test_gateways_away_by_their_own_word_are_ways_of_knowing_a_cut_though_nobody_knows_what_feeds_them() -> (
    None
):
    """What they carry speaks rarely, so that no zone is silent yet."""
    carried = {d: (f"g{d[1]}",) for d in (*BOARDS, *PUMPS)}
    room = house(None, carried, quick=False, slow=dict.fromkeys(PUMPS, 300))
    room.reads(("g2", "online", 1))
    day(room, 0, 400)
    day(room, 400, 600, ALL, gateways={425: ("g0", 0), 430: ("g1", 0), 440: ("g2", 0)})
    assert (room.tickets(), told(room)) == (CUT, CUT)
    assert int(room.alarm("feeder.offline", "feeder").priority) == 1


def test_a_pump_is_not_told_with_the_first_word_of_its_gateway() -> None:
    """The instrument of its board came by the same gateway, and what hangs on that board spoke on all the time."""
    carried = dict.fromkeys(("b0", "p00", "p01"), ("g0",))
    room = house(None, carried)
    day(room, 0, 300)
    day(room, 300, 1500, set(carried))
    day(room, 1500, 1510, {"b0", "p01"})
    day(room, 1510, 1900)
    assert told(room) == ["gateway.silent|g0"]


def test_but_is_after_its_grace() -> None:
    carried = dict.fromkeys(("b0", "p00", "p01"), ("g0",))
    room = house(None, carried)
    day(room, 0, 300)
    day(room, 300, 1500, set(carried))
    day(room, 1500, 1900, {"p00"})
    assert told(room) == ["gateway.silent|g0", "pump.offline|p00"]


def test_a_feeder_that_said_that_it_is_dead_and_fell_silent_is_a_cut_still() -> None:
    """Its instrument came by a gateway that has no power either; five minutes later its own silence is an alarm as well."""
    room = house(None, {**CARRIED, "feeder": ("g0",)}, quick=False)
    day(room, 0, 200)
    day(room, 200, 212, {*BOARDS, *PUMPS}, dead=("feeder",))
    day(room, 212, 1000, ALL)
    assert told(room) == ["power.mains_lost|feeder"]
    assert room.alarms()["gateway.silent@g0"] == room.alarms()["gateway.silent@g1"] == "suppressed"
    day(room, 1000, 1600)
    assert told(room) == ["power.mains_lost|feeder"]


ROUND = {"b2": ("g0",), "p10": ("g0",), "p11": ("g0",), "p12": ("g0",), "p02": ("g1",), "p20": ("g1",)}


def test_a_gateway_of_unknown_supply_has_its_grace_when_the_cut_above_a_silent_instrument_is_over() -> None:
    """And what it carries is no evidence against that cut before: it is silent, as all else."""
    room = house({"g1": "b2"}, ROUND, quick=False, pace=60)
    day(room, 0, 540, pace=60)
    day(room, 540, 1140, ALL, gateways={576: ("g0", 0), 611: ("g1", 0)}, pace=60)
    late = {d for d, by in ROUND.items() if by == ("g0",)}
    day(room, 1140, 1225, {*late, "feeder"}, gateways={1151: ("g1", 1)}, pace=60)
    day(room, 1225, 1900, gateways={1225: ("g0", 1)}, pace=60)
    assert (told(room), len(room.records.rows.tickets)) == (CUT, 1)
    assert {c.event.value for c in room.records.rows.ticket_log} == {"open"}


def test_what_has_not_come_back_yet_is_no_second_cut() -> None:
    """One board is heard by itself and speaks first; what is silent still comes by gateways that start."""
    carried = {d: (f"g{d[2:] or d[1]}",) for d in ("b0", "p00", "p10", "p01", "p11", "p02", "p12")}
    room = house({"g0": "b0", "g1": "b0"}, {**carried, "feeder": ("g0",)}, quick=False)
    room.reads(("g2", "online", 1))
    day(room, 0, 200)
    day(room, 200, 800, ALL, gateways={215: ("g0", 0), 260: ("g2", 0), 287: ("g1", 0)})
    behind = {"feeder", *carried}
    day(room, 800, 870, behind, gateways={820: ("g2", 1), 827: ("g1", 1)})
    day(room, 870, 1500, gateways={870: ("g0", 1)})
    assert told(room) == CUT


def test_a_cut_that_the_feeder_tells_of_afterwards_has_no_second_ticket() -> None:
    """Its instrument came by a gateway, which kept what it said for the time of the cut and hands it out one by one."""
    room = house({"g2": "feeder"}, {**CARRIED, "feeder": ("g2",)})
    day(room, 0, 200)
    day(room, 200, 800, ALL, gateways={215: ("g2", 0)})
    assert told(room) == CUT
    day(room, 800, 900, {"feeder"}, gateways={880: ("g2", 1)})
    for second in range(200, 900, 10):
        room.reads(("feeder", "voltage", 0 if second < 800 else 230), at=second)
    day(room, 900, 1500)
    assert told(room) == CUT
    assert "power.mains_lost" in {a.rule for a in room.records.rows.alarms.values()}


def test_but_one_that_it_says_still_has() -> None:
    room = house({"g2": "feeder"}, {**CARRIED, "feeder": ("g2",)})
    day(room, 0, 200)
    day(room, 200, 800, ALL, gateways={215: ("g2", 0)})
    day(room, 800, 900, {"feeder"}, gateways={880: ("g2", 1)})
    day(room, 900, 1000, dead=("feeder",))
    assert told(room) == [*CUT, "power.mains_lost|feeder"]


@pytest.mark.parametrize("fed", [FED, None])
def test_a_board_that_stays_dead_after_its_last_word_is_told_after_the_cut(
    fed: dict[str, str] | None,
) -> None:
    """The gateway that alone hears it hangs on it, has no power either and is silent: neither waits for the other."""
    room = house(fed, quick=False)
    day(room, 0, 200)
    day(room, 200, 212, {*PUMPS}, dead=("feeder", *BOARDS))
    day(room, 212, 1000, {*BOARDS, *PUMPS}, dead=("feeder",), gateways={245: ("g0", 0), 246: ("g1", 0)})
    away = {d for d, by in CARRIED.items() if by == ("g1",)}
    day(room, 1000, 1400, away, gateways={1030: ("g0", 1)})
    assert "power.mains_lost|b2" in room.tickets()
    assert told(room)[0] == "power.mains_lost|feeder"
    assert room.alarm("power.mains_lost", "b2").priority == 1


def test_a_pump_that_was_told_behind_a_zone_keeps_its_ticket_when_the_zone_has_gone() -> None:
    """The zone's alarm goes with the word of the one that speaks each ten minutes: what is over takes no ticket that
    was opened beside it."""
    room = house(None, dict.fromkeys((*BOARDS, *PUMPS), ("g0",)), quick=False, slow={"p22": 600})
    day(room, 0, 620)
    day(room, 620, 1300, {*BOARDS, *PUMPS}, gateways={620: ("g0", 0)})
    day(room, 1300, 3000, {"p21"}, gateways={1300: ("g0", 1)})
    assert room.tickets() == ["gateway.offline|g0", "pump.offline|p21"]
    assert len(told(room)) == 2
    assert not any(
        a.rule == "gateway.silent" and a.cleared_at is None for a in room.records.rows.alarms.values()
    )
