"""Listens for "there is something new": policy changes, and events just committed.

Only a hint: polling finds everything a lost notification would have announced. On SQLite, which has
nothing to listen to, a cheap look at the epoch takes its place. Used by the worker, which hands in
what to do on a hint.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from dispatcher.store.database import Database

RETRY_SECONDS: Final = 1.0
WATCH_SECONDS: Final = 0.02
_EPOCH: Final = "SELECT epoch FROM {policy} WHERE id = 1"


async def listen(database: Database, channel: str, hint: Callable[[], None]) -> None:
    """Call `hint` for each notification, reconnecting for ever; runs until cancelled."""
    while not database.is_sqlite:
        try:
            await _listen_once(database, channel, hint)
        except Exception:  # noqa: BLE001 - whatever ended it: a hint lost is found by polling
            await asyncio.sleep(RETRY_SECONDS)


async def watch_epoch(registry: Database, hint: Callable[[], None]) -> None:
    """Call `hint` whenever the policy's epoch moved, where nothing notifies of it."""
    seen = None
    while True:
        try:
            async with registry.look() as connection:
                epoch = (await registry.execute(connection, _EPOCH)).scalar()
        except Exception:  # noqa: BLE001 - only a hint: the reading of policy itself reports
            epoch = seen
        if epoch != seen:
            seen = epoch
            hint()
        await asyncio.sleep(WATCH_SECONDS)


async def _listen_once(database: Database, channel: str, hint: Callable[[], None]) -> None:
    lost = asyncio.Event()

    def on_notify(*_: Any) -> None:
        hint()

    def on_end(*_: Any) -> None:
        lost.set()

    async with database.single() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_termination_listener(on_end)
        await driver.add_listener(channel, on_notify)
        hint()
        try:
            await lost.wait()
        finally:
            driver.remove_termination_listener(on_end)
            if not lost.is_set():
                await driver.remove_listener(channel, on_notify)
    await asyncio.sleep(RETRY_SECONDS)
