"""Signing keys of two kinds, and when each one signs. Those there are sign from the start."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0007"
down_revision = "registry_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    with op.batch_alter_table(f"{prefix}signing_keys", schema=schema) as table:
        table.add_column(sa.Column("kind", sa.Text, nullable=False, server_default="hmac"))
        table.add_column(sa.Column("public", sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("active_us", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("until_us", sa.BigInteger))
        table.add_column(sa.Column("revoked_us", sa.BigInteger))
        table.alter_column("sealed", existing_type=sa.LargeBinary, nullable=True)
