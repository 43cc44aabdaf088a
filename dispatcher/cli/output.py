"""Options and output that commands share: `--config`, `--json`, tables that degrade when piped."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from dispatcher.model.switch import WAIT_SECONDS_MAX

_PIPE_WIDTH: Final = 10_000

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: $DISPATCHER_CONFIG, else ./dispatcher.toml, else defaults.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

reason_option = click.option("--reason", default="", help="Why, for the record.")


def _said(_context: click.Context, _option: click.Parameter, given: str) -> str:
    if not given.strip():
        raise click.BadParameter("say why")
    return given


why_option = click.option(
    "--reason",
    required=True,
    callback=_said,
    help="Why, for the record: an incident number will do.",
)

wait_option = click.option(
    "--wait",
    "wait_seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, WAIT_SECONDS_MAX),
    help="Seconds to wait for the workers.",
)

NUMBER = click.IntRange(1, 2**63 - 1)
"""A number that a row can have."""


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; an empty cell for `None`.

    The first column is what people copy, so no line breaks it; in a pipe a row is a line.
    """
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    first = table.columns[0]
    widest = max((cell_len(str(cell)) for cell in first.cells), default=0)
    first.no_wrap = widest <= console.width // 2
    console.print(table)


def moment(microseconds: int | None) -> str | None:
    """Write a stored time for a person."""
    if microseconds is None:
        return None
    try:
        at = datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):  # a row written by hand
        return f"{microseconds} us"
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def counted(count: int, one: str, many: str = "") -> str:
    """Write so many of something: one key, two keys."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
