"""What a person must look at after an alarm, and the steps that must follow it."""

import sqlalchemy as sa
from alembic import op

from dutyroom.backends.records_sql.columns import IDENTITY

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "checks",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("alarm", IDENTITY, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name="fk_checks_alarm"),
        sa.UniqueConstraint(
            "site", "alarm", "since", "object", "step", name="uq_checks_site_alarm_since_object_step"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("checks_of_alarm", "checks", ["alarm"])
