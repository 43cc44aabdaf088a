"""Two product services at work: each writes its own rows and its events in one transaction.

The shop uses an asynchronous session, the accounts service a plain one in a thread. Some of their
transactions fail after everything was written. What was committed and what was rolled back is noted
here, by the services themselves: it is what the checks hold the rest of the house to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from dispatcher.producer import enqueue
from dispatcher.showcase.demo_events import Dealing, Happening, plan_dealings

BUSY_SECONDS: Final = 30
PAUSE_SECONDS: Final = 0.004
"""Between two transactions of one clerk: customers take a moment, too."""
CLERKS: Final = 2
INTERMISSION: Final = 0.6
"""The part of the events after which the clerks wait for the word to go on, on a fast machine."""


class _Business(DeclarativeBase):
    """The services' own tables."""


class Order(_Business):
    """An order, as the shop keeps it."""

    __tablename__ = "shop_orders"
    number: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    status: Mapped[str]


class Customer(_Business):
    """A customer, as the accounts service keeps it."""

    __tablename__ = "accounts_customers"
    number: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    status: Mapped[str]


BUSINESS_TABLES: Final = (Order.__tablename__, Customer.__tablename__)


class TransactionFailed(Exception):
    """The business transaction came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event that was handed to `enqueue`, and the id it was given."""

    id: str
    type: str
    tenant: str
    payload: Mapping[str, Any] = field(repr=False)


_Commit = Callable[[Dealing, list[Told]], Awaitable[None]]


class World:
    """Both services, and what they know of their own transactions."""

    def __init__(self, database: Path, events: int) -> None:
        self.events = events
        self.committed: list[Told] = []
        self.rolled_back: list[Told] = []
        self.transactions = 0
        self.go_on = asyncio.Event()
        connect = {"timeout": BUSY_SECONDS}
        self._engine = create_engine(f"sqlite:///{database}", connect_args=connect)
        self._async_engine = create_async_engine(
            f"sqlite+aiosqlite:///{database}", connect_args=connect
        )
        self._begin = sessionmaker(self._engine)
        self._begin_async = async_sessionmaker(self._async_engine)

    async def __aenter__(self) -> Self:
        """Make the services' own tables."""
        await asyncio.to_thread(_Business.metadata.create_all, self._engine)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the services' connections."""
        await self._async_engine.dispose()
        self._engine.dispose()

    async def trade(self) -> None:
        """Do every transaction, a few clerks of each service side by side."""
        dealings = tuple(plan_dealings(self.events))
        async with asyncio.TaskGroup() as clerks:
            services: dict[str, _Commit] = {"shop": self._sell, "accounts": self._register}
            for service, commit in services.items():
                own = iter([each for each in dealings if each.service == service])
                for _ in range(CLERKS):
                    clerks.create_task(self._work(own, commit))

    async def _work(self, dealings: Iterator[Dealing], commit: _Commit) -> None:
        for dealing in dealings:
            told: list[Told] = []
            try:
                await commit(dealing, told)
            except TransactionFailed:
                self.rolled_back += told
            else:
                self.committed += told
                self.transactions += 1
            await asyncio.sleep(PAUSE_SECONDS)
            if len(self.committed) >= self.events * INTERMISSION:
                await self.go_on.wait()

    async def _sell(self, dealing: Dealing, told: list[Told]) -> None:
        async with self._begin_async() as session, session.begin():
            session.add(Order(number=dealing.number, tenant=dealing.tenant, status=dealing.status))
            await session.flush()
            for each in dealing.happenings:
                terms = self._terms(dealing, each)
                event_id = await enqueue(session, each.type, each.payload, **terms)
                told.append(_note(event_id, dealing, each))
            _fail_if_doomed(dealing)

    async def _register(self, dealing: Dealing, told: list[Told]) -> None:
        await asyncio.to_thread(self._register_now, dealing, told)

    def _register_now(self, dealing: Dealing, told: list[Told]) -> None:
        row = Customer(number=dealing.number, tenant=dealing.tenant, status=dealing.status)
        with self._begin.begin() as session:
            session.add(row)
            session.flush()
            for each in dealing.happenings:
                terms = self._terms(dealing, each)
                event_id = enqueue(session, each.type, each.payload, **terms)
                told.append(_note(event_id, dealing, each))
            _fail_if_doomed(dealing)

    def _terms(self, dealing: Dealing, happening: Happening) -> dict[str, Any]:
        return {
            "tenant": dealing.tenant,
            "subjects": [dealing.subject],
            "producer": dealing.service,
            "idempotency_key": happening.key,
        }


def _note(event_id: str, dealing: Dealing, happening: Happening) -> Told:
    return Told(id=event_id, type=happening.type, tenant=dealing.tenant, payload=happening.payload)


def _fail_if_doomed(dealing: Dealing) -> None:
    if dealing.is_doomed:
        raise TransactionFailed
