"""Fire panels that are heard through gateways: what cuts these off is one work order, and what is wrong with a panel itself is told."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state

from dutyroom.alarms import step
from dutyroom.flows.announcing import AnnouncingDesk, Wish
from dutyroom.flows.ground import ground_of
from dutyroom.model.announced import Announced
from dutyroom.model.duty import AlarmEvent
from dutyroom.topology import Topology

BUILDINGS = range(4)
CUT = 600


def estate(
    own_way: bool = False, next_door: bool = False, cars: str = "ab", turn: int = 10, meters: int = 0
) -> Room:
    """A transformer, four boards with a gateway, a panel and lifts each. own_way: the panels speak past the gateways; next_door: by
    that of the next building; turn: of the boards' instruments, seconds; meters: on each
    board."""
    lifts = [(f"l{n}{m}", n) for n in BUILDINGS for m in cars]
    power: dict[str, tuple[str, ...]] = {f"b{n}": ("t",) for n in BUILDINGS}
    network: dict[str, tuple[str, ...]] = {}
    counted = [(f"m{n}{m}", n) for n in BUILDINGS for m in range(meters)]
    for name, n in [*lifts, *counted, *((f"p{n}", n) for n in BUILDINGS), *((f"g{n}", n) for n in BUILDINGS)]:
        power[name] = (f"b{n}",)
        if name[0] != "g" and not (own_way and name[0] == "p"):
            by = (n + 1) % 4 if next_door and name[0] == "p" else n
            network[name] = (f"g{by}",)
    network |= {f"b{n}": (f"g{n}",) for n in BUILDINGS}
    devices = [
        device("t", "feeder", 10),
        *(device(f"b{n}", "feeder", turn) for n in BUILDINGS),
        *(device(f"g{n}", "gateway") for n in BUILDINGS),
        *(device(f"p{n}", "fire_panel", 30) for n in BUILDINGS),
        *(device(name, "elevator", 30) for name, _ in lifts),
        *(device(name, "electricity_meter", 900) for name, _ in counted),
    ]
    specs = {
        "electricity_meter": [gauge("energy", "kWh", 900)],
        "feeder": [gauge("voltage", "V")],
        "gateway": [state("online")],
        "fire_panel": [state("alarm", 30), state("mains", 30)],
        "elevator": [state("trapped", 30)],
    }
    room = Room(devices, specs, topology=Topology({"power": power, "network": network}))
    room.records.rows.people, room.records.rows.devices = [person("li")], devices
    room.ground = ground_of(room.topology, "Asia/Shanghai")
    room.restart()
    room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    return room


def goes(room: Room, since: int, until: int, away: Collection[str] = (), volts: float = 230) -> None:
    """All speak in turn but those that are away; volts: at the transformer. A panel without mains says so."""
    dark = volts < 100
    for second in range(since, until, 10):
        room.at(second)
        rows: list[tuple[str, str, float]] = [("t", "voltage", volts)]
        for n in BUILDINGS:
            if f"b{n}" not in away:
                rows.append((f"b{n}", "voltage", volts))
            if second % 30 == 0:
                if f"p{n}" not in away:
                    rows += [(f"p{n}", "alarm", 0), (f"p{n}", "mains", int(not dark))]
                cars = [d for d in room.devices if d.startswith(f"l{n}")]
                rows += [(car, "trapped", 0) for car in cars if f"b{n}" not in away]
        room.reads(*rows)


def dies(room: Room, *buildings: int) -> None:
    """The broker says that the gateways have gone."""
    room.reads(*((f"g{n}", "online", 0) for n in buildings))


def behind(*buildings: int) -> set[str]:
    return {f"{kind}{n}" for n in buildings for kind in "bp"}


@pytest.mark.parametrize("dead", [(), ("p2",)])
def test_a_cut_that_takes_the_gateways_of_the_panels_is_one_ticket_and_one_message(
    dead: tuple[str, ...],
) -> None:
    """dead: what does not come back with the rest is told."""
    room = estate()
    goes(room, 0, CUT)
    dies(room, *BUILDINGS)
    goes(room, CUT, CUT + 1200, away=behind(*BUILDINGS), volts=0)
    assert room.tickets() == ["power.mains_lost|t"]
    silent = {key: state for key, state in room.alarms().items() if key.startswith("fire.offline")}
    assert silent == {f"fire.offline@p{n}": "suppressed" for n in BUILDINGS}
    assert len(room.records.rows.outbox) == 1
    room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    goes(room, CUT + 1200, CUT + 2400, away=dead)
    assert room.tickets() == [*(f"fire.offline|{panel}" for panel in dead), "power.mains_lost|t"]


@pytest.mark.parametrize("later", [0, 240, 450])
def test_a_gateway_and_its_panel_are_one_ticket_as_urgent_as_the_panel(later: int) -> None:
    """Whichever has its ticket first. later: so long after their last word the broker says that the gateway has gone."""
    room = estate()
    goes(room, 0, CUT)
    goes(room, CUT, CUT + later, away=behind(0))
    dies(room, 0)
    goes(room, CUT + later, CUT + 1500, away=behind(0))
    assert room.tickets() == ["gateway.offline|g0"]
    work = next(t for t in room.records.rows.tickets.values() if t.cause == "gateway.offline|g0")
    assert work.priority == 2
    assert work.opened_at - T0 <= (CUT + 301 + later) * 1000
    assert len(room.records.rows.outbox) <= 1 + (later > 0) + (later > 400)


def test_a_panel_that_falls_silent_by_itself_is_told_beside_a_gateway_that_has_a_ticket() -> None:
    room = estate()
    goes(room, 0, CUT)
    dies(room, 0)
    goes(room, CUT, CUT + 3600, away=behind(0))
    goes(room, CUT + 3600, CUT + 4200, away=behind(0) | {"p1"})
    assert room.tickets() == ["fire.offline|p1", "gateway.offline|g0"]


@pytest.mark.parametrize("given", [{"utility": "power"}, {"utility": ""}])
def test_a_planned_outage_covers_panels_that_its_gateways_carry(given: dict[str, str]) -> None:
    room = estate()
    goes(room, 0, CUT)
    wish = Wish(Announced.OUTAGE, T0 + (CUT + 1800) * 1000, "service", devices=("t",), **given)
    AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    dies(room, *BUILDINGS)
    goes(room, CUT, CUT + 1200, away=behind(*BUILDINGS), volts=0)
    assert room.tickets() == []
    assert room.alarms()["fire.offline@p1"] == "suppressed"
    room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    goes(room, CUT + 1200, CUT + 3600, away={"p2"})
    assert room.tickets() == ["fire.offline|p2"], "what does not come back is told"


@pytest.mark.parametrize("planned", [False, True])
def test_a_panel_of_its_own_way_whose_battery_is_empty_is_told_in_the_cut(planned: bool) -> None:
    room = estate(own_way=True)
    goes(room, 0, CUT)
    if planned:
        wish = Wish(Announced.OUTAGE, T0 + (CUT + 9000) * 1000, "service", utility="power", devices=("t",))
        AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    dies(room, *BUILDINGS)
    boards = {f"b{n}" for n in BUILDINGS}
    goes(room, CUT, CUT + 1800, away=boards, volts=0)
    told = len(room.records.rows.outbox)
    goes(room, CUT + 1800, CUT + 2400, away=boards | {"p3"}, volts=0)
    assert room.alarms()["fire.offline@p3"] == "unacknowledged"
    assert len(room.records.rows.outbox) == told + 1
    assert room.tickets() == ["fire.offline|p3", *([] if planned else ["power.mains_lost|t"])]


@pytest.mark.parametrize("given", [{"utility": "power"}, {"utility": ""}])
@pytest.mark.parametrize("back", [False, True])
def test_a_planned_outage_hides_no_panel_whose_gateway_is_alive(given: dict[str, str], back: bool) -> None:
    """The gateway has a supply of its own, or is back hours before the end; the panel's battery is empty."""
    room = estate()
    goes(room, 0, CUT)
    wish = Wish(Announced.OUTAGE, T0 + (CUT + 9000) * 1000, "service", devices=("b0",), **given)
    AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    if back:
        dies(room, 0)
        goes(room, CUT, CUT + 900, away=behind(0))
        assert room.alarms()["fire.offline@p0"] == "suppressed"
        room.reads(("g0", "online", 1))
    goes(room, CUT + 900 * back, CUT + 2400, away={"p0"})
    assert room.tickets() == ["fire.offline|p0"]
    assert room.alarms()["fire.offline@p0"] == "unacknowledged"


