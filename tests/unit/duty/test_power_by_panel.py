"""A board that loses its supply together with its own instrument, and a fire panel on its battery that says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.duty.duty_room import T0, Room, device, gauge, person, state

from dutyroom.model.announced import Announced, Announcement
from dutyroom.topology import Topology

BELOW = ("panel", "gate", "lift", "meter")
CUT, UNTIL = 600, 1800


def board_of(
    speaks: Callable[[str, int], bool],
    mains: Callable[[int], int],
    every: int = 10,
    phase: int = 0,
    late: int = 0,
) -> Room:
    """Ten minutes of words, and what the panel says of its mains; then whoever still speaks. phase: seconds after a half minute when
    the panel speaks. late: for so long its words are on their way."""
    room = Room(
        [
            device("board", "feeder", every),
            device("panel", "fire_panel", 30),
            device("gate", "gate", 30),
            device("lift", "elevator", 10),
            device("meter", "electricity_meter", 900),
        ],
        {
            "feeder": [gauge("voltage", "V", every)],
            "fire_panel": [state("mains", 30), state("fault", 30)],
            "gate": [state("door_open", 30)],
            "elevator": [state("moving", 10)],
            "electricity_meter": [gauge("energy", "kWh", 900)],
        },
        topology=Topology({"power": dict.fromkeys(BELOW, ("board",))}),
    )
    room.records.rows.people = [person("li")]
    for second in range(0, UNTIL, 5):
        room.at(second, step=5)
        words = {
            "board": ("voltage", 230, every),
            "panel": ("mains", mains(second), 30),
            "gate": ("door_open", 0, 30),
            "lift": ("moving", 0, 10),
            "meter": ("energy", 7, 900),
        }
        if late:
            panel = words.pop("panel")
            if (
                second >= late
                and (second - late - phase) % 30 == 0
                and (second < CUT or speaks("panel", second))
            ):
                said = room.batch(("panel", panel[0], mains(second - late)), at=second - late)
                room.journal.append(said)
                room.watch.drain()
        for name, (point, value, turn) in words.items():
            if second % turn == (phase if name == "panel" else 0) and (second < CUT or speaks(name, second)):
                room.reads((name, point, value))
    return room


@pytest.mark.parametrize("every", [1, 10, 30])
def test_its_loss_is_told_once_and_in_time(every: int) -> None:
    """It was known as an instrument that is silent after ten minutes, beside a panel on battery: nothing urgent, and two
    tickets."""
    room = board_of(lambda name, _: name == "panel", lambda s: int(s < CUT), max(every, 5))
    assert room.tickets() == ["feeder.offline|board"]
    (work,) = room.records.rows.tickets.values()
    assert work.priority == 1
    assert work.opened_at - T0 <= (CUT + 130) * 1000


@pytest.mark.parametrize(("phase", "late"), [(5, 0), (15, 0), (25, 0), (0, 30), (5, 75)])
def test_its_panel_may_speak_half_a_minute_after_the_cut_and_be_heard_later(phase: int, late: int) -> None:
    room = board_of(lambda name, _: name == "panel", lambda s: int(s < CUT), 5, phase, late)
    assert room.tickets() == ["feeder.offline|board"]
    (work,) = room.records.rows.tickets.values()
    assert work.priority == 1
    assert work.opened_at - T0 <= (CUT + 130 + phase + late) * 1000


def test_a_panel_that_has_lost_its_own_supply_is_told_as_that() -> None:
    """The board speaks, or what hangs beside it."""
    for alive in (("board", "panel", "gate", "lift"), ("panel", "gate", "lift"), ("panel", "lift")):
        room = board_of(lambda name, _, alive=alive: name in alive, lambda s: int(s < CUT))  # type: ignore[misc]
        assert "fire.mains_lost|panel" in room.tickets(), alive
        assert all(work.priority > 1 for work in room.records.rows.tickets.values()), alive


def test_an_instrument_that_was_silent_before_says_nothing_of_it() -> None:
    room = board_of(
        lambda name, second: name == "panel" or (name != "board" and second < 1200), lambda s: int(s < 1200)
    )
    assert all(work.priority > 1 for work in room.records.rows.tickets.values())


def test_supply_that_comes_back_ends_it() -> None:
    room = board_of(lambda name, s: name == "panel" or s >= 1000, lambda s: int(not CUT <= s < 1000))
    assert room.tickets() == ["feeder.offline|board"]
    assert room.alarms() == {"feeder.offline@board": "returned"}


@pytest.mark.parametrize("phase", [0, 10, 20])
def test_a_loss_of_less_than_a_minute_is_told_to_nobody(phase: int) -> None:
    """What hangs on a gateway that boots is silent for longer; the panel's word that it is over comes with its next turn."""
    room = board_of(
        lambda name, s: name == "panel" or s >= CUT + 130, lambda s: int(not CUT <= s < CUT + 50), phase=phase
    )
    assert room.tickets() == []
    assert not room.records.rows.outbox


