"""After a commit on PostgreSQL waiting workers get a hint; it costs the producer next to nothing
and never an error."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from dispatcher.producer import enqueue, wakeup
from dispatcher.store.database import Database
from dispatcher.store.enqueueing import OUTBOX_CHANNEL
from dispatcher.store.wakeup import listen
from tests.support.databases import PLAIN, with_driver
from tests.support.letters import Road

EVENT = ("order.placed", {"id": "o1"})
SAID = {"tenant": "shop", "subjects": []}


class Hints:
    """Counts what a listening worker hears."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self) -> None:
        self.heard += 1

    async def count(self, *, within: float = 0.2) -> int:
        """Wait a little, then give how many came since the listener was ready."""
        await asyncio.sleep(within)
        return self.heard - 1


@pytest.fixture
async def hints(postgres: Database) -> AsyncIterator[Hints]:
    await Road(postgres).publish()
    hints = Hints()
    listening = asyncio.create_task(listen(postgres, OUTBOX_CHANNEL, hints))
    async with asyncio.timeout(5):
        while not hints.heard:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    yield hints
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A pool of one: whoever takes a second connection would wait for ever."""
    engine = create_engine(
        with_driver(postgres_url, "postgresql+pg8000"),
        pool_size=1,
        max_overflow=0,
        pool_timeout=1,
        connect_args=PLAIN,
    )
    yield engine
    engine.dispose()


async def test_a_commit_is_announced_once_however_many_events_it_holds(
    hints: Hints, engine: Engine
):
    with Session(engine) as session:
        for _ in range(3):
            enqueue(session, *EVENT, **SAID)
        assert await hints.count() == 0
        session.commit()
    assert await hints.count() == 1


async def test_an_asynchronous_session_announces_too(hints: Hints, postgres_url: str):
    engine = create_async_engine(
        with_driver(postgres_url, "postgresql+asyncpg"), pool_size=1, max_overflow=0
    )
    async with AsyncSession(engine) as session, session.begin():
        await enqueue(session, *EVENT, **SAID)
    assert await hints.count() == 1
    await engine.dispose()


async def test_what_is_rolled_back_is_not_announced(hints: Hints, engine: Engine):
    with Session(engine) as session:
        enqueue(session, *EVENT, **SAID)
        session.rollback()
        session.execute(text("SELECT 1"))
        session.commit()
    assert await hints.count() == 0


async def test_a_savepoint_is_not_a_commit(hints: Hints, engine: Engine):
    with Session(engine) as session:
        with session.begin_nested():
            enqueue(session, *EVENT, **SAID)
        assert await hints.count() == 0
        session.commit()
    assert await hints.count() == 1


async def test_a_session_that_enqueued_nothing_sends_nothing(hints: Hints, engine: Engine):
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        session.commit()
    assert await hints.count() == 0


async def test_a_burst_of_commits_is_announced_at_most_once_per_pause(
    hints: Hints, engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wakeup, "PAUSE_SECONDS", 60)
    for _ in range(20):
        with Session(engine) as session:
            enqueue(session, *EVENT, **SAID)
            session.commit()
    assert await hints.count() == 1


async def test_a_session_can_go_on_after_its_commit(hints: Hints, engine: Engine):
    with Session(engine) as session:
        for turn in range(3):
            enqueue(session, *EVENT, **SAID)
            session.commit()
            await asyncio.sleep(0.02)
            assert session.execute(text("SELECT count(*) FROM dispatcher.events")).scalar() == (
                turn + 1
            )
            session.rollback()
    assert await hints.count() == 3


async def test_a_session_inside_a_transaction_of_somebody_else_announces_nothing(
    hints: Hints, engine: Engine
):
    with engine.connect() as connection, connection.begin() as outer:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            enqueue(session, *EVENT, **SAID)
            session.commit()
        assert await hints.count() == 0
        outer.rollback()
    assert await hints.count() == 0


async def test_an_announcement_that_fails_is_not_the_caller_s_trouble(
    hints: Hints, engine: Engine, postgres: Database
):
    def cut(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("NOTIFY"):
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    event.listen(engine, "before_cursor_execute", cut)
    with Session(engine) as session:
        event_id = enqueue(session, *EVENT, **SAID)
        session.commit()
    with Session(engine) as session:
        found = session.execute(text("SELECT id FROM dispatcher.events")).scalar_one()
    assert found == event_id
    assert await hints.count() == 0


async def test_a_bare_connection_is_left_to_polling(hints: Hints, engine: Engine):
    with engine.begin() as connection:
        enqueue(connection, *EVENT, **SAID)
    assert await hints.count() == 0
