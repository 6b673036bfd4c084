"""Plans at work: the row decides, the clock only wakes.

`wake` may be called at any time and as often as one likes. It inserts the occurrences that are
coming, opens their work orders, sees what telemetry or a person has fulfilled, and raises one
overdue alarm per plan and object. What fell due while the service was down is listed as missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dutyroom import alarms, plans, tickets
from dutyroom.errors import Conflict, Rejected
from dutyroom.flows.billing import close_period, period_ended
from dutyroom.flows.notify import messages_to
from dutyroom.interfaces import ReadingStore, Records, Tx
from dutyroom.model.duty import (
    SYSTEM,
    Alarm,
    AlarmEvent,
    AlarmState,
    Device,
    Occurrence,
    OccurrenceState,
    Role,
    Ticket,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.model.telemetry import PointTable
from dutyroom.plans import Plan, Run
from dutyroom.site import Site
from dutyroom.timebase import DAY, HOUR, MINUTE, Clock, Ms, zone

BLOB = "scheduler"
UPCOMING: Ms = 35 * DAY  # occurrences stand in the calendar this long before they are due
LOOK_BACK: Ms = 400 * DAY  # how long an unfulfilled one is still looked at
DOWN: Ms = 15 * MINUTE  # no wake for longer than this: the service was down
RETRY: Ms = HOUR  # between two attempts at period reads that were not complete
GAP: Ms = 10 * MINUTE  # a machine silent for longer than this: its run is not known

_OPEN = (OccurrenceState.DUE, OccurrenceState.OVERDUE, OccurrenceState.MISSED)
_LATE = (OccurrenceState.OVERDUE, OccurrenceState.MISSED)
_TOLD = (Role.OPERATOR, Role.ADMINISTRATOR)  # who is told of what is overdue, if they can be reached
_Series = tuple[str, str]  # plan, object


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a wake looks at, read once."""

    now: Ms
    previous: Ms | None  # the last wake; None = the first start
    devices: Mapping[str, Device]
    rows: Sequence[Occurrence]


