"""Whatever happens to a duty room: every step of an alarm is one of the table, with who, why and when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.duty.duty_room import SITE, T0, device
from tests.unit.duty.plain_book import PlainBook

from dutyroom.alarms import following, step, target
from dutyroom.flows.episodes import Context
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import SYSTEM, AlarmEvent, AlarmState, Condition
from dutyroom.rules.parse import default_rules
from dutyroom.timebase import MINUTE, SECOND
from dutyroom.topology import Topology

RULES = {rule.id: rule for rule in default_rules()}
DEVICES = {
    d.id: d
    for d in (
        device("feeder", "feeder", 10), device("lift", "elevator", 60), device("lift2", "elevator", 60),
        device("panel", "fire_panel", 60), device("gw", "gateway"), device("hob", "sensor"),
        device("home", "water_meter", 900),
    )
}  # fmt: skip
POWER = {"lift": ("feeder",), "lift2": ("feeder",), "gw": ("feeder",), "panel": ("feeder",)}
PAIRS = (
    ("power.mains_lost", "feeder"), ("feeder.offline", "feeder"), ("elevator.offline", "lift"),
    ("elevator.fault", "lift"), ("elevator.fault", "lift2"), ("elevator.entrapment", "lift2"),
    ("gateway.offline", "gw"), ("fire.alarm", "panel"), ("fire.fault", "panel"), ("fire.mains_lost", "panel"),
    ("gas.leak", "hob"), ("water.leak", "home"), ("water.home_leak", "home"), ("water.unit_burst", "home"),
)  # fmt: skip
VITAL = ("elevator.entrapment", "fire.alarm", "gas.leak")
MUTED = (AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE)
PERSONAL = (AlarmEvent.ACKNOWLEDGE, AlarmEvent.SHELVE, AlarmEvent.UNSHELVE, AlarmEvent.RESET, AlarmEvent.NOTE)

says = st.tuples(st.sampled_from(PAIRS), st.booleans(), st.sampled_from(("leak", "burst")))
acts = st.tuples(st.integers(0, 20), st.sampled_from(PERSONAL))
waits = st.sampled_from((SECOND, 20 * SECOND, MINUTE, 6 * MINUTE, 45 * MINUTE))
moments = st.lists(st.tuples(st.lists(says, max_size=4), st.lists(acts, max_size=2), waits), max_size=25)


def announced(kind: Announced, begins: int, ends: int, utility: str = "") -> Announcement:
    number = 1 if kind is Announced.OUTAGE else 2
    return Announcement(number, SITE, kind, T0 + begins, T0 + ends, "planned", "wang", T0, utility)


@settings(max_examples=60, deadline=None)
@given(moments, st.sampled_from(("", "power")), st.booleans())
def test_no_step_outside_the_table_and_none_without_who_why_and_when(
    story: list[tuple[list[tuple[tuple[str, str], bool, str]], list[tuple[int, AlarmEvent]], int]],
    utility: str,
    test: bool,
) -> None:
    room = PlainBook(Context(SITE, RULES, DEVICES, Topology({"power": POWER})))
    room.announced = [announced(Announced.OUTAGE, 5 * MINUTE, 90 * MINUTE, utility)]
    if test:
        room.announced.append(announced(Announced.FIRE_TEST, 0, 60 * MINUTE))
    now, seen = T0, 0
    for said, done, wait in story:
        room.act([Condition(*pair, on, now, arguments={"cause": cause}) for pair, on, cause in said], now)
        for place, event in done:
            attend(room, place, event, now)
        seen = look(room, utility, seen)
        now += wait
        room.act([], now)
    look(room, utility, seen)
    for alarm in (*room.alarms.values(), *room.ended.values()):
        mine = [change for change in room.log if change.alarm == alarm.id]
        assert mine, "no alarm without a history"
        assert mine[-1].after is alarm.state
        assert all(a.after is b.before and a.at <= b.at for a, b in pairwise(mine))


def attend(room: PlainBook, place: int, event: AlarmEvent, now: int) -> None:
    """A person does it, where the table allows it."""
    alarm = room.alarms.get(sorted(room.alarms)[place % len(room.alarms)]) if room.alarms else None
    if alarm is None or following(alarm, event) is None:
        return
    changed, line = step(alarm, event, now, "li", "because", until=now + 10 * MINUTE)
    del room.alarms[alarm.id]
    (room.alarms if changed.ended_at is None else room.ended)[alarm.id] = changed
    room.log.append(line)


def look(room: PlainBook, utility: str, seen: int) -> int:
    """Checks what is new in the history, and all that stands; returns how much of it was seen."""
    for change in room.log[seen:]:
        assert change.actor in (SYSTEM, "li")
        assert change.reason
        assert change.at >= T0
        allowed = {
            target(change.before, change.event, cleared=c, latched=latched, chattering=noisy)
            for c in (False, True)
            for latched in (False, True)
            for noisy in (False, True)
        }
        assert change.after in allowed, change
    for alarm in room.alarms.values():
        if RULES[alarm.rule].latched:
            assert alarm.state not in MUTED, "fire and entrapment are never muted"
        if alarm.rule in VITAL:
            assert alarm.state is not AlarmState.SUPPRESSED
            assert not alarm.chattering
        if alarm.state is AlarmState.SUPPRESSED and not alarm.test:
            assert (alarm.root is None) is (alarm.announced is not None), "by its root or by a person"
        assert not alarm.test or RULES[alarm.rule].fire
    assert not utility or all(a.announced != 1 or a.rule != "water.leak" for a in room.alarms.values())
    return len(room.log)
