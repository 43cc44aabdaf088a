"""Shows the demonstration while it runs, and its table at the end.

A live view on a terminal; plain lines where output is piped; with `--json` nothing but the document
on standard output. It only reads what others count.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dispatcher.showcase.demo_report import Report

FRAMES_PER_SECOND: Final = 10
Gauge = tuple[str, Callable[[], int], int | None]
"""Something to count: its name, how many there are now, and of how many, where that is known."""


class Display:
    """What a person sees while the demonstration runs."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._console = Console(stderr=is_quiet)
        self._is_quiet = is_quiet and not self._console.is_terminal
        self._done: list[str] = []
        self._now = ""
        self._gauges: tuple[Gauge, ...] = ()
        self._spinner = Spinner("dots")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep the view fresh until the block ends."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._view,
            console=self._console,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
        ):
            yield

    def say(self, phase: str) -> None:
        """Begin a phase; the one before is done."""
        if self._now:
            self._done.append(self._now)
        self._now = phase
        if not self._console.is_terminal and not self._is_quiet:
            self._console.print(phase, markup=False, highlight=False, soft_wrap=True)

    def count(self, *gauges: Gauge) -> None:
        """Show these counts from now on."""
        self._gauges = gauges

    def _view(self) -> RenderableType:
        lines: list[RenderableType] = [Text(f"✓ {phase}", style="green") for phase in self._done]
        self._spinner.update(text=self._now)
        counts = Table.grid(padding=(0, 2))
        for name, value, whole in self._gauges:
            now = value()
            bar = ProgressBar(total=whole, completed=now, width=30) if whole else Text("")
            counts.add_row(f"  {name}", f"{now}", bar)
        return Group(*lines, self._spinner, counts)


def print_report(report: Report, kept: Path | None) -> None:
    """Print the table of checks, and one line that says it all."""
    console = Console()
    table = Table(
        title="what was promised, and what was seen", box=box.SIMPLE, title_justify="left"
    )
    for column in ("check", "expected", "observed"):
        table.add_column(column, justify="left" if column == "check" else "right", overflow="fold")
    table.add_column("ok")
    for check in report.checks:
        verdict = Text("yes", style="green") if check.ok else Text("NO", style="bold red")
        table.add_row(check.name, str(check.expected), str(check.observed), verdict)
    console.print(table)
    console.print(
        f"{report.enqueued} events committed, {report.rolled_back} rolled back; "
        f"{report.delivered} deliveries made, {report.retried} attempts repeated, "
        f"{report.parked} parked, {report.waiting} waiting; "
        f"stopped within {report.hold_confirmed_ms:.0f} ms; {report.seconds:.1f} s in all",
        highlight=False,
    )
    broken = sum(not check.ok for check in report.checks)
    if broken:
        fix = "" if kept else "; run again with --keep DIR to look into it"
        console.print(f"[bold red]{broken} of {len(report.checks)} checks failed[/]{fix}")
    else:
        console.print(f"[bold green]all {len(report.checks)} checks hold[/]")
    if kept is not None:
        console.print(f"kept in {kept}; try: dispatcher deliveries --counts --config ", end="")
        console.print(f"{kept / 'dispatcher.toml'}", soft_wrap=True, highlight=False)


def write_json(report: Report) -> None:
    """Write the report on standard output, as one JSON document."""
    sys.stdout.write(json.dumps(report.as_document(), ensure_ascii=False) + "\n")


def stopwatch() -> Callable[[], float]:
    """Give a function that tells the seconds since now."""
    began = time.monotonic()
    return lambda: time.monotonic() - began