class Scheduler:
    """The plans of one site. `down_after` in ms of the site's clock (scale it with a fast clock)."""

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
        self._tried: dict[int, Ms] = {}  # occurrence of a reading day -> last attempt

    def wake(self, now: Ms | None = None) -> None:
        """Does all that is due. Raises Unavailable when records or store do not answer."""
        now = self._clock.now() if now is None else now
        site = self._site.id
        with self._records.write() as tx:
            previous = _last_wake(tx, site)
            devices = {d.id: d for d in tx.devices.all(site)}
            self._insert(tx, now, previous, tuple(devices.values()))
        self._read_meters(now)
        with self._records.read() as tx:
            rows = self._rows(tx, now)
        found = {row.id: self._runs(row, now) for row in rows if row.state in _OPEN}
        with self._records.write() as tx:
            rows = self._rows(tx, now)
            sight = _Sight(now, previous, devices, rows)
            for series in _by_series(rows).values():
                self._decide(tx, sight, series, found)
            # Last, so that a wake that was broken off is done again as it was.
            tx.put_blob(site, BLOB, str(max(now, previous or now)).encode())

    def _rows(self, tx: Tx, now: Ms) -> Sequence[Occurrence]:
        """What may still change."""
        since, until = now - LOOK_BACK, now + UPCOMING
        return tx.occurrences.search(self._site.id, since=since, until=until, limit=100_000)

    def next_instant(self, now: Ms) -> Ms | None:
        """The next instant at which a wake has something to do, None = nothing planned."""
        with self._records.read() as tx:
            rows = self._rows(tx, now)
        moments = [
            moment
            for row in rows
            if row.state in _OPEN and (plan := self._plans.get(row.plan))
            for moment in (row.due - plan.ahead, row.due, row.due + plan.grace)
            if moment > now
        ]
        return min(moments, default=None)

    # ------------------------------------------------------------ rows

    def _insert(self, tx: Tx, now: Ms, previous: Ms | None, devices: Sequence[Device]) -> None:
        """The occurrences since the last wake (from now at the first start), up to the horizon."""
        start = now if previous is None else min(now, previous)
        known = {
            (row.plan, row.object, row.due): row
            for row in tx.occurrences.search(self._site.id, since=start, until=now + UPCOMING, limit=100_000)
        }
        wanted: set[tuple[str, str, Ms]] = set()
        for plan in self._site.plans:
            objects = plans.objects_of(plan, devices)
            for name, due in plans.occurrences(plan, objects, self._tz, start, now + UPCOMING):
                wanted.add((plan.id, name, due))
        for plan_id, name, due in sorted(wanted - known.keys(), key=lambda key: (key[2], key)):
            row = Occurrence(0, self._site.id, plan_id, name, due, OccurrenceState.DUE, now)
            stored = tx.occurrences.insert(row)
            if stored is not None:
                tx.change(self._site.id, now, "occurrence", str(stored.id))
        for key in known.keys() - wanted:
            if known[key].state is OccurrenceState.DUE and known[key].due > now:
                self._withdraw(tx, known[key], now)

    def _withdraw(self, tx: Tx, row: Occurrence, now: Ms) -> None:
        """A coming occurrence that the plans no longer name; its work order too, if untouched."""
        evidence = "evidence.withdrawn"
        self._update(tx, replace(row, state=OccurrenceState.EXCUSED, done_at=now, evidence=evidence), now)
        ticket = tx.tickets.get(self._site.id, row.ticket) if row.ticket is not None else None
        if ticket is not None and ticket.state is TicketState.OPEN:
            self._step(tx, ticket, now, TicketEvent.CANCEL, reason=evidence)

    def _update(self, tx: Tx, row: Occurrence, now: Ms) -> None:
        tx.occurrences.update(row)
        tx.change(self._site.id, now, "occurrence", str(row.id))

    # ------------------------------------------------------------ telemetry

    def _runs(self, row: Occurrence, now: Ms) -> list[Run]:
        """The runs in an occurrence's window, for a plan that telemetry proves."""
        plan = self._plans.get(row.plan)
        if plan is None or plan.proof is None:
            return []
        start, end = plans.window(plan, row.due, self._tz)
        running = self._table.find(row.object, plan.proof.point)
        if running is None or start >= now:
            return []
        load = self._table.find(row.object, plan.proof.load_point) if plan.proof.load_point else None
        if load is None and plan.proof.load_point:
            return []
        upto = min(end, now + 1)
        states = self._store.range(running, start, upto)
        powers = self._store.range(load, start, upto) if load is not None and len(states) else None
        interval = running.spec.interval_s or 0
        gap = max(GAP, 3 * interval * 1000)
        return plans.runs(states, powers, plan.proof.load_kw, gap) if len(states) else []

    # ------------------------------------------------------------ one plan and object

    def _decide(
        self, tx: Tx, sight: _Sight, rows: Sequence[Occurrence], found: Mapping[int, list[Run]]
    ) -> None:
        plan = self._plans.get(rows[0].plan)
        now = sight.now
        decided: list[Occurrence] = []
        for row in rows:
            if plan is None and row.state in _OPEN:
                row = replace(row, state=OccurrenceState.EXCUSED, done_at=now, evidence="evidence.withdrawn")
                self._update(tx, row, now)
            elif plan is not None and row.state in _OPEN:
                row = self._judge(tx, sight, plan, row, found.get(row.id, []))
            decided.append(row)
        decided = self._supersede(tx, decided, now)
        if plan is not None:
            decided = self._open_work(tx, sight, plan, decided)
        self._alarm(tx, sight, plan, decided)

    def _judge(self, tx: Tx, sight: _Sight, plan: Plan, row: Occurrence, found: Sequence[Run]) -> Occurrence:
        ticket = tx.tickets.get(self._site.id, row.ticket) if row.ticket is not None else None
        since = sight.previous
        down = since is not None and sight.now - since > self._down_after and row.due > since
        after = plans.verdict(row, plan, sight.now, found, ticket, tz=self._tz, was_down=down)
        if after is None:
            return row
        self._update(tx, after, sight.now)
        if after.state is OccurrenceState.DONE and ticket is not None:
            self._finish(tx, ticket, sight.now, after.evidence)
        return after

    def _supersede(self, tx: Tx, rows: Sequence[Occurrence], now: Ms) -> list[Occurrence]:
        """An overdue one before one that is done: it was missed, and its work order has no use."""
        done = max((row.due for row in rows if row.state is OccurrenceState.DONE), default=None)
        kept: list[Occurrence] = []
        for row in rows:
            if done is not None and row.due < done and row.state is OccurrenceState.OVERDUE:
                row = replace(row, state=OccurrenceState.MISSED, evidence="evidence.superseded")
                self._update(tx, row, now)
                ticket = tx.tickets.get(self._site.id, row.ticket) if row.ticket is not None else None
                if ticket is not None:
                    self._finish(tx, ticket, now, row.evidence)
            kept.append(row)
        return kept

    def _open_work(self, tx: Tx, sight: _Sight, plan: Plan, rows: Sequence[Occurrence]) -> list[Occurrence]:
        """A work order for what is coming or late; of several missed ones, for the newest alone."""
        late = [row for row in rows if row.state in _LATE]
        newest = late[-1].due if late else None
        kept: list[Occurrence] = []
        for row in rows:
            wanted = row.state is OccurrenceState.DUE and row.due - plan.ahead <= sight.now
            wanted = wanted or row.state is OccurrenceState.OVERDUE
            wanted = wanted or (
                row.state is OccurrenceState.MISSED and row.due == newest and not row.evidence
            )
            if wanted and row.ticket is None and _outstanding(rows, row):
                row = self._work_order(tx, sight, plan, row)
            kept.append(row)
        return kept

    def _work_order(self, tx: Tx, sight: _Sight, plan: Plan, row: Occurrence) -> Occurrence:
        cause = plans.cause(plan.id, row.object, row.due)
        device = sight.devices.get(row.object)
        ticket = tx.tickets.open_for(self._site.id, cause)
        if ticket is None:
            ticket = tx.tickets.insert(
                tickets.fresh(
                    self._site.id,
                    TicketKind.PLAN,
                    plan.priority,
                    plans.TICKET_KEY,
                    {"plan": plan.id},
                    cause,
                    sight.now,
                    object=row.object,
                    space=device.space if device else "",
                    respond_by=row.due + plan.grace,
                )
            )
            tx.tickets.log(tickets.opening(ticket, sight.now, SYSTEM))
            tx.change(self._site.id, sight.now, "ticket", str(ticket.id))
        row = replace(row, ticket=ticket.id)
        self._update(tx, row, sight.now)
        return row

    # ------------------------------------------------------------ alarms and tickets

    def _alarm(self, tx: Tx, sight: _Sight, plan: Plan | None, rows: Sequence[Occurrence]) -> None:
        """At most one overdue alarm per plan and object; it clears when nothing is outstanding."""
        rule, name = plans.overdue_rule(rows[0].plan), rows[0].object
        late = [row for row in rows if row.state in _LATE and _outstanding(rows, row)]
        recent = [row for row in late if row.ticket is not None]
        standing = next(
            (a for a in tx.alarms.search(self._site.id, object=name, ended=False) if a.rule == rule), None
        )
        if plan is not None and recent and (standing is None or standing.cleared_at is not None):
            self._raise(tx, sight, plan, recent[-1], standing)
        elif standing is not None and standing.cleared_at is None and (plan is None or not recent):
            event = AlarmEvent.WITHDRAW if plan is None else AlarmEvent.CLEAR
            after, change = alarms.step(standing, event, sight.now, SYSTEM)
            tx.alarms.update(after)
            tx.alarms.log(change)
            tx.change(self._site.id, sight.now, "alarm", str(after.id))

    def _raise(self, tx: Tx, sight: _Sight, plan: Plan, row: Occurrence, standing: Alarm | None) -> None:
        now = sight.now
        if standing is not None:
            after, change = alarms.step(standing, AlarmEvent.RAISE, now, SYSTEM)
            after = replace(after, ticket=row.ticket)
            tx.alarms.update(after)
        else:
            fresh, change = alarms.step(
                _overdue(self._site.id, sight, plan, row), AlarmEvent.RAISE, now, SYSTEM
            )
            after = tx.alarms.insert(fresh)
        tx.alarms.log(replace(change, alarm=after.id))
        tx.change(self._site.id, now, "alarm", str(after.id))
        people = [p for p in tx.people.all(self._site.id) if p.active and p.role in _TOLD]
        cause = plans.cause(plan.id, row.object, row.due)
        told = {**after.arguments, "priority": int(after.priority), "space": after.space, "at": now}
        for message in messages_to(people, cause, "overdue", after.key, told, now):
            tx.outbox.insert(message)
        ticket = tx.tickets.get(self._site.id, row.ticket) if row.ticket is not None else None
        if ticket is not None:
            attached = replace(ticket, alarm=after.id)
            self._step(tx, attached, now, TicketEvent.ATTACH, reason=plans.OVERDUE_KEY)

    def _finish(self, tx: Tx, ticket: Ticket, now: Ms, evidence: str) -> None:
        """Closes a work order step by step, as its table wants it."""
        for event in (TicketEvent.ACCEPT, TicketEvent.DO, TicketEvent.CLOSE):
            if (ticket.state, event) in tickets.TABLE and ticket.state is not TicketState.CLOSED:
                ticket = self._step(tx, ticket, now, event, reason=evidence)

    def _step(self, tx: Tx, ticket: Ticket, now: Ms, event: TicketEvent, reason: str = "") -> Ticket:
        try:
            after, change = tickets.step(ticket, event, now, SYSTEM, reason)
        except Conflict:
            return ticket  # a person was faster: closed or cancelled
        tx.tickets.update(after)
        tx.tickets.log(change)
        tx.change(self._site.id, now, "ticket", str(after.id))
        return after

    # ------------------------------------------------------------ reading day

    def _read_meters(self, now: Ms) -> None:
        """Reading days whose instant has come: period reads and the billing run, again each hour
        until no register is missing."""
        with self._records.read() as tx:
            rows = tx.occurrences.search(self._site.id, since=now - LOOK_BACK, until=now + 1, limit=100_000)
        for row in rows:
            plan = self._plans.get(row.plan)
            tried = self._tried.get(row.id)
            if plan is None or not plan.reading_day or row.state not in _OPEN:
                continue
            if tried is None or now - tried >= RETRY:
                self._tried[row.id] = now
                self._read_meters_of(row, now)

    def _read_meters_of(self, row: Occurrence, now: Ms) -> None:
        period = period_ended(row.due, self._site.cut_off_day, self._tz)
        reads, run = close_period(self._site, self._table, self._store, self._records, period, now, SYSTEM)
        known = len(reads.reads) - len(reads.missing)
        evidence = f"{period} · {known}/{len(reads.reads)} · {len(run.statements)}"
        complete = not reads.missing
        with self._records.write() as tx:
            current = tx.occurrences.get(self._site.id, row.id)
            if (
                current is None
                or current.state not in _OPEN
                or (current.evidence == evidence and not complete)
            ):
                return
            state = OccurrenceState.DONE if complete else current.state
            done_at = now if complete else None
            current = replace(current, state=state, done_at=done_at, evidence=evidence, actor=SYSTEM)
            self._update(tx, current, now)
            ticket = tx.tickets.get(self._site.id, current.ticket) if current.ticket is not None else None
            if complete and ticket is not None:
                self._finish(tx, ticket, now, evidence)