def test_its_gateway_that_is_without_power_too_is_not_the_reason() -> None:
    """Nobody has entered what feeds it; the panel speaks by a way of its own, and the gate is missed as late as the gateway."""
    own = {
        "meter": ("electricity_meter", gauge("energy", "kWh", 300), 300),
        "second": ("electricity_meter", gauge("energy", "kWh", 300), 300),
        "lift": ("elevator", state("moving", 10), 10),
        "other": ("elevator", state("moving", 10), 10),
        "gate": ("gate", state("door_open", 30), 30),
    }
    room = Room(
        [
            device("board", "feeder", 10),
            device("panel", "fire_panel", 30),
            device("gateway", "gateway", None),
            *(device(name, kind, every) for name, (kind, _, every) in own.items()),
        ],
        {
            "feeder": [gauge("voltage", "V", 10)],
            "fire_panel": [state("mains", 30)],
            "gateway": [state("online", None)],
            **{kind: [point] for kind, point, _ in own.values()},
        },
        topology=Topology(
            {
                "power": dict.fromkeys(("panel", *own), ("board",)),
                "network": dict.fromkeys(("board", *own), ("gateway",)),
            }
        ),
    )
    room.records.rows.people = [person("li")]
    room.reads(("gateway", "online", 1))
    for second in range(0, 2400, 5):
        room.at(second, step=5)
        if second % 30 == 0:
            room.reads(("panel", "mains", int(second < CUT)))
        if second == CUT + 60:
            room.reads(("gateway", "online", 0))
        if second >= CUT:
            continue
        if second % 10 == 0:
            room.reads(("board", "voltage", 230))
        room.reads(*((name, point.name, 0) for name, (_, point, every) in own.items() if second % every == 0))
    assert [(t.cause, t.priority, t.state.value) for t in room.records.rows.tickets.values()] == [
        ("feeder.offline|board", 1, "open")
    ]


