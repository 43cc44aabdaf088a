"""Which endpoints are proven to be their partner's own, and how the asking goes."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0005"
down_revision = "registry_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}proofs",
        sa.Column("connector", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("proven_us", sa.BigInteger, nullable=False),
        sa.Column("proven_by", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}challenges",
        sa.Column("connector", sa.Text, primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("asked_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("echo", sa.Text, nullable=False),
        sa.Column("dns", sa.Text, nullable=False),
        schema=schema,
    )
