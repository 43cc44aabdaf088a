"""The life of a serving process: surroundings, loop, signals, start order, drain.

Called by the commands `run`, `worker`, `api` and `partner`. SIGTERM and SIGINT ask for a drain; the
process then ends with status 0.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.server import Api, Probe, serve
from dispatcher.api.table import all_routes, routes_at
from dispatcher.app.checkpoints import follow_checkpoints
from dispatcher.app.config import Config
from dispatcher.app.house import House, open_house
from dispatcher.app.means import means_of
from dispatcher.app.partners import served_partners
from dispatcher.app.running import calm_collector
from dispatcher.app.surroundings import check_surroundings
from dispatcher.app.wiring import open_kit
from dispatcher.control.failed_attempts import FailedAttempts
from dispatcher.control.people import People
from dispatcher.model.errors import DispatcherError
from dispatcher.store.replies import ReplyStore
from dispatcher.telemetry import log
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.loop import Worker
from dispatcher.worker.watching import watch_policy

REPLIES_KEPT_US: Final = 86_400_000_000
FORGET_SECONDS: Final = 3600.0
RENEW_SECONDS: Final = 1.0
"""How often a process that reads no policy looks whether keys at rest were destroyed."""


async def run_worker(
    config: Config, on_ready: Callable[[str], None], *, with_api: bool = False
) -> None:
    """Carry letters, and serve health and metrics, until a signal asks for a drain.

    `with_api` serves the API too, and partners where that is configured: all in one process.
    """
    check_surroundings(config)
    log.configure(config.log.level)
    metrics = Metrics()
    stop = _stop_on_signals()
    async with open_house(config) as house, open_kit(house, metrics=metrics) as kit:
        await house.check_schema()
        worker = Worker(kit)

        async def is_ready() -> bool:
            return worker.policy.lease_ends > kit.clock.boot()

        probe = Probe(is_ready, metrics.render)
        api = _served(house, metrics) if with_api else None
        async with _kept(house), serve(config.api.host, config.api.port, probe, api) as at:
            calm_collector()
            async with served_partners(config, kit, worker.policy, is_here=with_api):
                on_ready(at)
                await worker.run(stop)


async def run_api(config: Config, on_ready: Callable[[str], None]) -> None:
    """Serve the API, health and metrics of the control plane until a signal asks to stop."""
    check_surroundings(config, carries_letters=False)
    log.configure(config.log.level)
    metrics = Metrics()
    stop = _stop_on_signals()
    async with open_house(config) as house:
        await house.check_schema()
        probe = Probe(lambda: _registry_answers(house), metrics.render)
        api, chore = _served(house, metrics), _renew_keys(house)
        async with _kept(house, chore), serve(config.api.host, config.api.port, probe, api) as at:
            calm_collector()
            on_ready(at)
            await stop.wait()


async def run_partner(config: Config, on_ready: Callable[[str], None]) -> None:
    """Serve partners, health and metrics under a policy lease, until a signal asks to stop."""
    check_surroundings(config)
    log.configure(config.log.level)
    metrics = Metrics()
    stop = _stop_on_signals()
    async with open_house(config) as house, open_kit(house, metrics=metrics) as kit:
        await house.check_schema()
        async with watch_policy(kit) as policy:

            async def is_ready() -> bool:
                return policy.lease_ends > kit.clock.boot()

            probe = Probe(is_ready, metrics.render)
            async with (
                served_partners(config, kit, policy) as port,
                serve(config.api.host, config.api.port, probe) as at,
            ):
                calm_collector()
                on_ready(f"{at}, partners on port {port}")
                await stop.wait()


def _served(house: House, metrics: Metrics) -> Api:
    bounds = house.config.api
    clock = asyncio.get_running_loop().time
    means = means_of(house)
    all_routes()  # loaded now, not while somebody waits
    return Api(
        front=Front(means, routes_at, description),
        authenticate=People.over(means).authenticate,
        failed=FailedAttempts(bounds.failed_auth_per_minute, clock),
        metrics=metrics,
        log=log.logger(),
        body_bytes_max=bounds.body_bytes_max,
        request_seconds=bounds.request_seconds,
    )


@asynccontextmanager
async def _kept(house: House, *more: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Keep copies of the audit log's checkpoints meanwhile, and forget old answers of the API."""
    copying = follow_checkpoints(house.audit, house.config.checkpoint_path)
    chores = [asyncio.create_task(each) for each in (copying, _forget_replies(house), *more)]
    try:
        yield
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.wait(chores)


async def _forget_replies(house: House) -> None:
    while True:
        with suppress(DispatcherError):  # the database is away: next time
            await ReplyStore(house.registry_database).forget(REPLIES_KEPT_US)
        await asyncio.sleep(FORGET_SECONDS)


async def _renew_keys(house: House) -> None:
    """Have a destroyed key leave the memory, though nothing is asked that it would open."""
    while True:
        with suppress(DispatcherError):  # the registry is away: nothing is opened meanwhile
            await house.vault.renew()
        await asyncio.sleep(RENEW_SECONDS)


async def _registry_answers(house: House) -> bool:
    try:
        await house.registry.switches()
    except DispatcherError:
        return False
    return True


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
