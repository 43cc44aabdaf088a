"""`dispatcher bench registry`: how long a large one takes to read, judge, compile and pick up.

Called by the command line. One connector of a great many changes in each round, as on an ordinary
day; the worker runs in this process, on its own tables. Figures are reported as they are.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry

from dispatcher.app.house import House, open_house
from dispatcher.app.means import means_of
from dispatcher.app.migration import migrate_house
from dispatcher.app.running import calm_collector
from dispatcher.app.wiring import open_kit
from dispatcher.control.changes import ChangeControl
from dispatcher.control.documents import read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.classification import Sensitivity
from dispatcher.model.days import day_of
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.paper import Agreement, Purpose
from dispatcher.model.registry import Connector, Destination, EventType, Registry, Subscription
from dispatcher.showcase.bench_house import make_config
from dispatcher.showcase.bench_places import Place, read_settings
from dispatcher.showcase.bench_report import measure_places, print_json, print_lines, spread
from dispatcher.stages.revising.compiling import compile_snapshot
from dispatcher.store.revisions import NewRevision
from dispatcher.telemetry import log
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring
from dispatcher.worker.loop import Worker

T = TypeVar("T")
EVENT_TYPES: Final = 20
FIELDS: Final = 15
_PICKUP_SECONDS_MAX: Final = 60
_FAR: Final = date(2099, 12, 31)
_LINES: Final = {
    "read_files_s": "read and check the files' form",
    "plan_s": "plan: read the active revision, judge, compare",
    "compile_s": "compile the snapshot",
    "pickup_s": "activate, until a worker obeys",
}


@dataclass(slots=True)
class _Figures:
    """What was measured on one database, in seconds."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def time(self, name: str, work: Callable[[], T]) -> T:
        """Do a piece of work and keep how long it took."""
        began = time.perf_counter()
        done = work()
        self.note(name, began)
        return done

    def note(self, name: str, began: float) -> None:
        """Keep how long something took that began then."""
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)


def large_registry(connectors: int, subscriptions: int) -> Registry:
    """Make a registry in which every lane is open; the subscriptions are spread evenly."""
    leaf = '{"type":"string","x-data-classification":{"category":"other","sensitivity":"internal"}}'
    members = ",".join(f'"field{number}":{leaf}' for number in range(FIELDS))
    schema = f'{{"properties":{{{members}}},"type":"object"}}'
    partners = [
        Connector(
            name=f"partner-{number:05d}",
            owner="the bench",
            contact="bench@example.com",
            owner_confirmed_until=_FAR,
            tenants=("acme",),
            purposes=(Purpose(name="shipping"),),
            agreement=Agreement(reference="BENCH-1", until=_FAR),
            clearance=Sensitivity.INTERNAL,
            destinations=(Destination(host=f"in{number}.partner.example", reason="a bench"),),
        )
        for number in range(connectors)
    ]
    wanted = [
        Subscription(
            name=f"subscription-{number:06d}",
            connector=f"partner-{number % connectors:05d}",
            purpose="shipping",
            url=f"https://in{number % connectors}.partner.example/events/{number}",
            scope={
                f"type{number % EVENT_TYPES:02d}.happened": tuple(
                    f"$.field{each}" for each in range(FIELDS)
                )
            },
        )
        for number in range(subscriptions)
    ]
    kinds = [
        EventType(name=f"type{number:02d}.happened", schema=schema) for number in range(EVENT_TYPES)
    ]
    return Registry(
        event_types=tuple(kinds), connectors=tuple(partners), subscriptions=tuple(wanted)
    )


async def run_registry_bench(
    *, database: str | None, connectors: int, subscriptions: int, rounds: int, as_json: bool
) -> int:
    """Measure and report; 0 when every revision was picked up, whatever the figures."""
    # What is measured keeps the worker's loop, so its readings fail now and then; it reads again.
    log.configure("critical")
    calm_collector()  # as every serving process does
    held = large_registry(connectors, subscriptions)
    about = {"connectors": connectors, "subscriptions": subscriptions, "rounds": rounds}
    report = await measure_places(database, about, lambda place: _measure(place, held, rounds))
    if as_json:
        print_json(report)
    else:
        what = f"{subscriptions} subscriptions over {connectors} connectors"
        print_lines(report, what, _LINES)
    return 0


async def _measure(place: Place, held: Registry, rounds: int) -> dict[str, Any]:
    config = make_config(place.folder, place.url, port=9)
    await asyncio.to_thread(create_keyring, config.keyring_path)
    figures = _Figures()
    async with open_house(config) as house:
        await migrate_house(house)
        settings = await read_settings(house.registry_database)
        files = place.folder / "files"
        await asyncio.to_thread(export_registry, held, files)
        await _activate(house, held)
        async with _a_worker(house) as worker:
            for round_ in range(rounds):
                await _round(house, worker, files, _changed(held, round_), figures)
    spreads = {name: spread(seconds, 3) for name, seconds in figures.seconds.items()}
    return {"source": place.source, "settings": settings, **spreads}


async def _round(
    house: House, worker: Worker, files: Path, held: Registry, figures: _Figures
) -> None:
    figures.time("read_files_s", lambda: read_registry([files]))
    began = time.perf_counter()
    found = await ChangeControl.over(means_of(house)).plan(held, "the bench")
    figures.note("plan_s", began)
    if not found.changes:
        raise RuntimeError("the bench changed nothing")
    policy = worker.policy.snapshot
    figures.time(
        "compile_s",
        lambda: compile_snapshot(
            held,
            revision=policy.revision,
            epoch=policy.epoch,
            switches=(),
            proofs=(),
            today=day_of(house.clock.wall_us()),
            loopback=frozenset(),
        ),
    )
    await _until_fresh(worker, house)
    began = time.perf_counter()
    revision = await _activate(house, held)
    async with asyncio.timeout(_PICKUP_SECONDS_MAX):
        while worker.policy.snapshot.revision != revision:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.002)
    figures.note("pickup_s", began)


async def _until_fresh(worker: Worker, house: House) -> None:
    """Let the worker read its policy again: the work above kept the loop it runs on."""
    seconds = house.config.worker.policy_lease_seconds * 0.75
    async with asyncio.timeout(_PICKUP_SECONDS_MAX):
        while worker.policy.lease_ends - house.clock.boot() < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _activate(house: House, held: Registry) -> int:
    """Write the next revision, as an approval does once everything is judged."""
    base = await house.registry.active()
    new = NewRevision(
        base=base,
        registry=held,
        diff=DisclosureDiff(()),
        author="bench",
        approver="bench",
        reason="bench",
    )
    revision, _ = await house.registry.activate(new, [])
    return revision


@asynccontextmanager
async def _a_worker(house: House) -> AsyncIterator[Worker]:
    stop = asyncio.Event()
    async with open_kit(house, metrics=Metrics(CollectorRegistry())) as kit:
        worker = Worker(kit)
        running = asyncio.create_task(worker.run(stop))
        try:
            yield worker
        finally:
            stop.set()
            await running


def _changed(held: Registry, round_: int) -> Registry:
    """Give the registry with one connector that serves one tenant more, another each round."""
    first, *others = held.connectors
    return replace(held, connectors=(replace(first, tenants=("acme", f"tenant-{round_}")), *others))
