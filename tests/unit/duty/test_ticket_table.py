"""The ticket table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Conflict
from dutyroom.model.duty import Priority, Ticket, TicketEvent, TicketKind, TicketState
from dutyroom.tickets import TABLE, fresh, opening, step

E, S = TicketEvent, TicketState
NOW = 1_000


def ticket() -> Ticket:
    return fresh("s", TicketKind.REPORT, Priority.HIGH, "ticket.report", {}, "report|1", NOW, contact="139")


def then(one: Ticket, *events: TicketEvent) -> Ticket:
    for event in events:
        one, _ = step(
            one, event, NOW, "li", "because", **({"assignee": "wang"} if event is E.DISPATCH else {})
        )
    return one


def test_from_the_call_to_the_end_with_a_redo() -> None:
    done = then(ticket(), E.DISPATCH, E.ACCEPT, E.DO)
    assert (done.state, done.assignee, done.done_at) == (S.DONE, "wang", NOW)
    again = then(done, E.REDO)
    assert (again.state, again.done_at, again.assignee) == (S.DISPATCHED, None, "wang")
    closed = then(again, E.ACCEPT, E.DO, E.CLOSE)
    assert (closed.state, closed.closed_at) == (S.CLOSED, NOW)
    with pytest.raises(Conflict, match="that is closed does not allow cancel"):
        then(closed, E.CANCEL)


def test_who_accepts_without_a_dispatch_has_it() -> None:
    assert then(ticket(), E.ACCEPT).assignee == "li"


def test_refusals_are_sentences() -> None:
    with pytest.raises(Conflict, match="needs an assignee"):
        step(ticket(), E.DISPATCH, NOW, "li")
    with pytest.raises(Conflict, match="needs a reason"):
        step(ticket(), E.CANCEL, NOW, "li")
    with pytest.raises(Conflict, match="cause cannot be changed"):
        step(ticket(), E.NOTE, NOW, "li", "x", cause="other")
    with pytest.raises(Conflict, match="needs a person"):
        step(ticket(), E.NOTE, NOW, "", "x")


def test_the_first_line_of_its_history() -> None:
    assert opening(ticket(), NOW, "li").event is E.OPEN


@given(st.lists(st.sampled_from(list(TicketEvent)), max_size=20))
def test_no_sequence_leaves_the_table(events: list[TicketEvent]) -> None:
    one = ticket()
    for event in events:
        try:
            after, change = step(one, event, NOW, "li", "because", assignee="wang")
        except Conflict:
            assert (one.state, event) not in TABLE
            continue
        assert change.before is one.state
        assert change.after is after.state is TABLE[one.state, event]
        assert (after.closed_at is not None) == (after.state in (S.CLOSED, S.CANCELLED))
        one = after
