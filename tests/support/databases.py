"""Databases for tests: where the server comes from, and how to make and open a fresh one.

Used by `tests/conftest.py`; tests themselves ask for its fixtures.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pg8000.native
from sqlalchemy.engine import make_url

from dispatcher.showcase.postgres import TemporaryServer
from dispatcher.store.database import Database, open_database
from dispatcher.store.migrating import migrate

URL_VARIABLE = "DISPATCHER_TEST_DATABASE_URL"
BINDIR_VARIABLE = "DISPATCHER_TEST_PG_BINDIR"
PLANES = ("registry", "outbox")
PLAIN: dict[str, Any] = {"ssl_context": False}
"""For pg8000, which would read all roots of this machine for each connection."""


def wall_us() -> int:
    return time.time_ns() // 1000


def binaries() -> Path | None:
    named = os.environ.get(BINDIR_VARIABLE)
    return Path(named) if named else None


@contextmanager
def a_server() -> Iterator[str]:
    """Give the administration URL of the server named by the environment, or of a fresh one."""
    named = os.environ.get(URL_VARIABLE)
    if named:
        yield plain(named)
        return
    with TemporaryServer(binaries()) as server:
        yield server.url()


class Clerk:
    """Makes and drops databases of a server, on one connection that is kept.

    Files are copied, not pages through the log: that costs a third, for maker and dropper.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        url = make_url(server)
        self._connection = pg8000.native.Connection(
            url.username or "",
            host=url.host or "",
            port=url.port or 5432,
            database=url.database,
            password=url.password,
            **PLAIN,
        )

    @contextmanager
    def fresh(self, template: str = "template0") -> Iterator[str]:
        """Give the URL of a database, a copy of `template`, that is there while the block lasts."""
        name = f"dispatcher_test_{secrets.token_hex(6)}"
        self._connection.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        yield with_database(self._server, name)
        self._connection.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def close(self) -> None:
        self._connection.close()


def plain(url: str) -> str:
    """Take the driver out of a URL: asyncpg itself knows none."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def name_of(url: str) -> str:
    return make_url(url).database or ""


def with_driver(url: str, driver: str) -> str:
    """Name the driver a product service would use, as in `postgresql+pg8000`."""
    return make_url(url).set(drivername=driver).render_as_string(hide_password=False)


def open_for_tests(url: str, pool: int = 8) -> Database:
    return open_database(url, wall_us, name="test", pool=pool)


async def copied_to_memory(file: Path) -> Database:
    """Open a database in memory that holds what the file does."""
    opened = open_for_tests("sqlite:///:memory:")
    async with opened.engine.connect() as connection, aiosqlite.connect(file) as template:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, aiosqlite.Connection)
        await template.backup(driver)
    return opened


async def migrate_all(database: Database) -> None:
    for plane in PLANES:
        await migrate(database, plane)


def migrate_now(url: str) -> None:
    """Migrate both planes from synchronous code, wherever it stands."""

    async def run() -> None:
        database = open_for_tests(url)
        try:
            await migrate_all(database)
        finally:
            await database.aclose()

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, run()).result()
