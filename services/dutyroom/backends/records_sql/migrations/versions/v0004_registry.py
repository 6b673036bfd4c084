"""A device's model, serial number, feeds and meter: what a registry is asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("model", sa.Text(), nullable=False, server_default=""),
        sa.Column("serial", sa.Text(), nullable=False, server_default=""),
        sa.Column("fed_by", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("digits", sa.Integer(), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
    ):
        op.add_column("devices", column)
