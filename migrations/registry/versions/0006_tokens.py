"""The keys that partners' tokens hang on, who turns tokens back, and how many were erased."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0006"
down_revision = "registry_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}token_keys",
        sa.Column("connector", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("destroyed_us", sa.BigInteger),
        schema=schema,
    )
    op.create_table(
        f"{prefix}token_reads",
        sa.Column("principal", sa.Text, primary_key=True),
        sa.Column("window_us", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        schema=schema,
    )
    erasures = sa.Column("erasures", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    op.add_column(f"{prefix}policy", erasures, schema=schema)
