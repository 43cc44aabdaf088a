"""The public key that producers seal to, beside each event type they may enqueue."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0013"
down_revision = "outbox_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    # Whoever may enqueue reads this table already, in the one statement that he begins with.
    for name in ("intake_key", "intake_public"):
        op.add_column(f"{prefix}catalogue", sa.Column(name, sa.Text), schema=schema)
