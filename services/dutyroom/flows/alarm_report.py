"""What rang in a duty room, out of its records: the calls that `alarm_load` counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dutyroom.flows.alarm_figures import rings_at
from dutyroom.flows.alarm_load import Ring
from dutyroom.flows.announced import TEST_OVER
from dutyroom.interfaces import Records
from dutyroom.model.duty import Alarm, AlarmChange, AlarmEvent
from dutyroom.timebase import DAY, Ms

MOST = 20_000  # alarms of a report
BEFORE: Ms = 30 * DAY  # an alarm that began so long before may call again


def rings(records: Records, site: str, since: Ms, until: Ms) -> tuple[list[Ring], bool]:
    """(calls before `until`: those from `since` on, and earlier ones of what may still stand then; whether there are
    more alarms than a report takes). The newest are taken, and all that are open."""
    with records.read() as tx:
        found = tx.alarms.search(site, since=since - BEFORE, limit=MOST)
        known = {alarm.id for alarm in found}
        every = [*found, *(alarm for alarm in tx.alarms.open_ones(site) if alarm.id not in known)]
        mine = [alarm for alarm in every if alarm.recorded_at < until]
        made = [(alarm.ticket, ring) for alarm in mine for ring in calls(alarm, tx.alarms.history(alarm.id))]
    return [ring for ring in _first_on_tickets(made) if ring.at < until], len(found) == MOST


def whole_span(found: Sequence[Ring], since: Ms, until: Ms, heard: Ms | None) -> Ms:
    """From when on the figures of [since, until) are to be taken: a site that was first heard within it rang at most
    since then, and a mean over weeks before would flatter it. A day is the least, unless less was asked for: what rings
    while a site is being connected says nothing of a day. heard: the first message, None = not known."""
    first = min([heard, *(ring.at for ring in found)]) if heard is not None else None
    if first is None or first >= until:
        return since
    return max(since, min(first, until - DAY))


def _first_on_tickets(made: Iterable[tuple[int | None, Ring]]) -> Iterator[Ring]:
    """In time order. A work order to which further alarms were attached is one."""
    known: set[int] = set()
    for ticket, ring in sorted(made, key=lambda pair: pair[1].at):
        if ring.ticket and ticket is not None:
            ring = replace(ring, ticket=ticket not in known)
            known.add(ticket)
        yield ring


def calls(alarm: Alarm, history: Sequence[AlarmChange]) -> list[Ring]:
    """Each time at which an alarm called a person, with what became of that call. history: the oldest first. What still
    held at the end of a fire test calls then, and what it called before was the test."""
    over = max((n for n, change in enumerate(history) if change.reason == TEST_OVER), default=0)
    places = [n for n in range(len(history)) if rings_at(history, n, alarm.latched) or 0 < n == over]
    true = [n for n in places if n >= over]
    found = []
    for place, after in zip(places, [*places[1:], len(history)], strict=False):
        at = history[place].at
        answered = _next(history[place + 1 : after], AlarmEvent.ACKNOWLEDGE)
        cleared = _next(history[place + 1 :], AlarmEvent.CLEAR)
        began = max((n for n in range(place + 1) if history[n].event is AlarmEvent.RAISE), default=0)
        found.append(
            Ring(
                at,
                alarm.rule,
                alarm.object,
                int(alarm.priority),
                cleared if cleared is not None else alarm.ended_at,
                None if answered is None else answered - at,
                ticket=alarm.ticket is not None and place in true[:1],
                raised=not any(began <= n < place for n in true),
                disproved=alarm.disproved,
                test=alarm.test or place < over,
                came=history[place].event is AlarmEvent.RAISE,
            )
        )
    return found


def _next(history: Sequence[AlarmChange], event: AlarmEvent) -> Ms | None:
    return next((change.at for change in history if change.event is event), None)
