"""One database of either plane: its engine, its dialect, its clock, its errors.

Every other module of this room works through a `Database`. PostgreSQL is reached by asyncpg,
SQLite by aiosqlite with a write-ahead log, full synchronisation, one connection that writes, so
that the single writer is never contended inside the process, and one that reads beside it. Foreign
exceptions end here; no error text holds a URL, for it may hold a password.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import TextClause, event, text
from sqlalchemy.engine import URL, CursorResult, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only

from dispatcher.model.errors import ConfigInvalid, SchemaMismatch, StoreUnavailable
from dispatcher.store.tables import render

SQLITE_BUSY_SECONDS: Final = 15
MEMORY: Final = ":memory:"
_SWITCH_SECONDS: Final = 0.05
_DRIVERS: Final = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_HOT_SETTINGS: Final = {
    # A generic plan made while the queue was empty scans for ever after (performance spec 2, 6.1).
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    # The ledger's promise needs it, whatever the database's own default is.
    "synchronous_commit": "on",
    # What the road touches was written a moment ago and lies in memory: by its key, not by a scan.
    "random_page_cost": "1.1",
    "application_name": "dispatcher",
}


class Database:
    """An open database, and the clock of dialects whose server has none (`wall_us`, in UTC)."""

    def __init__(
        self,
        engine: AsyncEngine,
        wall_us: Callable[[], int],
        name: str,
        reader: AsyncEngine | None = None,
    ) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self.name = name
        self.wall_us = wall_us
        self._texts: dict[str, TextClause] = {}
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reader = reader or engine

    @property
    def is_sqlite(self) -> bool:
        """True for the embedded engine."""
        return self.dialect == "sqlite"

    @property
    def host(self) -> str | None:
        """The host of the server; `None` for a file or a local socket."""
        return self.engine.url.host

    @property
    def place(self) -> str:
        """Which database this is: its server and name, or its file. No user, no password."""
        url = self.engine.url
        bare = URL.create(
            url.get_backend_name(), host=url.host, port=url.port, database=url.database
        )
        return bare.render_as_string()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed at the end of the block, rolled back on an error."""
        async with self._connected(self.engine) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement that is its own transaction: one round trip."""
        if self.is_sqlite:
            async with self.begin() as connection:
                yield connection
            return
        async with self._connected(self._autocommit) as connection:
            yield connection

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement that only reads: it waits for no writer."""
        async with self._connected(self._reader if self.is_sqlite else self._autocommit) as opened:
            yield opened

    @asynccontextmanager
    async def view(self) -> AsyncIterator[AsyncConnection]:
        """Open one consistent view for several statements that only read."""
        engine = self._reader
        if not self.is_sqlite:
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        async with self._connected(engine) as connection:
            yield connection

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.connect() as connection:
                yield connection
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise self._translated(error) from error

    async def execute(
        self, connection: AsyncConnection, sql: str, **parameters: Any
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement written with `{table}` and `{now}` (see `tables.render`)."""
        return await connection.execute(*self.prepare(sql, parameters))

    def prepare(self, sql: str, parameters: Mapping[str, Any]) -> tuple[TextClause, dict[str, Any]]:
        """Give the statement in this dialect, with the clock among its parameters."""
        clause = self._texts.get(sql)
        if clause is None:
            clause = self._texts[sql] = text(render(sql, self.dialect))
        given = dict(parameters)
        if self.is_sqlite and "{now}" in sql:
            given["now"] = self.wall_us()
        return clause, given

    async def execute_many(
        self, connection: AsyncConnection, sql: str, rows: list[dict[str, Any]]
    ) -> None:
        """Run one statement for each row, in one go."""
        if not rows:
            return
        clause, clock = self.prepare(sql, {})
        await connection.execute(clause, [row | clock for row in rows])

    async def bulk(self, sql: str, *numbers: int) -> list[Any]:
        """Read very many plain rows, a third of the time of `execute`; `@1` is the first number."""
        mark = "?" if self.is_sqlite else "$"
        statement = render(sql, self.dialect).replace("@", mark)
        async with self.look() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            if self.is_sqlite:
                rows: list[Any] = await driver.execute_fetchall(statement, numbers)
                return rows
            return list(await driver.fetch(statement, *numbers))

    def make_file(self) -> None:
        """Make an embedded database's file and folder where there are none; only migrations do."""
        file = self.engine.url.database
        if not self.is_sqlite or not file or file == MEMORY:
            return
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).touch(mode=0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"the file of the {self.name} database cannot be made: {error.strerror}",
                fix="choose a folder that this user may write to",
                where=file,
            ) from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
        await self._reader.dispose()

    def _translated(self, error: Exception) -> Exception:
        original: Any = getattr(error, "orig", None) or error
        original = original.__cause__ or original
        kind = type(original).__name__
        said = str(original).partition("\n")[0]
        if "no such table" in said or kind in ("UndefinedTableError", "InvalidSchemaNameError"):
            return SchemaMismatch(
                f"the {self.name} database lacks tables this release needs",
                fix="run 'dispatcher migrate'",
                where=self.name,
            )
        if getattr(original, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
            return StoreUnavailable(
                f"the {self.name} database does not let this user do that",
                fix="use the role that owns the tables, or grant it what it needs",
                where=self.name,
                code="database_forbidden",
            )
        is_lost = isinstance(error, PoolTimeout | OSError) or getattr(
            error, "connection_invalidated", False
        )
        state = getattr(original, "sqlstate", None) or ""
        telling = _UNREACHABLE.search(f"{kind} {said}")
        if is_lost or telling or state[:2] in _PASSING:
            # Of the driver's own words only those we know to be harmless are passed on.
            words = f"{kind}: {telling[0]}" if telling else kind
            return StoreUnavailable(
                f"the {self.name} database cannot be used ({words})",
                fix="check that it runs, and the address, name and credentials in the config",
                where=self.name,
            )
        return error


_INSUFFICIENT_PRIVILEGE: Final = "42501"
_PASSING: Final = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes that speak of the server's condition, a deadlock included: worth another try."""

_UNREACHABLE: Final = re.compile(
    "Connection|InvalidPassword|InvalidAuthorization|InvalidCatalogName|CannotConnectNow"
    "|Shutdown|TimeoutError|unable to open|is locked|is full|disk I/O|readonly|not a database"
    "|OperatorIntervention|ReadOnlySQLTransaction"
)
"""Kinds and words of the drivers' errors that mean the database, not the statement, is at fault."""


def open_database(url: str, wall_us: Callable[[], int], *, name: str, pool: int = 8) -> Database:
    """Open the database at `url` lazily: nothing is connected until it is used.

    Raises `ConfigInvalid` for a URL that is not PostgreSQL or SQLite.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url(name) from None
    backend = parsed.get_backend_name()
    if backend not in _DRIVERS:
        raise _bad_url(name)
    target = parsed.set(drivername=_DRIVERS[backend])
    if backend == "sqlite":
        writer = _sqlite_engine(target, name, begin="BEGIN IMMEDIATE")
        # A database in memory is its one connection; a file can be read beside its writer.
        in_memory = target.database in (None, "", MEMORY)
        return Database(
            writer,
            wall_us,
            name,
            None if in_memory else _sqlite_engine(target, name, begin="BEGIN"),
        )
    engine = create_async_engine(
        target,
        hide_parameters=True,
        pool_size=pool,
        max_overflow=4,
        pool_timeout=30,
        connect_args={"timeout": 10, "server_settings": _HOT_SETTINGS},
    )
    return Database(engine, wall_us, name)


def _sqlite_engine(target: URL, name: str, *, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        target,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=SQLITE_BUSY_SECONDS * 4,
        connect_args={"timeout": SQLITE_BUSY_SECONDS},
        poolclass=AsyncAdaptedQueuePool,
    )
    event.listen(engine.sync_engine, "do_connect", partial(_try_file, name))
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    # A deferred transaction that writes later fails at once when another writer was faster; an
    # immediate one waits its turn. A deferred one that only reads waits for nobody.
    event.listen(engine.sync_engine, "begin", lambda opened: opened.exec_driver_sql(begin))
    return engine


def _bad_url(name: str) -> ConfigInvalid:
    return ConfigInvalid(
        "not a database URL this product works with",
        fix="use postgresql://USER@HOST/NAME or sqlite:///FILE",
        where=f"{name}.url",
        code="database_url",
    )


def _try_file(name: str, _dialect: object, _record: object, places: Any, _more: Any) -> None:
    """Refuse a file that is not there, or that SQLite cannot open.

    SQLite itself would make an empty database wherever a path is mistyped, and the driver's thread
    would fail aloud on a loop that has ended meanwhile.
    """
    file = str(places[0])
    if file == MEMORY:
        return
    if not Path(file).exists():
        raise StoreUnavailable(
            f"there is no file of the {name} database",
            fix="check the path in the config, or run 'dispatcher migrate' to make it",
            where=file,
        )
    try:
        sqlite3.connect(file).close()
    except sqlite3.Error:
        raise StoreUnavailable(
            f"the file of the {name} database cannot be opened",
            fix="name a file, in a folder, that this user may read and write",
            where=file,
        ) from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_log(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_log(cursor: Any) -> None:
    """Use a write-ahead log. SQLite waits for nobody while it switches a new file to one, so of two
    that open it at once, one tries again."""
    for _ in range(int(SQLITE_BUSY_SECONDS / _SWITCH_SECONDS)):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            await_only(asyncio.sleep(_SWITCH_SECONDS))
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")
