"""Waits for what comes by itself, in this process: until it is so, and no longer than a while."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(is_so: Callable[[], object | Awaitable[object]], seconds: float = 10.0) -> None:
    """Wait for something, and fail when it does not come."""
    async with asyncio.timeout(seconds):
        while True:
            found = is_so()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.01)
