"""Waits for what comes by itself, in this process: until it is so, and no longer than a while."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

TICK_SECONDS = 0.01


async def until(is_so: Callable[[], object | Awaitable[object]], seconds: float = 10.0) -> None:
    """Wait for something, and fail when it does not come."""
    async with asyncio.timeout(seconds):
        while True:
            found = is_so()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.01)


@dataclass
class Lived:
    """The time that an event loop had to live in."""

    ticks: int = 0

    @property
    def seconds(self) -> float:
        return self.ticks * TICK_SECONDS


@contextlib.asynccontextmanager
async def living() -> AsyncIterator[Lived]:
    """Count the time of this loop meanwhile; while the machine lets it stand, none goes by."""
    lived = Lived()

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            lived.ticks += 1

    ticking = asyncio.create_task(tick())
    try:
        yield lived
    finally:
        ticking.cancel()
