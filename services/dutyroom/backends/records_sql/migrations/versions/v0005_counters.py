"""Counters that wrap at a power of two, and those that start again from 0 by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("points", sa.Column("wrap", sa.BigInteger(), nullable=True))
    op.add_column("points", sa.Column("resets", sa.Boolean(), nullable=False, server_default=sa.false()))
