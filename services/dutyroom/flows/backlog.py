"""What a device said while nobody heard it comes in, kept by a gateway or by itself; whether the end of an alarm came with it,
or may yet come, goes out. Nobody is called for what was over before anybody could hear of it."""

from __future__ import annotations

from dutyroom.alarms import spans_of
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.neighbours import reports_loss
from dutyroom.flows.room import Room
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms

# What a register did stays done: a clerk has to look whether it is over or not.
LASTING = ("register_fault", "decrease")
QUIET: Ms = MINUTE  # a hand-out in which a device does not speak for so long is over
PATIENCE: Ms = 5 * MINUTE  # a slow hand-out is awaited no longer
CUT: Ms = 50 * SECOND  # nor, where people may be without power, longer than this


def unheard(room: Room, episode: Episode, rule: Rule, end: Ms | None = None) -> bool:
    """Whether an alarm began (end: and had its end) while its device was not heard, and was known long after: something kept
    what it said. By when the device fell silent and was back, not by how old its words are: a clock may be off. What is
    vital is told whenever it was."""
    gap = room.context.gap(episode.alarm.object)
    if gap is None or episode.guessed or rule.vital or rule.kind in LASTING:
        return False
    begin, late = spans_of(episode.alarm)[-1][0], _late(room, episode)
    return gap.fell - late <= begin < gap.back - late and (end is None or end < gap.back)


def unfinished(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether the end of what began so may be among what is still handed out: the last word of its device is of the time in
    which it was not heard, and more of them come."""
    device = episode.alarm.object
    gap, heard = room.context.gap(device), room.context.heard(device)
    if gap is None or heard is None or not unheard(room, episode, rule):
        return False
    most = CUT if reports_loss(rule) else PATIENCE
    going_on = room.now < min(heard + QUIET, known_since(episode.alarm) + most)
    return going_on and gap.said < gap.back - _late(room, episode)


def _late(room: Room, episode: Episode) -> Ms:
    """By how much a word may be late, or a clock be off, without anything having kept it."""
    return MINUTE + 2 * room.context.interval(episode.alarm.object)
