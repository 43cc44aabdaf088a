"""What a database does to us arrives as one of our own errors, and says nothing of the data."""

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from dispatcher.model.errors import StoreUnavailable
from dispatcher.store.database import Database
from tests.support.letters import change

SWITCH = "INSERT INTO {switches} (target, reason, actor, tripped_us) VALUES (:who, 'r', 'a', 1)"
TOUCH = "UPDATE {switches} SET reason = 'seen' WHERE target = :who"


async def run(database: Database, *statements: str) -> None:
    async with database.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def test_a_deadlock_is_worth_another_try(postgres: Database):
    for who in ("first", "second"):
        await change(postgres, SWITCH, who=who)
    both = asyncio.Barrier(2)

    async def touch(one: str, other: str) -> None:
        async with postgres.begin() as connection:
            await postgres.execute(connection, TOUCH, who=one)
            await both.wait()
            await postgres.execute(connection, TOUCH, who=other)

    ends = await asyncio.gather(
        touch("first", "second"), touch("second", "first"), return_exceptions=True
    )
    assert [type(end) for end in ends if end is not None] == [StoreUnavailable]


async def test_a_statement_cut_off_by_the_server_is_worth_another_try(postgres: Database):
    with pytest.raises(StoreUnavailable):
        await run(postgres, "SET LOCAL statement_timeout = 20", "SELECT pg_sleep(5)")


async def test_a_right_that_is_missing_is_said_as_such(postgres: Database):
    with pytest.raises(StoreUnavailable) as refused:
        await run(postgres, "SET LOCAL ROLE pg_monitor", "DELETE FROM dispatcher.switches")
    assert refused.value.reason == "database_forbidden"


async def test_an_error_of_a_statement_never_holds_its_values(database: Database):
    with pytest.raises(DBAPIError) as failed:
        await change(
            database, "INSERT INTO {switches} (target) VALUES (:who)", who="jane@x.example"
        )
    assert "jane" not in str(failed.value)


async def test_commits_are_durable_whatever_the_database_says_by_default(postgres: Database):
    async with postgres.begin() as connection:
        shown = await connection.exec_driver_sql("SHOW synchronous_commit")
        assert shown.scalar() == "on"
