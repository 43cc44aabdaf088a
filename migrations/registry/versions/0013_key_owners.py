"""A signing key is one partner's: it counts for its subscription only while that is theirs.

Of keys made before this nobody knows whose they are, so they count for none; what earlier builds
sealed opens no more anyway.
"""

import sqlalchemy as sa
from alembic import op

revision = "registry_0013"
down_revision = "registry_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.add_column(
        f"{prefix}signing_keys",
        sa.Column("connector", sa.Text, nullable=False, server_default=sa.text("''")),
        schema=schema,
    )