@pytest.mark.parametrize("phase", [0, 10, 20])
def test_a_board_that_trips_is_told_as_that_though_its_panel_is_heard_by_another_gateway(phase: int) -> None:
    """The broker misses its own gateway after a minute; that is no reason for what the panel says."""
    room = estate(next_door=True)
    goes(room, 0, CUT + phase)
    for second in range(CUT + phase, CUT + 900, 10):
        goes(room, second, second + 10, away={"b0", "p0"})
        if second == CUT + phase + 60:
            dies(room, 0)
        if second % 30 == 0:
            room.reads(("p0", "alarm", 0), ("p0", "mains", 0))
    assert room.tickets() == ["feeder.offline|b0"]
    (work,) = room.records.rows.tickets.values()
    assert work.priority == 1
    assert work.opened_at - T0 <= (CUT + phase + 130) * 1000


def test_a_panel_that_fails_while_its_gateway_is_said_to_be_away_and_carries_it_is_told() -> None:
    """The word that it is back was lost, and people have closed that ticket."""
    room = estate()
    goes(room, 0, CUT)
    dies(room, 0)
    goes(room, CUT, CUT + 1200)
    goes(room, CUT + 1200, CUT + 1800, away={"p0"})
    assert "fire.offline|p0" in room.tickets()


