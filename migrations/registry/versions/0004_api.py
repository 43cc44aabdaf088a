"""Tokens of one tenant, and the answers that are given again for the same idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0004"
down_revision = "registry_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.add_column(f"{prefix}tokens", sa.Column("tenant", sa.Text), schema=schema)
    op.create_table(
        f"{prefix}replies",
        sa.Column("principal", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("begun_us", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        schema=schema,
    )
