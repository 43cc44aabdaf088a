"""Every kind of target a product service may enqueue through, behind one face."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from dispatcher.producer import enqueue
from tests.support.databases import PLAIN, open_for_tests, with_driver
from tests.support.letters import Road

DRIVERS = {
    "sqlite3": "sqlite",
    "aiosqlite": "sqlite+aiosqlite",
    "pg8000": "postgresql+pg8000",
    "asyncpg": "postgresql+asyncpg",
}
KINDS = [f"{driver} {kind}" for driver in DRIVERS for kind in ("session", "connection")]


@dataclass
class Door:
    """A product service: its own engine, and its own way to open a transaction."""

    url: str
    driver: str
    kind: str

    def __post_init__(self) -> None:
        url = with_driver(self.url, DRIVERS[self.driver])
        self.is_async = self.driver.startswith("a")
        make: Any = create_async_engine if self.is_async else create_engine
        terms = PLAIN if self.driver == "pg8000" else {}
        self.engine = make(url, poolclass=NullPool, connect_args=terms)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Open a session or connection; committed at the end, rolled back on an error."""
        if isinstance(self.engine, AsyncEngine):
            opened: Any = (
                AsyncSession(self.engine) if self.kind == "session" else self.engine.connect()
            )
            async with opened as target, target.begin():
                yield target
        else:
            opened = Session(self.engine) if self.kind == "session" else self.engine.connect()
            with opened as target, target.begin():
                yield target

    async def send(self, target: Any, *arguments: Any, **terms: Any) -> str:
        """Call `enqueue`, and await its answer where it is to be awaited."""
        answer: Any = enqueue(target, *arguments, **{"tenant": "shop", "subjects": []} | terms)
        if isinstance(target, AsyncSession | AsyncConnection):
            return await answer
        return answer

    async def run(self, target: Any, sql: str) -> Any:
        """Run the service's own statement in its transaction."""
        if isinstance(target, Session | Connection):
            return target.execute(text(sql))
        return await target.execute(text(sql))

    async def road(self) -> Road:
        """Look at the outbox from outside."""
        return Road(open_for_tests(self.url))

    async def aclose(self) -> None:
        if isinstance(self.engine, AsyncEngine):
            await self.engine.dispose()
        else:
            self.engine.dispose()
