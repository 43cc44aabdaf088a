"""Secret headers that partners want with every request, each bound to where it goes."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0010"
down_revision = "registry_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}credentials",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("header", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("entered_by", sa.Text, nullable=False),
        sa.Column("entered_us", sa.BigInteger, nullable=False),
        sa.Column("approved_by", sa.Text),
        sa.Column("approved_us", sa.BigInteger),
        sa.Column("destroyed_us", sa.BigInteger),
        schema=schema,
    )
