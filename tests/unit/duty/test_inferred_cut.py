"""A cut behind an instrument that says nothing is one for the generator, too."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, Rows, device
from tests.unit.duty.mute_mains import (
    BEHIND,
    CUT,
    LATE,
    LOST,
    POWER,
    QUICK,
    QUICKER,
    START,
    Row,
    Story,
    house,
    play,
    told,
)
from tests.unit.duty.test_late_data import Stored

from dutyroom.flows.backtest import Past, run
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import AlarmState, CheckState
from dutyroom.rules.parse import parse_rules
from dutyroom.rules.spec import Rule

HOUR = 3600
SHORT = ((600, 1200),)


def each(*causes: str, people: int = 2) -> list[str]:
    return sorted(causes * people)


def steps(room: Room, object: str = "mains") -> dict[str, CheckState]:
    """Of the newest list of an alarm on this object: step -> how it stands, done where it was done in the end."""
    rows = room.records.rows
    lines = [c for c in rows.checks.values() if c.step and rows.alarms[c.alarm].object == object]
    newest = max(c.since for c in lines)
    return {
        c.step: CheckState.DONE if c.done_at and c.state is not CheckState.LATE else c.state
        for c in lines
        if c.since == newest
    }


def done(room: Room) -> set[str]:
    return {c.step for c in room.records.rows.checks.values() if c.step and c.done_at}


def test_a_set_that_does_not_start_is_a_ticket_and_no_load_for_an_hour() -> None:
    room = house()
    play(room, Story(), 0, 600 + HOUR)
    assert room.tickets() == [CUT, START]
    assert told(room) == each(CUT, START)
    cut, failure = room.alarm("feeder.offline", "mains"), room.alarm("generator.start_failure", "set")
    assert failure.raised_at - cut.raised_at == 30_000
    assert failure.arguments["device"] == "mains"
    assert steps(room) == dict.fromkeys(("transferred", "back", "off"), CheckState.AWAITED) | {
        "running": CheckState.LATE
    }
    play(room, Story(), 600 + HOUR, 4400)
    assert room.alarms() == {"feeder.offline@mains": "returned", "generator.start_failure@set": "returned"}
    assert told(room) == each(CUT, START)


def test_a_set_that_starts_and_takes_the_load_is_the_tickets_of_the_cut_alone() -> None:
    room = house()
    play(room, Story(SHORT, starts=True), 0, 1700)
    assert (room.tickets(), told(room)) == ([CUT], each(CUT))
    assert steps(room) == dict.fromkeys(("running", "transferred", "back", "off"), CheckState.DONE)


def test_a_set_that_stops_in_the_middle_is_told() -> None:
    room, story = house(), Story(((600, 1500),), runs=((612, 1000),))
    play(room, story, 0, 1020)
    assert room.tickets() == [CUT]
    play(room, story, 1020, 1600)
    assert room.tickets() == [CUT, "generator.not_running|set"]
    assert told(room) == each(CUT, "generator.not_running|set")


def test_a_load_that_is_not_transferred_is_told_and_what_hangs_on_the_switch_is_not() -> None:
    room = house()
    play(room, Story(((600, 2000),), starts=True, transfers=False), 0, 2200)
    assert (room.tickets(), told(room)) == ([CUT, LATE], each(CUT, LATE))
    assert steps(room)["transferred"] is CheckState.LATE


def test_a_set_that_runs_on_is_told_40_minutes_after_the_mains_is_back() -> None:
    room, story = house(), Story(SHORT, starts=True, on=HOUR)
    play(room, story, 0, 1200 + 39 * 60)
    assert room.tickets() == [CUT]
    play(room, story, 1200 + 39 * 60, 1200 + 41 * 60)
    assert room.tickets() == [CUT, "generator.not_stopped|set"]


def test_a_mains_that_is_away_for_long_is_told() -> None:
    room, story = house(), Story(((600, 9000),), starts=True)
    play(room, story, 0, 7900)
    assert room.tickets() == [CUT, "power.mains_long_lost|set"]


@pytest.mark.parametrize("starts", [False, True])
def test_two_cuts_two_minutes_apart_are_one_ticket_each_that_nobody_acknowledged(starts: bool) -> None:
    room = house()
    play(room, Story(((600, 1000), (1120, 1500)), starts=starts, on=60), 0, 1600)
    failed = [] if starts else [START]
    assert (room.tickets(), told(room)) == ([CUT, *failed], each(CUT, *failed))
    if starts:
        assert steps(room) == dict.fromkeys(("running", "transferred", "back", "off"), CheckState.DONE)
    else:
        assert len(room.alarm("generator.start_failure", "set").spans) == 2


@pytest.mark.parametrize("says", [700, 1000])
@pytest.mark.parametrize("starts", [False, True])
def test_a_mains_that_says_in_the_middle_that_it_is_dead_is_the_same_cut(says: int, starts: bool) -> None:
    """Its gateway is live again, perhaps by the set. After five minutes its instrument's silence was told as well."""
    room, story = house(), Story(((600, 1800),), starts=starts, speaks=lambda second: second > says)
    play(room, story, 0, 1790)
    failed = [] if starts else [START]
    assert (room.tickets(), told(room)) == (sorted([LOST, *failed]), each(CUT, *failed))
    assert done(room) == ({"running", "transferred"} if starts else set()), "the mains is not back"
    if starts:
        assert steps(room)["running"] is steps(room)["transferred"] is CheckState.DONE
    else:
        assert room.alarms()["generator.start_failure@set"] == "unacknowledged"
        assert len(room.alarm("generator.start_failure", "set").spans) == 1, "it was never over"
    play(room, story, 1790, 2400)
    assert room.alarms()["power.mains_lost@mains"] == "returned"
    assert (room.tickets(), told(room)) == (sorted([LOST, *failed]), each(CUT, *failed))
    assert {"back", "off"} <= done(room)


