"""The sets of keys that partners publish, as they were last found, and every key seen."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0009"
down_revision = "registry_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}partner_key_sets",
        sa.Column("connector", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("good_us", sa.BigInteger, nullable=False),
        sa.Column("tried_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("leased_until_us", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}partner_keys",
        sa.Column("connector", sa.Text, primary_key=True),
        sa.Column("thumbprint", sa.Text, primary_key=True),
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("jwk", sa.Text, nullable=False),
        sa.Column("is_for_encryption", sa.Boolean, nullable=False),
        sa.Column("place", sa.Integer),
        sa.Column("first_seen_us", sa.BigInteger, nullable=False),
        sa.Column("fetched_us", sa.BigInteger, nullable=False),
        sa.Column("exposed_us", sa.BigInteger),
        schema=schema,
    )
