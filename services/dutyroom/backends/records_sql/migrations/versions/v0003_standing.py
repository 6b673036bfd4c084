"""What stands open is found without passing over what is finished."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    unfinished = sa.text("state NOT IN ('closed', 'cancelled')")
    op.create_index(
        "tickets_unfinished",
        "tickets",
        ["site", "opened_at", "id"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    standing = sa.text("ended_at IS NULL")
    op.create_index(
        "alarms_standing", "alarms", ["site", "id"], sqlite_where=standing, postgresql_where=standing
    )
    op.drop_index("period_reads_by_cut_off", "period_reads")
    op.create_index(
        "period_reads_by_cut_off", "period_reads", ["site", "cut_off", "device", "point", "version"]
    )
