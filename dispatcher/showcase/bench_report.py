"""What a bench says: medians with their spread, as one JSON document or a short table.

Used by `dispatcher bench`. It prints figures as they are, says what was measured and what was not,
and never judges them.
"""

import asyncio
import json
import os
import platform
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from dispatcher.showcase.bench_places import Place, open_places

_LINES: Final = {
    "ceiling_per_s": "bare aiohttp client, requests/s",
    "road_per_s": "whole road, deliveries/s",
    "road_to_ceiling_ratio": "road to ceiling",
    "pg_round_trips_per_delivery": "PostgreSQL round trips per delivery",
    "row_writes_per_delivery": "row writes per delivery",
    "cpu_us_per_delivery": "CPU of the worker, µs per delivery",
    "ceiling_cpu_us_per_request": "CPU of the bare client, µs per request",
}


def spread(figures: Sequence[float], digits: int) -> dict[str, float]:
    """Give median, least and most."""
    return {
        "median": round(statistics.median(figures), digits),
        "min": round(min(figures), digits),
        "max": round(max(figures), digits),
    }


def machine() -> dict[str, Any]:
    """Say what the figures were made on."""
    loop = asyncio.get_running_loop()
    return {
        "loop": "uvloop" if type(loop).__module__.startswith("uvloop") else "asyncio",
        "cores": os.cpu_count(),
        "versions": {
            "dispatcher": version("dispatcher"),
            "python": platform.python_version(),
            "aiohttp": version("aiohttp"),
            "asyncpg": version("asyncpg"),
            "sqlalchemy": version("sqlalchemy"),
        },
    }


async def measure_places(
    database: str | None,
    about: Mapping[str, Any],
    measure: Callable[[Place], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Measure on each place there is; give the report, with `about` what was measured."""
    report: dict[str, Any] = {**about, "engines": [], "not_measured": {}, **machine()}
    with open_places(database) as (places, why):
        if why:
            report["not_measured"]["postgresql"] = why
        for place in places:
            report["engines"].append(place.engine)
            report[place.engine] = await measure(place)
    return report


def print_lines(
    report: dict[str, Any],
    what: str,
    lines: Mapping[str, str],
    *,
    rate: tuple[str, str] | None = None,
) -> None:
    """Print what was measured, and for each engine a line for each figure in seconds.

    `rate` is a figure that is no time, and what it is called.
    """
    click.echo(
        f"{what}, {report['rounds']} rounds, {report['cores']} cores; seconds, median (min - max)"
    )
    for engine in report["engines"]:
        more = f", {report[engine][rate[0]]} {rate[1]}" if rate is not None else ""
        click.echo(f"{engine}: {report[engine]['source']}{more}")
        for name, line in lines.items():
            median, least, most = (report[engine][name][each] for each in ("median", "min", "max"))
            click.echo(f"  {line:48} {median:7.3f} ({least:.3f} - {most:.3f})")
    _print_not_measured(report)


def print_json(report: dict[str, Any]) -> None:
    """Print the one document a program reads."""
    click.echo(json.dumps(report, ensure_ascii=False))


def print_table(report: dict[str, Any]) -> None:
    """Print the table a person reads."""
    sections = {name: report[name] for name in report["engines"]}
    title = f"{report['rounds']} rounds of {report['events']} events, {report['loop']} loop, "
    table = Table(title=f"{title}{report['cores']} cores", box=box.SIMPLE, title_justify="left")
    table.add_column("median (min - max)")
    for name in sections:
        table.add_column(name, justify="right")
    for key, line in _LINES.items():
        cells = [_cell(section.get(key)) for section in sections.values()]
        if any(cells):
            table.add_row(line, *cells)
    Console().print(table)
    for name, section in sections.items():
        durable = ", ".join(f"{key} {value}" for key, value in section["settings"].items())
        click.echo(f"{name}: {section['source']}; {durable}")
    _print_not_measured(report)
    for discrepancy in report["discrepancies"]:
        click.secho(f"not as it should be: {discrepancy}", fg="red")


def _print_not_measured(report: dict[str, Any]) -> None:
    for name, why in report["not_measured"].items():
        click.echo(f"{name}: not measured, {why}")


def _cell(figures: dict[str, float] | None) -> str:
    if figures is None:
        return ""
    median, least, most = (f"{figures[name]:,g}" for name in ("median", "min", "max"))
    return f"{median} ({least} - {most})"