@pytest.mark.parametrize("event", [AlarmEvent.SHELVE, AlarmEvent.REMOVE])
def test_a_gateway_of_which_nobody_is_told_hides_no_panel(event: AlarmEvent) -> None:
    room = estate()
    goes(room, 0, CUT)
    dies(room, 0)
    goes(room, CUT, CUT + 120, away=behind(0))
    with room.records.write() as tx:
        found = next(a for a in tx.alarms.open_ones(SITE) if a.rule == "gateway.offline")
        until = room.clock.at + 7_200_000 if event is AlarmEvent.SHELVE else None
        alarm, line = step(found, event, room.clock.at, "li", "replaced", until=until)
        tx.alarms.update(alarm)
        tx.alarms.log(line)
        tx.change(SITE, room.clock.at, "alarm", str(alarm.id))
    goes(room, CUT + 120, CUT + 900, away=behind(0))
    assert "fire.offline|p0" in room.tickets()


def test_a_panel_whose_battery_is_empty_in_a_cut_is_told_though_all_else_of_its_gateway_is_silent() -> None:
    """The gateway has a supply of its own."""
    room = estate()
    goes(room, 0, CUT)
    boards = {f"b{n}" for n in BUILDINGS}
    goes(room, CUT, CUT + 1800, away=boards, volts=0)
    assert room.tickets() == ["power.mains_lost|t"]
    goes(room, CUT + 1800, CUT + 2400, away=boards | {"p1"}, volts=0)
    assert room.tickets() == ["fire.offline|p1", "power.mains_lost|t"]


def test_a_board_that_trips_is_one_ticket_though_all_but_the_panel_is_silent_behind_a_gateway_that_is_alive() -> (
    None
):
    """The gateway has a supply of its own, and says by the panel that it is no reason for what is silent there."""
    room = estate(cars="abcdef")
    goes(room, 0, CUT)
    for second in range(CUT, CUT + 3000, 10):
        goes(room, second, second + 10, away={"b0", "p0"})
        if second % 30 == 0:
            room.reads(("p0", "alarm", 0), ("p0", "mains", 0))
    assert room.alarms()["gateway.silent@g0"] == "suppressed"
    assert room.tickets() == ["feeder.offline|b0"]
    (work,) = room.records.rows.tickets.values()
    assert (work.priority, room.alarm("feeder.offline", "b0").priority) == (1, 1)


