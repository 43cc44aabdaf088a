"""The ledger names the host that a redirect led to, for the owner to read."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0006"
down_revision = "outbox_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    table, schema = ("dispatcher_disclosures", None) if on_sqlite else ("disclosures", "dispatcher")
    op.add_column(table, sa.Column("location_host", sa.Text), schema=schema)
