"""Indexes for what the pages, the watch loop and the notifier ask most."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_INDEXES = {
    "alarms_by_time": ("alarms", ["site", "raised_at"]),
    "alarms_by_object": ("alarms", ["site", "object", "raised_at"]),
    "alarms_by_ticket": ("alarms", ["ticket"]),
    "alarm_changes_by_alarm": ("alarm_changes", ["alarm"]),
    "tickets_by_time": ("tickets", ["site", "opened_at"]),
    "tickets_by_object": ("tickets", ["site", "object", "opened_at"]),
    "ticket_changes_by_ticket": ("ticket_changes", ["ticket"]),
    "occurrences_by_due": ("occurrences", ["site", "due"]),
    "outbox_by_site": ("outbox", ["site", "id"]),
    "events_by_time": ("events", ["site", "at"]),
    "audit_by_site": ("audit", ["site", "id"]),
    "sessions_by_person": ("sessions", ["person"]),
    "login_failures_by_key": ("login_failures", ["key", "at"]),
    "period_reads_by_cut_off": ("period_reads", ["site", "cut_off"]),
}


def upgrade() -> None:
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns)
    pending = sa.text("state = 'pending'")
    op.create_index("outbox_pending", "outbox", ["next_at"], sqlite_where=pending, postgresql_where=pending)
