"""The life of a ticket, as a table of states and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from dutyroom.errors import Conflict
from dutyroom.model.duty import (
    Alarm,
    Arguments,
    Priority,
    Ticket,
    TicketChange,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.timebase import HOUR, MINUTE, Ms

Key: TypeAlias = tuple[TicketState, TicketEvent]

_S, _E = TicketState, TicketEvent

TABLE: Mapping[Key, TicketState] = {
    (_S.OPEN, _E.DISPATCH): _S.DISPATCHED,
    (_S.OPEN, _E.ACCEPT): _S.ACCEPTED,
    (_S.DISPATCHED, _E.DISPATCH): _S.DISPATCHED,  # to somebody else
    (_S.DISPATCHED, _E.ACCEPT): _S.ACCEPTED,
    (_S.DISPATCHED, _E.ARRIVE): _S.ACCEPTED,  # who is there has taken it
    (_S.ACCEPTED, _E.ARRIVE): _S.ACCEPTED,
    (_S.ACCEPTED, _E.DISPATCH): _S.DISPATCHED,
    (_S.ACCEPTED, _E.DO): _S.DONE,
    (_S.DONE, _E.REDO): _S.DISPATCHED,
    (_S.DONE, _E.REOPEN): _S.OPEN,  # an emergency once more: nobody has been sent for it
    (_S.DONE, _E.CLOSE): _S.CLOSED,
}
TABLE = {
    **TABLE,
    **{(state, _E.NOTE): state for state in TicketState},
    **{(s, _E.ATTACH): s for s in TicketState if s not in (_S.CLOSED, _S.CANCELLED)},
    **{(s, _E.CANCEL): _S.CANCELLED for s in TicketState if s not in (_S.CLOSED, _S.CANCELLED)},
}

RESPOND: Mapping[Priority, Ms | None] = {  # how soon somebody is to answer, where no rule says it
    Priority.EMERGENCY: 3 * MINUTE,
    Priority.HIGH: 10 * MINUTE,
    Priority.MEDIUM: 4 * HOUR,
    Priority.LOW: None,
}
_CHANGEABLE = frozenset({"assignee", "contact", "reporter", "text", "priority", "respond_by"})
_NEEDS_REASON = frozenset({_E.CANCEL, _E.REDO, _E.NOTE})
_STAMPS = {_E.DISPATCH: "dispatched_at", _E.ACCEPT: "accepted_at", _E.DO: "done_at"}


def step(
    ticket: Ticket, event: TicketEvent, now: Ms, actor: str, reason: str = "", **changes: object
) -> tuple[Ticket, TicketChange]:
    """The ticket after the event, and the line for its history.

    changes: new values of assignee, contact, reporter, text, priority or respond_by. Raises
    Conflict with a sentence.
    """
    after = TABLE.get((ticket.state, event))
    if after is None:
        raise Conflict(f"a ticket that is {ticket.state} does not allow {event}")
    if not actor:
        raise Conflict(f"{event} needs a person")
    if event in _NEEDS_REASON and not reason.strip():
        raise Conflict(f"{event} needs a reason")
    if unknown := set(changes) - _CHANGEABLE:
        raise Conflict(f"{', '.join(sorted(unknown))} cannot be changed")
    if event is _E.DISPATCH and not (changes.get("assignee") or ticket.assignee):
        raise Conflict("dispatch needs an assignee")
    if event is _E.ACCEPT and not ticket.assignee:
        changes.setdefault("assignee", actor)
    changed = replace(ticket, state=after, **{**_stamps(ticket, event, now), **changes})  # type: ignore[arg-type]
    return changed, TicketChange(ticket.id, now, actor, event, ticket.state, after, reason)


def _stamps(ticket: Ticket, event: TicketEvent, now: Ms) -> dict[str, Ms | str | None]:
    if event is _E.REDO:
        return {"done_at": None, "accepted_at": None, "arrived_at": None}
    if event is _E.REOPEN:
        gone = ("done_at", "dispatched_at", "accepted_at", "arrived_at")
        return {"assignee": "", **dict.fromkeys(gone)}
    if event is _E.ARRIVE:
        return {"arrived_at": now, "accepted_at": ticket.accepted_at or now}
    if event in _STAMPS:
        return {_STAMPS[event]: now}
    if event in (_E.CLOSE, _E.CANCEL):
        return {"closed_at": now}
    return {}


def cause_of(rule: str, object: str) -> str:
    """The cause of an alarm's ticket: unique while the ticket is open."""
    return f"{rule}|{object}"


def for_alarm(alarm: Alarm, respond_within: Ms | None, now: Ms) -> Ticket:
    """The ticket that an alarm opens; id and number are given when it is stored."""
    return fresh(
        alarm.site,
        TicketKind.ALARM,
        alarm.priority,
        alarm.key,
        alarm.arguments,
        cause_of(alarm.rule, alarm.object),
        now,
        object=alarm.object,
        space=alarm.space,
        alarm=alarm.id or None,
        respond_by=None if respond_within is None else now + respond_within,
    )


def fresh(
    site: str,
    kind: TicketKind,
    priority: Priority,
    key: str,
    arguments: Arguments,
    cause: str,
    now: Ms,
    *,
    object: str = "",
    space: str = "",
    alarm: int | None = None,
    respond_by: Ms | None = None,
    reporter: str = "",
    contact: str = "",
    text: str = "",
) -> Ticket:
    """A new open ticket (id 0, number ""): from an alarm, a report by telephone or a plan."""
    return Ticket(
        id=0,
        site=site,
        number="",
        kind=kind,
        state=TicketState.OPEN,
        priority=priority,
        key=key,
        arguments=arguments,
        object=object,
        space=space,
        opened_at=now,
        respond_by=respond_by,
        cause=cause,
        alarm=alarm,
        reporter=reporter,
        contact=contact,
        text=text,
    )


def opening(ticket: Ticket, now: Ms, actor: str, reason: str = "") -> TicketChange:
    """The first line of a stored ticket's history."""
    return TicketChange(ticket.id, now, actor, _E.OPEN, _S.OPEN, _S.OPEN, reason)


def table_markdown() -> str:
    """The table as Markdown, for the documentation."""
    lines = ["| state | event | then |", "| --- | --- | --- |"]
    for state in TicketState:
        for event in TicketEvent:
            if (state, event) in TABLE:
                lines.append(f"| {state} | {event} | {TABLE[state, event]} |")
    return "\n".join(lines) + "\n"