def test_a_mains_that_says_only_for_a_while_that_it_is_dead() -> None:
    room = house()
    play(room, Story(((600, 1800),), speaks=lambda second: 900 < second < 1200), 0, 2200)
    assert (room.tickets(), told(room)) == (sorted([START, LOST]), each(CUT, START))
    assert len(room.alarm("generator.start_failure", "set").spans) == 1


def test_two_cuts_behind_a_broken_instrument() -> None:
    """Its silence stands before them, between them and after them."""
    room, story = house(), Story(((1600, 2000), (2400, 2700)), breaks=300)
    play(room, story, 0, 2390)
    assert room.tickets() == [CUT, START]
    assert room.alarms() == {
        "feeder.offline@mains": "unacknowledged",
        "generator.start_failure@set": "returned",
    }
    assert {"back", "off"} <= done(room)
    play(room, story, 2390, 2690)
    assert room.alarms()["generator.start_failure@set"] == "unacknowledged"
    play(room, story, 2690, 2800)
    assert room.alarms()["generator.start_failure@set"] == "returned"
    assert room.tickets() == [CUT, START]


def test_the_steps_of_a_cut_behind_a_broken_instrument_are_followed_to_their_end() -> None:
    """From the return of the mains on its alarm tells of the instrument alone; the set stops five minutes later."""
    room = house()
    play(room, Story(((1000, 1200),), breaks=300, starts=True), 0, 1600)
    assert room.tickets() == [CUT]
    assert steps(room) == dict.fromkeys(("running", "transferred", "back", "off"), CheckState.DONE)


BOARD = {**POWER, **dict.fromkeys(BEHIND, ("b",)), "b": ("sw",)}


@pytest.mark.parametrize("backs", ["", "mains"])
def test_a_board_that_trips_asks_no_set_to_start(backs: str) -> None:
    """A mute board behind the switch; the topology knows, or the row says, that the set is there for the mains."""
    room = house(BOARD, [device("b", "feeder", 10)], backs)
    for second in range(0, 900, 2):
        room.at(second, 2)
        rows = list(Story(()).rows(second)) + [("b", "voltage", 230)] * (second % 10 == 4)
        if rows := [row for row in rows if second < 600 or row[0] not in (*BEHIND, "b")]:
            room.reads(*rows)
    assert (room.tickets(), told(room)) == (["feeder.offline|b"], each("feeder.offline|b"))
    assert not [c for c in room.records.rows.checks.values() if c.step]


@pytest.mark.parametrize("backs", ["", "mains"])
def test_a_mute_mains_above_a_board_behind_the_switch(backs: str) -> None:
    room = house(BOARD, [device("b", "feeder", 10)], backs)
    play(
        room,
        Story(),
        0,
        1200,
        lambda s: room.reads(("b", "voltage", 230)) if s % 10 == 4 and s < 600 else None,
    )
    assert room.tickets() == [CUT, START]
    assert told(room) == each(CUT, START), "the board was known to be dead some seconds before"


def test_of_several_sets_those_start_that_back_the_mains() -> None:
    """Two in parallel on a board of theirs, and one of another mains."""
    power = {**POWER, "sw": ("mains", "bus"), "bus": ("set", "set2"), "sw3": ("other", "set3")}
    sets = [device(name, "generator", 10) for name in ("set2", "set3")]
    room = house(power, [*sets, device("bus", "board"), device("sw3", "transfer_switch", 10)])
    for second in range(0, 1000, 2):
        room.at(second, 2)
        rows = list(Story().rows(second))
        if second % 10 == 2:
            rows += [("set2", "running", int(second >= 612)), ("set3", "running", 0), ("sw3", "source", 1)]
        if rows:
            room.reads(*rows)
    late = "power.transfer_late|set2"  # the other one runs, for nothing
    assert (room.tickets(), told(room)) == ([CUT, START, late], each(CUT, START, late))
    assert {c.object for c in room.records.rows.checks.values() if c.step} == {"set", "set2"}


