"""What later data changes of recorded alarms: raised late, begin or end moved, merged, disproved.

Nothing is deleted. An alarm keeps its number; what a replay finds is given to the alarm that stood
then, else to the one that is still open, else it is a new one, recorded late and told of only where
it still holds (or latches).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dutyroom import tickets
from dutyroom.alarms import CHATTER_IN, MOST_SPANS, called_anew, calls, following, spans_of
from dutyroom.flows.calls import call_again
from dutyroom.flows.conditions import apply, fresh
from dutyroom.flows.episodes import Episode
from dutyroom.flows.room import Room
from dutyroom.flows.ticketing import announce
from dutyroom.model.duty import Alarm, AlarmEvent, AlarmState, Condition, Spans, TicketEvent, TicketState
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.replay import Stretch
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

REASON = "alarm.reason.late_data"
DISPROVED = "alarm.reason.disproved"
MERGED = "alarm.reason.merged"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a replay says of a rule on an object. since: stretches that were over by then stay as they
    are; rows: its recorded alarms that reach beyond it, ended ones too."""

    rule: str
    object: str
    since: Ms
    found: Sequence[Stretch]
    rows: Sequence[Alarm] = ()


@dataclass(slots=True)
class _Row:
    """An alarm and its stretches: those that stay, those that were judged anew, those that it gets."""

    episode: Episode
    kept: Spans
    old: Spans
    new: list[tuple[Ms, Ms | None]] = field(default_factory=list)
    raised: Condition | None = None  # of the last stretch it gets

    @property
    def spans(self) -> Spans:
        return (*self.kept, *sorted(self.new, key=lambda s: s[0]))

    @property
    def ended(self) -> Ms | None:
        return self.episode.alarm.ended_at

    def held(self, span: tuple[Ms, Ms | None]) -> bool:
        """Whether a stretch touches one of those that were recorded."""
        return any(max(span[0], since) <= min(_end(span[1]), _end(until)) for since, until in self.old)


def correct(room: Room, judged: Judged) -> None:
    """Brings the alarms of a rule and object to what its readings say in time order."""
    rule = room.context.rules.get(judged.rule)
    if rule is None:
        return
    rows = [_row(e, judged.since) for e in _episodes(room, judged)]
    stretches = _begun(judged, rows)
    recorded = sorted((span for row in rows for span in row.old), key=lambda s: s[0])
    if recorded == [span for span, _ in stretches]:
        return
    late = [(span, raised) for span, raised in stretches if not _given(rows, span, raised)]
    for row in sorted(rows, key=lambda r: r.ended is not None):  # what is open ends before another opens
        if not row.spans:
            _take_back(room, row, rows)
    for row in rows:
        if row.spans and row.spans != (*row.kept, *row.old):
            _revise(room, row, rule)
    if late:
        _record(room, rule, judged, late)


def _episodes(room: Room, judged: Judged) -> list[Episode]:
    """Its alarms in time order; what topology inferred is no work of the rule."""
    key = (judged.rule, judged.object)
    found = {e.alarm.id: e for e in (*room.all, *room.recent) if e.key == key and e.alarm.id}
    for alarm in judged.rows:
        if alarm.id not in found:
            found[alarm.id] = episode = Episode(alarm, alarm)
            room.recent.append(episode)
            room.by_id[alarm.id] = episode
    mine = [e for e in found.values() if not e.alarm.disproved and e.alarm.merged_into is None]
    mine = [e for e in mine if "inferred" not in e.alarm.arguments]
    return sorted(mine, key=lambda e: (e.alarm.raised_at, e.alarm.id))


def _row(episode: Episode, since: Ms) -> _Row:
    spans = spans_of(episode.alarm)
    kept = tuple(s for s in spans if s[1] is not None and s[1] <= since)
    return _Row(episode, kept, spans[len(kept) :])


def _begun(judged: Judged, rows: Sequence[_Row]) -> list[tuple[tuple[Ms, Ms | None], Condition | None]]:
    """The stretches found. One that held at the begin of the replay began when it is recorded to have; where nothing is
    recorded of it, it was explained by what no reading tells, and so is one of no time that is not recorded."""
    old = [span for row in rows for span in row.old]
    found = []
    for stretch in judged.found:
        begin = _held_since(judged, stretch, old) if stretch.raised is None else stretch.raised.at
        known = begin != stretch.cleared_at or any(begin == since for since, _ in old)
        if begin is not None and known:
            found.append(((begin, stretch.cleared_at), stretch.raised))
    return found