@pytest.mark.parametrize("own_way", [False, True])
def test_a_panel_whose_battery_went_flat_in_a_cut_is_one_ticket_when_power_is_back(own_way: bool) -> None:
    """What it said last, that it is on battery, is no work order beside the one that it is silent."""
    room = estate(own_way)
    goes(room, 0, CUT)
    boards = {f"b{n}" for n in BUILDINGS}
    goes(room, CUT, CUT + 1800, away=boards, volts=0)
    goes(room, CUT + 1800, CUT + 3000, away=boards | {"p1"}, volts=0)
    goes(room, CUT + 3000, CUT + 6000, away={"p1"})
    assert room.tickets() == ["fire.offline|p1", "power.mains_lost|t"]
    assert room.alarm("fire.mains_lost", "p1").ticket == room.alarm("fire.offline", "p1").ticket


def test_a_panel_that_lost_its_mains_and_then_falls_silent_is_one_ticket_that_is_more_urgent_then() -> None:
    room = estate()
    goes(room, 0, CUT)
    for second in range(CUT, CUT + 3600, 10):
        goes(room, second, second + 10, away={"p1"})
        if second % 30 == 0:
            room.reads(("p1", "alarm", 0), ("p1", "mains", 0))
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("fire.mains_lost|p1", 3)
    told = len(room.records.rows.outbox)
    goes(room, CUT + 3600, CUT + 4500, away={"p1"})
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("fire.mains_lost|p1", 2)
    assert len(room.records.rows.outbox) == told + 1


def goes_dark(room: Room, since: int, until: int) -> None:
    """The transformer's instrument has died with it; panels of a way of their own say that they have no mains."""
    own = [p for p in (f"p{n}" for n in BUILDINGS) if p not in room.topology.feeds["network"]]
    for second in range(since, until, 10):
        room.at(second)
        rows = [(p, point, 0) for p in own for point in ("alarm", "mains")] if second % 30 == 0 else []
        room.reads(*rows)


@pytest.mark.parametrize("early", [-20, 0, 20])
@pytest.mark.parametrize("own_way", [False, True])
def test_who_ends_an_outage_when_the_power_is_back_calls_nobody_while_gateways_start(
    early: int, own_way: bool
) -> None:
    """They need two minutes. What stays dead is told when it has had its grace."""
    room = estate(own_way)
    goes(room, 0, CUT)
    desk = AnnouncingDesk(room.records, room.clock)
    wish = Wish(Announced.OUTAGE, T0 + (CUT + 9000) * 1000, "service", utility="power", devices=("t",))
    made = desk.announce(SITE, "wang", wish)
    dies(room, *BUILDINGS)
    goes_dark(room, CUT, CUT + 1800 + early)
    room.at(CUT + 1800 + early)
    desk.cancel(SITE, made.id, "li", "power is back")
    if early > 0:
        goes(room, CUT + 1800, CUT + 1800 + early, away={f"b{n}" for n in BUILDINGS} | behind(*BUILDINGS))
    elif early:
        goes_dark(room, CUT + 1800 + early, CUT + 1800)
    goes(room, CUT + 1800 + max(early, 0), CUT + 1930, away={f"b{n}" for n in BUILDINGS} | behind(*BUILDINGS))
    room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    goes(room, CUT + 1930, CUT + 3000)
    assert room.tickets() == []
    assert not room.records.rows.outbox


@pytest.mark.parametrize("own_way", [False, True])
def test_a_cut_that_outlasts_its_outage_is_one_ticket_within_minutes(own_way: bool) -> None:
    """Panels say so anew; where nothing says anything, gateways may just start."""
    room = estate(own_way)
    goes(room, 0, CUT)
    wish = Wish(Announced.OUTAGE, T0 + (CUT + 1800) * 1000, "service", utility="power", devices=("t",))
    AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    dies(room, *BUILDINGS)
    goes_dark(room, CUT, CUT + 3600)
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("feeder.offline|t", 1)
    assert work.opened_at - T0 <= (CUT + 1800 + 150) * 1000
    assert len(room.records.rows.outbox) == 1


