"""What the duty room does with conditions: alarms, roots and consequences, tickets, messages.

Pure: what stands in the records comes in, what is to be written goes out. One cause, one ticket:
a consequence of a root alarm is suppressed with it and opens no ticket; whatever may have a root
waits some seconds for it, whichever comes first. Nothing here depends on the order of arrival
within that time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dutyroom.flows.again import realarm
from dutyroom.flows.announced import end_tests
from dutyroom.flows.chatter import notice_chatter, settle
from dutyroom.flows.conditions import apply, withdraw
from dutyroom.flows.consequences import follow_step, make_lists
from dutyroom.flows.corrections import Judged, correct
from dutyroom.flows.episodes import Context, Decision, Key, Standing
from dutyroom.flows.escalation import escalate
from dutyroom.flows.first_out import mark_first
from dutyroom.flows.grouping import as_grave, group, lift, unshelve
from dutyroom.flows.inference import infer
from dutyroom.flows.neighbours import listen
from dutyroom.flows.room import Room
from dutyroom.flows.ticketing import announce_restored, open_due
from dutyroom.model.duty import Condition
from dutyroom.timebase import Ms


def decide(
    conditions: Iterable[Condition],
    standing: Standing,
    context: Context,
    now: Ms,
    withdrawn: Collection[Key] = (),
    judged: Iterable[Judged] = (),
) -> Decision:
    """The alarms, tickets and messages that follow at `now`; without conditions: what is due.

    judged: what late readings were found to change.
    """
    room = Room(standing, context, now)
    withdraw(room, withdrawn)
    for each in judged:
        correct(room, each)
    for condition in conditions:
        apply(room, condition)
        follow_step(room, condition)
    end_tests(room)
    settle(room)
    notice_chatter(room)
    infer(room)
    listen(room)
    group(room)
    lift(room)
    unshelve(room)
    as_grave(room)
    realarm(room)
    announce_restored(room)
    open_due(room)
    escalate(room)
    make_lists(room)
    mark_first(room)
    return room.decision()
