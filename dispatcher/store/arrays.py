"""One statement over many rows: an array per column on PostgreSQL, one JSON document on SQLite.

Used by the modules of this room that write in batches. An array goes to PostgreSQL as text: of each
element of a list asyncpg asks first whether it is a list itself, which takes three times as long as
everything else that is done to send it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.database import Database


def over_rows(sql: str, *columns: tuple[str, str]) -> tuple[str, str]:
    """Write a statement for PostgreSQL and for SQLite: `{rows}` becomes the rows given, as `u`.

    `columns` are names and PostgreSQL's types.
    """
    names = ", ".join(name for name, _ in columns)
    picked = ", ".join(
        f"json_extract(value, '$[{i}]') AS {name}" for i, (name, _) in enumerate(columns)
    )
    return (
        sql.replace("{rows}", f"{unnest(*(kind for _, kind in columns))} AS u({names})"),
        sql.replace("{rows}", f"(SELECT {picked} FROM json_each(:rows)) AS u"),
    )


def unnest(*kinds: str) -> str:
    """Write what stands for the rows given where only PostgreSQL is meant, one type a column."""
    arrays = ", ".join(f"CAST(CAST(:c{i} AS text) AS {kind}[])" for i, kind in enumerate(kinds))
    return f"unnest({arrays})"


async def execute_rows(
    database: Database,
    connection: AsyncConnection,
    postgresql: str,
    sqlite: str,
    rows: Sequence[tuple[Any, ...]],
    **terms: Any,
) -> Any:
    """Run one statement over many rows: of integers, text, octets, truth values and nothing."""
    if database.is_sqlite:
        document = msgspec.json.encode(rows).decode()
        return await database.execute(connection, sqlite, rows=document, **terms)
    columns = {f"c{i}": write_array(column) for i, column in enumerate(zip(*rows, strict=True))}
    return await database.execute(connection, postgresql, **columns, **terms)


def write_array(elements: Iterable[int | str | bytes | None]) -> str:
    """Write an array as PostgreSQL reads one (its manual, 8.15.2); `TypeError` for other things."""
    return "{" + ",".join(map(_write, elements)) + "}"


def _write(element: int | str | bytes | None) -> str:
    if isinstance(element, str):
        return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(element, int):
        return str(element)
    if element is None:
        return "NULL"
    if isinstance(element, bytes):
        return f'"\\\\x{element.hex()}"'
    raise TypeError(f"{type(element).__name__} is nothing that an array is written of")
