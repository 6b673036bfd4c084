"""Alarms and tickets while they are decided upon, and what a decision reads and gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dutyroom.alarms import spans_of
from dutyroom.model.announced import Announcement
from dutyroom.model.duty import Alarm, AlarmChange, Check, CheckState, Device, Ticket, TicketChange
from dutyroom.model.telemetry import PointTable
from dutyroom.rules.hearing import Absence
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms
from dutyroom.topology import Topology

Key: TypeAlias = tuple[str, str]  # rule, object


@dataclass(slots=True, eq=False)
class Episode:
    """An alarm while it is decided upon. `stored` is the row as it was, None = new."""

    alarm: Alarm
    stored: Alarm | None = None
    changes: list[AlarmChange] = field(default_factory=list)
    root: Episode | None = None
    work: Work | None = None
    checks: tuple[Check, ...] = ()  # to be written where they are not there, and told

    @property
    def key(self) -> Key:
        return self.alarm.rule, self.alarm.object

    @property
    def changed(self) -> bool:
        """Whether there is anything to write. Most are the very row that was read: no need to compare."""
        return bool(self.changes) or (self.alarm is not self.stored and self.alarm != self.stored)

    @property
    def guessed(self) -> bool:
        """Whether no message says so: the root was inferred from what hangs on it."""
        return "inferred" in self.alarm.arguments

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

    def of(self, episode: Episode) -> bool:
        """Whether it is the ticket that this alarm opened."""
        if self.origin is not None:
            return self.origin is episode
        return self.ticket.alarm is not None and self.ticket.alarm == episode.alarm.id


@dataclass(frozen=True, slots=True)
class Notice:
    """People are told of an alarm. what: raised | again; each person gets one of each, and cause."""

    episode: Episode
    what: str = "raised"
    cause: str = ""  # "" = the episode


@dataclass(slots=True)
class Decision:
    """What is to be written, in this order; notices: alarms that people are told of. announced: those
    that cover more alarms now."""

    episodes: list[Episode]
    works: list[Work]
    notices: list[Notice]
    steps: list[Step] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.episodes or self.works or self.notices or self.steps)


@dataclass(frozen=True, slots=True)
class Step:
    """What has become of a step that these alarms await, on a device."""

    alarms: tuple[Episode, ...]
    object: str
    step: str
    state: CheckState
    at: Ms


@dataclass(frozen=True, slots=True)
class Standing:
    """What the records say now.

    open: alarms whose episode has not ended. recent: ended ones that may still explain something.
    tickets: of alarms, neither closed nor cancelled. announced: what people announced, by id, and is
    not long over.
    """

    open: Sequence[Alarm]
    recent: Sequence[Alarm]
    tickets: Sequence[Ticket]
    announced: Sequence[Announcement] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """The site as it is configured. heard: receive time of a device's last sign of life.

    interval: how often a device is expected to speak, 0 = not known. gap: when it said nothing last, for more than a minute.
    said: of a rule on a device, time of the newest word that it looks at, by the device's clock. departed: of which devices
    a broker has said since an instant that they have gone (a last will), and when, while they say nothing. out: devices that
    a person has taken out of service.
    """

    site: str
    rules: Mapping[str, Rule]
    devices: Mapping[str, Device]
    topology: Topology
    heard: Callable[[str], Ms | None] = lambda _: None
    interval: Callable[[str], Ms] = lambda _: 0
    out: Collection[str] = ()
    gap: Callable[[str], Absence | None] = lambda _: None
    departed: Callable[[Ms], Mapping[str, Ms]] = lambda _: {}
    said: Callable[[str, str], Ms | None] = lambda *_: None


def known_since(alarm: Alarm) -> Ms:
    """Since when it is known to stand, this time: it may have come, gone, and waited for a person since it was recorded."""
    spans = spans_of(alarm)
    return max(alarm.recorded_at, spans[-1][0]) if len(spans) > 1 else alarm.recorded_at


def interval_in(table: PointTable, devices: Mapping[str, Device]) -> Callable[[str], Ms]:
    """How often a device is expected to speak: its own interval, or that of its points; 0 = not known."""

    def interval(device: str) -> Ms:
        known = devices.get(device)
        return ((known.interval_s if known else None) or table.interval(device)) * SECOND

    return interval