@pytest.mark.parametrize("lasts", [150, 180, 210, 240])
@pytest.mark.parametrize("planned", [False, True])
def test_panels_have_their_grace_after_a_short_cut_though_the_word_of_the_gateways_is_over(
    lasts: int, planned: bool
) -> None:
    """Gateways start for half a minute, and each panel has its turn a minute later."""
    room = estate()
    goes(room, 0, CUT)
    if planned:
        wish = Wish(Announced.OUTAGE, T0 + (CUT + 9000) * 1000, "service", utility="power", devices=("t",))
        AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    goes(room, CUT, CUT + 90, away=behind(*BUILDINGS), volts=0)
    dies(room, *BUILDINGS)
    goes(room, CUT + 90, CUT + lasts, away=behind(*BUILDINGS), volts=0)
    goes(room, CUT + lasts, CUT + lasts + 30, away=behind(*BUILDINGS))
    room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    goes(room, CUT + lasts + 30, CUT + lasts + 120, away={f"p{n}" for n in BUILDINGS})
    goes(room, CUT + lasts + 120, CUT + 1500)
    assert room.tickets() == ([] if planned else ["power.mains_lost|t"])
    assert len(room.records.rows.outbox) == (not planned)


@pytest.mark.parametrize("planned", [False, True])
def test_a_gateway_below_a_dead_feed_is_known_to_be_away_before_its_broker_says_so(planned: bool) -> None:
    """Keep-alives of 300 s: the panels are missed two minutes before the last will."""
    room = estate()
    goes(room, 0, CUT)
    if planned:
        wish = Wish(Announced.OUTAGE, T0 + (CUT + 9000) * 1000, "service", utility="power", devices=("t",))
        AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    goes(room, CUT, CUT + 450, away=behind(*BUILDINGS), volts=0)
    dies(room, *BUILDINGS)
    goes(room, CUT + 450, CUT + 1500, away=behind(*BUILDINGS), volts=0)
    assert room.tickets() == ([] if planned else ["power.mains_lost|t"])
    assert len(room.records.rows.outbox) == (not planned)
    assert room.alarms()["fire.offline@p1"] == "suppressed"


def test_an_alarm_that_a_planned_outage_keeps_quiet_takes_over_no_ticket() -> None:
    """What feeds the gateways is not entered, so panels are told before these are known to be away; no cut becomes of it."""
    room = estate()
    room.topology.feeds["power"].update({f"g{n}": () for n in BUILDINGS})  # type: ignore[attr-defined]
    goes(room, 0, CUT)
    wish = Wish(Announced.OUTAGE, T0 + (CUT + 9000) * 1000, "service", utility="power", devices=("t",))
    AnnouncingDesk(room.records, room.clock).announce(SITE, "wang", wish)
    goes_dark(room, CUT, CUT + 330)
    dies(room, *BUILDINGS)
    goes_dark(room, CUT + 330, CUT + 1500)
    opened = room.records.rows.tickets.values()
    assert {work.priority for work in opened} <= {2}
    assert not [work for work in opened if work.cause == "feeder.offline|t"]


def test_a_panel_that_cannot_say_what_it_runs_on_is_no_sign_of_supply() -> None:
    """It has a battery as all panels do, a way of its own, and no reading of its mains."""
    room = estate(own_way=True, turn=30, meters=4)
    for second in range(0, 2 * CUT + 900, 5):
        room.at(second, 5)
        rows: list[tuple[str, str, float]] = (
            [("t", "voltage", 230)] if second < 2 * CUT and second % 10 == 0 else []
        )
        for n in BUILDINGS:
            if (second + 10 * n) % 30 == 0:
                rows.append((f"p{n}", "alarm", 0))
            if (second + 5 * n) % 30 == 15 and second < 2 * CUT:
                rows.append((f"b{n}", "voltage", 230))
            if second % 30 == 5 * n and second < 2 * CUT:
                rows += [(f"l{n}a", "trapped", 0), (f"l{n}b", "trapped", 0)]
            if second < 2 * CUT:
                rows += [
                    (f"m{n}{m}", "energy", second) for m in range(4) if (second + 55 * (4 * n + m)) % 900 == 0
                ]
        room.reads(*rows)
        if second == 2 * CUT + 90:
            dies(room, *BUILDINGS)
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("feeder.offline|t", 1)
    assert work.opened_at - T0 <= (2 * CUT + 180) * 1000


