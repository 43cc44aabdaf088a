"""Runs the migrations of a plane.

Called by `app` for `dispatcher migrate`. Every replica may call it at once: on PostgreSQL a
transaction-scoped advisory lock lets one through at a time. A migration either happens whole or not
at all.
"""

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from dispatcher.store.database import Database
from dispatcher.store.tables import schema_name
from dispatcher.store.versions import current_version, unknown_version, version_table

_LOCK: Final = 0x64697370  # "disp"


async def migrate(database: Database, plane: str) -> str | None:
    """Bring a plane to its head; give the revision it was at before, or `None` if it was empty."""
    database.make_file()
    async with database.begin() as connection:
        return await connection.run_sync(_upgrade, plane)


def _upgrade(connection: Connection, plane: str) -> str | None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema_name(dialect)}"))
    before = current_version(connection, plane)
    config = Config()
    config.set_main_option("script_location", str(_histories() / plane).replace("%", "%%"))
    config.attributes |= _attributes(connection, plane)
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise unknown_version(plane, before, "the database") from None
    return before


def _attributes(connection: Connection, plane: str) -> dict[str, Any]:
    dialect = connection.dialect.name
    return {
        "connection": connection,
        "version_table": version_table(plane, dialect),
        "version_table_schema": schema_name(dialect),
    }


def _histories() -> Path:
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "migrations"
    return checkout if (checkout / "registry" / "env.py").is_file() else package / "_migrations"
