"""What a person does at the desk: each action one transaction with its history and audit row.

Who may do what is the API's business; what the state allows is the tables' (`alarms`, `tickets`).
A refusal is a Conflict whose reason is a message key and whose items are the arguments.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace

from dutyroom import alarms, tickets
from dutyroom.errors import Conflict, Rejected
from dutyroom.flows.escalation import alarm_of
from dutyroom.flows.notify import messages_to
from dutyroom.interfaces import Records, Tx
from dutyroom.model.duty import (
    Alarm,
    AlarmEvent,
    AlarmState,
    Check,
    Device,
    DeviceStatus,
    Occurrence,
    OccurrenceState,
    Priority,
    Ticket,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.plans import Plan
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Clock, Ms

UNDO: Ms = 10 * SECOND  # the pages offer it for 5 s; the rest is for the way
_UNFINISHED = (OccurrenceState.DUE, OccurrenceState.OVERDUE, OccurrenceState.MISSED)
_FINISHED = (TicketState.CLOSED, TicketState.CANCELLED)
_SUMMARY = 80  # characters of a report that serve as its title


class Desk:
    """The actions of people on one installation's records. Thread-safe.

    rules: of the site, for the time to answer. plans: those with a proof are not fulfilled by a
    tick. Every action raises Conflict when somebody was first or the state does not allow it,
    Rejected for what does not exist, Unavailable when nothing was decided.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        rules: Mapping[str, Rule] | Iterable[Rule] = (),
        plans: Iterable[Plan] = (),
    ) -> None:
        self._records, self._clock = records, clock
        self._rules = dict(rules) if isinstance(rules, Mapping) else {rule.id: rule for rule in rules}
        known = tuple(plans)
        self._proven = {plan.id for plan in known if plan.proof is not None}
        self._reading_days = {plan.id for plan in known if plan.reading_day}

    # ------------------------------------------------------------ alarms

    def acknowledge(self, site: str, alarm: int, actor: str, reason: str = "") -> Alarm:
        return self._on_alarm(site, alarm, AlarmEvent.ACKNOWLEDGE, actor, reason)

    def undo_acknowledge(self, site: str, alarm: int, actor: str) -> Alarm:
        """Takes one's own acknowledgement back, within UNDO."""
        with self._records.write() as tx:
            found, now = _alarm(tx, site, alarm), self._clock.now()
            late = now - (found.acknowledged_at or 0) > UNDO
            if found.state is AlarmState.ACKNOWLEDGED and (late or found.acknowledged_by != actor):
                raise Conflict("conflict.undo")
            return _step_alarm(tx, found, AlarmEvent.UNACKNOWLEDGE, now, actor)

    def shelve(self, site: str, alarm: int, actor: str, until: Ms, reason: str) -> Alarm:
        """until: at most 24 h from now."""
        return self._on_alarm(site, alarm, AlarmEvent.SHELVE, actor, reason, until)

    def unshelve(self, site: str, alarm: int, actor: str, reason: str = "") -> Alarm:
        return self._on_alarm(site, alarm, AlarmEvent.UNSHELVE, actor, reason)

    def note(self, site: str, alarm: int, actor: str, reason: str) -> Alarm:
        return self._on_alarm(site, alarm, AlarmEvent.NOTE, actor, reason)

    def reset(self, site: str, alarm: int, actor: str, reason: str = "") -> Alarm:
        """Opens the latch of a fire or entrapment alarm whose condition has gone."""
        return self._on_alarm(site, alarm, AlarmEvent.RESET, actor, reason)

    def _on_alarm(
        self, site: str, alarm: int, event: AlarmEvent, actor: str, reason: str, until: Ms | None = None
    ) -> Alarm:
        with self._records.write() as tx:
            return _step_alarm(tx, _alarm(tx, site, alarm), event, self._clock.now(), actor, reason, until)

    def dispatch(self, site: str, alarm: int, actor: str, assignee: str, reason: str = "") -> Ticket:
        """Sends somebody for an alarm: on its ticket, or on one that is opened now."""
        with self._records.write() as tx:
            now = self._clock.now()
            ticket = self._ticket_of(tx, _alarm(tx, site, alarm), now, actor)
            return _dispatch(tx, ticket, now, actor, assignee, reason)

    def _ticket_of(self, tx: Tx, alarm: Alarm, now: Ms, actor: str) -> Ticket:
        if alarm.state is AlarmState.SUPPRESSED and alarm.root is not None:
            alarm = _alarm(tx, alarm.site, alarm.root)  # one cause, one ticket
        known = tx.tickets.get(alarm.site, alarm.ticket) if alarm.ticket is not None else None
        if known is not None and known.state not in _FINISHED:
            return known
        ticket = tx.tickets.open_for(alarm.site, tickets.cause_of(alarm.rule, alarm.object))
        if ticket is None:
            rule = self._rules.get(alarm.rule)
            wanted = tickets.for_alarm(alarm, rule.respond_within if rule else None, now)
            ticket = _open(tx, wanted, now, actor)
        tx.alarms.update(replace(alarm, ticket=ticket.id, ticket_due=None))
        tx.change(alarm.site, now, "alarm", str(alarm.id))
        return ticket

    # ------------------------------------------------------------ devices

    def remove(self, site: str, device: str, actor: str, reason: str) -> Device:
        """Takes a device out of service (a tag hangs on it); its alarms rest, latched ones stay."""
        return self._serve(site, device, actor, reason, DeviceStatus.OUT_OF_SERVICE)

    def restore(self, site: str, device: str, actor: str, reason: str = "") -> Device:
        """Puts a device back into service."""
        return self._serve(site, device, actor, reason, DeviceStatus.ACTIVE)

    def _serve(self, site: str, device: str, actor: str, reason: str, wanted: DeviceStatus) -> Device:
        out = wanted is DeviceStatus.OUT_OF_SERVICE
        if out and not reason.strip():
            raise Conflict("conflict.reason")
        with self._records.write() as tx:
            now, found = self._clock.now(), _device(tx, site, device)
            if found.status is wanted or found.status is DeviceStatus.WITHDRAWN:
                raise Conflict(f"conflict.device.{found.status}")
            changed = replace(found, status=wanted)
            tx.devices.upsert([changed])
            event = AlarmEvent.REMOVE if out else AlarmEvent.RESTORE
            for alarm in tx.alarms.open_ones(site):
                if alarm.object == device and alarms.following(alarm, event) is not None:
                    _step_alarm(tx, alarm, event, now, actor, reason)
            _log(tx, site, now, actor, f"device.{event}", "device", device, reason)
            return changed

    # ------------------------------------------------------------ tickets

    def ticket_dispatch(self, site: str, ticket: int, actor: str, assignee: str, reason: str = "") -> Ticket:
        with self._records.write() as tx:
            found = _ticket(tx, site, ticket)
            return _dispatch(tx, found, self._clock.now(), actor, assignee, reason)

    def accept(self, site: str, ticket: int, actor: str, reason: str = "") -> Ticket:
        return self._on_ticket(site, ticket, TicketEvent.ACCEPT, actor, reason)

    def arrive(self, site: str, ticket: int, actor: str, reason: str = "") -> Ticket:
        """Somebody is at the place."""
        return self._on_ticket(site, ticket, TicketEvent.ARRIVE, actor, reason)

    def done(self, site: str, ticket: int, actor: str, reason: str = "") -> Ticket:
        """The work is done. Whether a plan is thereby fulfilled, the scheduler sees."""
        return self._on_ticket(site, ticket, TicketEvent.DO, actor, reason)

    def redo(self, site: str, ticket: int, actor: str, reason: str) -> Ticket:
        return self._on_ticket(site, ticket, TicketEvent.REDO, actor, reason)

    def close(self, site: str, ticket: int, actor: str, reason: str = "") -> Ticket:
        """While its alarm still stands only with a reason: nobody is on the way to it any more."""
        with self._records.write() as tx:
            found = _ticket(tx, site, ticket)
            if not reason.strip() and found.state is TicketState.DONE and stands(tx, found):
                raise Conflict("conflict.standing", {"number": found.number})
            return _step_ticket(tx, found, TicketEvent.CLOSE, self._clock.now(), actor, reason)

    def cancel(self, site: str, ticket: int, actor: str, reason: str) -> Ticket:
        return self._on_ticket(site, ticket, TicketEvent.CANCEL, actor, reason)

    def ticket_note(self, site: str, ticket: int, actor: str, reason: str) -> Ticket:
        return self._on_ticket(site, ticket, TicketEvent.NOTE, actor, reason)

    def check(self, site: str, ticket: int, check: int, actor: str, note: str = "") -> Check:
        """A device of the ticket's list was looked at."""
        with self._records.write() as tx:
            now, found = self._clock.now(), _check(tx, site, ticket, check)
            if found.done_at is not None:
                raise Conflict("conflict.checked", {"by": found.done_by})
            return _settle_check(
                tx, ticket, replace(found, done_at=now, done_by=actor, note=note), actor, now
            )

    def uncheck(self, site: str, ticket: int, check: int, actor: str, note: str = "") -> Check:
        """It was not, after all."""
        with self._records.write() as tx:
            now, found = self._clock.now(), _check(tx, site, ticket, check)
            if found.done_at is None:
                raise Conflict("conflict.unchecked")
            return _settle_check(tx, ticket, replace(found, done_at=None, done_by="", note=note), actor, now)

    def _on_ticket(self, site: str, ticket: int, event: TicketEvent, actor: str, reason: str) -> Ticket:
        with self._records.write() as tx:
            return _step_ticket(tx, _ticket(tx, site, ticket), event, self._clock.now(), actor, reason)

    def open_report(
        self,
        site: str,
        actor: str,
        *,
        text: str,
        reporter: str = "",
        contact: str = "",
        space: str = "",
        object: str = "",
        priority: Priority = Priority.MEDIUM,
    ) -> Ticket:
        """Opens a ticket for a telephone call. object: a device id, "" = none."""
        if not text.strip():
            raise Conflict("conflict.text")
        with self._records.write() as tx:
            now = self._clock.now()
            place = _device(tx, site, object).space if object else ""
            within = tickets.RESPOND[priority]
            ticket = tickets.fresh(
                site,
                TicketKind.REPORT,
                priority,
                "ticket.report",
                {"summary": text.strip().splitlines()[0][:_SUMMARY]},
                f"report|{uuid.uuid4()}",
                now,
                object=object,
                space=space or place,
                respond_by=None if within is None else now + within,
                reporter=reporter,
                contact=contact,
                text=text.strip(),
            )
            return _open(tx, ticket, now, actor)

    # ------------------------------------------------------------ plans

    def occurrence_done(self, site: str, occurrence: int, actor: str, evidence: str = "") -> Occurrence:
        """A person's tick; its work order is done with it. Refused where telemetry must prove it."""
        with self._records.write() as tx:
            now, found = self._clock.now(), _occurrence(tx, site, occurrence)
            if found.plan in self._proven:
                raise Conflict("conflict.proof")
            if found.plan in self._reading_days and not found.evidence:
                raise Conflict("conflict.not_read")
            changed = _settle(tx, found, OccurrenceState.DONE, now, actor, evidence)
            _finish_work(tx, found, now, actor, evidence)
            return changed

    def occurrence_excused(self, site: str, occurrence: int, actor: str, reason: str) -> Occurrence:
        """It will not be done, and why; its work order is cancelled with it."""
        if not reason.strip():
            raise Conflict("conflict.reason")
        with self._records.write() as tx:
            now, found = self._clock.now(), _occurrence(tx, site, occurrence)
            changed = _settle(tx, found, OccurrenceState.EXCUSED, now, actor, reason)
            order = tx.tickets.get(site, found.ticket) if found.ticket is not None else None
            if order is not None and (order.state, TicketEvent.CANCEL) in tickets.TABLE:
                _step_ticket(tx, order, TicketEvent.CANCEL, now, actor, reason)
            return changed


