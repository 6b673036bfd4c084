"""Plans at work: the row decides, the clock only wakes.

`wake` may be called at any time and as often as one likes. It inserts the occurrences that are
coming, opens their work orders, sees what telemetry or a person has fulfilled, and raises one
overdue alarm per plan and object. What fell due while the service was down is listed as missed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dutyroom import plans
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows import planned_work as work
from dutyroom.flows.reading_day import OPEN, ReadingDay
from dutyroom.interfaces import ReadingStore, Records, Tx
from dutyroom.model.duty import Alarm, AlarmEvent, Device, DeviceStatus, Occurrence, OccurrenceState
from dutyroom.model.telemetry import PointTable
from dutyroom.plans import Plan, Run
from dutyroom.site import Site
from dutyroom.timebase import DAY, MINUTE, SECOND, Clock, Ms, zone

BLOB = "scheduler"
SERIES = "scheduler.series"
UPCOMING: Ms = 35 * DAY  # occurrences stand in the calendar this long before they are due
LOOK_BACK: Ms = 400 * DAY  # how long an unfulfilled one is still looked at
DOWN: Ms = 15 * MINUTE  # no wake for longer than this: the service was down
GAP: Ms = 10 * MINUTE  # a machine silent for longer than this: its run is not known
LOOK: Ms = 2 * MINUTE  # between two looks at the telemetry of one occurrence
LEAD: Ms = DAY  # how long before its window a run may have begun

_LATE = (OccurrenceState.OVERDUE, OccurrenceState.MISSED)
_ENDED = (OccurrenceState.DONE, OccurrenceState.EXCUSED)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a wake decides by, read once."""

    now: Ms
    previous: Ms | None  # the last wake; None = the first start
    down: bool  # whether the service was down since then
    devices: Mapping[str, Device]
    found: Mapping[int, Sequence[Run]]  # by occurrence: the runs in its window
    blind: Collection[int]  # occurrences whose telemetry could not be asked for
    alarms: Mapping[tuple[str, str], Alarm]  # open ones, by rule and object


