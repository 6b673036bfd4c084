"""A decision of the duty room, written into the records: alarms, tickets, messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dutyroom.alarms import calls
from dutyroom.flows.checklist import in_one_line
from dutyroom.flows.episodes import Decision, Episode, Notice, Step, Work
from dutyroom.flows.notify import messages_to
from dutyroom.interfaces import Tx
from dutyroom.model.duty import SYSTEM, Alarm, CheckState, Person, Role
from dutyroom.timebase import Ms

MARKED = ("unanswered", "unarrived", "further")  # an emergency that is late, or spreads
_TOLD = (Role.OPERATOR, Role.ADMINISTRATOR)


def write(tx: Tx, site: str, decision: Decision, now: Ms) -> None:
    """Stores a decision: alarms first, then tickets, then what each knows of the other."""
    for episode in decision.episodes:
        _store_alarm(tx, episode)
    # What ends comes before what begins: of a cause one ticket may be open.
    for work in sorted(decision.works, key=lambda w: w.stored is None):
        _store_ticket(tx, work)
        tx.change(site, now, "ticket", str(work.ticket.id))
    for episode in decision.episodes:
        _link(tx, episode)
        for check in episode.checks:
            tx.checks.insert(replace(check, alarm=episode.alarm.id))
        tx.change(site, now, "alarm", str(episode.alarm.id))
    for step in decision.steps:
        _take_step(tx, site, step, now)
    if decision.notices:
        people = [p for p in tx.people.all(site) if p.active and p.role in _TOLD and p.contacts]
        for notice in decision.notices:
            _tell(tx, people, notice, now)
    for announcement in decision.announced:
        tx.announcements.update(announcement)
        tx.change(site, now, "announcement", str(announcement.id))


def _store_alarm(tx: Tx, episode: Episode) -> None:
    if episode.stored is None:
        episode.alarm = tx.alarms.insert(episode.alarm)
        episode.stored = episode.alarm
    elif episode.alarm != episode.stored:
        tx.alarms.update(episode.alarm)
        episode.stored = episode.alarm
    for change in episode.changes:
        tx.alarms.log(replace(change, alarm=episode.alarm.id))


def _store_ticket(tx: Tx, work: Work) -> None:
    if work.origin is not None:
        work.ticket = replace(work.ticket, alarm=work.origin.alarm.id)
    if work.stored is None:
        work.ticket = tx.tickets.insert(work.ticket)
    elif work.ticket != work.stored:
        tx.tickets.update(work.ticket)
    for change in work.changes:
        tx.tickets.log(replace(change, ticket=work.ticket.id))


def _take_step(tx: Tx, site: str, step: Step, now: Ms) -> None:
    """On the newest list of each alarm; what is done stays done."""
    lines = tx.checks.of(site, [e.alarm.id for e in step.alarms if e.alarm.id])
    mine = [c for c in lines if (c.object, c.step) == (step.object, step.step)]
    newest = {c.alarm: c for c in sorted(mine, key=lambda c: c.since)}
    for check in newest.values():
        if check.done_at is not None or step.at < check.since:
            continue
        changed = replace(check, state=step.state, at=step.at)
        if step.state is CheckState.DONE:  # a step that was late stays marked as late
            state = check.state if check.state is CheckState.LATE else CheckState.DONE
            changed = replace(check, state=state, at=step.at, done_at=step.at, done_by=SYSTEM)
        tx.checks.update(changed)
        tx.change(site, now, "alarm", str(check.alarm))


def _link(tx: Tx, episode: Episode) -> None:
    """Ids that were not known when the alarm was stored."""
    alarm: Alarm = episode.alarm
    if episode.root is not None and alarm.root != episode.root.alarm.id and alarm.ended_at is None:
        alarm = replace(alarm, root=episode.root.alarm.id)
    if episode.work is not None and alarm.ticket != episode.work.ticket.id and episode.work.ticket.id:
        alarm = replace(alarm, ticket=episode.work.ticket.id)
    if alarm != episode.alarm:
        episode.alarm = alarm
        tx.alarms.update(alarm)


def _tell(tx: Tx, people: Sequence[Person], notice: Notice, now: Ms) -> None:
    """One message per person, cause and what is said of it."""
    episode = notice.episode
    alarm = episode.alarm
    number = episode.work.ticket.number if episode.work else ""
    begun = calls(alarm)
    arguments: dict[str, str | int | float | bool | None] = {
        **alarm.arguments,
        "priority": int(alarm.priority),
        "ticket": number,
        "at": begun[-1] if len(begun) > 1 else alarm.raised_at,  # of the second fire on a latch, its own
    }
    if len(begun) > 1:
        arguments |= {"times": len(begun), "since": begun[0]}
    if listed := in_one_line(episode.checks):
        arguments["checks"] = listed
    if notice.what != "raised":
        kind = notice.what.partition(":")[0]
        arguments[kind if kind in MARKED else "again"] = True
    cause = notice.cause or alarm.episode
    for row in messages_to(people, cause, notice.what, alarm.key, arguments, now):
        if tx.outbox.insert(row):
            tx.change(alarm.site, now, "outbox", row.dedupe)