def _held_since(judged: Judged, stretch: Stretch, old: Iterable[tuple[Ms, Ms | None]]) -> Ms | None:
    """When one that held at the begin is recorded to have begun. What the replay's state knew may have been said of an
    instant after the begin, by a reading on another point."""
    before = [begin for begin, _ in old if begin < stretch.said]
    crossing = [begin for begin in before if begin <= judged.since]
    return max(crossing) if crossing else min(before, default=None)


def _given(rows: Sequence[_Row], span: tuple[Ms, Ms | None], raised: Condition | None) -> bool:
    """Gives a stretch to the oldest alarm that stood then, else to the one that is open."""
    open_one = next((row for row in rows if row.ended is None), None)
    then = [r for r in rows if r.held(span) or r.episode.alarm.raised_at <= span[0] < _end(r.ended)]
    if span[1] is None and open_one is not None and open_one.kept:
        then = []  # it cannot be given up for an older one
    target = then[0] if then else open_one
    if target is None:
        return False
    target.new.append(span)
    target.raised = raised
    return True


def _take_back(room: Room, row: _Row, rows: Sequence[_Row]) -> None:
    """An alarm that has no stretch left: part of an older one, or never true."""
    episode = row.episode
    older = next((r for r in rows if r is not row and any(row.held(span) for span in r.new)), None)
    if older is not None:
        before = episode.alarm
        room.step(episode, AlarmEvent.MERGE, MERGED)
        episode.alarm = replace(episode.alarm, merged_into=older.episode.alarm.id)
        if before.ended_at is None and older.ended is not None and older.spans[-1][1] is None:
            _reopen(room, older.episode, before)
        return
    if episode.alarm.latched and episode.alarm.ended_at is None:  # a person resets it all the same
        if episode.active:
            room.step(episode, AlarmEvent.CLEAR, DISPROVED, episode.alarm.raised_at)
        room.step(episode, AlarmEvent.REVISE, DISPROVED)
        episode.alarm = replace(episode.alarm, disproved=True, spans=())
    else:
        room.step(episode, AlarmEvent.DISPROVE, DISPROVED)
    _call_off(room, episode, rows)


def _call_off(room: Room, episode: Episode, rows: Sequence[_Row]) -> None:
    """The ticket of an alarm that was none: cancelled while nobody was sent, else a person closes it."""
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is None or episode.alarm.ticket is None or work.ticket.id != episode.alarm.ticket:
        return
    others = [r for r in rows if r.spans and r.episode.alarm.ticket == work.ticket.id]
    if others or work.ticket.state is not TicketState.OPEN:
        room.ticket(work, TicketEvent.NOTE, DISPROVED)
        return
    room.ticket(work, TicketEvent.CANCEL, DISPROVED)
    del room.works[work.ticket.cause]
    room.opened.append(work)


def _reopen(room: Room, older: Episode, younger: Alarm) -> None:
    """An ended alarm goes on in the place of the younger one, with what people did to that."""
    older.alarm = replace(
        older.alarm,
        state=younger.state,
        ended_at=None,
        cleared_at=younger.cleared_at,
        acknowledged_at=younger.acknowledged_at,
        acknowledged_by=younger.acknowledged_by,
        shelved_until=younger.shelved_until,
        shelve_reason=younger.shelve_reason,
        root=younger.root,
        ticket=older.alarm.ticket or younger.ticket,
        ticket_due=younger.ticket_due,
    )
    _stands(room, older)


def _stands(room: Room, episode: Episode) -> None:
    """It was over and is open again."""
    room.recent = [e for e in room.recent if e is not episode]
    room.all.append(episode)
    room.open[episode.key] = episode


def _revise(room: Room, row: _Row, rule: Rule) -> None:
    """Its stretches are other ones now, and perhaps it holds no longer, or again."""
    episode, spans, before = row.episode, row.spans, row.episode.alarm
    holds = spans[-1][1] is None
    if episode.alarm.ended_at is None:
        if episode.active and not holds:
            room.step(episode, AlarmEvent.CLEAR, REASON, spans[-1][1])
        elif holds and not episode.active and episode.alarm.cleared_at is not None:
            _again(room, row, rule)
    elif holds:  # it was thought to be over
        _stands(room, episode)
        _again(room, row, rule)
    room.step(episode, AlarmEvent.REVISE, REASON)
    _hull(episode, spans)
    if episode.alarm.ended_at is None and (rule.latched or (rule.vital and holds)):
        _told_now(room, row, rule, before)


