"""Rows of tickets, with the deadlines that still run."""

from __future__ import annotations

from collections.abc import Iterable

from dutyroom.api.present import OPEN_TICKETS, Presenter, Row
from dutyroom.flows.escalation import alarm_of, deadlines
from dutyroom.interfaces import Tx
from dutyroom.model.duty import Ticket


def ticket_rows(tx: Tx, shown: Presenter, tickets: Iterable[Ticket]) -> list[Row]:
    """In the order given."""
    return [_row(tx, shown, ticket) for ticket in tickets]


def _row(tx: Tx, shown: Presenter, ticket: Ticket) -> Row:
    """Of an emergency, also one that the ticket of an earlier one has taken on: when it must be answered, when
    somebody must be there, and who has come for it."""
    rule = shown.rules.get(ticket.cause.partition("|")[0])
    if rule is None or ticket.state not in OPEN_TICKETS or not (rule.latched or rule.arrive_within):
        return shown.ticket(ticket)
    alarm = alarm_of(tx, ticket)
    due = {what: at for at, what in deadlines(ticket, alarm, rule)} if alarm is not None else {}
    return shown.ticket(ticket, due, alarm)