# ---------------------------------------------------------------- one row and its traces


def _alarm(tx: Tx, site: str, alarm: int) -> Alarm:
    found = tx.alarms.get(site, alarm)
    if found is None:
        raise Rejected("error.no_alarm")
    return found


def _ticket(tx: Tx, site: str, ticket: int) -> Ticket:
    found = tx.tickets.get(site, ticket)
    if found is None:
        raise Rejected("error.no_ticket")
    return found


def checks_of(tx: Tx, ticket: Ticket) -> list[Check]:
    """The newest list of each alarm of a ticket."""
    alarms = {a.id for a in tx.alarms.search(ticket.site, object=ticket.object) if a.ticket == ticket.id}
    lines = tx.checks.of(ticket.site, alarms | ({ticket.alarm} if ticket.alarm is not None else set()))
    newest = {c.alarm: c.since for c in sorted(lines, key=lambda c: c.since)}
    return [c for c in lines if c.since == newest[c.alarm]]


def _check(tx: Tx, site: str, ticket: int, check: int) -> Check:
    mine = checks_of(tx, _ticket(tx, site, ticket))
    found = next((c for c in mine if c.id == check and not c.step), None)
    if found is None:
        raise Rejected("error.no_check")
    return found


def _settle_check(tx: Tx, ticket: int, check: Check, actor: str, now: Ms) -> Check:
    tx.checks.update(check)
    action = "ticket.check" if check.done_at is not None else "ticket.uncheck"
    tx.audit(
        check.site, now, actor, action, str(ticket), " · ".join(filter(None, (check.object, check.note)))
    )
    tx.change(check.site, now, "ticket", str(ticket))
    return check


