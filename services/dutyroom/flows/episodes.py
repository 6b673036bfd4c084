"""What the duty room does with conditions: alarms, roots and consequences, tickets, messages.

Pure: what stands in the records comes in, what is to be written goes out. One cause, one ticket:
a consequence of a root alarm is suppressed with it and opens no ticket; whatever may have a root
waits some seconds for it, whichever comes first. Nothing here depends on the order of arrival
within that time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dutyroom import alarms, tickets
from dutyroom.model.duty import (
    SYSTEM,
    Alarm,
    AlarmChange,
    AlarmEvent,
    AlarmState,
    Arguments,
    Condition,
    Device,
    Priority,
    Ticket,
    TicketChange,
    TicketEvent,
    TicketState,
)
from dutyroom.rules.spec import Cause, Rule, matches
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms
from dutyroom.topology import Topology, downstream, explains, feeds_of, inferred

RESTORE_GRACE: Ms = 5 * MINUTE  # consequences have this long, or two intervals, to come back
ROOT_LATENESS: Ms = 2 * MINUTE  # a root's message may come this long after its consequences
LATE: Ms = HOUR  # an alarm recorded this long after it happened is marked late

_ANNUNCIATED = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
_WORKED = (*_ANNUNCIATED, AlarmState.RETURNED)

Key = tuple[str, str]  # rule, object


@dataclass(slots=True, eq=False)
class Episode:
    """An alarm while it is decided upon. `stored` is the row as it was, None = new."""

    alarm: Alarm
    stored: Alarm | None = None
    changes: list[AlarmChange] = field(default_factory=list)
    root: Episode | None = None
    work: Work | None = None

    @property
    def key(self) -> Key:
        return self.alarm.rule, self.alarm.object

    @property
    def active(self) -> bool:
        return self.alarm.cleared_at is None and self.alarm.ended_at is None


@dataclass(slots=True, eq=False)
class Work:
    """A ticket while it is decided upon. `stored` None = new; `origin`: the alarm that opened it."""

    ticket: Ticket
    stored: Ticket | None = None
    changes: list[TicketChange] = field(default_factory=list)
    origin: Episode | None = None


@dataclass(slots=True)
class Decision:
    """What is to be written, in this order; notices: alarms that people are told of."""

    episodes: list[Episode]
    works: list[Work]
    notices: list[Episode]

    def __bool__(self) -> bool:
        return bool(self.episodes or self.works or self.notices)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the records say now.

    open: alarms whose episode has not ended. recent: ended ones that may still explain something.
    tickets: of alarms, neither closed nor cancelled.
    """

    open: Sequence[Alarm]
    recent: Sequence[Alarm]
    tickets: Sequence[Ticket]


@dataclass(frozen=True, slots=True)
class Context:
    """The site as it is configured. heard: receive time of a device's last sign of life.

    out: devices that a person has taken out of service.
    """

    site: str
    rules: Mapping[str, Rule]
    devices: Mapping[str, Device]
    topology: Topology
    heard: Callable[[str], Ms | None] = lambda _: None
    out: Collection[str] = ()


def decide(
    conditions: Iterable[Condition],
    standing: Standing,
    context: Context,
    now: Ms,
    withdrawn: Collection[Key] = (),
) -> Decision:
    """The alarms, tickets and messages that follow at `now`; without conditions: what is due."""
    room = _Room(standing, context, now)
    room.withdraw(withdrawn)
    for condition in conditions:
        room.apply(condition)
    room.infer()
    room.group()
    room.lift()
    room.unshelve()
    room.announce_restored()
    room.open_due()
    return room.decision()


