"""When somebody came to the place of a ticket, and when people were told that it is late."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("tickets", sa.Column("arrived_at", sa.BigInteger(), nullable=True))
    op.add_column("tickets", sa.Column("escalated_at", sa.BigInteger(), nullable=True))
