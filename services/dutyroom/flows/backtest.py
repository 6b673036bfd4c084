"""What the rules would have done: readings of the past through the live engine and the live decisions.

Batches in their order of arrival come in, the alarms that people would have been told of go out. A
model duty officer acknowledges at once and closes the ticket of what has ended, so that every episode
of the past stands for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dutyroom import alarms
from dutyroom.alarms import CHATTER_IN, spans_of
from dutyroom.flows.decide import decide
from dutyroom.flows.episodes import Context, Decision, Episode, Standing, interval_in
from dutyroom.flows.ground import ground_of
from dutyroom.model.duty import (
    Alarm,
    AlarmEvent,
    AlarmState,
    Arguments,
    Condition,
    Device,
    Ticket,
    TicketState,
)
from dutyroom.model.telemetry import Batch, PointTable
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.engine import Engine
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, Ms
from dutyroom.topology import Topology

OFFICER = "backtest"  # the actor of what the model duty officer does
_RECENT: Ms = HOUR  # ended alarms that may still explain a consequence
_DUE: Ms = MINUTE  # how often what time alone decides is looked at
_TOLD = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Past:
    """A site as the backtest sees it."""

    site: str
    rules: Sequence[Rule]
    devices: Mapping[str, Device]
    table: PointTable
    topology: Topology = field(default_factory=Topology)
    time_zone: str = "UTC"
    calendar: Workdays = WEEK


@dataclass(frozen=True, slots=True)
class Raised:
    """One alarm as people would have seen it. raised_at: when live operation would have raised it."""

    rule: str
    object: str  # device id
    priority: int
    began_at: Ms  # event time
    raised_at: Ms
    cleared_at: Ms | None
    ticket: bool
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave. late: readings not judged because older, by device; problems: (rule, device) -> why it
    does not run; running: how many devices each rule looks at."""

    raised: list[Raised]
    late: Mapping[str, int]
    problems: Mapping[tuple[str, str], str]
    running: Mapping[str, int]


def backtest(batches: Iterable[Batch], past: Past) -> list[Raised]:
    """Runs the rules over batches in the order of arrival. Alarms in the order in which they were raised."""
    return run(batches, past).raised


def run(batches: Iterable[Batch], past: Past) -> Outcome:
    """The same, with what the engine could not do."""
    engine = Engine(
        past.rules, past.table, past.devices, ground=ground_of(past.topology, past.time_zone, past.calendar)
    )
    context = Context(
        past.site,
        engine.rules,
        past.devices,
        past.topology,
        engine.heard,
        interval_in(past.table, past.devices),
    )
    officer = _Officer(context)
    for now, conditions in _said(engine, officer, batches):
        officer.act(conditions, now)
    running = Counter(rule for rule, _ in engine.running)
    return Outcome(officer.told(), dict(engine.late), dict(engine.problems), running)


def _said(
    engine: Engine, officer: _Officer, batches: Iterable[Batch]
) -> Iterator[tuple[Ms, list[Condition]]]:
    """(when, what the rules say): with each batch, and between two of them whenever the clock may decide
    something."""
    now: Ms | None = None
    for batch in batches:
        if now is None:
            engine.started(batch.received_at)
        else:
            while (now := _next(engine, officer, now)) < batch.received_at:
                yield now, engine.tick(now)
        now = batch.received_at
        said = engine.feed(batch)
        yield now, said + engine.tick(now) if engine.next(now) <= now else said


def _next(engine: Engine, officer: _Officer, now: Ms) -> Ms:
    """When the clock is looked at next where no message comes: a while after, as live, never twice in it."""
    due = min(engine.next(now + 1), officer.due)
    return max(now + _DUE, due + (now - due) % _DUE if due < FOREVER else FOREVER)


@dataclass(slots=True)
class _Line:
    alarm: Alarm
    raised_at: Ms
    cleared_at: Ms | None = None
    ticket: bool = False


class _Officer:
    """The records, and whoever works with them, in memory."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: dict[int, Alarm] = {}
        self._recent: dict[int, Alarm] = {}
        self._tickets: dict[str, Ticket] = {}
        self._lines: dict[int, _Line] = {}
        self._number = 0
        self.due: Ms = FOREVER  # when to `act` without a condition

    def act(self, conditions: Sequence[Condition], now: Ms) -> None:
        """What follows of the conditions, and of time."""
        if not conditions and now < self.due:
            return
        roots = {alarm.root for alarm in self._open.values()}
        self._recent = {
            i: a for i, a in self._recent.items() if i in roots or now - (a.ended_at or now) < _RECENT
        }
        standing = Standing(
            list(self._open.values()), list(self._recent.values()), list(self._tickets.values())
        )
        self._keep(decide(conditions, standing, self._context, now), now)
        self.due = max(now + _DUE, min(map(self._due, self._open.values()), default=FOREVER))

    def _due(self, alarm: Alarm) -> Ms:
        """When time alone may decide something of it: a ticket, or what a root leaves behind. An inferred root
        goes with the silences that it was inferred from, and these are conditions."""
        if alarm.chattering:
            return spans_of(alarm)[-1][0] + CHATTER_IN
        if alarm.state is AlarmState.SUPPRESSED:
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
        self._write_down(alarm, now)
        if alarm.ended_at is None:
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
            if alarm.root is not None and alarm.state not in _TOLD:
                return  # a consequence that nobody was told of
            line = self._lines[alarm.id] = _Line(alarm, now)
        if line is None:
            return
        line.ticket = line.ticket or alarm.ticket is not None
        gone = alarm.cleared_at is not None or alarm.ended_at is not None
        line.cleared_at = now if gone and line.cleared_at is None else line.cleared_at

    def told(self) -> list[Raised]:
        return [
            Raised(
                line.alarm.rule,
                line.alarm.object,
                int(line.alarm.priority),
                line.alarm.raised_at,
                line.raised_at,
                line.cleared_at,
                line.ticket,
                line.alarm.arguments,
            )
            for line in sorted(self._lines.values(), key=lambda line: (line.raised_at, line.alarm.id))
        ]
