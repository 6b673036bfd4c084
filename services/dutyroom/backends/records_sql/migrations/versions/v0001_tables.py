"""All tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Types are spelt out here: a migration must not change when the tables of today do.
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _unique_where(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.create_table(
        "attributes",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "name", name="pk_attributes"),
    )
    op.create_table(
        "audit",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "blobs",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site", "name", name="pk_blobs"),
    )
    op.create_table(
        "changes",
        sa.Column("seq", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_changes"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "counters",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "name", name="pk_counters"),
    )
    op.create_table(
        "cursors",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "reader", "lane", name="pk_cursors"),
    )
    op.create_table(
        "devices",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("device_class", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("interval_s", sa.Integer()),
        sa.PrimaryKeyConstraint("site", "id", name="pk_devices"),
    )
    _unique_where(
        "one_device_per_address", "devices", ["site", "profile", "address"], "status <> 'withdrawn'"
    )
    op.create_table(
        "events",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("point", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("message", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("site", "point", "at", "event_id", name="uq_events_site_point_at_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "exchanges",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("closing", sa.BigInteger(), nullable=False),
        sa.Column("opening", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("step", sa.Text()),
        sa.Column("digits", sa.Integer()),
        sa.Column("multiplier", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_exchanges"),
        sa.UniqueConstraint("site", "device", "point", "at", name="uq_exchanges_site_device_point_at"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "login_failures",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_failures"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("dedupe", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("site", "dedupe", name="uq_outbox_site_dedupe"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "people",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("contacts", sa.Text(), nullable=False),
        sa.Column("skills", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("login", name="uq_people_login"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "period_reads",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("cut_off", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.BigInteger()),
        sa.Column("at", sa.BigInteger()),
        sa.Column("flag", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_period_reads"),
        sa.UniqueConstraint(
            "site",
            "device",
            "point",
            "cut_off",
            "version",
            name="uq_period_reads_site_device_point_cut_off_version",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "statements",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("usages", sa.Text(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("area", sa.Text()),
        sa.Column("shared", sa.Text(), nullable=False),
        sa.Column("corrections", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_statements"),
        sa.UniqueConstraint("site", "number", name="uq_statements_site_number"),
        sa.UniqueConstraint(
            "site", "period", "unit", "version", name="uq_statements_site_period_unit_version"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tickets",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("respond_by", sa.BigInteger()),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("alarm", sa.BigInteger()),
        sa.Column("assignee", sa.Text(), nullable=False),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("dispatched_at", sa.BigInteger()),
        sa.Column("accepted_at", sa.BigInteger()),
        sa.Column("done_at", sa.BigInteger()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        sa.UniqueConstraint("site", "number", name="uq_tickets_site_number"),
        sqlite_autoincrement=True,
    )
    _unique_where(
        "one_ticket_per_cause", "tickets", ["site", "cause"], "state NOT IN ('closed', 'cancelled')"
    )
    op.create_table(
        "tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_tokens"),
    )
    _unique_where("one_token_per_name", "tokens", ["site", "name"], "NOT revoked")
    op.create_table(
        "alarms",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("episode", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("latched", sa.Boolean(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(53)),
        sa.Column("limit", sa.Float(53)),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("shelved_until", sa.BigInteger()),
        sa.Column("shelve_reason", sa.Text(), nullable=False),
        sa.Column("root", IDENTITY),
        sa.Column("ticket", IDENTITY),
        sa.Column("affected", sa.Integer(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("disproved", sa.Boolean(), nullable=False),
        sa.Column("ticket_due", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_alarms"),
        sa.ForeignKeyConstraint(["root"], ["alarms.id"], name="fk_alarms_root"),
        sa.ForeignKeyConstraint(["ticket"], ["tickets.id"], name="fk_alarms_ticket"),
        sa.UniqueConstraint("site", "rule", "object", "episode", name="uq_alarms_site_rule_object_episode"),
        sqlite_autoincrement=True,
    )
    _unique_where("one_open_episode", "alarms", ["site", "rule", "object"], "ended_at IS NULL")
    op.create_table(
        "occurrences",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ticket", IDENTITY),
        sa.Column("done_at", sa.BigInteger()),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_occurrences"),
        sa.ForeignKeyConstraint(["ticket"], ["tickets.id"], name="fk_occurrences_ticket"),
        sa.UniqueConstraint("site", "plan", "object", "due", name="uq_occurrences_site_plan_object_due"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "points",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.Text()),
        sa.Column("digits", sa.Integer()),
        sa.Column("interval_s", sa.Integer()),
        sa.Column("low", sa.Float(53)),
        sa.Column("high", sa.Float(53)),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_points"),
        sa.ForeignKeyConstraint(
            ["site", "device"], ["devices.site", "devices.id"], name="fk_points_site_device"
        ),
        sa.UniqueConstraint("site", "device", "name", name="uq_points_site_device_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("person", IDENTITY, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_sessions_person"),
    )
    op.create_table(
        "ticket_changes",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("ticket", IDENTITY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_changes"),
        sa.ForeignKeyConstraint(["ticket"], ["tickets.id"], name="fk_ticket_changes_ticket"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alarm_changes",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("alarm", IDENTITY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_changes"),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name="fk_alarm_changes_alarm"),
        sqlite_autoincrement=True,
    )
