"""What a bench says: medians with their spread, as one JSON document or a short table.

Used by `dispatcher bench`. It prints figures as they are, says what was measured and what was not,
and never judges them.
"""

import asyncio
import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

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
    for name, why in report["not_measured"].items():
        click.echo(f"{name}: not measured, {why}")
    for discrepancy in report["discrepancies"]:
        click.secho(f"not as it should be: {discrepancy}", fg="red")


def _cell(figures: dict[str, float] | None) -> str:
    if figures is None:
        return ""
    median, least, most = (f"{figures[name]:,g}" for name in ("median", "min", "max"))
    return f"{median} ({least} - {most})"
