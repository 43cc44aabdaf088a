"""`dispatcher bench road`: the whole road against the bare aiohttp client, alternating, in one run.

Called by the command line. Ratios are made within a round, for machines drift; figures are reported
as they are. A round whose events did not all arrive, settle and stand in the ledger fails the run.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from dispatcher.app.config import Config
from dispatcher.app.house import open_house
from dispatcher.app.running import calm_collector
from dispatcher.showcase.bench_ceiling import IN_FLIGHT, Pace, measure_ceiling
from dispatcher.showcase.bench_counts import find_discrepancies, read_row_writes
from dispatcher.showcase.bench_goods import GRANTS
from dispatcher.showcase.bench_house import enqueue_many, furnish, make_config
from dispatcher.showcase.bench_places import Place, open_places, read_settings
from dispatcher.showcase.bench_report import machine, print_json, print_table, spread
from dispatcher.showcase.bench_round import carry_all
from dispatcher.showcase.receiver import Receiver
from dispatcher.telemetry import log

WARM_UP: Final = 256
REQUESTS_PER_EVENT: Final = 3
"""The ceiling is so much faster that it takes more of them to be measured for as long."""
WINDOW: Final = 256
"""The subscription's `concurrency`: places for deliveries that are being written down or sent."""


@dataclass(slots=True)
class _Site:
    """One database under measurement, and what was measured on it, round by round."""

    place: Place
    config: Config
    settings: dict[str, str]
    enqueued: int = 0
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, figure: float) -> None:
        """Keep one figure of this round."""
        self.figures.setdefault(name, []).append(figure)


@dataclass(slots=True)
class _Run:
    """One run of the bench."""

    receiver: Receiver
    sites: list[_Site]
    events: int
    ceilings: list[Pace] = field(default_factory=list)
    body_bytes: set[float] = field(default_factory=set)
    discrepancies: list[str] = field(default_factory=list)

    async def warm_up(self) -> None:
        """Carry a few events on each site, so that nothing is measured while it is first used."""
        for site in self.sites:
            await self._carry(site, WARM_UP)
            site.figures.clear()

    async def round(self, number: int) -> None:
        """Measure the ceiling and every site once, in turns from either end."""
        if number % 2 == 0:
            await self._measure_ceiling()
        for site in self.sites if number % 2 == 0 else reversed(self.sites):
            await self._carry(site, self.events)
        if number % 2:
            await self._measure_ceiling()
        for site in self.sites:
            pace = site.figures["road_per_s"][-1]
            site.note("road_to_ceiling_ratio", pace / self.ceilings[-1].per_s)

    async def _measure_ceiling(self) -> None:
        self.ceilings.append(
            await measure_ceiling(self.receiver.port, REQUESTS_PER_EVENT * self.events)
        )
        await self.receiver.take()

    async def _carry(self, site: _Site, events: int) -> None:
        is_postgresql = site.place.engine == "postgresql"
        await enqueue_many(site.config, events)
        site.enqueued += events
        async with open_house(site.config) as house:
            database = house.outbox_database
            before = await read_row_writes(database) if is_postgresql else None
            carried = await carry_all(site.config, events)
            got = await self.receiver.take()
            faults = await find_discrepancies(database, events, site.enqueued, got)
            self.discrepancies += [f"{site.place.engine}: {fault}" for fault in faults]
            self.body_bytes.add(got.body_bytes / max(got.requests, 1))
            site.note("road_per_s", carried.delivered / max(carried.seconds, 1e-9))
            site.note("cpu_us_per_delivery", carried.cpu_us / events)
            if before is not None:
                wrote = (await read_row_writes(database)).since(before)
                site.note("pg_round_trips_per_delivery", carried.trips / events)
                site.note("row_writes_per_delivery", wrote.road / events)
                site.note("heartbeat_row_writes", wrote.heartbeats)


async def run_road_bench(*, database: str | None, events: int, rounds: int, as_json: bool) -> int:
    """Measure and report; 0 when everything arrived as it should, whatever the figures."""
    log.configure("warning")
    calm_collector()
    with open_places(database) as (places, why):
        async with Receiver() as receiver:
            sites = [await _open(place, receiver.port) for place in places]
            run = _Run(receiver, sites, events)
            await run.warm_up()
            for number in range(rounds):
                await run.round(number)
    report = _report(run, rounds, why)
    (print_json if as_json else print_table)(report)
    return 1 if run.discrepancies else 0


async def _open(place: Place, port: int) -> _Site:
    config = make_config(place.folder, place.url, port)
    await furnish(config, port, WINDOW)
    async with open_house(config) as house:
        return _Site(place, config, await read_settings(house.outbox_database))


def _report(run: _Run, rounds: int, why: str) -> dict[str, Any]:
    """Put the first engine's figures at the top, and each engine's under its name."""
    sections = {site.place.engine: _section(site, run) for site in run.sites}
    engine = run.sites[0].place.engine
    report: dict[str, Any] = {
        "engine": engine,
        "engines": list(sections),
        "not_measured": {"postgresql": why} if why else {},
        "events": run.events,
        "rounds": rounds,
        "body_bytes": round(max(run.body_bytes), 1),
        "grants": len(GRANTS),
        "in_flight": IN_FLIGHT,
        "window": WINDOW,
        "is_true": not run.discrepancies,
        "discrepancies": run.discrepancies,
        **machine(),
    }
    for site in run.sites:
        report["versions"][site.place.engine] = site.settings["version"]
    return report | sections[engine] | sections


_DIGITS: Final = {
    "road_per_s": 0,
    "road_to_ceiling_ratio": 3,
    "pg_round_trips_per_delivery": 4,
    "row_writes_per_delivery": 4,
    "cpu_us_per_delivery": 1,
    "heartbeat_row_writes": 0,
}


def _section(site: _Site, run: _Run) -> dict[str, Any]:
    figures = {
        name: spread(site.figures[name], digits)
        for name, digits in _DIGITS.items()
        if name in site.figures
    }
    return {
        "source": site.place.source,
        "settings": site.settings,
        "ceiling_per_s": spread([pace.per_s for pace in run.ceilings], 0),
        "ceiling_cpu_us_per_request": spread([pace.cpu_us for pace in run.ceilings], 1),
        **figures,
    }