def stands(tx: Tx, ticket: Ticket) -> bool:
    """Whether the condition that a ticket was opened for is still there, or there once more; or that of an alarm that joined it,
    the same cause grown worse."""
    alarm = alarm_of(tx, ticket)
    if alarm is not None and alarm.ended_at is None and alarm.cleared_at is None:
        return True
    return ticket.kind is TicketKind.ALARM and any(
        a.ticket == ticket.id and a.cleared_at is None for a in tx.alarms.open_ones(ticket.site)
    )


def _occurrence(tx: Tx, site: str, occurrence: int) -> Occurrence:
    found = tx.occurrences.get(site, occurrence)
    if found is None:
        raise Rejected("error.no_occurrence")
    return found


def _device(tx: Tx, site: str, device: str) -> Device:
    found = next((d for d in tx.devices.all(site) if d.id == device), None)
    if found is None:
        raise Rejected("error.no_device")
    return found


def _log(tx: Tx, site: str, now: Ms, actor: str, action: str, kind: str, key: str, detail: str = "") -> None:
    """The two traces of every action: for the auditor and for the pages."""
    tx.audit(site, now, actor, action, key, detail)
    tx.change(site, now, kind, key)


def _step_alarm(
    tx: Tx,
    alarm: Alarm,
    event: AlarmEvent,
    now: Ms,
    actor: str,
    reason: str = "",
    until: Ms | None = None,
) -> Alarm:
    try:
        changed, line = alarms.step(alarm, event, now, actor, reason, until=until)
    except Conflict as err:
        raise _refused_alarm(alarm, event, reason) from err
    tx.alarms.update(changed)
    tx.alarms.log(line)
    _log(tx, alarm.site, now, actor, f"alarm.{event}", "alarm", str(alarm.id), reason)
    return changed


