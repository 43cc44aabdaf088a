"""Runs the migrations of a plane, and says whether a database is at the revision we work with.

Called by `app` for `dispatcher migrate` and before anything starts. Every replica may call it at
once: on PostgreSQL a transaction-scoped advisory lock lets one through at a time. A migration
either happens whole or not at all.
"""

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from dispatcher.model.errors import SchemaMismatch
from dispatcher.store.database import Database
from dispatcher.store.tables import schema_name, table_name

HEADS: Final = {"registry": "registry_0001", "outbox": "outbox_0001"}
"""The revision of each plane this release works with; a test keeps them equal to the histories."""

_LOCK: Final = 0x64697370  # "disp"


async def migrate(database: Database, plane: str) -> str | None:
    """Bring a plane to its head; give the revision it was at before, or `None` if it was empty."""
    async with database.begin() as connection:
        return await connection.run_sync(_upgrade, plane)


async def check_schema(database: Database, plane: str) -> None:
    """Raise `SchemaMismatch` unless the plane is at the revision this release works with."""
    async with database.single() as connection:
        found = await connection.run_sync(_current, plane)
    wanted = HEADS[plane]
    if found == wanted:
        return
    if found is None:
        why, fix = f"the {database.name} database has no {plane} tables", "run 'dispatcher migrate'"
    elif found < wanted:
        why = f"the {plane} tables are at {found}, older than this release needs ({wanted})"
        fix = "run 'dispatcher migrate'"
    else:
        why = f"the {plane} tables are at {found}, which this release does not know ({wanted})"
        fix = "run the release that migrated them, or a newer one"
    raise SchemaMismatch(why, fix=fix, where=f"{database.name} database")


def _upgrade(connection: Connection, plane: str) -> str | None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema_name(dialect)}"))
    before = _current(connection, plane)
    config = Config()
    config.set_main_option("script_location", str(_histories() / plane).replace("%", "%%"))
    config.attributes |= _attributes(connection, plane)
    command.upgrade(config, "head")
    return before


def _attributes(connection: Connection, plane: str) -> dict[str, Any]:
    dialect = connection.dialect.name
    return {
        "connection": connection,
        "version_table": _version_table(plane, dialect),
        "version_table_schema": schema_name(dialect),
    }


def _current(connection: Connection, plane: str) -> str | None:
    dialect = connection.dialect.name
    name, schema = _version_table(plane, dialect), schema_name(dialect)
    if not inspect(connection).has_table(name, schema=schema):
        return None
    qualified = f"{schema}.{name}" if schema else name
    return connection.execute(text(f"SELECT version_num FROM {qualified}")).scalar()


def _version_table(plane: str, dialect: str) -> str:
    return table_name(f"{plane}_version", dialect)


def _histories() -> Path:
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "migrations"
    return checkout if (checkout / "registry" / "env.py").is_file() else package / "_migrations"
