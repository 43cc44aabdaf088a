"""Tickets of thin letters, the reads they are good for, and the signatures that were shown once."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0010"
down_revision = "outbox_0009"
branch_labels = None
depends_on = None

UNFINISHED_READ = sa.text("attempt < 0 AND outcome IS NULL")


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    texts = ("sha256", "tenant", "connector", "subscription", "scope_id")
    op.create_table(
        f"{prefix}tickets",
        sa.Column("webhook_id", sa.Text, primary_key=True),
        sa.Column("delivery_id", sa.BigInteger, nullable=False),
        sa.Column("event_seq", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("issued_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        sa.Column("uses_max", sa.Integer, nullable=False),
        sa.Column("reads", sa.Integer, nullable=False),
        schema=schema,
    )
    _index(f"{prefix}tickets", "expires", "expires_us", schema)
    op.create_table(
        f"{prefix}shown_signatures",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("shown_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
    _index(f"{prefix}shown_signatures", "shown", "shown_us", schema)
    # Empty where a letter was sent: only a read has somebody who came for it.
    for name in ("caller", "caller_address"):
        op.add_column(f"{prefix}disclosures", sa.Column(name, sa.Text), schema=schema)
    op.create_index(
        f"{prefix}disclosures_reads",
        f"{prefix}disclosures",
        ["begun_us"],
        schema=schema,
        postgresql_where=UNFINISHED_READ,
        sqlite_where=UNFINISHED_READ,
    )


def _index(table: str, name: str, column: str, schema: str | None) -> None:
    op.create_index(f"{table}_{name}", table, [column], schema=schema)