class _Room:
    """The working set of one decision."""

    def __init__(self, standing: Standing, context: Context, now: Ms) -> None:
        self.context, self.now = context, now
        self.all = [Episode(alarm, alarm) for alarm in standing.open]
        self.open: dict[Key, Episode] = {e.key: e for e in self.all}
        self.recent = [Episode(alarm, alarm) for alarm in standing.recent]
        self.by_id = {e.alarm.id: e for e in (*self.all, *self.recent)}
        self.works: dict[str, Work] = {t.cause: Work(t, t) for t in standing.tickets}
        self.opened: list[Work] = []
        self.notices: list[Episode] = []
        for episode in self.all:
            episode.root = self.by_id.get(episode.alarm.root or 0)

    def decision(self) -> Decision:
        changed = [e for e in (*self.all, *self.recent) if e.changes or e.alarm != e.stored]
        works = [w for w in (*self.works.values(), *self.opened) if w.changes or w.ticket != w.stored]
        return Decision(changed, list(dict.fromkeys(works)), self.notices)

    def step(self, episode: Episode, event: AlarmEvent, reason: str = "", at: Ms | None = None) -> None:
        root = episode.root.alarm.id or None if episode.root else None
        episode.alarm, change = alarms.step(episode.alarm, event, self.now, SYSTEM, reason, at=at, root=root)
        episode.changes.append(change)
        if episode.alarm.ended_at is not None and self.open.get(episode.key) is episode:
            del self.open[episode.key]
            self.recent.append(episode)

    # ------------------------------------------------------------ conditions

    def withdraw(self, gone: Collection[Key]) -> None:
        """Closes the alarms of rules and devices that are gone; their tickets stay for a person."""
        for key in gone:
            if episode := self.open.get(key):
                self.step(episode, AlarmEvent.WITHDRAW, "alarm.reason.withdrawn")

    def apply(self, condition: Condition) -> None:
        """Raising what is open and clearing what is not changes nothing."""
        rule = self.context.rules.get(condition.rule)
        episode = self.open.get((condition.rule, condition.object))
        if rule is None:
            return
        if not condition.active:
            if episode is not None and episode.active:
                self._clear(episode, rule, condition.at)
            return
        if episode is None:
            episode = Episode(self._fresh(rule, condition))
            self.all.append(episode)
            self.open[episode.key] = episode
        elif episode.active:
            return
        self.step(episode, AlarmEvent.RAISE, at=condition.at)
        if episode.alarm.state is AlarmState.UNACKNOWLEDGED:
            if condition.object in self.context.out and not rule.latched:
                self.step(episode, AlarmEvent.REMOVE, "alarm.reason.out_of_service")
            else:
                self._announce(episode, rule)

    def _clear(self, episode: Episode, rule: Rule, at: Ms, reason: str = "") -> None:
        """A ticket that is due while the condition stands is off; one that only waits for a root
        is not: `ticket: now` means that the work is wanted though the condition has gone."""
        if rule.ticket.after:
            episode.alarm = replace(episode.alarm, ticket_due=None)
        self.step(episode, AlarmEvent.CLEAR, reason, at)

    def _fresh(self, rule: Rule, condition: Condition) -> Alarm:
        device = self.context.devices.get(condition.object)
        return Alarm(
            id=0,
            site=self.context.site,
            rule=rule.id,
            rule_version=rule.version,
            object=condition.object,
            space=device.space if device else "",
            episode=f"{rule.id}|{condition.object}|{condition.at}-{self.now}",
            state=AlarmState.NORMAL,
            priority=rule.priority,
            latched=rule.latched,
            raised_at=condition.at,
            recorded_at=self.now,
            point=condition.point,
            value=condition.value,
            limit=condition.limit,
            unit=condition.unit,
            key=_message(rule, condition),
            arguments=_arguments(rule, condition, device),
            late=self.now - condition.at > LATE,
        )

    def _announce(self, episode: Episode, rule: Rule) -> None:
        """When its ticket and message are due: at once where nothing can explain it. The ticket
        itself opens when all is grouped, so that what is explained already never has one."""
        wait = rule.wait if self._may_wait(rule, episode.alarm.object) else 0
        if rule.ticket.after is None:
            if rule.priority <= Priority.HIGH:
                self.notices.append(episode)
            return
        episode.alarm = replace(episode.alarm, ticket_due=self.now + max(rule.ticket.after, wait))

    def _may_wait(self, rule: Rule, object: str) -> bool:
        if rule.latched or not rule.waits:
            return False
        if any(self._may_die(utility, object) for utility in rule.utilities):
            return True
        return any(self._possible(cause, object) for cause in rule.explained_by)

    def _may_die(self, utility: str, object: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a root alarm could ever stand on something that feeds it in this utility."""
        for feed in set(feeds_of(self.context.topology, utility, object)) - seen:
            known = self._root_rule(utility, feed) is not None
            if known or self._may_die(utility, feed, seen | {object}):
                return True
            if utility != "power" and self._may_die("power", feed):
                return True
        return False

    def _possible(self, cause: Cause, object: str) -> bool:
        """Whether the alarm of a cause could ever stand where it would explain ours."""
        rule = self.context.rules.get(cause.rule)
        places = (self.context.devices.get(place) for place in self._objects(cause, object))
        return rule is not None and any(place and matches(rule.select, place) for place in places)

    # ------------------------------------------------------------ roots and consequences

    def infer(self) -> None:
        """A root alarm on a feed that is silent together with what hangs on it, and its end."""
        silent = {e.alarm.object for e in self.open.values() if e.active and self._is_silence(e)}
        for utility in self.context.topology.feeds:
            found = self._silent_feeds(utility, silent) if silent else set()
            for episode in list(self.open.values()):
                mine = episode.active and episode.alarm.arguments.get("inferred") == utility
                if mine and episode.alarm.object not in found:
                    self._clear(
                        episode, self.context.rules[episode.alarm.rule], self.now, "alarm.reason.back"
                    )
            for feed in sorted(found - {e.alarm.object for e, _ in self._roots(utility)}):
                if rule := self._root_rule(utility, feed):
                    arguments: Arguments = {"inferred": utility}
                    self.apply(Condition(rule.id, feed, True, self.now, arguments=arguments))

    def _is_silence(self, episode: Episode) -> bool:
        rule = self.context.rules.get(episode.alarm.rule)
        return rule is not None and rule.kind == "stale"

    def _silent_feeds(self, utility: str, silent: Collection[str]) -> set[str]:
        """A feed counts as silent when it was not heard after its silent children were."""
        heard = self.context.heard
        parents = set()
        for child in silent:
            last = heard(child) or 0
            for feed in feeds_of(self.context.topology, utility, child):
                if (heard(feed) or 0) <= last + MINUTE:
                    parents.add(feed)
        return set(inferred(self.context.topology, utility, {*silent, *parents}))

    def _root_rule(self, utility: str, feed: str) -> Rule | None:
        """The rule whose alarm says that this feed is away: silence before anything else."""
        device = self.context.devices.get(feed)
        fitting = [
            r
            for r in self.context.rules.values()
            if device and r.root and r.utility == utility and device.device_class in r.select.classes
        ]
        return min(fitting, key=lambda r: (r.kind != "stale", r.priority), default=None)

    def _roots(self, utility: str) -> list[tuple[Episode, Rule]]:
        found = []
        for episode in (*self.open.values(), *self.recent):
            rule = self.context.rules.get(episode.alarm.rule)
            if rule and rule.root and rule.utility == utility and self._explaining(episode):
                found.append((episode, rule))
        return found

    def _explaining(self, root: Episode) -> bool:
        """A root explains while it stands, and for the grace in which its consequences come back."""
        over = root.alarm.cleared_at if root.alarm.cleared_at is not None else root.alarm.ended_at
        return not root.alarm.disproved and (over is None or self.now - over < RESTORE_GRACE)

    def _dead(self, utility: str) -> dict[str, Episode]:
        """Feeds that are dead in a utility, by device; a gateway without power feeds nothing."""
        dead = {e.alarm.object: e for e, _ in self._roots(utility)}
        if utility != "power":
            power = {e.alarm.object: e for e, _ in self._roots("power")}
            feeds = self.context.topology.feeds.get(utility, {})
            for feed in {f for fs in feeds.values() for f in fs} - set(dead):
                root = explains(self.context.topology, "power", feed, power)
                if root is not None:
                    dead[feed] = power[root]
        return dead

    def group(self) -> None:
        """Suppresses every alarm that another one explains."""
        dead: dict[str, dict[str, Episode]] = {}
        for episode in list(self.open.values()):
            if episode.alarm.state not in _ANNUNCIATED or not episode.active or episode.alarm.latched:
                continue
            root = self._cause(episode, dead)
            if root is not None and self._together(episode, root):
                self._suppress(episode, root)

    def _cause(self, episode: Episode, dead: dict[str, dict[str, Episode]]) -> Episode | None:
        """The alarm at the top of what explains this one."""
        rule = self.context.rules.get(episode.alarm.rule)
        if rule is None:
            return None
        for utility in rule.utilities:
            if utility not in dead:
                dead[utility] = self._dead(utility)
            feed = explains(self.context.topology, utility, episode.alarm.object, dead[utility])
            if feed is not None and (top := _top(dead[utility][feed], episode)):
                return top
        for cause in rule.explained_by:
            for object in self._objects(cause, episode.alarm.object):
                found = self.open.get((cause.rule, object))
                if found and self._explaining(found) and (top := _top(found, episode)):
                    return top
        return None

    def _objects(self, cause: Cause, object: str) -> list[str]:
        """Where the alarm of a cause would stand."""
        if cause.below:
            return sorted(downstream(self.context.topology, cause.below, object))
        if cause.parameter:
            device = self.context.devices.get(object)
            return [str(device.parameters.get(cause.parameter, ""))] if device else []
        return [object]

    def _together(self, episode: Episode, root: Episode) -> bool:
        """What stood long before the root is no consequence of it."""
        rule = self.context.rules[episode.alarm.rule]
        lateness = max(ROOT_LATENESS, rule.wait)
        return episode.alarm.recorded_at >= root.alarm.recorded_at - lateness

    def _suppress(self, episode: Episode, root: Episode) -> None:
        episode.root = root
        self.step(episode, AlarmEvent.SUPPRESS, "alarm.reason.explained")
        root.alarm = replace(root.alarm, affected=root.alarm.affected + 1)
        work = self.works.get(tickets.cause_of(*episode.key))
        if work is None or work.ticket.alarm != episode.alarm.id:
            return
        if work.ticket.state is TicketState.OPEN:
            self._ticket(work, TicketEvent.CANCEL, "alarm.reason.explained")
            del self.works[work.ticket.cause]
            self.opened.append(work)
            episode.alarm = replace(episode.alarm, ticket=None)
        else:
            self._ticket(work, TicketEvent.NOTE, "alarm.reason.explained")

    def lift(self) -> None:
        """Consequences that stay when their root has gone are announced one by one."""
        dead: dict[str, dict[str, Episode]] = {}
        for episode in list(self.open.values()):
            if episode.alarm.state is not AlarmState.SUPPRESSED or self._still_explained(episode):
                continue
            root = self._cause(episode, dead)
            if root is not None and root is not episode.root and root.active:
                episode.root = root
                self.step(episode, AlarmEvent.SUPPRESS, "alarm.reason.explained")
                root.alarm = replace(root.alarm, affected=root.alarm.affected + 1)
                continue
            episode.root = None
            self.step(episode, AlarmEvent.UNSUPPRESS, "alarm.reason.root_gone")
            rule = self.context.rules.get(episode.alarm.rule)
            if rule is not None and rule.ticket.after is not None:
                episode.alarm = replace(episode.alarm, ticket_due=self.now)

    def _still_explained(self, episode: Episode) -> bool:
        root = episode.root
        if root is None:
            return False
        over = root.alarm.cleared_at if root.alarm.cleared_at is not None else root.alarm.ended_at
        device = self.context.devices.get(episode.alarm.object)
        interval = (device.interval_s or 0) * SECOND if device else 0
        return over is None or self.now - over < max(RESTORE_GRACE, 2 * interval)

    def unshelve(self) -> None:
        for episode in list(self.open.values()):
            until = episode.alarm.shelved_until
            if episode.alarm.state is AlarmState.SHELVED and until is not None and until <= self.now:
                self.step(episode, AlarmEvent.UNSHELVE, "alarm.reason.shelf_over")

    def announce_restored(self) -> None:
        """What stands again without a ticket, back from a shelf or from service: as if it were new."""
        for episode in list(self.open.values()):
            rule = self.context.rules.get(episode.alarm.rule)
            if rule is None or rule.ticket.after is None or not episode.active:
                continue
            alarm, announced = episode.alarm, episode.work is not None
            if alarm.state in _ANNUNCIATED and alarm.ticket is alarm.ticket_due is None and not announced:
                self._announce(episode, rule)

    # ------------------------------------------------------------ tickets

    def open_due(self) -> None:
        """Tickets whose wait is over and that nothing explains."""
        dead: dict[str, dict[str, Episode]] = {}
        for episode in list(self.open.values()):
            due = episode.alarm.ticket_due
            if due is None or due > self.now or episode.alarm.state not in _WORKED:
                continue
            if not episode.active and self._cause(episode, dead) is not None:
                episode.alarm = replace(episode.alarm, ticket_due=None)
            else:
                self._open_ticket(episode)

    def _open_ticket(self, episode: Episode) -> None:
        """Opens the ticket of its cause, or attaches the episode to the one that is open."""
        episode.alarm = replace(episode.alarm, ticket_due=None)
        rule = self.context.rules[episode.alarm.rule]
        cause = tickets.cause_of(*episode.key)
        work = self.works.get(cause)
        if work is None:
            ticket = tickets.for_alarm(episode.alarm, rule.respond_within, self.now)
            work = Work(ticket, origin=episode)
            work.changes.append(tickets.opening(ticket, self.now, SYSTEM))
            self.works[cause] = work
            self.notices.append(episode)
        elif episode.alarm.ticket != work.ticket.id:
            self._ticket(work, TicketEvent.ATTACH, "alarm.reason.again")
            if rule.priority == Priority.EMERGENCY:
                self.notices.append(episode)
        episode.work = work

    def _ticket(self, work: Work, event: TicketEvent, reason: str) -> None:
        work.ticket, change = tickets.step(work.ticket, event, self.now, SYSTEM, reason)
        work.changes.append(change)


def _top(root: Episode, episode: Episode) -> Episode | None:
    """The end of the chain of roots; None when it leads back to the episode itself."""
    seen = {id(episode)}
    while id(root) not in seen:
        seen.add(id(root))
        if root.root is None or root.alarm.state is not AlarmState.SUPPRESSED:
            return root
        root = root.root
    return None


def _message(rule: Rule, condition: Condition) -> str:
    """The key of its text: of the rule where it is shipped, of its kind where a site wrote it."""
    if "inferred" in condition.arguments:
        return "alarm.inferred"
    return f"alarm.{rule.id}" if rule.shipped else f"alarm.kind.{rule.kind}"


def _arguments(rule: Rule, condition: Condition, device: Device | None) -> Arguments:
    """What the message says: the device, the figures, and what the kind adds."""
    found: dict[str, str | int | float | bool | None] = {
        "object": condition.object,
        "name": device.name if device else condition.object,
        "space": device.space if device else "",
        "unit": condition.unit,
    }
    if condition.value is not None:
        found["value"] = round(condition.value, 3)
    if condition.limit is not None:
        found["limit"] = round(condition.limit, 3)
    if not rule.shipped:
        found["rule"] = rule.id
    return {**found, **condition.arguments}