@pytest.mark.parametrize("wills", [(0, 0, 0, 0), (5, 8, 11, 14), (40, 55, 70, 85)])
def test_a_cut_of_which_panels_and_last_wills_tell_is_a_ticket_within_a_minute_of_the_first(
    wills: tuple[int, ...],
) -> None:
    """The transformer's instrument dies with it."""
    room = estate(own_way=True)
    goes(room, 0, CUT)
    for second in range(CUT, CUT + 300, 10):
        goes_dark(room, second, second + 10)
        dies(room, *(n for n in BUILDINGS if second <= CUT + wills[n] < second + 10))
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("feeder.offline|t", 1)
    assert work.opened_at - T0 <= (CUT + 10 + 60) * 1000
    assert len(room.records.rows.outbox) == 1


@pytest.mark.parametrize("away", [400, 1200])
def test_what_does_not_come_back_with_its_gateway_is_told_after_five_minutes(away: int) -> None:
    room = estate()
    goes(room, 0, CUT)
    dies(room, 0)
    lifts = {"l0a", "l0b"}
    goes(room, CUT, CUT + away, away=behind(0))
    room.reads(("g0", "online", 1))
    for second in range(CUT + away, CUT + away + 900, 10):
        goes(room, second, second + 10, away={"b0"})
        room.reads(("b0", "voltage", 230))
        if second % 30 == 0:
            room.reads(("l0b", "trapped", 0))
        room.at(second + 5)
    assert room.tickets() == ["elevator.offline|l0a", "gateway.offline|g0"]
    work = next(t for t in room.records.rows.tickets.values() if t.object in lifts)
    assert abs(work.opened_at - T0 - (CUT + away + 300) * 1000) <= 20_000


