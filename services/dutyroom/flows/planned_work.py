"""The traces that a plan leaves in the records: occurrences, work orders, overdue alarms, messages.

Each function writes one thing within the caller's transaction and its line in the change log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dutyroom import alarms, plans, tickets
from dutyroom.errors import Conflict
from dutyroom.flows.notify import messages_to
from dutyroom.interfaces import Tx
from dutyroom.model.duty import (
    SYSTEM,
    Alarm,
    AlarmEvent,
    AlarmState,
    Arguments,
    Device,
    Occurrence,
    Role,
    Ticket,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.plans import Plan
from dutyroom.rules.spec import matches
from dutyroom.timebase import HOUR, Ms

WITHDRAWN = "evidence.withdrawn"
SUPERSEDED = "evidence.superseded"
_TOLD = (Role.OPERATOR, Role.ADMINISTRATOR)  # who is told of what is overdue, if they can be reached


def update(tx: Tx, row: Occurrence, now: Ms) -> Occurrence:
    tx.occurrences.update(row)
    tx.change(row.site, now, "occurrence", str(row.id))
    return row


def ticket_of(tx: Tx, row: Occurrence) -> Ticket | None:
    return tx.tickets.get(row.site, row.ticket) if row.ticket is not None else None


def order(tx: Tx, plan: Plan, row: Occurrence, devices: Mapping[str, Device], now: Ms) -> Occurrence:
    """The occurrence with its work order, opened now unless it is open already."""
    cause = plans.cause(plan.id, row.object, row.due)
    ticket = tx.tickets.open_for(row.site, cause)
    if ticket is None:
        device = devices.get(row.object)
        ticket = tx.tickets.insert(
            tickets.fresh(
                row.site,
                TicketKind.PLAN,
                plan.priority,
                plans.TICKET_KEY,
                {"plan": plan.id},
                cause,
                now,
                object=row.object,
                space=device.space if device else "",
                respond_by=row.due + plan.grace,
            )
        )
        tx.tickets.log(tickets.opening(ticket, now, SYSTEM))
        tx.change(row.site, now, "ticket", str(ticket.id))
    return update(tx, replace(row, ticket=ticket.id), now)


def with_open_order(
    tx: Tx, plan: Plan, row: Occurrence, devices: Mapping[str, Device], now: Ms
) -> Occurrence:
    """The occurrence with a work order to attach to: a new one, where a person finished the first
    and telemetry has not shown what was to be done."""
    ticket = ticket_of(tx, row)
    if ticket is None or ticket.state not in (TicketState.CLOSED, TicketState.CANCELLED):
        return row
    return order(tx, plan, row, devices, now)


def finish(tx: Tx, row: Occurrence, now: Ms) -> None:
    """Closes the work order of an occurrence, step by step as the table of tickets wants it."""
    ticket = ticket_of(tx, row)
    for event in (TicketEvent.ACCEPT, TicketEvent.DO, TicketEvent.CLOSE):
        if ticket is not None and (ticket.state, event) in tickets.TABLE:
            ticket = _step(tx, ticket, event, now, row.evidence)


def cancel(tx: Tx, row: Occurrence, now: Ms) -> None:
    """Cancels a work order that nobody has taken up."""
    ticket = ticket_of(tx, row)
    if ticket is not None and ticket.state is TicketState.OPEN:
        _step(tx, ticket, TicketEvent.CANCEL, now, row.evidence)


def _step(tx: Tx, ticket: Ticket, event: TicketEvent, now: Ms, reason: str) -> Ticket:
    after, change = tickets.step(ticket, event, now, SYSTEM, reason)
    tx.tickets.update(after)
    tx.tickets.log(change)
    tx.change(after.site, now, "ticket", str(after.id))
    return after


def raise_overdue(
    tx: Tx, plan: Plan, row: Occurrence, standing: Alarm | None, devices: Mapping[str, Device], now: Ms
) -> None:
    """The overdue alarm of a plan and object: a new one, or the one that had returned."""
    if standing is None:
        fresh, change = alarms.step(_overdue(plan, row, devices, now), AlarmEvent.RAISE, now, SYSTEM)
        alarm = tx.alarms.insert(fresh)
    else:
        alarm, change = alarms.step(standing, AlarmEvent.RAISE, now, SYSTEM)
        alarm = replace(alarm, ticket=row.ticket)
        tx.alarms.update(alarm)
    tx.alarms.log(replace(change, alarm=alarm.id))
    tx.change(alarm.site, now, "alarm", str(alarm.id))
    ticket = ticket_of(tx, row)
    if ticket is not None and (ticket.state, TicketEvent.ATTACH) in tickets.TABLE:
        ticket = _step(tx, replace(ticket, alarm=alarm.id), TicketEvent.ATTACH, now, "evidence.overdue")
    _tell(tx, plan, row, alarm, ticket.number if ticket is not None else "", devices, now)


def end_overdue(tx: Tx, standing: Alarm, event: AlarmEvent, now: Ms) -> None:
    """CLEAR or WITHDRAW."""
    try:
        alarm, change = alarms.step(standing, event, now, SYSTEM)
    except Conflict:
        return  # it is over already
    tx.alarms.update(alarm)
    tx.alarms.log(change)
    tx.change(alarm.site, now, "alarm", str(alarm.id))


def _tell(
    tx: Tx,
    plan: Plan,
    row: Occurrence,
    alarm: Alarm,
    number: str,
    devices: Mapping[str, Device],
    now: Ms,
) -> None:
    """One message per person, plan and due time: sixteen elevators whose service is overdue on one
    morning are one thing to be told, without the place and order of one of them."""
    several = plan.select is not None and sum(matches(plan.select, d) for d in devices.values()) > 1
    people = [p for p in tx.people.all(alarm.site) if p.active and p.role in _TOLD]
    arguments: Arguments = {
        **alarm.arguments,
        "priority": int(alarm.priority),
        "ticket": "" if several else number,
        "space": "" if several else alarm.space,
        "at": alarm.raised_at,
    }
    cause = f"{alarm.rule}|{row.due}" if several else f"{alarm.rule}|{alarm.object}|{alarm.ticket}"
    for message in messages_to(people, cause, "raised", alarm.key, arguments, now):
        if tx.outbox.insert(message):
            tx.change(alarm.site, now, "outbox", message.dedupe)


def _overdue(plan: Plan, row: Occurrence, devices: Mapping[str, Device], now: Ms) -> Alarm:
    device = devices.get(row.object)
    rule, raised_at = plans.overdue_rule(plan.id), row.due + plan.grace
    return Alarm(
        id=0,
        site=row.site,
        rule=rule,
        rule_version=1,
        object=row.object,
        space=device.space if device else "",
        episode=f"{rule}|{row.object}|{row.due}",
        state=AlarmState.NORMAL,
        priority=plan.priority,
        latched=False,
        raised_at=raised_at,
        recorded_at=now,
        key=plans.OVERDUE_KEY,
        arguments={"plan": plan.id},
        ticket=row.ticket,
        late=now - raised_at > HOUR,
    )