# ---------------------------------------------------------------- another process


def twin(room: Room, *, old: bool = False, rules: Sequence[Rule] = QUICK) -> Room:
    """Another process on what the records and the journal hold now. old: as they were written before cuts were told."""
    other = house()
    other.rules = tuple(rules)
    other.clock.at = room.clock.at
    rows = room.records.rows
    other.records.rows = Rows(*(copy.copy(getattr(rows, f.name)) for f in fields(rows)))
    if old:
        del other.records.rows.blobs["watch.told"]
        for number, alarm in rows.alarms.items():
            kept = {k: v for k, v in alarm.arguments.items() if k != "inferred_at"}
            other.records.rows.alarms[number] = replace(alarm, arguments=kept)
    other.journal.batches = list(room.journal.batches)
    other.journal.cursors = dict(room.journal.cursors)
    other.restart()
    return other


def outcome(room: Room) -> Sequence[object]:
    """Alarms but the silences of loads, tickets, messages, steps."""
    rows = room.records.rows
    return (
        sorted(
            (a.rule, a.object, a.state, a.spans) for a in rows.alarms.values() if a.rule != "pump.offline"
        ),
        sorted((t.cause, t.state) for t in rows.tickets.values()),
        told(room),
        sorted((c.object, c.step, c.since, c.state, c.done_at or 0) for c in rows.checks.values() if c.step),
    )


def acknowledged(room: Room) -> None:
    rows = room.records.rows
    for number, alarm in list(rows.alarms.items()):
        if alarm.state is AlarmState.UNACKNOWLEDGED:
            rows.alarms[number] = replace(alarm, state=AlarmState.ACKNOWLEDGED)
    rows.changes.append(("alarm", "0"))


