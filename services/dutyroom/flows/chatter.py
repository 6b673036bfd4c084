"""Alarms that come and go: one that is held and sounds no more until it has been quiet, nothing of it lost.

Raised three times within five minutes it chatters (EEMUA 191 and ISA-18.2 list such sources to be mended).
"""

from __future__ import annotations

from dutyroom.alarms import CHATTER, CHATTER_IN, following, spans_of
from dutyroom.flows.episodes import Episode
from dutyroom.flows.room import Room
from dutyroom.model.duty import AlarmEvent
from dutyroom.timebase import Ms


def notice_chatter(room: Room) -> None:
    """Those that were raised once too often with this decision; never fire, entrapment and gas."""
    for episode in list(room.open.values()):
        if not any(change.event is AlarmEvent.RAISE for change in episode.changes):
            continue
        rule = room.context.rules.get(episode.alarm.rule)
        if rule is None or rule.vital or following(episode.alarm, AlarmEvent.CHATTER) is None:
            continue
        begun = sorted(_begun(room, episode))[-CHATTER:]
        if len(begun) == CHATTER and begun[-1] - begun[0] <= CHATTER_IN:
            room.step(episode, AlarmEvent.CHATTER, "alarm.reason.chatters")


def _begun(room: Room, episode: Episode) -> list[Ms]:
    """When it was raised, as this alarm and as those before it."""
    same = [e for e in room.recent if e.key == episode.key]
    return [since for e in (*same, episode) for since, _ in spans_of(e.alarm)]


def settle(room: Room) -> None:
    """Those that have neither come nor gone for as long."""
    for episode in list(room.open.values()):
        if not episode.alarm.chattering:
            continue
        moments = [at for span in spans_of(episode.alarm)[-1:] for at in span if at is not None]
        if room.now - max(moments, default=0) >= CHATTER_IN:
            room.step(episode, AlarmEvent.SETTLE, "alarm.reason.quiet")
