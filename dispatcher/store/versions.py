"""Says whether a database is at the revision of the tables that this release works with.

Asked by `app` before anything starts, and by `store.migrating`. It changes nothing, and does not
import what migrations need.
"""

from typing import Final

from sqlalchemy import Connection, inspect, text

from dispatcher.model.errors import SchemaMismatch
from dispatcher.store.database import Database
from dispatcher.store.tables import schema_name, table_name

HEADS: Final = {"registry": "registry_0013", "outbox": "outbox_0014"}
"""The revision of each plane this release works with; a test keeps them equal to the histories."""


async def check_schema(database: Database, plane: str) -> None:
    """Raise `SchemaMismatch` unless the plane is at the revision this release works with."""
    async with database.look() as connection:
        found = await connection.run_sync(current_version, plane)
    wanted = HEADS[plane]
    if found == wanted:
        return
    where = f"{database.name} database"
    if found is not None and found > wanted:
        raise unknown_version(plane, found, where)
    why = f"the {plane} tables are at {found}, older than this release needs ({wanted})"
    if found is None:
        why = f"the {database.name} database has no {plane} tables"
    raise SchemaMismatch(why, fix="run 'dispatcher migrate'", where=where)


def unknown_version(plane: str, found: str | None, where: str) -> SchemaMismatch:
    """Say that the tables are newer than this release, which must leave them alone."""
    return SchemaMismatch(
        f"the {plane} tables are at {found}, which this release does not know ({HEADS[plane]})",
        fix="run the release that migrated them, or a newer one",
        where=where,
    )


def current_version(connection: Connection, plane: str) -> str | None:
    """Give the revision a plane is at, or `None` when it has no tables."""
    dialect = connection.dialect.name
    name, schema = version_table(plane, dialect), schema_name(dialect)
    if not inspect(connection).has_table(name, schema=schema):
        return None
    qualified = f"{schema}.{name}" if schema else name
    return connection.execute(text(f"SELECT version_num FROM {qualified}")).scalar()


def version_table(plane: str, dialect: str) -> str:
    """Name the table in which a plane's history keeps its place."""
    return table_name(f"{plane}_version", dialect)
