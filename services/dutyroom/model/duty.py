"""What the duty room does: alarms, tickets, plans, people, messages.

Rows as frozen dataclasses. Texts are message keys with arguments (`key`, `arguments`): they are
rendered in zh-CN or English when shown or sent (design decision 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import TypeAlias

from dutyroom.timebase import Ms

Arguments: TypeAlias = Mapping[str, str | int | float | bool | None]

SYSTEM = "system"  # the actor of what no person did


class Priority(IntEnum):
    """1 emergency, 2 high, 3 medium, 4 low."""

    EMERGENCY = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


class AlarmState(StrEnum):
    """ISA-18.2 states. A latch is a flag beside them: fire and entrapment."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"  # cleared by itself, not yet acknowledged
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"  # by design: a consequence of a root alarm
    OUT_OF_SERVICE = "out_of_service"


class AlarmEvent(StrEnum):
    """What can happen to an alarm."""

    RAISE = "raise"
    CLEAR = "clear"
    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"  # a mistaken acknowledgement taken back within seconds
    RESET = "reset"  # a person's reset of a latched alarm
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    REMOVE = "remove"  # from service
    RESTORE = "restore"  # to service
    NOTE = "note"
    WITHDRAW = "withdraw"  # its rule or device is gone
    DISPROVE = "disprove"  # by later data
    CHATTER = "chatter"  # raised so often that it sounds no more until it is quiet
    SETTLE = "settle"  # quiet again after that
    REALARM = "realarm"  # sounds again: it stands for too long, or has become worse
    MERGE = "merge"  # later data: it was the same as an older one
    REVISE = "revise"  # later data moved its begin or end


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule says of an object at an instant: it holds, or it no longer does.

    Saying the same twice is harmless: the alarm table knows whether an episode is open.
    """

    rule: str
    object: str  # device id
    active: bool
    at: Ms  # event time (communication rules: receive time)
    point: str = ""  # point name that gave the evidence, "" = none
    value: float | None = None  # physical units
    limit: float | None = None
    unit: str = ""
    arguments: Arguments = field(default_factory=dict)  # for the message


Spans: TypeAlias = tuple[tuple[Ms, Ms | None], ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One episode of a rule on an object. Unique: (site, rule, object, episode)."""

    id: int
    site: str
    rule: str
    rule_version: int
    object: str  # device id
    space: str
    episode: str  # given once, never changes
    state: AlarmState
    priority: Priority
    latched: bool  # needs a person's reset once cleared and acknowledged
    raised_at: Ms  # event time
    recorded_at: Ms  # when we knew
    point: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    key: str = ""  # message key, e.g. "alarm.burst"
    arguments: Arguments = field(default_factory=dict)
    cleared_at: Ms | None = None  # condition gone (event time)
    ended_at: Ms | None = None  # episode over: state NORMAL
    acknowledged_at: Ms | None = None
    acknowledged_by: str = ""
    shelved_until: Ms | None = None
    shelve_reason: str = ""
    root: int | None = None  # alarm id that explains this one
    ticket: int | None = None
    affected: int = 0  # a root: how many consequences hang on it
    late: bool = False  # recorded long after it happened
    test: bool = False  # raised in a fire test day
    disproved: bool = False
    ticket_due: Ms | None = None  # when a ticket is to be opened if still active; None = none waiting
    spans: Spans = ()  # when the condition held: (from, to; None = still), the newest of them
    announced: int | None = None  # id of the announcement that covers it
    chattering: bool = False  # comes and goes so often that it sounds no more
    first_out: bool = False  # the first in event time of those that belong together
    merged_into: int | None = None  # alarm id of the older one that it turned out to be
    called_at: Ms | None = (
        None  # when people were called for the newest emergency on it; None = when recorded
    )
    sounded_at: Ms | None = None  # when it sounded again after somebody had acknowledged it


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """One line of an alarm's history: who did what, when, why."""

    alarm: int
    at: Ms
    actor: str
    event: AlarmEvent
    before: AlarmState
    after: AlarmState
    reason: str = ""


class TicketState(StrEnum):
    """open -> dispatched -> accepted -> done -> closed; cancelled from any but closed."""

    OPEN = "open"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    DONE = "done"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class TicketEvent(StrEnum):
    OPEN = "open"
    DISPATCH = "dispatch"
    ACCEPT = "accept"
    ARRIVE = "arrive"  # somebody is at the place
    DO = "do"
    REDO = "redo"  # follow-up failed
    REOPEN = "reopen"  # done, and another emergency has come
    CLOSE = "close"
    CANCEL = "cancel"
    NOTE = "note"
    ATTACH = "attach"  # a further episode or consequence


class TicketKind(StrEnum):
    ALARM = "alarm"
    REPORT = "report"  # a telephone call
    PLAN = "plan"  # a planned work order


