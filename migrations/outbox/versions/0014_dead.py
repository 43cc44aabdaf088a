"""What a subscription left dead is found by when it died, without reading what was delivered.

A row enters this index when it dies, so nothing is written to it on the road.
"""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0014"
down_revision = "outbox_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    dead = sa.text("state = 'dead'")
    op.create_index(
        f"{prefix}deliveries_dead",
        f"{prefix}deliveries",
        ["subscription", "settled_us"],
        schema=schema,
        postgresql_where=dead,
        sqlite_where=dead,
    )
