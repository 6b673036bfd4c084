"""When people were called for the newest emergency on an alarm, and when it sounded again after an acknowledgement."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("alarms", sa.Column("called_at", sa.BigInteger(), nullable=True))
    op.add_column("alarms", sa.Column("sounded_at", sa.BigInteger(), nullable=True))
