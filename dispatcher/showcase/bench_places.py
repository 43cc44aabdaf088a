"""Where the bench measures: a PostgreSQL database of its own, and an SQLite file of its own.

A server named by the user lends a uniquely named database, which is dropped afterwards; nothing
else there is touched. Without one, a durable server is started for the run. Used by `bench road`.
"""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dispatcher.model.errors import ConfigInvalid
from dispatcher.showcase.postgres import (
    PostgresMissing,
    TemporaryServer,
    create_database,
    drop_database,
)
from dispatcher.store.database import Database

_SETTINGS: Final = {
    "postgresql": ("fsync", "synchronous_commit", "full_page_writes"),
    "sqlite": ("journal_mode", "synchronous"),
}
_SYNCHRONOUS: Final = {"0": "off", "1": "normal", "2": "full", "3": "extra"}


@dataclass(frozen=True, slots=True)
class Place:
    """One database to measure on, and a folder for the house that uses it."""

    engine: str
    url: str = field(repr=False)
    folder: Path
    source: str


@contextmanager
def open_places(database: str | None) -> Iterator[tuple[list[Place], str]]:
    """Give the places to measure on, and why PostgreSQL is not among them where it is not."""
    with ExitStack() as stack:
        url = _parse(database)
        beside = url.partition("///")[2] if url is not None and _is_sqlite(url) else None
        folder = Path(stack.enter_context(_folder(beside)))
        places, why = [], ""
        if beside is not None:
            why = "an SQLite URL was given"
        elif url is not None:
            places.append(_lent(stack, url, folder))
        else:
            try:
                places.append(_own(stack, folder))
            except PostgresMissing as error:
                why = error.why
        file = _house(folder, "sqlite") / "bench.db"
        places.append(Place("sqlite", f"sqlite:///{file}", file.parent, "a file made for this run"))
        yield places, why


async def read_settings(database: Database) -> dict[str, str]:
    """Read back how durable a commit is, and the version."""
    found: dict[str, str] = {}
    async with database.single() as connection:
        for name in _SETTINGS[database.dialect]:
            ask = f"PRAGMA {name}" if database.is_sqlite else f"SHOW {name}"
            found[name] = str((await connection.execute(text(ask))).scalar())
        ask = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
        found["version"] = str((await connection.execute(text(ask))).scalar()).partition(" ")[0]
    if database.is_sqlite:
        found["synchronous"] = _SYNCHRONOUS.get(found["synchronous"], found["synchronous"])
    return found


def _lent(stack: ExitStack, url: str, folder: Path) -> Place:
    name = f"dispatcher_bench_{secrets.token_hex(6)}"
    create_database(url, name)
    stack.callback(drop_database, url, name)
    own = make_url(url).set(database=name).render_as_string(hide_password=False)
    source = "a database made for this run on the server given"
    return Place("postgresql", own, _house(folder, "postgresql"), source)


def _own(stack: ExitStack, folder: Path) -> Place:
    server = stack.enter_context(TemporaryServer(durable=True))
    source = "a server started for this run"
    return Place(
        "postgresql",
        server.create_database("dispatcher_bench"),
        _house(folder, "postgresql"),
        source,
    )


def _house(folder: Path, name: str) -> Path:
    house = folder / name
    house.mkdir()
    return house


@contextmanager
def _folder(beside: str | None) -> Iterator[str]:
    parent = Path(beside).parent if beside else None
    if parent is not None and not parent.is_dir():
        raise ConfigInvalid(
            "there is no such folder", where=str(parent), fix="name a file in a folder that exists"
        )
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-", dir=parent) as folder:
        yield folder


def _parse(database: str | None) -> str | None:
    """Give the URL in the plain form drivers know."""
    if database is None:
        return None
    try:
        url = make_url(database)
        backend = url.get_backend_name()
    except ArgumentError:
        backend = ""
    if backend not in _SETTINGS:
        raise ConfigInvalid(
            "not a database URL this product works with",
            where="--database",
            fix="use postgresql://USER@HOST/NAME or sqlite:///FILE",
            code="database_url",
        )
    return url.set(drivername=backend).render_as_string(hide_password=False)


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")
