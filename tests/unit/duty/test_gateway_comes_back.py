"""A gateway that is heard again hands out one device after the other: those whose turn is yet to come are no power cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.rules.parse import parse_rules
from dutyroom.rules.spec import Rule
from dutyroom.topology import Topology

QUICK = parse_rules("rules:\n  - {id: pump.offline, parameters: {after: 30s}}\n", "rules.yaml")
SHIPPED = parse_rules("", "rules.yaml")


def estate(boards: int, pumps: int, rules: Sequence[Rule], interval: int = 10) -> Room:
    """One gateway, which carries all boards and their pumps; the mains is heard by itself."""
    below = {f"b{b}": [f"p{b}{n}" for n in range(pumps)] for b in range(boards)}
    carried = [name for board, mine in below.items() for name in (board, *mine)]
    power = {**dict.fromkeys(below, ("mains",)), "gw": ("b0",)}
    power |= {pump: (board,) for board, mine in below.items() for pump in mine}
    kinds = {name: "feeder" if name in below else "pump" for name in carried}
    room = Room(
        [
            device("mains", "feeder", 10),
            device("gw", "gateway"),
            *(device(n, k, interval) for n, k in kinds.items()),
        ],
        {"feeder": [gauge("voltage")], "pump": [state("running", 10)], "gateway": [state("online")]},
        rules=rules,
        topology=Topology({"power": power, "network": dict.fromkeys(carried, ("gw",))}),
    )
    room.records.rows.people = [person("li")]
    return room


def play(
    room: Room, since: int, until: int, turns: Mapping[str, tuple[int, int]], silent: Collection[int]
) -> None:
    """turns: of each device how often it speaks, and when; silent: while the gateway hands out nothing."""
    for second in range(since, until):
        room.at(second)
        due = [n for n, (every, at) in turns.items() if second % every == at % every]
        said = [n for n in due if n == "mains" or second not in silent]
        if said:
            room.reads(*((n, *(("running", 1) if n[0] == "p" else ("voltage", 230))) for n in said))


def in_turn(room: Room, first: str = "") -> dict[str, tuple[int, int]]:
    """Board by board, a second each; first: the board that is asked before all."""
    names = [d for d in room.devices if d not in ("gw", "mains")]
    names.sort(key=lambda name: (name.strip("bp")[0] != first, name.strip("bp")))
    every = {name: room.devices[name].interval_s or 10 for name in names}
    return {"mains": (10, 0), **{name: (every[name], n * every[name] // 20) for n, name in enumerate(names)}}


@pytest.mark.parametrize("back", [680, 690, 700, 720, 900, 940, 1000])
@pytest.mark.parametrize("first", ["0", "1"])
def test_one_that_was_away_for_minutes_is_the_ticket_of_the_gateway(back: int, first: str) -> None:
    """And one that was away for less than five is nobody's work: it has restarted."""
    room = estate(3, 3, QUICK)
    play(room, 0, back + 200, in_turn(room, first), range(600, back))
    rows = room.records.rows
    away = [("gateway.offline|gw", 3)] if back > 920 else []
    assert [(t.cause, int(t.priority)) for t in rows.tickets.values()] == away
    assert not any("inferred" in a.arguments for a in rows.alarms.values() if a.rule == "feeder.offline")
    assert len(rows.outbox) == len(away)


@pytest.mark.parametrize("back", [1200, 1240])
def test_nor_where_it_was_no_more_than_instruments_that_were_silent(back: int) -> None:
    room = estate(2, 3, SHIPPED, 60)
    play(room, 0, back + 120, in_turn(room, "1"), range(600, back))
    rows = room.records.rows
    assert [int(t.priority) for t in rows.tickets.values()] == [3]
    assert len(rows.outbox) == 1
    assert not any("inferred" in a.arguments for a in rows.alarms.values() if a.rule == "feeder.offline")


def test_a_board_that_does_not_come_back_with_the_others_is_told_after_its_turn() -> None:
    room = estate(3, 3, QUICK)
    every = in_turn(room, "1")
    play(room, 0, 690, every, range(600, 690))
    alive = {name: turn for name, turn in every.items() if name.strip("bp")[0] != "0"}
    play(room, 690, 1100, alive, range(0))
    causes = {t.cause: int(t.priority) for t in room.records.rows.tickets.values()}
    assert causes == {"feeder.offline|b0": 1}


@pytest.mark.parametrize("first", ["0", "1"])
def test_one_that_goes_again_and_again_does_not_ring_a_board_every_second(first: str) -> None:
    room = estate(3, 4, QUICK)
    turns = {**in_turn(room, first), "b0": (60, 6)}
    away = {*range(600, 720), *range(740, 1140), *range(1200, 1290)}
    play(room, 0, 1350, turns, away)
    rows = room.records.rows
    count = Counter((alarm.rule, alarm.object) for alarm in rows.alarms.values())
    assert max(count.values()) <= 3, (
        "one for each time, and not one a second of what a root that is over explains"
    )
    assert [(t.cause, int(t.priority)) for t in rows.tickets.values()] == [("gateway.offline|gw", 3)]
