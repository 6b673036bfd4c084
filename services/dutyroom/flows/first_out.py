"""First-out: of alarms that belong together, the first in event time, whatever the order of arrival.

Together are a root and all that hangs on it, and what is raised in one place within five minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dutyroom.flows.checklist import begun
from dutyroom.flows.episodes import Episode
from dutyroom.flows.room import Room
from dutyroom.model.duty import AlarmEvent
from dutyroom.timebase import MINUTE, Ms

TOGETHER: Ms = 5 * MINUTE
_JOINS = (AlarmEvent.RAISE, AlarmEvent.SUPPRESS)


def mark_first(room: Room) -> None:
    """Marks anew the groups that have grown with this decision."""
    grown = [e for e in room.all if any(change.event in _JOINS for change in e.changes)]
    if not grown:
        return
    roots = {id(root): root for e in grown if (root := e.root or e)}
    hanging: dict[int, list[Episode]] = {}
    for episode in room.open.values():
        if episode.root is not None:
            hanging.setdefault(id(episode.root), []).append(episode)
    for key, root in roots.items():
        if key in hanging:
            _mark([root, *hanging[key]])
    places = {_place(e) for e in grown if e.root is None and id(e) not in hanging}
    for place in places - {""}:
        alone = [e for e in (*room.recent, *room.open.values()) if e.root is None and _place(e) == place]
        newest = max(begun(e.alarm) for e in alone)
        _mark([e for e in alone if newest - begun(e.alarm) <= TOGETHER])


def _place(episode: Episode) -> str:
    return episode.alarm.space or episode.alarm.object


def _mark(group: Iterable[Episode]) -> None:
    members = list(group)
    if len(members) < 2:
        return
    first = min(
        members, key=lambda e: (begun(e.alarm), e.guessed, e.alarm.recorded_at, e.alarm.id or 1 << 60)
    )
    for episode in members:
        if episode.alarm.first_out is not (episode is first):
            episode.alarm = replace(episode.alarm, first_out=episode is first)
