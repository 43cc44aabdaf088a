"""Client certificates that were revoked: workers show them no more."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0011"
down_revision = "registry_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}revoked_identities",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("revoked_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
