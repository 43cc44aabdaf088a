"""One run of the road: a worker with its real kit carries every event that waits.

Used by `bench road`. Nothing of the road is replaced; intake and ledger are only watched, to know
when the first claim begins and when the last settlement is durable. The clock runs in between.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from dispatcher.app.config import Config
from dispatcher.app.house import House, open_house
from dispatcher.app.wiring import open_kit
from dispatcher.model.delivery import Move
from dispatcher.showcase.bench_counts import TripCount
from dispatcher.store.ledger import LedgerStore, Settled
from dispatcher.store.outbox import Intake, OutboxStore
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.kit import Kit
from dispatcher.worker.loop import Worker

_SECONDS_MIN: Final = 60.0
_EVENTS_PER_SECOND_MIN: Final = 100


@dataclass(frozen=True, slots=True)
class Carried:
    """How long the road took, what it cost this process, and how often it asked the database."""

    delivered: int
    seconds: float
    cpu_us: float
    trips: int


class _Watch:
    """Notes time, processor time and trips at the first claim and at the last settlement."""

    def __init__(self, events: int, trips: TripCount) -> None:
        self._events = events
        self._trips = trips
        self._began: tuple[float, float, int] | None = None
        self._ended = (0.0, 0.0, 0)
        self.delivered = 0
        self.done = asyncio.Event()

    def claiming(self) -> None:
        """Start the clock at the first claim."""
        if self._began is None:
            self._began = self._now()

    def settled(self, settled: Sequence[Settled]) -> None:
        """Count what is durably settled."""
        self.delivered += sum(each.settlement.move is Move.DELIVERED for each in settled)
        self._ended = self._now()
        if self.delivered >= self._events:
            self.done.set()

    def result(self) -> Carried:
        """Give what was noted."""
        began = self._began or self._ended
        seconds, cpu, trips = (end - start for end, start in zip(self._ended, began, strict=True))
        return Carried(self.delivered, seconds, cpu * 1e6, int(trips))

    def _now(self) -> tuple[float, float, int]:
        return time.perf_counter(), time.process_time(), self._trips.trips


class _WatchedOutbox(OutboxStore):
    """The intake itself, telling the watch of every claim before it is made."""

    def __init__(self, house: House, watch: _Watch) -> None:
        super().__init__(house.outbox_database, house.open_payload)
        self._watch = watch

    @asynccontextmanager
    async def intake(self, *, limit: int, floor_us: int) -> AsyncIterator[Intake]:
        """Tell, then claim."""
        self._watch.claiming()
        async with super().intake(limit=limit, floor_us=floor_us) as intake:
            yield intake


class _WatchedLedger(LedgerStore):
    """The ledger itself, telling the watch of every settlement once it is durable."""

    def __init__(self, house: House, worker: str, watch: _Watch) -> None:
        super().__init__(house.outbox_database, worker)
        self._watch = watch

    async def settle(self, settled: Sequence[Settled]) -> list[None]:
        """Settle, then tell."""
        done = await super().settle(settled)
        self._watch.settled(settled)
        return done


async def carry_all(config: Config, events: int) -> Carried:
    """Run a worker until this many events are delivered, or until it plainly does not get on."""
    async with open_house(config) as house:
        watch = _Watch(events, TripCount(house.outbox_database))
        metrics = Metrics(CollectorRegistry())
        async with open_kit(house, metrics=metrics) as kit:
            watched = dataclasses.replace(
                kit,
                outbox=_WatchedOutbox(house, watch),
                ledger=_WatchedLedger(house, kit.id, watch),
            )
            await _work(watched, watch, events)
        return watch.result()


async def _work(kit: Kit, watch: _Watch, events: int) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(Worker(kit).run(stop))
    finished = asyncio.create_task(watch.done.wait())
    seconds = _SECONDS_MIN + events / _EVENTS_PER_SECOND_MIN
    await asyncio.wait((working, finished), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finished.cancel()
    stop.set()
    await working
