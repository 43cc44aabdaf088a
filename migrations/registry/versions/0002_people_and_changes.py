"""People with tokens, and change sets that wait for a second person."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0002"
down_revision = "registry_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        f"{prefix}principals",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        sa.Column("revoked_us", sa.BigInteger),
        sa.Column("revoked_by", sa.Text),
        schema=schema,
    )
    op.create_table(
        f"{prefix}change_sets",
        sa.Column("number", key, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("base", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("diff", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("proposed_us", sa.BigInteger, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_us", sa.BigInteger),
        sa.Column("decision", sa.Text),
        sa.Column("revision", sa.BigInteger),
        schema=schema,
    )