def _told_now(room: Room, row: _Row, rule: Rule, before: Alarm) -> None:
    """A fire that is known only now, on an alarm that is open: told like one that comes."""
    episode = row.episode
    if not _unknown(before, episode.alarm):
        return
    event = AlarmEvent.REALARM if episode.active else AlarmEvent.RAISE
    if following(episode.alarm, event) is AlarmState.UNACKNOWLEDGED:
        room.step(episode, event, REASON, row.spans[-1][0])
        if event is AlarmEvent.RAISE:
            room.step(episode, AlarmEvent.CLEAR, REASON, row.spans[-1][1])
        _hull(episode, row.spans)
    call_again(room, episode, rule, before)


def _unknown(before: Alarm, after: Alarm) -> bool:
    """Whether it turns out that it had gone and come again, and nobody has acknowledged that: it looked like one."""
    if before.ended_at is not None:
        return True
    begun = called_anew(after)
    if begun is None or any(abs(begun - known) <= CHATTER_IN for known in calls(before)):
        return False  # also one whose begin was moved by a little
    # Who acknowledged one that stood, after it had come again, saw it; of one that was over, what was known then.
    return before.cleared_at is not None or (before.acknowledged_at or 0) < begun


def _again(room: Room, row: _Row, rule: Rule) -> None:
    """It holds after all: as when its condition is raised again."""
    alarm = row.episode.alarm
    plain = Condition(alarm.rule, alarm.object, True, row.spans[-1][0])
    if alarm.ended_at is None:
        apply(room, row.raised or plain)
        return
    room.step(row.episode, AlarmEvent.RAISE, REASON, row.spans[-1][0])
    announce(room, row.episode, rule)


def _record(
    room: Room,
    rule: Rule,
    judged: Judged,
    late: Sequence[tuple[tuple[Ms, Ms | None], Condition | None]],
) -> None:
    """An alarm that should have been raised: told of where it still holds, or latches."""
    last, raised = late[-1]
    condition = raised or Condition(judged.rule, judged.object, True, last[0])
    if last[1] is None:
        apply(room, condition)
        episode = room.open[judged.rule, judged.object]
    else:
        episode = room.open.get((judged.rule, judged.object)) or _new(room, rule, condition)
        if episode.guessed:
            _join(room, episode, late)
            return
        before = episode.alarm  # a latch that nobody has reset, of what late data took back
        room.step(episode, AlarmEvent.RAISE, REASON, last[0])
        if rule.latched:
            announce(room, episode, rule)
            call_again(room, episode, rule, before)
        room.step(episode, AlarmEvent.CLEAR, REASON, last[1])
    episode.alarm = replace(episode.alarm, late=True)
    _hull(episode, tuple(span for span, _ in late))


def _new(room: Room, rule: Rule, condition: Condition) -> Episode:
    episode = Episode(fresh(room, rule, condition))
    room.all.append(episode)
    room.open[episode.key] = episode
    return episode


def _join(
    room: Room, guessed: Episode, late: Sequence[tuple[tuple[Ms, Ms | None], Condition | None]]
) -> None:
    """What was over while topology had not inferred the alarm that stands: of a rule and object one is open."""
    known = spans_of(guessed.alarm)
    more = [
        span
        for span, _ in late
        if all(_end(span[1]) < since or span[0] > _end(until) for since, until in known)
    ]
    if more:
        room.step(guessed, AlarmEvent.REVISE, REASON)
        _hull(guessed, tuple(sorted((*more, *known), key=lambda s: s[0])))


def _hull(episode: Episode, spans: Spans) -> None:
    cleared = spans[-1][1]
    if episode.alarm.state is AlarmState.NORMAL and cleared is None:
        cleared = episode.alarm.cleared_at
    episode.alarm = replace(
        episode.alarm, raised_at=spans[0][0], cleared_at=cleared, spans=spans[-MOST_SPANS:]
    )


def _end(at: Ms | None) -> Ms:
    return FOREVER if at is None else at