def two_boards(
    alive: Callable[[str, int], bool],
    gateway: bool,
    outage: tuple[int, int] | None = None,
    feeds: tuple[str, ...] = ("t1",),
    above: str = "",
    away: Callable[[str, int], bool] = lambda board, second: False,
    mains: Callable[[str, int], bool] = lambda board, second: True,
    boots: int = 0,
    covers: str = "b0",
) -> Room:
    """A transformer (or two, with one above) and two boards, all with instruments that die with their supply; the panels speak on by a way of their own. alive:
    whether the transformer, or a board, has supply at a second. gateway: what else hangs on a board is heard by its gateway. away:
    when a board's gateway is, of itself; boots: how many seconds it needs once it has supply. mains: whether a panel's own supply is there."""
    of = {
        "lift": ("elevator", "moving", 10),
        "gate": ("gate", "door_open", 30),
        "meter": ("electricity_meter", "energy", 900),
    }
    boards = ("b0", "b1")
    supplies = [*feeds, *([above] if above else [])]
    listed = [device(feed, "feeder", 10) for feed in (*supplies, *boards)]
    power, network = dict.fromkeys(boards, feeds), {}
    power |= dict.fromkeys(feeds if above else (), (above,))
    for board in boards:
        listed.append(device(f"panel-{board}", "fire_panel", 30))
        power[f"panel-{board}"] = (board,)
        for name, (kind, _, every) in of.items():
            listed.append(device(f"{name}-{board}", kind, every))
            power[f"{name}-{board}"] = (board,)
            network[f"{name}-{board}"] = (f"way-{board}",)
        network[board] = (f"way-{board}",)
        if gateway:
            listed.append(device(f"way-{board}", "gateway", None))
            power[f"way-{board}"] = (board,)
    room = Room(
        listed,
        {
            "feeder": [gauge("voltage", "V", 10)],
            "fire_panel": [state("mains", 30), state("fault", 30)],
            "gateway": [state("online", None)],
            "gate": [state("door_open", 30)],
            "elevator": [state("moving", 10)],
            "electricity_meter": [gauge("energy", "kWh", 900)],
        },
        topology=Topology({"power": power, **({"network": network} if gateway else {})}),
    )
    room.records.rows.people = [person("li")]
    if outage is not None:
        begins, ends = (T0 + second * 1000 for second in outage)
        room.records.rows.announcements[1] = Announcement(
            1, "s", Announced.OUTAGE, begins, ends, "busbar", "wang", T0, "power", devices=(covers,)
        )
    was: dict[str, bool] = {}
    since_when: dict[str, int] = {}
    for second in range(0, 3600, 5):
        room.at(second, step=5)
        if second % 10 == 0:
            room.reads(*((feed, "voltage", 230) for feed in supplies if alive(feed, second)))
        for board in boards:
            lives = any(alive(feed, second) for feed in feeds) and alive(board, second)
            if lives:
                since_when.setdefault(board, second if second else -boots)
            else:
                since_when.pop(board, None)
            if second % 30 == 5:
                room.reads((f"panel-{board}", "mains", int(lives and mains(board, second))))
            lives = lives and not away(board, second) and second >= since_when[board] + boots
            if gateway and lives != was.get(board):
                room.reads((f"way-{board}", "online", int(lives)))
            was[board] = lives
            if not lives:
                continue
            if second % 10 == 0:
                room.reads((board, "voltage", 230))
            room.reads(
                *((f"{n}-{board}", point, 0) for n, (_, point, every) in of.items() if second % every == 0)
            )
    return room


