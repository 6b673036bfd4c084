"""Planned outages and fire tests; alarms that chatter, that came first, or that were announced."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("alarms", sa.Column("announced", sa.BigInteger(), nullable=True))
    op.add_column("alarms", sa.Column("chattering", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("alarms", sa.Column("first_out", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "announcements",
        sa.Column("id", identity, primary_key=True, autoincrement=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("begins", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("utility", sa.Text(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("spaces", sa.Text(), nullable=False),
        sa.Column("ticket", identity, nullable=True),
        sa.Column("affected", sa.Integer(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["tickets.id"], name="fk_announcements_ticket"),
        sqlite_autoincrement=True,
    )
    op.create_index("announcements_by_end", "announcements", ["site", "ends"])
