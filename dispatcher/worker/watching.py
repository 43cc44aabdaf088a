"""Holds a policy lease for a process that carries no letters, but hands out what they named.

Called by `app` for the partner listener. The process stands in the list of workers like any other:
a hold waits for it, or fences it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from dispatcher.model.errors import DispatcherError
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch

LAST_READING_SECONDS: Final = 5.0
"""How long the end waits for a reading under way."""


@asynccontextmanager
async def watch_policy(kit: Kit) -> AsyncIterator[PolicyWatch]:
    """Read policy again and again for as long as the block runs; raises when it cannot at first."""
    policy, leaving = PolicyWatch(kit), asyncio.Event()
    await policy.start()
    tasks = [
        asyncio.create_task(policy.run(leaving)),
        asyncio.create_task(kit.listen_policy(policy.hint.set)),
    ]
    try:
        yield policy
    finally:
        leaving.set()
        policy.hint.set()
        await asyncio.wait(tasks[:1], timeout=LAST_READING_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await policy.leave()
        except DispatcherError as error:
            kit.log.warning("leave_failed", reason=error.reason, why=error.why)
