"""Rows of tickets, with the deadlines that still run."""

from __future__ import annotations

from collections.abc import Iterable

from dutyroom.api.present import OPEN_TICKETS, Presenter, Row
from dutyroom.flows.escalation import alarm_of, deadlines
from dutyroom.interfaces import Tx
from dutyroom.model.duty import Ticket
from dutyroom.timebase import Ms


def ticket_rows(tx: Tx, shown: Presenter, tickets: Iterable[Ticket]) -> list[Row]:
    """In the order given."""
    return [shown.ticket(ticket, _due(tx, shown, ticket)) for ticket in tickets]


def _due(tx: Tx, shown: Presenter, ticket: Ticket) -> dict[str, Ms]:
    """Of an emergency, also one that the ticket of an earlier one has taken on: when it must be answered, and when
    somebody must be there."""
    rule = shown.rules.get(ticket.cause.partition("|")[0])
    if rule is None or ticket.state not in OPEN_TICKETS or not (rule.latched or rule.arrive_within):
        return {}
    alarm = alarm_of(tx, ticket)
    return {what: at for at, what in deadlines(ticket, alarm, rule)} if alarm is not None else {}
