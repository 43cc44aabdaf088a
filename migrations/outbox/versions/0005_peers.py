"""The ledger says who was at the other end of each attempt."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0005"
down_revision = "outbox_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}peers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("connector", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("not_after_us", sa.BigInteger, nullable=False),
        sa.Column("spki", sa.Text, nullable=False),
        sa.Column("first_seen_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
    name = f"{prefix}peers"
    op.create_index(f"{name}_host", name, ["connector", "host"], schema=schema)
    # Empty where an earlier release, or an attempt that met nobody, wrote the row.
    op.add_column(f"{prefix}disclosures", sa.Column("peer", sa.Text), schema=schema)
