"""What goes is on record, and what must go is found without reading what stays.

Each event is in exactly one of three partial indexes, by what is left of it: with its payload, with
whom it is about in clear, with neither. An insert writes one of them; the others are upkeep's.
"""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0012"
down_revision = "outbox_0011"
branch_labels = None
depends_on = None

PARTS = (
    ("payloads", "payload IS NOT NULL"),
    ("named", "payload IS NULL AND subjects <> ''"),
    ("bare", "payload IS NULL AND subjects = ''"),
)


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    for name, where in PARTS:
        op.create_index(
            f"{prefix}events_{name}",
            f"{prefix}events",
            ["enqueued_us", "seq"],
            schema=schema,
            postgresql_where=sa.text(where),
            sqlite_where=sa.text(where),
        )
    op.create_index(f"{prefix}findings_found", f"{prefix}findings", ["found_us"], schema=schema)
    op.create_table(
        f"{prefix}purges",
        # SQLite numbers rows by itself only for a column of exactly this type.
        sa.Column("id", sa.Integer if on_sqlite else sa.BigInteger, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("oldest_us", sa.BigInteger, nullable=False),
        sa.Column("newest_us", sa.BigInteger, nullable=False),
        sa.Column("survivor_us", sa.BigInteger),
        sa.Column("is_complete", sa.Boolean, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        schema=schema,
    )
