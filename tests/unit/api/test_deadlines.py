"""The deadlines on a ticket: those that still run, also of an emergency that it has taken on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.words import Words, read_catalogue
from dutyroom.model.duty import Alarm, AlarmState, Ticket, TicketState
from dutyroom.timebase import MINUTE, Ms, zone

API = f"/api/v1/sites/{SITE}"
RULE = "elevator.entrapment"


@pytest.fixture
def ticket(house: House) -> Ticket:
    """People are trapped, and somebody must be there within half an hour."""
    site = house.estate.runtime.site
    rules = tuple(replace(r, arrive_within=30 * MINUTE) if r.id == RULE else r for r in site.rules)
    house.estate.runtime.site = replace(site, rules=rules)
    with house.estate.records.read() as tx:
        return next(t for t in tx.tickets.search(SITE, open_only=True) if t.cause.startswith(RULE))


def again(house: House, ticket: Ticket) -> Ms:
    """Two hours ago: they were freed by who came after 20 min, the alarm was reset, the work order was left. Now they are
    trapped once more; when."""
    now = house.estate.clock.now()
    began = now - 120 * MINUTE
    with house.estate.records.write() as tx:
        first: Alarm | None = tx.alarms.get(SITE, ticket.alarm or 0)
        assert first is not None
        freed = {"cleared_at": began + 25 * MINUTE, "ended_at": began + 30 * MINUTE}
        tx.alarms.update(replace(first, raised_at=began, recorded_at=began, state=AlarmState.NORMAL, **freed))
        tx.tickets.update(
            replace(
                ticket,
                opened_at=began,
                respond_by=began + 3 * MINUTE,
                dispatched_at=began + MINUTE,
                accepted_at=began + 2 * MINUTE,
                arrived_at=began + 20 * MINUTE,
                state=TicketState.ACCEPTED,
            )
        )
        tx.alarms.insert(
            replace(
                first,
                id=0,
                episode="again",
                raised_at=now - MINUTE,
                recorded_at=now - MINUTE,
                ticket=ticket.id,
            )
        )
    return now - MINUTE


def test_the_first_entrapment_has_half_an_hour(house: House, ticket: Ticket) -> None:
    row = house.person("operator").get(f"{API}/tickets/{ticket.id}").json()
    assert row["arrive_by"] == ticket.opened_at + 30 * MINUTE
    assert not row["late"]


def test_of_the_second_one_on_a_ticket_its_own_deadlines_are_shown(house: House, ticket: Ticket) -> None:
    at = again(house, ticket)
    client = house.person("operator")
    row = client.get(f"{API}/tickets/{ticket.id}").json()
    assert (row["arrive_by"], row["respond_by"]) == (at + 30 * MINUTE, at + 10 * MINUTE)
    assert not row["late"]  # though hours have passed since the first
    listed = next(r for r in client.get(f"{API}/tickets").json() if r["id"] == ticket.id)
    assert (listed["arrive_by"], listed["respond_by"]) == (row["arrive_by"], row["respond_by"])
    for language, label in (("zh-CN", "到场时限"), ("en", "On site by")):
        page = client.get(f"/sites/{SITE}/tickets/{ticket.id}?lang={language}").text
        shown = page.split(f"<dt>{label}</dt><dd>")[1].partition("</dd>")[0]
        assert shown == page_time(house, language, at + 30 * MINUTE)


def page_time(house: House, language: str, at: Ms) -> str:
    words = Words(language, read_catalogue(), zone("Asia/Shanghai"))
    return words.when(at, house.estate.clock.now())


def test_nobody_needs_to_arrive_where_they_are_free(house: House, ticket: Ticket) -> None:
    with house.estate.records.write() as tx:
        first = tx.alarms.get(SITE, ticket.alarm or 0)
        assert first is not None
        tx.alarms.update(replace(first, state=AlarmState.RETURNED, cleared_at=house.estate.clock.now()))
    client = house.person("operator")
    assert client.get(f"{API}/tickets/{ticket.id}").json()["arrive_by"] is None
    assert "到场时限" not in client.get(f"/sites/{SITE}/tickets/{ticket.id}").text


def test_who_came_for_the_first_did_not_come_for_the_second(house: House, ticket: Ticket) -> None:
    """And nobody was sent for it: the ticket and the alarm say so, though it was accepted for the first."""
    again(house, ticket)
    client = house.person("operator")
    row = client.get(f"{API}/tickets/{ticket.id}").json()
    assert (row["arrived_at"], row["work"], row["undispatched"]) == (None, "未派工", True)
    alarm = next(a for a in client.get(f"{API}/alarms").json() if a["ticket"] == ticket.id)
    assert (alarm["work"], alarm["undispatched"], alarm["owner"]) == ("未派工", True, "")
    assert row["alarm_row"]["id"] == alarm["id"], "the page shows the one that stands"
    page = client.get(f"/sites/{SITE}/tickets/{ticket.id}?lang=en").text
    assert "On site since" not in page
    assert "Not dispatched" in page
    here = client.post(f"{API}/tickets/{ticket.id}/arrive", json={}).json()
    assert house.estate.clock.now() - here["arrived_at"] < MINUTE
    assert (here["arrive_by"], here["work"]) == (None, "现场")
    assert "On site since" in client.get(f"/sites/{SITE}/tickets/{ticket.id}?lang=en").text


def test_the_order_of_the_first_is_not_closed_without_a_word_while_the_second_stands(
    house: House, ticket: Ticket
) -> None:
    again(house, ticket)
    client = house.person("operator")
    for action in ("arrive", "done"):
        client.post(f"{API}/tickets/{ticket.id}/{action}", json={})
    assert client.get(f"{API}/tickets/{ticket.id}").json()["stands"]
    assert client.post(f"{API}/tickets/{ticket.id}/close", json={}).status_code == 409
    assert client.post(f"{API}/tickets/{ticket.id}/close", json={"reason": "lift is off"}).status_code == 200


def test_who_was_sent_in_time_is_not_late_and_who_was_not_is(house: House, ticket: Ticket) -> None:
    now = house.estate.clock.now()
    sent = replace(
        ticket, opened_at=now - 9 * MINUTE, respond_by=now - 6 * MINUTE, state=TicketState.DISPATCHED
    )
    client = house.person("operator")
    for dispatched_at, late in ((now - 8 * MINUTE, False), (None, True)):
        with house.estate.records.write() as tx:
            alarm = tx.alarms.get(SITE, ticket.alarm or 0)
            assert alarm is not None
            tx.alarms.update(replace(alarm, state=AlarmState.UNACKNOWLEDGED, acknowledged_at=None))
            tx.tickets.update(replace(sent, dispatched_at=dispatched_at))
        row = client.get(f"{API}/tickets/{ticket.id}").json()
        assert (row["late"], row["undispatched"]) == (late, late)
