"""Opening a database: which URLs are understood, and what may never be in an error."""

import threading
from pathlib import Path

import pytest

from dispatcher.model.errors import ConfigInvalid, StoreUnavailable
from dispatcher.store.database import open_database


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://user:hunter2@host/db", "postgres;//x", "http://host/db"]
)
def test_a_url_of_another_kind_is_refused_with_the_place_and_a_way_out(url: str):
    with pytest.raises(ConfigInvalid) as caught:
        open_database(url, lambda: 0, name="outbox")
    assert caught.value.reason == "database_url"
    assert caught.value.where == "outbox.url"
    assert "postgresql://" in caught.value.fix
    assert "hunter2" not in str(caught.value)


async def test_a_file_that_cannot_be_opened_is_one_clear_error(tmp_path: Path):
    database = open_database(f"sqlite:///{tmp_path}/no/such.db", lambda: 0, name="outbox")
    with pytest.raises(StoreUnavailable, match="database_unreachable"):
        async with database.begin():
            pass
    await database.aclose()


async def test_a_file_that_cannot_be_opened_leaves_no_thread_that_needs_the_loop(tmp_path: Path):
    before = set(threading.enumerate())
    database = open_database(f"sqlite:///{tmp_path}", lambda: 0, name="outbox")
    with pytest.raises(StoreUnavailable, match="database_unreachable") as caught:
        async with database.begin():
            pass
    assert set(threading.enumerate()) <= before
    assert caught.value.where == str(tmp_path)
    await database.aclose()


async def test_the_embedded_engine_keeps_what_it_committed_and_lets_readers_pass(sqlite_url: str):
    database = open_database(sqlite_url, lambda: 0, name="outbox")
    settings = {}
    async with database.engine.connect() as connection:
        for pragma in ("journal_mode", "synchronous", "foreign_keys"):
            found = await connection.exec_driver_sql(f"PRAGMA {pragma}")
            settings[pragma] = found.scalar()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    await database.aclose()


async def test_the_clock_of_the_embedded_engine_is_handed_in(sqlite_url: str):
    database = open_database(sqlite_url, lambda: 42, name="outbox")
    async with database.begin() as connection:
        assert (await database.execute(connection, "SELECT {now}")).scalar() == 42
    await database.aclose()


async def test_an_error_in_the_block_rolls_everything_back(sqlite_url: str):
    database = open_database(sqlite_url, lambda: 0, name="outbox")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with database.begin() as connection:
            await database.execute(connection, "INSERT INTO {scopes} VALUES ('a', '[]')")
            raise ZeroDivisionError
    async with database.begin() as connection:
        found = await database.execute(connection, "SELECT count(*) FROM {scopes}")
        assert found.scalar() == 0
    await database.aclose()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://app:hunter2@db.example:5433/shop?x=1", "postgresql://db.example:5433/shop"),
        ("sqlite:///data/outbox.db", "sqlite:///data/outbox.db"),
    ],
)
async def test_a_database_says_which_it_is_and_not_how_one_gets_in(url: str, place: str):
    assert open_database(url, lambda: 0, name="outbox").place == place
