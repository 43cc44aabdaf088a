"""`audit`: who did what and who looked at what; and is the record what it was?"""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from dispatcher.app.config import Config, load_config, read_text
from dispatcher.app.house import open_current
from dispatcher.app.process import calm_collector
from dispatcher.app.running import run_async
from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import config_option, json_option, moment, print_json, print_table
from dispatcher.control.auditing import Verification
from dispatcher.control.auditing import verify as verify_log

CHECK_FAILED: Final = 1
CHECKPOINT_BYTES_MAX: Final = 1 << 30


@click.group()
def audit() -> None:
    """Read and verify the record of every change and every privileged look."""


@audit.command("log")
@click.option("--actor", help="Only what this principal did.")
@click.option("--kind", help="Only kinds that begin so: switch, change_set.approved, refused.")
@click.option("--about", help="Only what is about something that begins so: 'connector acme'.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@where_options
def list_entries(
    actor: str | None,
    kind: str | None,
    about: str | None,
    limit: int,
    where: Where,
    as_json: bool,
) -> None:
    """List who did what, and who looked at what, the newest first. This look is recorded too."""
    query = {"actor": actor, "kind": kind, "about": about}
    found = where.list("/v1/audit", limit, query)
    if as_json:
        print_json(found)
        return
    cells = [
        (
            each["seq"],
            moment(each["at_us"]),
            each["actor"],
            each["kind"],
            each["about"],
            each["reason"],
        )
        for each in found
    ]
    print_table("audit log", ("seq", "at", "who", "what", "about", "reason"), cells)


@audit.command()
@where_options
def checkpoint(where: Where, as_json: bool) -> None:
    """Print the newest signed checkpoint, and the key to check it with.

    Keep it where nobody who may write to the database can. It is a C2SP note: any tool of that
    family reads it.
    """
    found = where.ask("GET", "/v1/audit/checkpoint")
    if as_json:
        print_json(found)
        return
    click.echo(found["note"])
    click.echo(f"key {found['key']}")


@audit.command()
@click.option(
    "--checkpoint",
    "kept",
    type=click.Path(path_type=Path),
    help="Checkpoints kept elsewhere. Default: the file that [audit] checkpoint_file names.",
)
@config_option
@json_option
def verify(kept: Path | None, config_path: Path | None, as_json: bool) -> int:
    """Recompute the whole log, and hold it against its seals and every checkpoint kept.

    Names the first entry that was altered, removed, put in or moved, and exits 1. Works on the
    databases themselves and needs the keyring: it trusts no answer of the API.
    """
    config = load_config(config_path)
    calm_collector()
    found = run_async(_verify(config, _kept(config, kept)))
    if as_json:
        print_json(asdict(found))
        return 0 if found.is_good else CHECK_FAILED
    if found.is_good:
        click.echo(f"good      {found.size} entries, each as it was written")
        click.echo(f"root      {found.root}")
        if found.checkpoints:
            click.echo(
                f"held to   {found.checkpoints} checkpoints, the last of {found.last} entries"
            )
        else:
            click.echo("held to   no checkpoint kept elsewhere: name one with --checkpoint")
        return 0
    place = f"first bad entry: {found.first_bad}" if found.first_bad is not None else "not good"
    click.echo(f"{click.style(place, fg='red', bold=True)}: {found.why}")
    return CHECK_FAILED


async def _verify(config: Config, kept: str) -> Verification:
    progress = Progress(console=Console(stderr=True), transient=True)
    async with open_current(config) as house:
        with progress:
            size = (await house.audit.head()).size
            task = progress.add_task("verifying", total=size)
            return await verify_log(
                house.audit, kept, lambda done: progress.update(task, completed=done)
            )


def _kept(config: Config, named: Path | None) -> str:
    """Give the checkpoints that were kept; a file that is not there yet holds none."""
    file = named or config.checkpoint_path
    if file is None or (named is None and not file.exists()):
        return ""
    return read_text(file, "the checkpoints", bytes_max=CHECKPOINT_BYTES_MAX)
