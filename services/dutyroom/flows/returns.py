"""Supply that has come back goes in; by when each device that hangs on it has to be heard again comes out."""

from __future__ import annotations

from collections.abc import Iterable

from dutyroom.flows.episodes import Context, Episode
from dutyroom.flows.inferred import GUESS
from dutyroom.flows.neighbours import RESTORE_GRACE, reports_loss
from dutyroom.flows.zones import on_its_own
from dutyroom.model.duty import AlarmEvent
from dutyroom.timebase import SECOND, Ms
from dutyroom.topology import sole_below

# Before the grace is over: until then it hangs on the cut, and is told with what else stays dead.
BEFORE: Ms = 10 * SECOND


def awaited(episodes: Iterable[Episode], context: Context, now: Ms) -> dict[str, Ms]:
    """Of devices that hang alone on a feed whose loss of power is over, or are carried by a gateway that is back: until when their
    silence is the cut's. It may have lasted too short for any of them to be missed by its own rule, which waits ten minutes. Radio
    meters on a battery are left to that: they miss a turn or two on any day."""
    found: dict[str, Ms] = {}
    for episode in episodes:
        rule = context.rules.get(episode.alarm.rule)
        over = any(change.event is AlarmEvent.CLEAR for change in episode.changes) and not episode.active
        loss = rule is not None and (reports_loss(rule) or episode.alarm.arguments.get(GUESS) == "power")
        network = rule is not None and rule.root and rule.utility == "network"
        if not (over and (loss or network)):
            continue
        utility = "network" if network else "power"
        for device in sole_below(context.topology, utility, episode.alarm.object):
            if network and on_its_own(context, device):
                continue
            turns = 2 * context.interval(device)
            if turns and context.heard(device) is not None:  # a word that comes sets its rule's time anew
                found[device] = now + max(RESTORE_GRACE - BEFORE, turns)
    return found
