"""`audit`: who did what and who looked at what; and is the record what it was?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from dispatcher.app.asking import who_asks
from dispatcher.app.config import Config, load_config, read_text
from dispatcher.app.house import open_current
from dispatcher.app.means import means_of
from dispatcher.app.running import calm_collector, run_async
from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import config_option, json_option, moment, print_json, print_table
from dispatcher.control.auditing import Log, Verification
from dispatcher.control.auditing import verify as verify_log
from dispatcher.control.log_file import LogFile, write_log
from dispatcher.control.people import People, require
from dispatcher.model.audit import Entry
from dispatcher.model.errors import InvalidInput
from dispatcher.model.people import Right

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
@click.option("--key", "wants_key", is_flag=True, help="Print the key to check it with instead.")
@where_options
def checkpoint(wants_key: bool, where: Where, as_json: bool) -> None:
    """Print the newest signed checkpoint.

    Keep it where nobody who may write to the database can: 'audit verify --checkpoint' takes a file
    of them. It is a C2SP note, and any tool of that family reads it.
    """
    found = where.ask("GET", "/v1/audit/checkpoint")
    if as_json:
        print_json(found)
    else:
        click.echo(found["key"] if wants_key else found["note"])


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@json_option
def export(file: Path, config_path: Path | None, as_json: bool) -> None:
    """Write the whole log into the new FILE.

    It is for 'audit verify --log' and for other tools. The newest checkpoint and an empty line;
    then one line an entry: its seal in hexadecimal, a blank, and its exact bytes. A leaf of the
    tree is SHA-256 over a zero byte, those bytes and the seal (RFC 6962).
    """
    size = run_async(_export(load_config(config_path), file))
    if as_json:
        print_json({"file": str(file), "entries": size})
        return
    click.echo(f"{size} entries in {file}")


@audit.command()
@click.option(
    "--checkpoint",
    "kept",
    type=click.Path(path_type=Path),
    help="Checkpoints kept elsewhere. Default: the file that [audit] checkpoint_file names.",
)
@click.option(
    "--log",
    "file",
    type=click.Path(path_type=Path),
    help="Verify this file that 'audit export' wrote, by --key alone.",
)
@click.option("--key", help="What 'audit checkpoint --key' prints. With --log.")
@config_option
@json_option
def verify(
    kept: Path | None,
    file: Path | None,
    key: str | None,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Recompute the whole log, and find what was changed in it.

    Holds it against its seals and every checkpoint kept. Names the first entry that was altered,
    removed, put in or moved, and exits 1. Works on the databases themselves and needs the keyring:
    it trusts no answer of the API. With --log it needs neither: anybody with the key can do it, and
    learns between which checkpoints something is bad.
    """
    calm_collector()
    if file is None:
        config = load_config(config_path)
        found = run_async(_verify(config, _kept(config, kept)))
    elif key is None:
        raise InvalidInput(
            "a file is verified with the key of the log",
            where="--log",
            fix="give --key too, from somebody you trust",
            code="usage",
        )
    else:
        notes = read_text(kept, "the checkpoints", bytes_max=CHECKPOINT_BYTES_MAX) if kept else ""
        found = run_async(_with_progress(LogFile(file, key), notes))
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)
    return 0 if found.is_good else CHECK_FAILED


def _print(found: Verification) -> None:
    if not found.is_good:
        place = f"first bad entry: {found.first_bad}" if found.first_bad is not None else "not good"
        click.echo(f"{click.style(place, fg='red', bold=True)}: {found.why}")
        return
    click.echo(f"good      {found.size} entries, each as it was written")
    click.echo(f"root      {found.root}")
    if found.checkpoints:
        click.echo(f"held to   {found.checkpoints} checkpoints, the last at {found.last} entries")
    else:
        click.echo("held to   no checkpoint kept elsewhere: name one with --checkpoint")
    if found.fragments:
        click.echo(
            f"skipped   {found.fragments} fragments that are no checkpoint, as a full disk leaves"
        )


async def _verify(config: Config, kept: str) -> Verification:
    async with open_current(config) as house:
        return await _with_progress(house.audit, kept)


async def _with_progress(log: Log, kept: str) -> Verification:
    with _showing("verifying") as on_progress:
        return await verify_log(log, kept, on_progress)


async def _export(config: Config, file: Path) -> int:
    async with open_current(config) as house:
        by = await who_asks(config, People.over(means_of(house)))
        require(by, Right.READ)
        await house.audit.record(Entry(kind="audit.exported", actor=by.name, about="audit log"))
        with _showing("writing") as on_progress:
            return await write_log(house.audit, file, on_progress)


@contextmanager
def _showing(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far it is."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, size: progress.update(task, completed=done, total=size)


def _kept(config: Config, named: Path | None) -> str:
    """Give the checkpoints that were kept; a file that is not there yet holds none."""
    file = named or config.checkpoint_path
    if file is None or (named is None and not file.exists()):
        return ""
    return read_text(file, "the checkpoints", bytes_max=CHECKPOINT_BYTES_MAX)