@pytest.mark.parametrize(("will", "lasts"), [(15, 45), (30, 45), (15, 60)])
def test_a_switch_that_restarts_is_no_cut(will: int, lasts: int) -> None:
    """It carries all gateways and the transformer's instrument; their last wills come, and they are back within a minute and a half of
    their last word."""
    room = estate()
    goes(room, 0, CUT)
    for second in range(CUT, CUT + will + lasts, 10):
        if second == CUT + will // 10 * 10:
            dies(room, *BUILDINGS)
        room.at(second)
        room.reads()
    room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    goes(room, CUT + (will + lasts) // 10 * 10, CUT + 1500)
    assert room.tickets() == []


def test_a_panel_whose_mains_is_tested_while_an_instrument_has_lost_a_turn_is_no_cut() -> None:
    """One board on the transformer, whose devices speak each minute."""
    devices = [
        device("t", "feeder", 10),
        device("b", "feeder", 60),
        device("p", "fire_panel", 30),
        device("g", "gateway"),
    ]
    devices += [device(f"l{n}", "elevator", 60) for n in range(3)]
    specs = {
        "feeder": [gauge("voltage")], "gateway": [state("online")], "elevator": [state("trapped", 60)],
        "fire_panel": [state("alarm", 30), state("mains", 30)],
    }  # fmt: skip
    power = {"b": ("t",)} | {d.id: ("b",) for d in devices if d.id not in "tb"}
    room = Room(
        devices,
        specs,
        topology=Topology({"power": power, "network": {d.id: ("g",) for d in devices if d.id not in "tg"}}),
    )
    room.records.rows.people, room.records.rows.devices = [person("li")], devices
    room.reads(("g", "online", 1))
    for second in range(0, 1500, 10):
        room.at(second)
        rows: list[tuple[str, str, float]] = [] if 605 <= second < 650 else [("t", "voltage", 230)]
        if second % 60 == 0:
            rows += [("b", "voltage", 230), *((f"l{n}", "trapped", 0) for n in range(3))]
        if second % 30 == 20:
            rows += [("p", "alarm", 0), ("p", "mains", int(not 620 <= second < 710))]
        room.reads(*rows)
    assert room.tickets() == []


def test_a_cut_that_a_panel_and_wills_tell_early_does_not_go_over_to_the_gateway_of_the_instrument() -> None:
    """The transformer's instrument is carried by a gateway in its room, which it feeds."""
    room = estate(own_way=True)
    goes(room, 0, CUT)
    for second in range(CUT, CUT + 1500, 10):
        goes_dark(room, second, second + 10)
        if second == CUT + 20:
            dies(room, *BUILDINGS)
    (work,) = room.records.rows.tickets.values()
    assert (work.cause, work.priority) == ("feeder.offline|t", 1)
    assert len(room.records.rows.outbox) == 1


@pytest.mark.parametrize("lasts", range(30, 60, 5))
def test_a_dip_of_which_the_transformer_itself_says_that_it_is_over_calls_nobody(lasts: int) -> None:
    """Panels had said it, and gateways had gone; its instrument speaks at once, boards start."""
    room = estate(own_way=True)
    goes(room, 0, CUT)
    for second in range(CUT, CUT + 900, 5):
        room.at(second, 5)
        dark = second < CUT + lasts
        rows: list[tuple[str, str, float]] = []
        for n in BUILDINGS:
            if second % 30 == 5 * n:
                rows += [(f"p{n}", "alarm", 0), (f"p{n}", "mains", int(not dark))]
            if second >= CUT + lasts + 20 + 10 * n and second % 10 == 0:
                rows.append((f"b{n}", "voltage", 230))
            if second >= CUT + lasts + 20 + 10 * n and second % 30 == 0:
                rows += [(f"l{n}{car}", "trapped", 0) for car in "ab"]
        if not dark and second % 10 == 0:
            rows.append(("t", "voltage", 230))
        room.reads(*rows)
        if second == CUT + 20:
            dies(room, *BUILDINGS)
        if second == CUT + lasts + 20:
            room.reads(*((f"g{n}", "online", 1) for n in BUILDINGS))
    assert room.tickets() == []


@pytest.mark.parametrize("back", [65, 70, 75, 80])
def test_a_cut_that_a_switch_interrupts_for_some_seconds_is_told(back: int) -> None:
    """It closes once, and opens again; what gateways carry has no time to speak."""
    room = estate(own_way=True)
    goes(room, 0, CUT)
    for second in range(CUT, CUT + 600, 5):
        room.at(second, 5)
        rows: list[tuple[str, str, float]] = []
        live = CUT + back <= second < CUT + back + 12
        if second % 30 == 0:
            rows += [
                (f"p{n}", point, int(live and point == "mains"))
                for n in BUILDINGS
                for point in ("alarm", "mains")
            ]
        if live and second % 10 == 0:
            rows.append(("t", "voltage", 230))
        room.reads(*rows)
        if second == CUT + 20:
            dies(room, *BUILDINGS)
    (work,) = [t for t in room.records.rows.tickets.values() if t.priority == 1]
    assert work.cause == "feeder.offline|t"
    assert work.opened_at - T0 <= (CUT + 130) * 1000


def test_panels_that_are_all_that_hangs_on_a_feeder_speak_for_it() -> None:
    """None says what it runs on; three of ten are not heard for a while, and no instrument is there."""
    panels = [f"p{n}" for n in range(10)]
    devices = [device("ef", "feeder"), *(device(p, "fire_panel", 60) for p in panels)]
    topology = Topology({"power": dict.fromkeys(panels, ("ef",))})
    room = Room(devices, {"feeder": [], "fire_panel": [state("alarm", 60)]}, topology=topology)
    room.records.rows.people, room.records.rows.devices = [person("li")], devices
    for second in range(0, 2400, 10):
        room.at(second)
        gone = 600 <= second < 1500
        room.reads(
            *(
                (p, "alarm", 0)
                for n, p in enumerate(panels)
                if second % 60 == n % 6 * 10 and not (gone and n < 3)
            )
        )
    assert [t.cause for t in room.records.rows.tickets.values()] == [f"fire.offline|p{n}" for n in range(3)]
