"""The model duty officer of a run over the past: the records, and whoever works with them, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dutyroom import alarms
from dutyroom.alarms import CHATTER_IN, spans_of
from dutyroom.flows.corrections import Judged
from dutyroom.flows.decide import decide
from dutyroom.flows.episodes import Context, Decision, Episode, Standing
from dutyroom.flows.inferred import Told, cut_of
from dutyroom.flows.past_records import Announcements
from dutyroom.flows.returns import awaited
from dutyroom.flows.wills import departed
from dutyroom.model.duty import (
    Alarm,
    AlarmEvent,
    AlarmState,
    Arguments,
    Condition,
    Spans,
    Ticket,
    TicketState,
)
from dutyroom.model.telemetry import Event
from dutyroom.rules.columns import FOREVER
from dutyroom.timebase import HOUR, MINUTE, Ms

OFFICER = "backtest"  # the actor of what it does
_RECENT: Ms = HOUR  # ended alarms that may still explain a consequence
DUE: Ms = MINUTE  # how often what time alone decides is looked at
CHANGED = ("found", "moved", "merged", "disproved")
_TOLD = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Raised:
    """One alarm as people would have seen it. raised_at: when live operation would have raised it."""

    rule: str
    object: str  # device id
    priority: int
    began_at: Ms  # event time
    raised_at: Ms
    cleared_at: Ms | None
    ticket: bool  # the first alarm on its work order
    arguments: Arguments = field(default_factory=dict)
    spans: Spans = ()  # its stretches, in event time
    test: bool = False  # in a fire test that people had announced, and over with it


@dataclass(slots=True)
class _Line:
    alarm: Alarm
    raised_at: Ms
    cleared_at: Ms | None = None
    ticket: bool = False


class Officer:
    """The records, and whoever works with them, in memory."""

    def __init__(self, context: Context, announced: Announcements) -> None:
        self._context, self._announced = context, announced
        self._open: dict[int, Alarm] = {}
        self._recent: dict[int, Alarm] = {}
        self._tickets: dict[str, Ticket] = {}
        self._lines: dict[int, _Line] = {}
        self._tested: list[_Line] = []  # what rang in a test, and held when that was over
        self._first: dict[int, int] = {}  # work order -> the first alarm on it
        self._number = 0
        self._known: dict[int, Alarm] = {}  # all alarms, as they are now
        self._revised: set[int] = set()
        self._found: set[int] = set()
        self._told = Told()
        self._inferred: list[Alarm] = []  # that were or are no longer, and nobody was told yet
        self.alarms = self.devices = self  # of the records, what `Late` reads
        self.due: Ms = FOREVER  # when to `act` without a condition
        self.awaited: dict[str, Ms] = {}  # devices that have to be heard by then

    def act(self, conditions: Sequence[Condition], now: Ms) -> None:
        """What follows of the conditions, and of time."""
        if conditions or now >= self.due or departed(self._context, now):
            self._decide(conditions, now)

    def correct(self, judged: Sequence[Judged], now: Ms) -> set[tuple[str, str]]:
        """What late readings change; returns whose alarms (rule, object) are other ones now."""
        decision = self._decide((), now, judged)
        keys = {(j.rule, j.object) for j in judged}
        for episode in decision.episodes:
            if episode.key in keys:
                if episode.stored is None:
                    self._found.add(episode.alarm.id)
                elif any(change.event is AlarmEvent.REVISE for change in episode.changes):
                    self._revised.add(episode.alarm.id)
        return {episode.key for episode in decision.episodes}

    def _decide(self, conditions: Sequence[Condition], now: Ms, judged: Sequence[Judged] = ()) -> Decision:
        roots = {alarm.root for alarm in self._open.values()}
        self._recent = {
            i: a for i, a in self._recent.items() if i in roots or now - (a.ended_at or now) < _RECENT
        }
        standing = Standing(
            list(self._open.values()),
            list(self._recent.values()),
            list(self._tickets.values()),
            self._announced.at(now),
        )
        decision = decide(conditions, standing, self._context, now, judged=judged)
        self._keep(decision, now)
        self.awaited |= awaited(decision.episodes, self._context, now)
        due = min((self._due(alarm, now) for alarm in self._open.values()), default=FOREVER)
        self.due = min(max(now + DUE, due), self._announced.next(now))
        return decision

    def inferred(self, now: Ms) -> list[Condition]:
        """What those who follow a rule are to be told, once."""
        alarms, self._inferred = self._inferred, []
        return self._told.look(alarms, self._context.rules, self._context.devices, now) if alarms else []

    def changed(self) -> dict[str, int]:
        """Alarms by what late readings changed of them."""
        stands = {i for i, a in self._known.items() if not a.disproved and a.merged_into is None}
        counts = (
            len(self._found & stands),
            len((self._revised - self._found) & stands),
            sum(a.merged_into is not None for a in self._known.values()),
            sum(a.disproved for a in self._known.values()),
        )
        return dict(zip(CHANGED, counts, strict=True))

    def search(self, site: str, *, object: str = "", **_: object) -> list[Alarm]:
        """Alarms of an object, or all."""
        return [a for a in self._known.values() if object in ("", a.object)]

    def open_ones(self, site: str) -> list[Alarm]:
        return list(self._open.values())

    def events(self, *_: object) -> list[Event]:
        """No file tells that a counter began again."""
        return []

    @property
    def muted(self) -> int:
        """How many alarms planned outages kept quiet."""
        return sum(_kept_quiet(alarm) for alarm in self._known.values())

    def _due(self, alarm: Alarm, now: Ms) -> Ms:
        """When time alone may decide something of it: a ticket, or what a root leaves behind. An inferred root
        goes with the silences that it was inferred from, and these are conditions."""
        if alarm.chattering:
            return spans_of(alarm)[-1][0] + CHATTER_IN
        if alarm.state is AlarmState.SUPPRESSED:
            if self._announced.quiet(alarm.announced, now):
                return FOREVER
            return FOREVER if self._stands(alarm.root) else 0
        return FOREVER if alarm.ticket_due is None else alarm.ticket_due

    def _stands(self, root: int | None) -> bool:
        alarm = self._open.get(root or 0)
        return alarm is not None and alarm.cleared_at is None

    def _keep(self, decision: Decision, now: Ms) -> None:
        for episode in decision.episodes:
            if not episode.alarm.id:
                self._number += 1
                episode.alarm = replace(episode.alarm, id=self._number)
        for work in decision.works:
            if work.origin is not None:
                work.ticket = replace(work.ticket, alarm=work.origin.alarm.id)
            if work.stored is not None:
                self._tickets.pop(work.stored.cause, None)  # it may have the cause of its root now
            if not work.ticket.id:
                self._number += 1
                work.ticket = replace(work.ticket, id=self._number)
            if work.ticket.state in (TicketState.CANCELLED, TicketState.CLOSED):
                self._tickets.pop(work.ticket.cause, None)
            else:
                self._tickets[work.ticket.cause] = work.ticket
        for episode in decision.episodes:
            self._take(episode, now)

    def _take(self, episode: Episode, now: Ms) -> None:
        alarm = episode.alarm
        if episode.root is not None and alarm.ended_at is None:
            alarm = replace(alarm, root=episode.root.alarm.id)
        if episode.work is not None:
            alarm = replace(alarm, ticket=episode.work.ticket.id)
        alarm = self._attended(alarm, now)
        self._known[alarm.id] = alarm
        if cut_of(alarm):
            self._inferred.append(alarm)
        self._write_down(alarm, now)
        if alarm.ended_at is None:
            self._recent.pop(alarm.id, None)
            self._open[alarm.id] = alarm
            return
        self._open.pop(alarm.id, None)
        self._recent[alarm.id] = alarm
        self._tickets = {c: t for c, t in self._tickets.items() if t.id != alarm.ticket}

    def _attended(self, alarm: Alarm, now: Ms) -> Alarm:
        """Acknowledged at once; reset where it latches and its condition has gone."""
        for event in (AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET):
            cleared = alarm.cleared_at is not None
            if event is AlarmEvent.RESET and not (alarm.latched and cleared):
                continue
            if alarms.following(alarm, event) is not None:
                alarm, _ = alarms.step(alarm, event, now, OFFICER, "")
        return alarm

    def _write_down(self, alarm: Alarm, now: Ms) -> None:
        line = self._lines.get(alarm.id)
        if line is None and (alarm.state in _TOLD or alarm.ended_at is not None):
            if (alarm.root is not None or _kept_quiet(alarm)) and alarm.state not in _TOLD:
                return  # nobody was told of it
            line = self._lines[alarm.id] = _Line(alarm, now)
        if line is None:
            return
        if line.alarm.test and not alarm.test:  # it holds when the test is over: a true one from now on
            self._tested.append(_Line(line.alarm, line.raised_at, now))
            line.alarm, line.raised_at = alarm, now
        if alarm.ticket is not None:
            line.ticket = self._first.setdefault(alarm.ticket, alarm.id) == alarm.id or line.ticket
        gone = alarm.cleared_at is not None or alarm.ended_at is not None
        if not gone:  # it holds, perhaps again: one that chatters stays open
            line.cleared_at = None
        elif line.cleared_at is None:
            line.cleared_at = now

    def told(self) -> list[Raised]:
        """What is not disproved, nor part of another one."""
        stands = {i for i, a in self._known.items() if not a.disproved and a.merged_into is None}
        lines = [line for line in (*self._lines.values(), *self._tested) if line.alarm.id in stands]
        return [
            _raised(line, self._known[line.alarm.id])
            for line in sorted(lines, key=lambda line: (line.raised_at, line.alarm.id))
        ]


def _kept_quiet(alarm: Alarm) -> bool:
    """Whether a planned outage does, or did."""
    return alarm.announced is not None and not alarm.test


def _raised(line: _Line, alarm: Alarm) -> Raised:
    """What was raised for an earlier stretch that late data took back counts from when the true one began, and is
    over no earlier than that."""
    cleared = line.cleared_at
    return Raised(
        line.alarm.rule,
        line.alarm.object,
        int(line.alarm.priority),
        alarm.raised_at,
        max(line.raised_at, alarm.raised_at),
        None if cleared is None else max(cleared, alarm.raised_at),
        line.ticket,
        line.alarm.arguments,
        spans_of(alarm),
        line.alarm.test,
    )
