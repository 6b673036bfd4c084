"""What the rules would have done: readings of the past through the live engine and the live decisions.

Batches in their order of arrival come in, the alarms that people would have been told of go out. A
model duty officer acknowledges at once and closes the ticket of what has ended, so that every episode
of the past stands for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from dutyroom.flows.backtest_late import Seen, late_of
from dutyroom.flows.backtest_officer import DUE, Officer, Raised
from dutyroom.flows.episodes import Context, interval_in
from dutyroom.flows.exchanged import Explained, accept, explained_by, left, without
from dutyroom.flows.ground import ground_of
from dutyroom.flows.late import Late
from dutyroom.flows.past_records import Announcements, Kept, PastUpkeep
from dutyroom.interfaces import Tx
from dutyroom.model.duty import (
    Condition,
    Device,
)
from dutyroom.model.telemetry import Batch, PointTable
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.engine import Engine
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms
from dutyroom.topology import Topology

_LOOK: Ms = 5 * SECOND  # between two looks at what came late


@dataclass(frozen=True, slots=True)
class Past:
    """A site as the backtest sees it. kept: what its duty room had on record; None = not known."""

    site: str
    rules: Sequence[Rule]
    devices: Mapping[str, Device]
    table: PointTable
    topology: Topology = field(default_factory=Topology)
    time_zone: str = "UTC"
    calendar: Workdays = WEEK
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave. late: readings not judged because older, by device; problems: (rule, device) -> why it
    does not run; running: how many devices each rule looks at; looked_at: points whose readings a rule judged; muted:
    alarms that planned outages kept quiet."""

    raised: list[Raised]
    late: Mapping[str, int]
    problems: Mapping[tuple[str, str], str]
    running: Mapping[str, int]
    changed: Mapping[str, int] = field(default_factory=dict)  # alarms by CHANGED, by what came late
    looked_at: frozenset[int] = frozenset()
    muted: int = 0


def backtest(batches: Iterable[Batch], past: Past) -> list[Raised]:
    """Runs the rules over batches in the order of arrival. Alarms in the order in which they were raised."""
    return run(batches, past).raised


def run(batches: Iterable[Batch], past: Past) -> Outcome:
    """The same, with what the engine could not do."""
    kept = past.kept or Kept()
    upkeep = PastUpkeep(past.site, kept, past.time_zone, past.devices)
    known = upkeep if past.kept is not None else None
    engine = Engine(
        past.rules,
        past.table,
        past.devices,
        ground=ground_of(past.topology, past.time_zone, past.calendar, known),
        roomy=True,
    )
    explained = explained_by(lambda: engine.rules, lambda: kept.exchanges)
    context = Context(
        past.site,
        engine.rules,
        past.devices,
        past.topology,
        engine.heard,
        interval_in(past.table, past.devices),
        gap=engine.gap,
        departed=engine.departed,
        said=engine.said,
    )
    officer = Officer(context, Announcements(kept.announcements))
    seen = Seen()
    late = late_of(past.site, engine, past.table, seen, explained)
    now = 0
    for now, conditions in _said(engine, officer, batches, seen, upkeep):
        told = accept(engine, conditions, explained, now)
        officer.act([*left(conditions, explained), *told], now)
        _learn(officer, engine, now)
        _judge_again(late, officer, engine, now, explained)
    while engine.missed:  # who follows another rule, after it
        now += _LOOK
        _judge_again(late, officer, engine, now, explained)
    running = Counter(rule for rule, _ in engine.running)
    return Outcome(
        officer.told(),
        dict(engine.late),
        dict(engine.problems),
        running,
        officer.changed(),
        engine.looked_at,
        officer.muted,
    )


def _learn(officer: Officer, engine: Engine, now: Ms) -> None:
    """What topology has inferred, told to those who follow a rule that would say it; and who has to be heard by when."""
    while told := officer.inferred(now):
        officer.act(engine.learn_of(told, now), now)
    engine.expect(officer.awaited)
    officer.awaited = {}


def _judge_again(late: Late, officer: Officer, engine: Engine, now: Ms, explained: Explained) -> None:
    """As live, within seconds of a late reading (`Watch`)."""
    while engine.missed and late.due(now, {}):
        records = cast(Tx, officer)
        found = late.look(records, now, explained)
        judged = late.recorded(records, [without(again.judged, explained) for again in found])
        changed = officer.correct(judged, now)
        out: list[Condition] = []
        for again in found:
            engine.take_over(again.instance, now, out)
        late.done(found, changed)
        officer.act(out, now)
        _learn(officer, engine, now)


def _said(
    engine: Engine, officer: Officer, batches: Iterable[Batch], seen: Seen, upkeep: PastUpkeep
) -> Iterator[tuple[Ms, list[Condition]]]:
    """(when, what the rules say): with each batch, and between two of them whenever the clock may decide
    something."""
    now: Ms | None = None
    for batch in batches:
        if now is None:
            engine.started(batch.received_at)
        else:
            while (now := _next(engine, officer, now)) < batch.received_at:
                upkeep.look(now)
                yield now, engine.tick(now)
        now = batch.received_at
        upkeep.look(now)
        seen.take(batch, engine)
        said = engine.feed(batch)
        yield now, said + engine.tick(now) if engine.next(now) <= now else said


def _next(engine: Engine, officer: Officer, now: Ms) -> Ms:
    """When the clock is looked at next where no message comes: a while after, as live, never twice in it."""
    due = min(engine.next(now + 1), officer.due)
    return max(now + DUE, due + (now - due) % DUE if due < FOREVER else FOREVER)


__all__ = ["Outcome", "Past", "Raised", "backtest", "run"]