def told(room: Room, object: str) -> list[tuple[int, int]]:
    """Priority, and the second of opening, of the tickets of a feed."""
    tickets = room.records.rows.tickets.values()
    return [(t.priority, (t.opened_at - T0) // 1000) for t in tickets if t.cause.endswith(f"|{object}")]


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("back", [0, 30])
def test_a_board_that_does_not_come_back_with_its_transformer_is_told_as_dead(
    gateway: bool, back: int
) -> None:
    """Or trips half a minute later, by the rush of all that starts: it was an instrument, or a gateway, that is silent."""
    room = two_boards(
        lambda feed, s: not (CUT <= s < 1500) if feed == "t1" else feed == "b1" or s < 1500 + back, gateway
    )
    assert [priority for priority, _ in told(room, "t1")] == [1]
    ((priority, second),) = told(room, "b0")
    assert (priority, second <= 1500 + 360) == (1, True), second
    assert len(room.records.rows.tickets) == 2, room.tickets()


@pytest.mark.parametrize("gateway", [False, True])
def test_a_board_that_is_dead_when_its_planned_outage_is_over_is_told_as_dead(gateway: bool) -> None:
    room = two_boards(lambda feed, s: feed != "b0" or s < CUT, gateway, (CUT - 60, 1500))
    ((priority, second),) = told(room, "b0")
    assert (priority, 1500 <= second <= 1630) == (1, True), second
    assert len(room.records.rows.tickets) == 1, room.tickets()


DUAL = ("t1", "t2")


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("above", ["", "mv"])
def test_boards_with_two_feeds_that_die_together_are_these_feeds_or_what_feeds_both(
    above: str, gateway: bool
) -> None:
    """Each board was a ticket, and each transformer, whose instruments die with them, one more."""
    dead = {*DUAL, above}
    room = two_boards(
        lambda feed, s: feed not in dead or not CUT <= s < 2400, gateway, feeds=DUAL, above=above
    )
    causes = sorted(t.cause for t in room.records.rows.tickets.values())
    assert causes == ([f"feeder.offline|{above}"] if above else [f"feeder.offline|{feed}" for feed in DUAL])
    assert all(
        t.priority == 1 and t.opened_at - T0 <= (CUT + 140) * 1000 for t in room.records.rows.tickets.values()
    )


@pytest.mark.parametrize("gateway", [False, True])
def test_one_of_two_feeds_that_dies_is_no_cut_of_its_boards(gateway: bool) -> None:
    room = two_boards(lambda feed, s: feed != "t1" or not CUT <= s < 2400, gateway, feeds=DUAL)
    assert [t.cause for t in room.records.rows.tickets.values()] == ["feeder.offline|t1"]


@pytest.mark.parametrize("gateway", [False, True])
def test_one_board_of_two_feeds_that_dies_alone_is_told_as_that(gateway: bool) -> None:
    room = two_boards(lambda feed, s: feed != "b0" or not CUT <= s < 2400, gateway, feeds=DUAL)
    assert [(t.cause, t.priority) for t in room.records.rows.tickets.values()] == [("feeder.offline|b0", 1)]


@pytest.mark.parametrize("ends", [1505, 1530, 1555])
def test_supply_that_is_back_just_before_the_end_of_its_outage_is_no_cut(ends: int) -> None:
    """Who switches it on ends the outage at once: the panel has its turn later, and the gateway has to start."""
    room = two_boards(lambda feed, s: feed != "b0" or not CUT <= s < 1500, True, (CUT - 60, ends), boots=60)
    assert all(t.priority > 1 for t in room.records.rows.tickets.values())


@pytest.mark.parametrize("boots", [5, 60, 240])
def test_the_word_of_its_gateway_that_comes_first_takes_no_ticket_from_a_board(boots: int) -> None:
    """What came of the board's cut "explained" it when that was over: a ticket without an alarm."""
    room = two_boards(lambda feed, s: feed != "b0" or not CUT <= s < 1000, True, boots=boots)
    ((priority, _),) = told(room, "b0")
    assert priority == 1
    (work,) = room.records.rows.tickets.values()
    assert room.alarms() == {"feeder.offline@b0": "returned"}
    assert room.alarm("feeder.offline", "b0").ticket == work.id
    assert not any(c.reason == "alarm.reason.explained" for c in room.records.rows.ticket_log)


@pytest.mark.parametrize("dead", ["b0", "panel"])
def test_a_panel_that_loses_its_mains_while_its_gateway_is_away_is_told(dead: str) -> None:
    """A gateway that had been away for long hid it, by the instrument that it carries."""
    room = two_boards(
        lambda feed, s: feed != dead or s < 2400,
        True,
        away=lambda board, s: board == "b0" and s >= CUT,
        mains=lambda board, s: board != "b0" or dead == "b0" or s < 2400,
    )
    assert sorted(room.tickets()) == ["fire.mains_lost|panel-b0", "gateway.offline|way-b0"]


def test_a_panel_whose_own_mains_comes_and_goes_is_no_witness_of_its_board() -> None:
    room = two_boards(
        lambda feed, s: True,
        True,
        away=lambda board, s: board == "b0" and s >= 2410,
        mains=lambda board, s: board != "b0" or s < CUT or s % 240 < 120,
    )
    assert all(t.priority > 1 for t in room.records.rows.tickets.values())
    assert "gateway.offline|way-b0" in room.tickets()


@pytest.mark.parametrize("gateway", [False, True])
def test_a_transformer_that_is_dead_when_its_planned_outage_is_over_is_one_ticket(gateway: bool) -> None:
    """Its panels speak one after the other: each board was a ticket until the last one had."""
    room = two_boards(lambda feed, s: feed != "t1" or s < CUT, gateway, (CUT - 60, 1510), covers="t1")
    assert [(t.priority, t.cause.rpartition("|")[2]) for t in room.records.rows.tickets.values()] == [
        (1, "t1")
    ]
    assert len(room.records.rows.outbox) == 1


@pytest.mark.parametrize("covers", ["b0", "t1"])
@pytest.mark.parametrize("back", [2400, 2900, 2990])
def test_meters_that_speak_each_quarter_of_an_hour_are_waited_for_after_a_planned_outage(
    covers: str, back: int
) -> None:
    """Most of what their gateway carries was silent until they had their turn: a ticket for each gateway."""
    room = two_boards(
        lambda feed, s: feed != covers or not CUT <= s < back, True, (CUT - 60, 3000), covers=covers
    )
    assert room.records.rows.tickets == {}