def _last_wake(tx: Tx, site: str) -> Ms | None:
    data = tx.blob(site, BLOB)
    if data is None:
        return None
    try:
        return int(data)
    except ValueError as err:
        raise Rejected(f"the scheduler's snapshot of {site} is not a time: {data[:40]!r}") from err


def _by_series(rows: Iterable[Occurrence]) -> dict[_Series, list[Occurrence]]:
    """By plan and object, each in order of due."""
    found: dict[_Series, list[Occurrence]] = {}
    for row in sorted(rows, key=lambda r: (r.due, r.id)):
        found.setdefault((row.plan, row.object), []).append(row)
    return found


def _outstanding(rows: Sequence[Occurrence], row: Occurrence) -> bool:
    """Whether nothing later of the same plan and object is done."""
    return not any(r.due > row.due and r.state is OccurrenceState.DONE for r in rows)


def _overdue(site: str, sight: _Sight, plan: Plan, row: Occurrence) -> Alarm:
    device = sight.devices.get(row.object)
    raised_at = row.due + plan.grace
    return Alarm(
        id=0,
        site=site,
        rule=plans.overdue_rule(plan.id),
        rule_version=1,
        object=row.object,
        space=device.space if device else "",
        episode=str(row.due),
        state=AlarmState.NORMAL,
        priority=plan.priority,
        latched=False,
        raised_at=raised_at,
        recorded_at=sight.now,
        key=plans.OVERDUE_KEY,
        arguments={"plan": plan.id},
        ticket=row.ticket,
        late=sight.now - raised_at > HOUR,
    )
