"""When the condition of an alarm held, and which alarm it turned out to be."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("alarms", sa.Column("spans", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("alarms", sa.Column("merged_into", sa.BigInteger(), nullable=True))