def _refused_alarm(alarm: Alarm, event: AlarmEvent, reason: str) -> Conflict:
    """Why not, in a sentence for the person who was second."""
    if event is AlarmEvent.ACKNOWLEDGE and alarm.acknowledged_by:
        return Conflict("conflict.acknowledged", {"by": alarm.acknowledged_by})
    if event is AlarmEvent.UNACKNOWLEDGE:
        return Conflict("conflict.undo")
    if event is AlarmEvent.RESET:
        return Conflict("conflict.reset" if alarm.latched else "conflict.no_latch")
    if event is AlarmEvent.SHELVE and alarm.latched:
        return Conflict("conflict.latched")
    if alarms.following(alarm, event) is None:
        return Conflict(f"conflict.alarm.{alarm.state}")
    return Conflict("conflict.shelf" if reason.strip() else "conflict.reason")


def _open(tx: Tx, ticket: Ticket, now: Ms, actor: str) -> Ticket:
    stored = tx.tickets.insert(ticket)
    tx.tickets.log(tickets.opening(stored, now, actor))
    _log(tx, stored.site, now, actor, "ticket.open", "ticket", str(stored.id), stored.number)
    return stored


def _step_ticket(
    tx: Tx, ticket: Ticket, event: TicketEvent, now: Ms, actor: str, reason: str = "", assignee: str = ""
) -> Ticket:
    given = {"assignee": assignee} if assignee else {}
    try:
        changed, line = tickets.step(ticket, event, now, actor, reason, **given)
    except Conflict as err:
        allowed = (ticket.state, event) in tickets.TABLE
        key = "conflict.reason" if allowed else f"conflict.ticket.{ticket.state}"
        raise Conflict(key, {"by": ticket.assignee, "number": ticket.number}) from err
    if assignee:  # the history says who was sent, also after somebody else is
        line = replace(line, reason=" · ".join(filter(None, (f"→ {assignee}", reason))))
    tx.tickets.update(changed)
    tx.tickets.log(line)
    _log(tx, ticket.site, now, actor, f"ticket.{event}", "ticket", str(ticket.id), reason)
    return changed


