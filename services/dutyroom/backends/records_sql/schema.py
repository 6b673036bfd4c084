"""The tables of the records, as they are now. How an older file becomes this: `migrations/`."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TextClause,
    UniqueConstraint,
    false,
    text,
)

from dutyroom.backends.records_sql.columns import (
    IDENTITY,
    Code,
    Exact,
    Grade,
    Json,
    Labels,
    Names,
    Parts,
    Stretches,
    Words,
)
from dutyroom.model.announced import Announced
from dutyroom.model.duty import (
    AlarmEvent,
    AlarmState,
    CheckState,
    DeviceStatus,
    OccurrenceState,
    OutboxState,
    Priority,
    Role,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.model.metering import Correction, Line, ReadFlag, Usage
from dutyroom.model.telemetry import Kind

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _table(name: str, *items: Any) -> Table:
    """A table whose ids, if it has any, are never given twice."""
    return Table(name, metadata, *items, sqlite_autoincrement=True)


def _id(name: str = "id") -> Column[int]:
    return Column(name, IDENTITY, primary_key=True, autoincrement=True)


def _words(*names: str) -> list[Column[str]]:
    return [Column(name, Words(), nullable=False) for name in names]


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, Words(), primary_key=True) for name in names]


def _moments(*names: str) -> list[Column[int]]:
    """Milliseconds UTC."""
    return [Column(name, BigInteger, nullable=False) for name in names]


def _maybe(*names: str) -> list[Column[int]]:
    """Milliseconds UTC, ids or steps that may be missing."""
    return [Column(name, BigInteger, nullable=True) for name in names]


def _numbers(*names: str) -> list[Column[float]]:
    return [Column(name, Float(53), nullable=True) for name in names]


def _flags(*names: str) -> list[Column[bool]]:
    return [Column(name, Boolean, nullable=False) for name in names]


def _code(name: str, members: type[Enum]) -> Column[Any]:
    return Column(name, Code(members), nullable=False)


def _json(name: str) -> Column[Any]:
    return Column(name, Json(), nullable=False)


# Conditions as text, not as parameters: only so does a planner see that a partial index fits.
UNFINISHED = text("state NOT IN ('closed', 'cancelled')")
OPEN = text("ended_at IS NULL")
PENDING = text("state = 'pending'")


def _unique_where(name: str, table: Table, columns: tuple[str, ...], where: TextClause) -> None:
    """At most one such row while the condition holds."""
    Index(name, *(table.c[c] for c in columns), unique=True, sqlite_where=where, postgresql_where=where)


_PRIORITY = ("priority", Grade(Priority))

tickets = _table(
    "tickets",
    _id(),
    *_words("site", "number"),
    _code("kind", TicketKind),
    _code("state", TicketState),
    Column(*_PRIORITY, nullable=False),
    *_words("key"),
    _json("arguments"),
    *_words("object", "space"),
    *_moments("opened_at"),
    *_maybe("respond_by"),
    *_words("cause"),
    *_maybe("alarm"),
    *_words("assignee", "reporter", "contact", "text"),
    *_maybe("dispatched_at", "accepted_at", "done_at", "closed_at", "arrived_at", "escalated_at"),
    UniqueConstraint("site", "number"),
)
_unique_where("one_ticket_per_cause", tickets, ("site", "cause"), UNFINISHED)

ticket_changes = _table(
    "ticket_changes",
    _id(),
    Column("ticket", IDENTITY, ForeignKey("tickets.id"), nullable=False),
    *_moments("at"),
    *_words("actor"),
    _code("event", TicketEvent),
    _code("before", TicketState),
    _code("after", TicketState),
    *_words("reason"),
)

alarms = _table(
    "alarms",
    _id(),
    *_words("site", "rule"),
    Column("rule_version", Integer, nullable=False),
    *_words("object", "space", "episode"),
    _code("state", AlarmState),
    Column(*_PRIORITY, nullable=False),
    *_flags("latched"),
    *_moments("raised_at", "recorded_at"),
    *_words("point"),
    *_numbers("value", "limit"),
    *_words("unit", "key"),
    _json("arguments"),
    *_maybe("cleared_at", "ended_at", "acknowledged_at"),
    *_words("acknowledged_by"),
    *_maybe("shelved_until"),
    *_words("shelve_reason"),
    Column("root", IDENTITY, ForeignKey("alarms.id"), nullable=True),
    Column("ticket", IDENTITY, ForeignKey("tickets.id"), nullable=True),
    Column("affected", Integer, nullable=False),
    *_flags("late", "test", "disproved"),
    *_maybe("ticket_due"),
    Column("spans", Stretches(), nullable=False, server_default="[]"),
    *_maybe("merged_into", "announced", "called_at", "sounded_at"),
    Column("chattering", Boolean, nullable=False, server_default=false()),
    Column("first_out", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("site", "rule", "object", "episode"),
)
_unique_where("one_open_episode", alarms, ("site", "rule", "object"), OPEN)

alarm_changes = _table(
    "alarm_changes",
    _id(),
    Column("alarm", IDENTITY, ForeignKey("alarms.id"), nullable=False),
    *_moments("at"),
    *_words("actor"),
    _code("event", AlarmEvent),
    _code("before", AlarmState),
    _code("after", AlarmState),
    *_words("reason"),
)

checks = _table(
    "checks",
    _id(),
    *_words("site"),
    Column("alarm", IDENTITY, ForeignKey("alarms.id"), nullable=False),
    *_moments("since"),
    *_words("object", "step"),
    _code("state", CheckState),
    *_moments("at"),
    *_maybe("done_at"),
    *_words("done_by", "note"),
    UniqueConstraint("site", "alarm", "since", "object", "step"),
)
Index("checks_of_alarm", checks.c.alarm)

announcements = _table(
    "announcements",
    _id(),
    *_words("site"),
    _code("kind", Announced),
    *_moments("begins", "ends"),
    *_words("reason", "actor"),
    *_moments("created_at"),
    *_words("utility"),
    Column("devices", Names(), nullable=False),
    Column("spaces", Names(), nullable=False),
    Column("ticket", IDENTITY, ForeignKey("tickets.id"), nullable=True),
    Column("affected", Integer, nullable=False),
    *_maybe("cancelled_at"),
    *_words("cancelled_by"),
)

occurrences = _table(
    "occurrences",
    _id(),
    *_words("site", "plan", "object"),
    *_moments("due"),
    _code("state", OccurrenceState),
    *_moments("created_at"),
    Column("ticket", IDENTITY, ForeignKey("tickets.id"), nullable=True),
    *_maybe("done_at"),
    *_words("evidence", "actor"),
    UniqueConstraint("site", "plan", "object", "due"),
)

outbox = _table(
    "outbox",
    _id(),
    *_words("site", "dedupe", "person", "url", "key"),
    _json("arguments"),
    _code("state", OutboxState),
    *_moments("created_at", "next_at"),
    Column("attempts", Integer, nullable=False),
    *_words("last_error"),
    *_maybe("sent_at"),
    UniqueConstraint("site", "dedupe"),
)

devices = _table(
    "devices",
    *_key("site", "id"),
    *_words("name", "device_class", "profile", "address", "space"),
    _json("parameters"),
    _code("status", DeviceStatus),
    Column("interval_s", Integer, nullable=True),
    Column("model", Words(), nullable=False, server_default=""),
    Column("serial", Words(), nullable=False, server_default=""),
    Column("fed_by", Names(), nullable=False, server_default="[]"),
    Column("digits", Integer, nullable=True),
    Column("resolution", Exact(), nullable=True),
)
# A withdrawn device keeps its row and gives its address free for the one that replaces it.
_unique_where(
    "one_device_per_address", devices, ("site", "profile", "address"), text("status <> 'withdrawn'")
)

points = _table(
    "points",
    _id(),
    *_words("site", "device", "name", "quantity", "unit"),
    _code("kind", Kind),
    Column("step", Exact(), nullable=True),
    Column("digits", Integer, nullable=True),
    Column("interval_s", Integer, nullable=True),
    *_numbers("low", "high"),
    Column("labels", Labels(), nullable=False),
    Column("wrap", BigInteger, nullable=True),
    Column("resets", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("site", "device", "name"),
    ForeignKeyConstraint(["site", "device"], ["devices.site", "devices.id"]),
)

attributes = _table(
    "attributes",
    *_key("site", "device", "name"),
    _json("value"),
    *_moments("at"),
)

events = _table(
    "events",
    _id(),
    *_words("site"),
    Column("point", Integer, nullable=False),
    *_moments("at"),
    *_words("event_id", "code"),
    _json("arguments"),
    Column("message", Integer, nullable=False),
    UniqueConstraint("site", "point", "at", "event_id"),
)

people = _table(
    "people",
    _id(),
    *_words("site", "login", "name"),
    _code("role", Role),
    *_words("language", "password_hash"),
    Column("contacts", Names(), nullable=False),
    Column("skills", Names(), nullable=False),
    *_flags("active"),
    UniqueConstraint("login"),
)

sessions = _table(
    "sessions",
    *_key("token_hash"),
    Column("person", IDENTITY, ForeignKey("people.id"), nullable=False),
    *_moments("created_at", "until"),
)

tokens = _table(
    "tokens",
    *_key("token_hash"),
    *_words("site", "name", "scope"),
    *_moments("created_at"),
    *_flags("revoked"),
)
_unique_where("one_token_per_name", tokens, ("site", "name"), text("NOT revoked"))

login_failures = _table("login_failures", _id(), *_words("key"), *_moments("at"))

exchanges = _table(
    "exchanges",
    _id(),
    *_words("site", "device", "point"),
    *_moments("at", "closing", "opening"),
    *_words("actor", "reason"),
    Column("step", Exact(), nullable=True),
    Column("digits", Integer, nullable=True),
    Column("multiplier", Exact(), nullable=True),
    UniqueConstraint("site", "device", "point", "at"),
)

period_reads = _table(
    "period_reads",
    _id(),
    *_words("site", "device", "point"),
    *_moments("cut_off"),
    *_maybe("steps", "at"),
    _code("flag", ReadFlag),
    Column("version", Integer, nullable=False),
    *_words("method", "source", "actor", "reason"),
    UniqueConstraint("site", "device", "point", "cut_off", "version"),
)

statements = _table(
    "statements",
    _id(),
    *_words("site", "number", "period", "unit"),
    Column("version", Integer, nullable=False),
    *_moments("start", "end", "created_at"),
    Column("usages", Parts(Usage), nullable=False),
    Column("lines", Parts(Line), nullable=False),
    *_moments("total"),
    *_words("currency", "digest", "actor"),
    Column("area", Exact(), nullable=True),
    Column("shared", Parts(Usage), nullable=False),
    Column("corrections", Parts(Correction), nullable=False),
    UniqueConstraint("site", "period", "unit", "version"),
    UniqueConstraint("site", "number"),
)

cursors = _table(
    "cursors",
    *_key("site", "reader"),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    *_moments("seq"),
)

blobs = _table("blobs", *_key("site", "name"), Column("data", LargeBinary, nullable=False))

counters = _table("counters", *_key("site", "name"), *_moments("value"))

audit = _table(
    "audit",
    _id(),
    *_words("site"),
    *_moments("at"),
    *_words("actor", "action", "target", "detail"),
)

# By the database's own clock, not by that of a process.
leases = _table(
    "leases", *_key("site"), *_words("owner"), *_moments("token", "taken_at", "expires_at"), _json("said")
)

processes = _table(
    "processes", *_key("name"), *_words("role"), _json("sites"), *_moments("since", "expires_at")
)

changes = _table("changes", _id("seq"), *_words("site"), *_moments("at"), *_words("kind", "key"))

# What the pages, the watch loop and the notifier ask most.
for _name, _of, _columns in (
    ("alarms_by_time", alarms, ("site", "raised_at")),
    ("alarms_by_object", alarms, ("site", "object", "raised_at")),
    ("alarms_by_ticket", alarms, ("ticket",)),
    ("alarm_changes_by_alarm", alarm_changes, ("alarm",)),
    ("tickets_by_time", tickets, ("site", "opened_at")),
    ("tickets_by_object", tickets, ("site", "object", "opened_at")),
    ("ticket_changes_by_ticket", ticket_changes, ("ticket",)),
    ("announcements_by_end", announcements, ("site", "ends")),
    ("occurrences_by_due", occurrences, ("site", "due")),
    ("outbox_by_site", outbox, ("site", "id")),
    ("events_by_time", events, ("site", "at")),
    ("audit_by_site", audit, ("site", "id")),
    ("sessions_by_person", sessions, ("person",)),
    ("login_failures_by_key", login_failures, ("key", "at")),
    ("period_reads_by_cut_off", period_reads, ("site", "cut_off", "device", "point", "version")),
):
    Index(_name, *(_of.c[c] for c in _columns))
for _name, _of, _columns, _where in (
    ("outbox_pending", outbox, ("next_at",), PENDING),
    ("tickets_unfinished", tickets, ("site", "opened_at", "id"), UNFINISHED),
    ("alarms_standing", alarms, ("site", "id"), OPEN),
):
    Index(_name, *(_of.c[c] for c in _columns), sqlite_where=_where, postgresql_where=_where)
