"""The ledger names the legal basis and the country of every disclosure."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0002"
down_revision = "outbox_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    table, schema = ("dispatcher_disclosures", None) if on_sqlite else ("disclosures", "dispatcher")
    for name in ("legal_basis", "country"):
        column = sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))
        op.add_column(table, column, schema=schema)
