"""What vault tokens stand for, sealed, and whom each is about, so that a person can be erased.

Scopes are kept whole from here on: those of deliveries filed before are written anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0007"
down_revision = "outbox_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}vault_tokens",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("connector", sa.Text, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("blind", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("erased_us", sa.BigInteger),
        schema=schema,
    )
    op.create_index(
        f"{prefix}vault_tokens_blind",
        f"{prefix}vault_tokens",
        ["connector", "tenant", "domain", "blind"],
        unique=True,
        schema=schema,
    )
    op.create_table(
        f"{prefix}vault_subjects",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, primary_key=True),
        schema=schema,
    )
    op.create_index(
        f"{prefix}vault_subjects_token", f"{prefix}vault_subjects", ["token"], schema=schema
    )
    scopes = f"{prefix}scopes" if on_sqlite else f"{schema}.scopes"
    whole = """'{"id":"' || id || '","fields":' || fields || '}'"""
    op.execute(f"UPDATE {scopes} SET fields = {whole} WHERE fields LIKE '[%'")  # noqa: S608
