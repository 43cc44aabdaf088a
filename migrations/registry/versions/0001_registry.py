"""The registry plane: revisions, the active policy, switches, workers, signing keys."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        f"{prefix}revisions",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("parent_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("approver", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        schema=schema,
    )
    policy = op.create_table(
        f"{prefix}policy",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        schema=schema,
    )
    op.bulk_insert(policy, [{"id": 1, "revision": 0, "epoch": 1}])
    op.create_table(
        f"{prefix}switches",
        sa.Column("id", key, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("tripped_us", sa.BigInteger, nullable=False),
        sa.Column("released_us", sa.BigInteger),
        sa.Column("released_by", sa.Text),
        schema=schema,
    )
    op.create_table(
        f"{prefix}workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        sa.Column("confirmed_epoch", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("in_flight", sa.Integer, nullable=False),
        sa.Column("is_fenced", sa.Boolean, nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}signing_keys",
        sa.Column("subscription", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
