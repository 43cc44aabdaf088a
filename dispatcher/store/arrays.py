"""One statement over many rows: an array per column on PostgreSQL, one JSON document on SQLite.

Used by the modules of this room that write in batches.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.database import Database


def over_rows(sql: str, *columns: tuple[str, str]) -> tuple[str, str]:
    """Write a statement for PostgreSQL and for SQLite: `{rows}` becomes the rows given, as `u`.

    `columns` are names and PostgreSQL's types.
    """
    arrays = ", ".join(f"CAST(:c{i} AS {kind}[])" for i, (_, kind) in enumerate(columns))
    names = ", ".join(name for name, _ in columns)
    picked = ", ".join(
        f"json_extract(value, '$[{i}]') AS {name}" for i, (name, _) in enumerate(columns)
    )
    postgresql = f"unnest({arrays}) AS u({names})"
    return (
        sql.replace("{rows}", postgresql),
        sql.replace("{rows}", f"(SELECT {picked} FROM json_each(:rows)) AS u"),
    )


async def execute_rows(
    database: Database,
    connection: AsyncConnection,
    postgresql: str,
    sqlite: str,
    rows: Sequence[tuple[Any, ...]],
    **terms: Any,
) -> Any:
    """Run one statement over many rows."""
    if database.is_sqlite:
        document = msgspec.json.encode(rows).decode()
        return await database.execute(connection, sqlite, rows=document, **terms)
    columns = {f"c{i}": list(column) for i, column in enumerate(zip(*rows, strict=True))}
    return await database.execute(connection, postgresql, **columns, **terms)
