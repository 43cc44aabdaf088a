"""How many subjects an event may have, and which fields events carry that nobody has classed."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0008"
down_revision = "outbox_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    # An earlier release goes on publishing without it.
    column = sa.Column("subjects_max", sa.Integer, nullable=False, server_default=sa.text("100"))
    op.add_column(f"{prefix}catalogue", column, schema=schema)
    op.create_table(
        f"{prefix}triage",
        sa.Column("event_type", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("first_seen_us", sa.BigInteger, nullable=False),
        sa.Column("last_seen_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
