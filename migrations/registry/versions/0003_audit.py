"""The audit log, and where it ends."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "registry_0003"
down_revision = "registry_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}audit_log",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        schema=schema,
    )
    head = op.create_table(
        f"{prefix}audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        schema=schema,
    )
    # A log has a name of its own, so that the checkpoints of two registries are never mixed up.
    log = f"dispatcher-audit/{secrets.token_hex(8)}"
    op.bulk_insert(head, [{"id": 1, "log": log, "size": 0, "frontier": b"", "note": ""}])
