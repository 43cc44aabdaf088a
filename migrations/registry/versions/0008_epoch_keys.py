"""The keys of tenants and epochs, wrapped by the key provider, and how often they changed hands."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0008"
down_revision = "registry_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}epoch_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("begins_us", sa.BigInteger, nullable=False),
        sa.Column("ends_us", sa.BigInteger, nullable=False),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("kek", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("destroyed_us", sa.BigInteger),
        schema=schema,
    )
    op.create_index(
        f"{prefix}epoch_keys_begins",
        f"{prefix}epoch_keys",
        ["tenant", "begins_us"],
        unique=True,
        schema=schema,
    )
    changes = sa.Column("key_changes", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    op.add_column(f"{prefix}policy", changes, schema=schema)
