"""What stands in the duty room while a decision is made."""

from __future__ import annotations

from dutyroom import alarms, tickets
from dutyroom.flows.episodes import Context, Decision, Episode, Key, Notice, Standing, Step, Work
from dutyroom.model.duty import SYSTEM, AlarmEvent, AlarmState, TicketEvent
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

ANNUNCIATED = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
WORKED = (*ANNUNCIATED, AlarmState.RETURNED)


class Room:
    """The working set of one decision."""

    def __init__(self, standing: Standing, context: Context, now: Ms) -> None:
        self.context, self.now = context, now
        self.all = [Episode(alarm, alarm) for alarm in standing.open]
        self.open: dict[Key, Episode] = {e.key: e for e in self.all}
        self.recent = [Episode(alarm, alarm) for alarm in standing.recent]
        self.by_id = {e.alarm.id: e for e in (*self.all, *self.recent)}
        self.works: dict[str, Work] = {t.cause: Work(t, t) for t in standing.tickets}
        self.opened: list[Work] = []
        self.notices: list[Notice] = []
        self.announced = {a.id: a for a in standing.announced}
        self._announced = dict(self.announced)
        self.named: dict[int, frozenset[str]] = {}  # devices by announcement, as they are asked for
        self.root_rules: dict[
            tuple[str, str], tuple[Rule, ...]
        ] = {}  # by utility and class, as they are asked for
        self.spoke: dict[
            str, Ms | None
        ] = {}  # by feed: until when what hangs on it spoke, as it is asked for
        self.steps: list[Step] = []
        for episode in self.all:
            episode.root = self.by_id.get(episode.alarm.root or 0)

    def decision(self) -> Decision:
        """What has changed since the start."""
        known = dict.fromkeys((*self.all, *self.recent))  # what has ended just now is in both
        changed = [e for e in known if e.changed]
        works = [w for w in (*self.works.values(), *self.opened) if w.changes or w.ticket != w.stored]
        covering = [a for a in self.announced.values() if a != self._announced[a.id]]
        return Decision(changed, list(dict.fromkeys(works)), self.notices, self.steps, covering)

    def step(self, episode: Episode, event: AlarmEvent, reason: str = "", at: Ms | None = None) -> None:
        """One event of an alarm, by the system itself."""
        root = episode.root.alarm.id or None if episode.root else None
        episode.alarm, change = alarms.step(episode.alarm, event, self.now, SYSTEM, reason, at=at, root=root)
        episode.changes.append(change)
        if episode.alarm.ended_at is not None and self.open.get(episode.key) is episode:
            del self.open[episode.key]
            self.recent.append(episode)

    def tell(self, episode: Episode, what: str = "raised", cause: str = "") -> None:
        """People are told of it with this decision."""
        self.notices.append(Notice(episode, what, cause))

    def ticket(self, work: Work, event: TicketEvent, reason: str) -> None:
        """One event of a ticket, by the system itself."""
        work.ticket, change = tickets.step(work.ticket, event, self.now, SYSTEM, reason)
        work.changes.append(change)