class Scheduler:
    """The plans of one site. down_after: ms of the site's clock without a wake that mean it was down."""

    def __init__(
        self,
        site: Site,
        table: PointTable,
        store: ReadingStore,
        records: Records,
        clock: Clock,
        down_after: Ms = DOWN,
    ) -> None:
        self._site, self._table, self._store = site, table, store
        self._records, self._clock, self._down_after = records, clock, down_after
        self._plans = {plan.id: plan for plan in site.plans}
        self._tz = zone(site.time_zone)
        self._reading_day = ReadingDay(site, table, store, records)
        self._awake, self._rhythm = False, 0  # woken before in this process; ms between its wakes
        self._looked: dict[int, tuple[Ms, Sequence[Run]]] = {}  # by occurrence: when, and what was seen

    def wake(self, now: Ms | None = None) -> None:
        """Does all that is due. Raises Unavailable when the records do not answer, or the store: then
        after all that does not depend on it."""
        now = self._clock.now() if now is None else now
        site = self._site.id
        with self._records.write() as tx:
            previous = _last_wake(tx, site)
            devices = {d.id: d for d in tx.devices.all(site)}
            self._insert(tx, now, previous, tuple(devices.values()))
            rows = self._open(tx, now)
        found, blind, trouble = self._telemetry(rows, now)
        with self._records.write() as tx:
            standing = {(a.rule, a.object): a for a in tx.alarms.open_ones(site)}
            sight = _Sight(now, previous, self._was_down(now, previous), devices, found, blind, standing)
            for series in _by_series(self._rows(tx, now)):
                self._decide(tx, sight, series)
            # Last, so that a wake that was broken off is done again as it was.
            tx.put_blob(site, BLOB, str(max(now, previous or now)).encode())
        self._rhythm = now - previous if previous is not None and self._awake else 0
        self._awake = True
        if trouble is not None:
            raise trouble

    def _telemetry(
        self, rows: Sequence[Occurrence], now: Ms
    ) -> tuple[Mapping[int, Sequence[Run]], Collection[int], Unavailable | None]:
        """What the store says; by occurrence the runs, those it was not asked for, and why not.

        A store that is away holds up what it proves and nothing else.
        """
        found: dict[int, Sequence[Run]] = {}
        proven = [row for row in rows if self._needs_proof(row)]
        try:
            for row in proven:
                found[row.id] = self._runs(row, now)
            self._reading_day.run(rows, now)
        except Unavailable as err:
            return found, {row.id for row in proven} - found.keys(), err
        return found, (), None

    def _needs_proof(self, row: Occurrence) -> bool:
        plan = self._plans.get(row.plan)
        return plan is not None and plan.proof is not None

    def next_instant(self, now: Ms) -> Ms | None:
        """The next instant at which a wake has something to do, None = nothing planned."""
        with self._records.read() as tx:
            rows = self._open(tx, now)
        moments = [
            moment
            for row in rows
            if (plan := self._plans.get(row.plan))
            for moment in (row.due - plan.ahead, row.due, row.due + plan.grace)
            if moment > now
        ]
        return min(moments, default=None)

    def _was_down(self, now: Ms, previous: Ms | None) -> bool:
        """Longer without a wake than a running service ever is, also on a fast clock."""
        return previous is not None and now - previous > max(self._down_after, 4 * self._rhythm)

    def _open(self, tx: Tx, now: Ms) -> Sequence[Occurrence]:
        """What may still change, in order of due."""
        since, until = now - LOOK_BACK, now + UPCOMING
        return tx.occurrences.search(self._site.id, states=OPEN, since=since, until=until, limit=None)

    def _rows(self, tx: Tx, now: Ms) -> Sequence[Occurrence]:
        """What may still change, and what ended last of each plan and object: by what was done last an older one
        is judged, and an alarm goes with what was excused. A year of daily checks that were done says no more."""
        since, until = now - LOOK_BACK, now + UPCOMING
        ended = tx.occurrences.last_of_each(self._site.id, _ENDED, since=since, until=until)
        return [*self._open(tx, now), *ended]

    # ------------------------------------------------------------ rows

    def _insert(self, tx: Tx, now: Ms, previous: Ms | None, devices: Sequence[Device]) -> None:
        """The occurrences since the last wake (from now at the first start), up to the horizon."""
        start, end = now if previous is None else min(now, previous), now + UPCOMING
        rows = tx.occurrences.search(self._site.id, since=start, until=end, limit=None)
        known = {(row.due, row.plan, row.object): row for row in rows}
        before, objects = _series(tx, self._site.id), self._objects(tx, devices)
        wanted = {
            (due, plan, name)
            for plan, names in objects.items()
            for name in names
            # What is new to us has no past: it did not fall due while we were down.
            for _, due in plans.occurrences(
                self._plans[plan],
                (name,),
                self._tz,
                start if before is None or name in before.get(plan, ()) else now,
                end,
            )
        }
        for due, plan_id, name in sorted(wanted - known.keys()):
            row = Occurrence(0, self._site.id, plan_id, name, due, OccurrenceState.DUE, now)
            stored = tx.occurrences.insert(row)
            if stored is not None:
                tx.change(self._site.id, now, "occurrence", str(stored.id))
        for key, row in known.items():
            if row.due > now:
                self._follow_plan(tx, row, key in wanted, now)

    def _objects(self, tx: Tx, devices: Sequence[Device]) -> Mapping[str, Sequence[str]]:
        """By plan what it concerns; remembered, so that the next wake knows what is new."""
        objects = {plan.id: plans.objects_of(plan, devices) for plan in self._site.plans}
        packed = json.dumps(objects, ensure_ascii=False).encode()
        if tx.blob(self._site.id, SERIES) != packed:
            tx.put_blob(self._site.id, SERIES, packed)
        return objects

    def _follow_plan(self, tx: Tx, row: Occurrence, wanted: bool, now: Ms) -> None:
        """What the plans no longer name is withdrawn, with its work order if nobody has taken it up;
        what they name again comes back."""
        if not wanted and row.state is OccurrenceState.DUE:
            self._excuse(tx, row, now)
            work.cancel(tx, replace(row, evidence=work.WITHDRAWN), now)
        elif wanted and row.state is OccurrenceState.EXCUSED and row.evidence == work.WITHDRAWN:
            due = replace(row, state=OccurrenceState.DUE, done_at=None, evidence="", ticket=None)
            work.update(tx, due, now)

    def _excuse(self, tx: Tx, row: Occurrence, now: Ms) -> Occurrence:
        after = replace(row, state=OccurrenceState.EXCUSED, done_at=now, evidence=work.WITHDRAWN)
        return work.update(tx, after, now)

    # ------------------------------------------------------------ telemetry

    def _runs(self, row: Occurrence, now: Ms) -> Sequence[Run]:
        """The runs in an occurrence's window, for a plan that telemetry proves."""
        plan = self._plans.get(row.plan)
        if plan is None or plan.proof is None:
            return ()
        start, end = plans.window(plan, row.due, self._tz)
        looked = self._looked.get(row.id)
        if start >= now:
            return ()
        if looked is None or not 0 <= now - looked[0] < LOOK:
            seen = self._look(plan, row.object, start - LEAD, min(end, now + 1))
            mine = [run for run in seen if run.enough_at is not None and start <= run.enough_at < end]
            looked = now, mine
            self._looked[row.id] = looked
        return looked[1]

    def _look(self, plan: Plan, name: str, start: Ms, end: Ms) -> Sequence[Run]:
        proof = plan.proof
        running = self._table.find(name, proof.point) if proof else None
        load = self._table.find(name, proof.load_point) if proof and proof.load_point else None
        if proof is None or running is None or (proof.load_point and load is None):
            return ()
        states = self._store.range(running, start, end)
        if not len(states):
            return ()
        powers = self._store.range(load, start, end) if load is not None else None
        gap = max(GAP, 3 * SECOND * (running.spec.interval_s or 0))
        return plans.runs(states, powers, proof.load_kw, gap, proof.minutes)

    # ------------------------------------------------------------ one plan and object

    def _decide(self, tx: Tx, sight: _Sight, rows: Sequence[Occurrence]) -> None:
        """rows: of one plan and object, in order of due: all open ones, and the last that ended."""
        plan, name = self._plans.get(rows[0].plan), rows[0].object
        device = sight.devices.get(name)
        if plan is None or (name and (device is None or device.status is DeviceStatus.WITHDRAWN)):
            self._gone(tx, sight, rows)
            return
        judged = [self._judge(tx, sight, plan, row) if row.state in OPEN else row for row in rows]
        judged = self._supersede(tx, judged, sight.now)
        judged = self._order(tx, sight, plan, judged)
        late = [row for row in _outstanding(judged) if row.ticket is not None]
        standing = sight.alarms.get((plans.overdue_rule(plan.id), name))
        if late and (standing is None or standing.cleared_at is not None):
            newest = work.with_open_order(tx, plan, late[-1], sight.devices, sight.now)
            work.raise_overdue(tx, plan, newest, standing, sight.devices, sight.now)
        elif standing is not None and standing.cleared_at is None and not late:
            work.end_overdue(tx, standing, AlarmEvent.CLEAR, sight.now)

    def _gone(self, tx: Tx, sight: _Sight, rows: Sequence[Occurrence]) -> None:
        """The plan or its device is gone: nothing falls due any more; tickets stay for a person."""
        for row in rows:
            if row.state in OPEN:
                self._excuse(tx, row, sight.now)
        standing = sight.alarms.get((plans.overdue_rule(rows[0].plan), rows[0].object))
        if standing is not None:
            work.end_overdue(tx, standing, AlarmEvent.WITHDRAW, sight.now)

    def _judge(self, tx: Tx, sight: _Sight, plan: Plan, row: Occurrence) -> Occurrence:
        if row.id in sight.blind:
            return row  # nobody knows yet whether it was done
        down = sight.down and sight.previous is not None and row.due > sight.previous
        found, ticket = sight.found.get(row.id, ()), work.ticket_of(tx, row)
        after = plans.verdict(row, plan, sight.now, found, ticket, tz=self._tz, was_down=down)
        if after is None:
            return row
        work.update(tx, after, sight.now)
        if after.state is OccurrenceState.DONE:
            work.finish(tx, after, sight.now)
        return after

    def _supersede(self, tx: Tx, rows: Sequence[Occurrence], now: Ms) -> list[Occurrence]:
        """An overdue one before one that is done was missed; its work order has no use any more."""
        done = max((row.due for row in rows if row.state is OccurrenceState.DONE), default=None)
        kept: list[Occurrence] = []
        for row in rows:
            if done is not None and row.due < done and row.state is OccurrenceState.OVERDUE:
                row = replace(row, state=OccurrenceState.MISSED, evidence=work.SUPERSEDED)
                work.update(tx, row, now)
                work.finish(tx, row, now)
            kept.append(row)
        return kept

    def _order(self, tx: Tx, sight: _Sight, plan: Plan, rows: Sequence[Occurrence]) -> list[Occurrence]:
        """A work order for what is coming or overdue; of several missed ones for the newest alone."""
        outstanding = _outstanding(rows)
        wanted = {row.id for row in outstanding if row.state is OccurrenceState.OVERDUE}
        wanted |= {row.id for row in outstanding[-1:]}
        wanted |= {
            row.id for row in rows if row.state is OccurrenceState.DUE and row.due - plan.ahead <= sight.now
        }
        return [
            work.order(tx, plan, row, sight.devices, sight.now)
            if row.id in wanted and row.ticket is None
            else row
            for row in rows
        ]


def _last_wake(tx: Tx, site: str) -> Ms | None:
    data = tx.blob(site, BLOB)
    if data is None:
        return None
    try:
        return int(data)
    except ValueError as err:
        raise Rejected(f"the scheduler's snapshot of {site} is not a time: {data[:40]!r}") from err


def _series(tx: Tx, site: str) -> Mapping[str, Sequence[str]] | None:
    """By plan what it concerned at the last wake, None = not noted yet."""
    data = tx.blob(site, SERIES)
    return None if data is None else dict(json.loads(data))


def _by_series(rows: Iterable[Occurrence]) -> Iterable[Sequence[Occurrence]]:
    """The occurrences of each plan and object, in order of due."""
    found: dict[tuple[str, str], list[Occurrence]] = {}
    for row in sorted(rows, key=lambda r: (r.due, r.id)):
        found.setdefault((row.plan, row.object), []).append(row)
    return found.values()


def _outstanding(rows: Sequence[Occurrence]) -> list[Occurrence]:
    """Overdue or missed, and nothing later of the same plan and object done."""
    done = max((row.due for row in rows if row.state is OccurrenceState.DONE), default=0)
    return [row for row in rows if row.state in _LATE and row.due > done]
