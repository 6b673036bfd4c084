"""The decisions of a duty room over plain dictionaries: thousands of alarms without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dutyroom.flows.decide import decide
from dutyroom.flows.episodes import Context, Decision, Standing
from dutyroom.model.announced import Announcement
from dutyroom.model.duty import Alarm, AlarmChange, Condition, Ticket, TicketState

DONE = (TicketState.CLOSED, TicketState.CANCELLED)


@dataclass
class PlainBook:
    """What stands, and what people were told: (when, rule, object)."""

    context: Context
    alarms: dict[int, Alarm] = field(default_factory=dict)
    ended: dict[int, Alarm] = field(default_factory=dict)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    told: list[tuple[int, str, str]] = field(default_factory=list)
    log: list[AlarmChange] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)
    number: int = 0

    def act(self, conditions: Sequence[Condition], now: int) -> None:
        jobs = [t for t in self.tickets.values() if t.state not in DONE]
        standing = Standing(list(self.alarms.values()), list(self.ended.values()), jobs, self.announced)
        self.keep(decide(conditions, standing, self.context, now), now)

    def keep(self, decision: Decision, now: int) -> None:
        for episode in decision.episodes:
            if not episode.alarm.id:
                self.number += 1
                episode.alarm = replace(episode.alarm, id=self.number)
        for work in decision.works:
            if work.origin is not None:
                work.ticket = replace(work.ticket, alarm=work.origin.alarm.id)
            if not work.ticket.id:
                work.ticket = replace(work.ticket, id=len(self.tickets) + 1)
            self.tickets[work.ticket.id] = work.ticket
        for episode in decision.episodes:
            alarm = episode.alarm
            if episode.root is not None and alarm.ended_at is None:
                alarm = replace(alarm, root=episode.root.alarm.id)
            if episode.work is not None:
                alarm = replace(alarm, ticket=episode.work.ticket.id)
            self.alarms.pop(alarm.id, None)
            (self.alarms if alarm.ended_at is None else self.ended)[alarm.id] = alarm
            self.log += [replace(change, alarm=alarm.id) for change in episode.changes]
        self.told += [(now, n.episode.alarm.rule, n.episode.alarm.object) for n in decision.notices]

    def open(self, rule: str, object: str) -> Alarm:
        return next(a for a in self.alarms.values() if (a.rule, a.object) == (rule, object))

    def jobs(self) -> list[str]:
        """Causes of tickets that are neither closed nor cancelled."""
        return sorted(t.cause for t in self.tickets.values() if t.state not in DONE)
