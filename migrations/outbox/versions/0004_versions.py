"""The catalogue says which version of an event type it holds."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0004"
down_revision = "outbox_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    table, schema = ("dispatcher_catalogue", None) if on_sqlite else ("catalogue", "dispatcher")
    # An earlier release goes on publishing without it.
    column = sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1"))
    op.add_column(table, column, schema=schema)
