"""What a device said while nobody heard it comes in, kept by a gateway or by itself; whether the end of an alarm came with it,
or may yet come, goes out. Nobody is called for what was over before anybody could hear of it.

Hidden is worse than told twice: a device's clock is taken to be off by as much as its last word before, and what took as long
here as it did there was heard as it happened, whatever its clock says.
"""

from __future__ import annotations

from dutyroom.alarms import spans_of
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.neighbours import reports_loss
from dutyroom.flows.room import Room
from dutyroom.model.duty import Priority
from dutyroom.rules.kind import GAPS
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms

# What a register did stays done: a clerk has to look whether it is over or not.
LASTING = ("register_fault", "decrease")
HELD = (
    "during",
    "meanwhile",
    "state",
)  # kinds whose delay runs on while a state that comes on change says nothing
FOLLOWING = ("expect", "sequence")  # kinds that wait for something after another device's alarm
QUIET: Ms = MINUTE  # a hand-out in which a device does not speak for so long is over
PATIENCE: Ms = 5 * MINUTE  # a slow hand-out is awaited no longer
CUT: Ms = 50 * SECOND  # nor, where people may be without power, longer than this
SEEN: Ms = 45 * SECOND  # after which it is seen whether the words come faster than time goes
FASTER = 2  # times, at least, where something hands out what it kept
SELDOM: Ms = 5 * MINUTE  # by which a word may be late of a device that speaks when it likes


def unheard(room: Room, episode: Episode, rule: Rule, end: Ms | None = None) -> bool:
    """Whether an alarm began (end: and had its end) while its device was not heard, and was known long after: something kept
    what it said. What is vital, or of a fire, is told whenever it was, and so is what a register did."""
    if (
        episode.guessed
        or rule.vital
        or rule.kind in LASTING
        or (rule.fire and rule.priority <= Priority.HIGH)
    ):
        return False
    device = _source(episode, rule)[1]
    gap, begin = room.context.gap(device), spans_of(episode.alarm)[-1][0]
    if gap is None or not gap.fell <= begin + gap.lag + _late(room, device) < gap.back:
        return False
    if end is None:
        return True
    lasted, here = end - begin, room.now - known_since(episode.alarm)
    return end + gap.lag < gap.back and FASTER * here < lasted


def unfinished(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether the end of what began so may be among what is still handed out: the last word on it is of the time in which its
    device was not heard, and more of them come, faster than time goes."""
    if not unheard(room, episode, rule):
        return False
    source, device = _source(episode, rule)
    gap, heard, said = room.context.gap(device), room.context.heard(device), room.context.said(source, device)
    if gap is None or heard is None or said is None or said + gap.lag >= gap.back - _late(room, device):
        return False
    here = room.now - known_since(episode.alarm)
    if here >= SEEN and said - spans_of(episode.alarm)[-1][0] < FASTER * here:
        return False
    return here < (CUT if reports_loss(rule) else PATIENCE) and room.now < heard + QUIET


def unspoken(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether time alone raised an alarm, while its device had missed three turns: its last word was of long before, and what
    it has become nobody knows. It waits for the next word; that the device is silent has its own alarm."""
    device = episode.alarm.object
    interval, heard = room.context.interval(device), room.context.heard(device)
    if rule.kind not in HELD or rule.vital or rule.root or not interval or heard is None:
        return False
    return known_since(episode.alarm) - heard > GAPS * interval


def _source(episode: Episode, rule: Rule) -> tuple[str, str]:
    """The rule and the device whose words it is of. That a generator is late after a mains failure is as old as that."""
    cause = episode.alarm.arguments.get("device")
    if rule.kind in FOLLOWING and isinstance(cause, str) and cause:
        return str(rule.parameters.get("after")), cause
    return episode.key


def _late(room: Room, device: str) -> Ms:
    """By how much a word may be late without anything having kept it."""
    interval = room.context.interval(device)
    return MINUTE + 2 * interval if interval else SELDOM