STORIES: Mapping[str, tuple[Story, Collection[int]]] = {
    "does not start": (Story(((600, 760),)), range(626, 670, 2)),
    "starts": (Story(((600, 760),), starts=True, on=60), (626, 628, 640, 700, 760, 780)),
    "stops": (Story(((600, 800),), runs=((612, 700),)), (626, 628, 702, 712, 722, 734, 740)),
    "is not transferred": (Story(((600, 800),), starts=True, transfers=False), (628, 686, 692, 700)),
    "twice": (Story(((600, 700), (820, 1000))), (700, 702, 704, 706, 740, 846, 848, 860, 876, 878, 900)),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", STORIES)
def test_a_process_that_ends_anywhere_in_it_changes_nothing(name: str, old: bool) -> None:
    """People acknowledge the first cut, so that it is over when it is."""
    story, ends = STORIES[name]
    room, twins = house(), list[tuple[int, Room]]()

    def split(second: int) -> None:
        if second == 690:
            acknowledged(room)
        if second in ends:
            twins.append((second, twin(room, old=old)))

    play(room, story, 0, 1100, split)
    for second, other in twins:
        play(other, story, second + 2, 1100, lambda s, r=other: acknowledged(r) if s == 690 else None)  # type: ignore[misc]
        if old:  # it is asked to start when we begin to know of it
            assert outcome(other)[1:3] == outcome(room)[1:3], second
        else:
            assert outcome(other) == outcome(room), second


def test_a_rule_that_is_another_one_after_a_start_in_the_cut_knows_of_it() -> None:
    room = house()
    play(room, Story(), 0, 650)
    rules = parse_rules(
        QUICKER + "  - {id: generator.start_failure, parameters: {within: 1min}}\n", "rules.yaml"
    )
    other = twin(room, rules=rules)
    play(other, Story(), 650, 720)
    assert START in other.tickets()


# ---------------------------------------------------------------- announced, planned


def test_an_announced_outage_of_the_mains_asks_nobody() -> None:
    room = house()
    room.records.rows.announcements[1] = Announcement(
        1, SITE, Announced.OUTAGE, T0 + 500_000, T0 + 1_500_000, "transformer", "li", T0, "power", ("mains",)
    )
    play(room, Story(SHORT, starts=True), 0, 1500)
    assert (room.tickets(), told(room)) == ([], [])


def test_a_set_that_ran_in_the_cut_did_not_run_for_nothing() -> None:
    """Nine minutes behind a mute mains, and nearly an hour on; no plan wants a run."""
    room = house()
    room.ground = replace(room.ground, planned=lambda device, at: False)
    room.restart()
    story = Story(((600, 1140),), starts=True, on=2 * HOUR)
    play(room, story, 0, 1140 + HOUR - 10)
    assert room.tickets() == [CUT, "generator.not_stopped|set"]
    play(room, story, 1140 + HOUR - 10, 1140 + HOUR + 30)
    assert "generator.unplanned_run|set" in room.tickets()


# ---------------------------------------------------------------- late, and the past


def kept_back(story: Story, device: str, since: int, until: int, come: int, end: int) -> Room:
    """What a device says from `since` until `until` comes at `come`, all at once."""
    room, held = house(), list[tuple[int, Row]]()
    room.past = Stored(room)
    room.restart()
    for second in range(0, end, 2):
        room.at(second, 2)
        rows = list(story.rows(second))
        if since <= second < until:
            held += [(second, row) for row in rows if row[0] == device]
            rows = [row for row in rows if row[0] != device]
        if rows:
            room.reads(*rows)
        if second == come:
            for at, row in held:
                room.reads(row, at=at)
    return room


def failures(room: Room) -> list[tuple[int, int | None]]:
    """From when to when the set was said not to have started, in seconds; what is disproved was not."""
    found = [a for a in room.records.rows.alarms.values() if a.rule == "generator.start_failure"]
    spans = [span for a in found if not a.disproved for span in a.spans]
    return [((since - T0) // 1000, None if end is None else (end - T0) // 1000) for since, end in spans]


def test_a_late_reading_shows_that_the_set_had_started_in_time() -> None:
    room = kept_back(Story(SHORT, starts=True), "set", 612, 760, come=762, end=1000)
    assert START in told(room)
    assert (room.tickets(), failures(room)) == ([CUT], [])
    assert any(a.disproved for a in room.records.rows.alarms.values())


TWICE = Story(((600, 1000), (1120, 1600)))
SAYS = Story(SHORT, speaks=lambda second: second > 700)
BROKEN = Story(((1600, 2000), (2400, 2700)), breaks=300)


@pytest.mark.parametrize(
    ("story", "since", "come", "end", "times"),
    [
        (Story(), 640, 900, 920, 1),  # it says that it did not run
        (Story(), 500, 900, 920, 1),  # before the cut
        (Story(((600, 4200),), runs=((700, 4200),)), 640, 900, 920, 1),
        (TWICE, 700, 1400, 1420, 2),
        (TWICE, 1300, 1700, 1720, 2),
        (SAYS, 640, 1300, 1320, 1),  # what was inferred was over long before
        (BROKEN, 1800, 2600, 2620, 2),
        (BROKEN, 1800, 3000, 3020, 2),
    ],
)
def test_a_late_reading_of_something_else_leaves_a_start_that_failed(
    story: Story, since: int, come: int, end: int, times: int
) -> None:
    found = failures(kept_back(story, "set", since, since + 15, come, end))
    assert found == failures(kept_back(story, "set", since, since, come, end))
    assert len(found) == times


def test_a_mains_that_had_said_it_all_along_moves_the_failure_to_its_time() -> None:
    room = kept_back(Story(speaks=lambda second: True), "mains", 600, 900, come=902, end=1000)
    assert failures(room) == [(633, None)]
    assert told(room) == each(CUT, START)


@pytest.mark.parametrize(
    ("story", "wanted"),
    [
        (Story(SHORT), [CUT, START]),
        (Story(SHORT, starts=True), [CUT]),
        (Story(SHORT, starts=True, transfers=False), [CUT, LATE]),
        (Story(((600, 1500),), runs=((612, 1000),)), [CUT, "generator.not_running|set"]),
    ],
)
def test_a_backtest_of_it_opens_the_same_tickets(story: Story, wanted: Sequence[str]) -> None:
    room = house()
    play(room, story, 0, 1700)
    past = Past(SITE, room.rules, room.devices, room.table, room.topology)
    raised = run([batch for _, batch in room.journal.batches], past).raised
    assert sorted(f"{r.rule}|{r.object}" for r in raised if r.ticket) == wanted == room.tickets()


def test_a_backtest_judges_late_what_the_set_said_late() -> None:
    for story, since, until, wanted in (
        (Story(SHORT, starts=True), 612, 760, [CUT]),
        (Story(SHORT), 640, 655, [CUT, START]),
    ):
        room = kept_back(story, "set", since, until, come=900, end=1400)
        past = Past(SITE, room.rules, room.devices, room.table, room.topology)
        raised = run([batch for _, batch in room.journal.batches], past).raised
        assert sorted(f"{r.rule}|{r.object}" for r in raised if r.ticket) == wanted
