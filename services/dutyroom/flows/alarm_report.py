"""What rang in a duty room, out of its records: the calls that `alarm_load` counts."""

from __future__ import annotations

from collections.abc import Sequence

from dutyroom.flows.alarm_figures import rings_at
from dutyroom.flows.alarm_load import Ring
from dutyroom.interfaces import Records
from dutyroom.model.duty import Alarm, AlarmChange, AlarmEvent
from dutyroom.timebase import DAY, Ms

MOST = 20_000  # alarms of a report
BEFORE: Ms = 30 * DAY  # an alarm that began so long before may call again


def rings(records: Records, site: str, since: Ms, until: Ms) -> tuple[list[Ring], bool]:
    """(calls in [since, until), whether there are more alarms than a report takes). The newest are taken."""
    with records.read() as tx:
        found = tx.alarms.search(site, since=since - BEFORE, limit=MOST)
        mine = [alarm for alarm in found if alarm.recorded_at < until]
        made = [ring for alarm in mine for ring in calls(alarm, tx.alarms.history(alarm.id))]
    return [ring for ring in made if since <= ring.at < until], len(found) == MOST


def calls(alarm: Alarm, history: Sequence[AlarmChange]) -> list[Ring]:
    """Each time at which an alarm called a person, with what became of that call. history: the oldest first."""
    places = [n for n in range(len(history)) if rings_at(history, n, alarm.latched)]
    found = []
    for place, after in zip(places, [*places[1:], len(history)], strict=False):
        at = history[place].at
        own = history[place + 1 : after]
        answered = next((c.at for c in own if c.event is AlarmEvent.ACKNOWLEDGE), None)
        cleared = next((c.at for c in own if c.event is AlarmEvent.CLEAR), None)
        found.append(
            Ring(
                at,
                alarm.rule,
                alarm.object,
                int(alarm.priority),
                cleared if cleared is not None or after < len(history) else alarm.ended_at,
                None if answered is None else answered - at,
                ticket=alarm.ticket is not None and place == places[0],
                raised=place == places[0],
                disproved=alarm.disproved,
                test=alarm.test,
                came=history[place].event is AlarmEvent.RAISE,
            )
        )
    return found