@dataclass(frozen=True, slots=True)
class Ticket:
    """One piece of work for one cause."""

    id: int
    site: str
    number: str  # shown: WO-000123
    kind: TicketKind
    state: TicketState
    priority: Priority
    key: str  # title's message key
    arguments: Arguments
    object: str  # device id, "" = none
    space: str
    opened_at: Ms
    respond_by: Ms | None
    cause: str  # unique while open: "<rule>|<object>" | "plan|<plan>|<due>" | "report|<uuid>"
    alarm: int | None = None
    assignee: str = ""
    reporter: str = ""
    contact: str = ""
    text: str = ""  # free text of a report
    dispatched_at: Ms | None = None
    accepted_at: Ms | None = None
    done_at: Ms | None = None
    closed_at: Ms | None = None  # closed or cancelled
    arrived_at: Ms | None = None  # at the place
    escalated_at: Ms | None = None  # people were told that it is late


@dataclass(frozen=True, slots=True)
class TicketChange:
    """One line of a ticket's history."""

    ticket: int
    at: Ms
    actor: str
    event: TicketEvent
    before: TicketState
    after: TicketState
    reason: str = ""


class CheckState(StrEnum):
    """How a thing stands that a person, or telemetry, must see to after a cause."""

    TRAPPED = "trapped"  # a latched alarm stands on it
    STOPPED = "stopped"  # an alarm stands on it
    UNKNOWN = "unknown"  # it has said nothing since
    RUNNING = "running"  # it has spoken since, and nothing is wrong
    AWAITED = "awaited"  # a step
    LATE = "late"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list that an alarm makes: a device to look at, or a step that must follow. Unique: (site,
    alarm, since, object, step)."""

    id: int
    site: str
    alarm: int
    since: Ms  # when the alarm was raised: a further time makes another list
    object: str  # device id
    step: str  # "" = the device itself
    state: CheckState  # as it was known at `at`
    at: Ms
    done_at: Ms | None = None  # looked at, or done
    done_by: str = ""
    note: str = ""


class OccurrenceState(StrEnum):
    DUE = "due"
    DONE = "done"
    OVERDUE = "overdue"
    MISSED = "missed"  # the service was down when it fell due, found at start
    EXCUSED = "excused"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One expected execution of a plan. Unique: (site, plan, object, due)."""

    id: int
    site: str
    plan: str
    object: str
    due: Ms
    state: OccurrenceState
    created_at: Ms
    ticket: int | None = None
    done_at: Ms | None = None
    evidence: str = ""  # what proved it: telemetry run, a person's tick
    actor: str = ""


@dataclass(frozen=True, slots=True)
class OccurrenceGroup:
    """The occurrences of one plan that are due at one instant and in one state."""

    first: Occurrence  # the one of the least id
    count: int


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    CLERK = "clerk"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    site: str
    login: str
    name: str
    role: Role
    language: str  # "zh-CN" | "en"
    password_hash: str = ""
    contacts: tuple[str, ...] = ()  # Apprise URLs
    skills: tuple[str, ...] = ()  # electrician, plumber, elevator, fire
    active: bool = True


class OutboxState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"  # given up, visible


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message for one person and cause. Unique: (site, dedupe)."""

    id: int
    site: str
    dedupe: str  # "<person>|<cause>|<what>"
    person: str
    url: str  # Apprise URL; secrets are masked when shown
    key: str
    arguments: Arguments
    state: OutboxState
    created_at: Ms
    next_at: Ms
    attempts: int = 0
    last_error: str = ""
    sent_at: Ms | None = None


class DeviceStatus(StrEnum):
    ACTIVE = "active"
    OUT_OF_SERVICE = "out_of_service"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Device:
    """One row of the registry. Unique: (site, id) and (site, profile, address)."""

    site: str
    id: str  # "A-1204-water"
    name: str
    device_class: str  # DeviceClass value
    profile: str  # "<vendor>/<model>"
    address: str  # identity in topic or payload
    space: str  # space path: "A/12/1204"
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    status: DeviceStatus = DeviceStatus.ACTIVE
    interval_s: int | None = None  # overrides the profile's
    model: str = ""  # what stands on its plate: maker and product
    serial: str = ""
    fed_by: tuple[str, ...] = ()  # device ids, or "utility:id": any one alive keeps it alive
    digits: int | None = None  # of its register, decimals included; overrides the profile's
    resolution: Decimal | None = None  # size of the register's last digit; overrides the profile's


@dataclass(frozen=True, slots=True)
class AuditRow:
    id: int
    site: str
    at: Ms
    actor: str
    action: str  # "alarm.acknowledge", "login.failed", ...
    target: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change log that feeds the pages."""

    seq: int
    site: str
    at: Ms
    kind: str  # alarm | ticket | occurrence | device | outbox | statement
    key: str
