"""Summaries: which window of time an event counts in, and the letter that each window leaves by."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0011"
down_revision = "outbox_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    windows, members = f"{prefix}windows", f"{prefix}window_members"
    op.create_table(
        windows,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("scope_id", sa.Text, nullable=False),
        sa.Column("start_us", sa.BigInteger, nullable=False),
        sa.Column("end_us", sa.BigInteger, nullable=False),
        sa.Column("closes_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
    span = ["lane", "tenant", "scope_id", "start_us", "end_us"]
    op.create_index(f"{windows}_span", windows, span, unique=True, schema=schema)
    op.create_table(
        members,
        sa.Column("window_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        schema=schema,
    )
    op.create_index(f"{members}_event", members, ["event_seq"], schema=schema)
    deliveries = f"{prefix}deliveries"
    op.add_column(deliveries, sa.Column("window_id", sa.BigInteger), schema=schema)
    clause = sa.text("window_id IS NOT NULL")
    op.create_index(
        f"{deliveries}_window",
        deliveries,
        ["window_id"],
        schema=schema,
        postgresql_where=clause,
        sqlite_where=clause,
    )