def _dispatch(tx: Tx, ticket: Ticket, now: Ms, actor: str, assignee: str, reason: str) -> Ticket:
    """Sends somebody, and tells them where they can be reached."""
    name = assignee.strip()
    if not name:
        raise Conflict("conflict.assignee")
    changed = _step_ticket(tx, ticket, TicketEvent.DISPATCH, now, actor, reason, name)
    sent = [p for p in tx.people.all(ticket.site) if p.active and name in (p.name, p.login)]
    arguments = {
        **ticket.arguments,
        "about": ticket.key,
        "number": ticket.number,
        "priority": int(ticket.priority),
        "object": ticket.object,
        "space": ticket.space,
        "reporter": " ".join(filter(None, (ticket.reporter, ticket.contact))),
        "by": actor,
    }
    for row in messages_to(
        sent, f"ticket:{ticket.id}", f"dispatch:{now}", "message.dispatched", arguments, now
    ):
        tx.outbox.insert(row)
    return changed


def _settle(
    tx: Tx, occurrence: Occurrence, state: OccurrenceState, now: Ms, actor: str, evidence: str
) -> Occurrence:
    if occurrence.state not in _UNFINISHED:
        raise Conflict(f"conflict.occurrence.{occurrence.state}", {"by": occurrence.actor})
    at = now if state is OccurrenceState.DONE else None
    changed = replace(occurrence, state=state, done_at=at, evidence=evidence, actor=actor)
    tx.occurrences.update(changed)
    key = str(occurrence.id)
    _log(tx, occurrence.site, now, actor, f"occurrence.{state}", "occurrence", key, evidence)
    return changed


def _finish_work(tx: Tx, occurrence: Occurrence, now: Ms, actor: str, evidence: str) -> None:
    """Brings the work order along to "done", where it is not there yet."""
    ticket = tx.tickets.get(occurrence.site, occurrence.ticket) if occurrence.ticket is not None else None
    if ticket is None:
        return
    for event in (TicketEvent.ACCEPT, TicketEvent.DO):
        if (ticket.state, event) in tickets.TABLE:
            ticket = _step_ticket(tx, ticket, event, now, actor, evidence)
