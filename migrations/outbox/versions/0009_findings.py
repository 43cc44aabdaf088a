"""What the leak guard found is kept for people to read: where and how long, never what."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0009"
down_revision = "outbox_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    name = f"{prefix}findings"
    op.create_table(
        name,
        # SQLite numbers rows by itself only for a column of exactly this type.
        sa.Column("id", sa.Integer if on_sqlite else sa.BigInteger, primary_key=True),
        sa.Column("delivery_id", sa.BigInteger, nullable=False),
        sa.Column("event_seq", sa.BigInteger, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("found_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
    columns = ["delivery_id", "detector", "path", "action"]
    op.create_index(f"{name}_once", name, columns, unique=True, schema=schema)
