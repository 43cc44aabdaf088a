"""`plan`, `apply` and `rollback`: registry files and earlier revisions become the active one."""

from pathlib import Path
from typing import Any

import click

from dispatcher.app.asking import who_asks
from dispatcher.app.config import Config, load_config
from dispatcher.app.controls import change_control
from dispatcher.app.house import open_current
from dispatcher.app.running import run_async
from dispatcher.cli.output import (
    NUMBER,
    common_options,
    moment,
    print_json,
    print_table,
    reason_option,
)
from dispatcher.cli.showing_changes import diff_document, print_diff
from dispatcher.control.changes import Outcome
from dispatcher.control.documents import named, read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.disclosure import Direction, DisclosureDiff
from dispatcher.model.ids import Revision
from dispatcher.model.registry import Registry

NEEDS_APPROVAL = 3
_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))


@click.command()
@_paths
@common_options
def plan(paths: tuple[Path, ...], config_path: Path | None, as_json: bool) -> int:
    """Show what the registry files under PATHS would change, and change nothing.

    The disclosure diff: destinations, recipients, countries, fields with their classes, tenants and
    periods gained (+) and lost (-). Exits 0 when nothing more would flow, 3 when something would:
    then 'apply' needs another person's approval.
    """
    found = run_async(_plan(load_config(config_path), paths))
    if as_json:
        print_json(diff_document(found))
    else:
        print_diff(found)
        if found.direction is Direction.WIDENS:
            click.echo("To apply it takes another person's approval.")
    return NEEDS_APPROVAL if found.direction is Direction.WIDENS else 0


@click.command()
@_paths
@reason_option
@click.option(
    "--amend", type=NUMBER, help="Put the files into this change set instead of a new one."
)
@common_options
def apply(
    paths: tuple[Path, ...],
    reason: str,
    amend: int | None,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Make the registry files under PATHS the active revision.

    The files are the whole registry: what they do not list stops flowing. All faults are reported
    together and nothing is changed. What lets nothing more flow is active at once; what does waits
    as a change set until another person has approved it (exit status 3). New subscriptions get a
    signing secret, shown once.
    """
    outcome = run_async(_apply(load_config(config_path), paths, reason, amend))
    return show_outcome(outcome, as_json)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--revision", "number", type=NUMBER, help="An earlier one. Default: the active one.")
@common_options
def export(folder: Path, number: int | None, config_path: Path | None, as_json: bool) -> None:
    """Write the registry into the new folder FOLDER, as files that 'apply' reads.

    Nothing that exists is overwritten, and the folder appears whole or not at all. Right after an
    export, 'plan' finds nothing to change.
    """
    config = load_config(config_path)
    registry = run_async(_revision(config, Revision(number) if number is not None else None))
    files = export_registry(registry, folder)
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    click.echo(f"{len(files)} files in {folder}")


@click.command()
@click.argument("number", metavar="N", type=NUMBER)
@reason_option
@common_options
def rollback(number: int, reason: str, config_path: Path | None, as_json: bool) -> int:
    """Go back to what revision N held.

    It is a change set like any other: what lets nothing more flow is active at once, what does
    needs another person. Hosts that were revoked since stay revoked.
    """
    outcome = run_async(_rollback(load_config(config_path), Revision(number), reason))
    return show_outcome(outcome, as_json)


@click.command()
@click.option("--before", default=2**62, type=NUMBER, help="Continue below this revision.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@common_options
def revisions(before: int, limit: int, config_path: Path | None, as_json: bool) -> None:
    """List revisions, the newest first: who made each, who agreed, and why."""
    rows = run_async(_revisions(load_config(config_path), before, limit))
    if as_json:
        print_json(rows)
        return
    names = ("number", "author", "approver", "reason")
    cells = [
        (*(row[name] for name in names), moment(row["created_us"]), row["hash"][:12])
        for row in rows
    ]
    print_table("revisions", (*names, "made", "hash"), cells)


def show_outcome(outcome: Outcome, as_json: bool, *, was_shown: bool = False) -> int:
    """Print what became of a proposal, and its diff unless it was shown; give the exit status."""
    if as_json:
        print_json(
            {
                "revision": outcome.revision,
                "epoch": outcome.epoch,
                "changed": outcome.is_active and bool(outcome.diff.changes),
                "active": outcome.is_active,
                "change_set": outcome.change_set,
                "secrets": outcome.secrets,
                **diff_document(outcome.diff),
            }
        )
    elif not outcome.diff.changes:
        click.echo(f"revision {outcome.revision} already says so: nothing changed")
    else:
        if not was_shown:
            print_diff(outcome.diff)
        if outcome.is_active:
            click.echo(f"revision {outcome.revision} is active")
        else:
            click.echo(f"change set {outcome.change_set} waits: another person must approve it")
            click.echo(f"  they run: dispatcher approve {outcome.change_set}")
        for subscription, secret in outcome.secrets.items():
            click.echo(f"signing secret of {subscription}, shown this once: {secret}")
    return 0 if outcome.is_active else NEEDS_APPROVAL


async def _plan(config: Config, paths: tuple[Path, ...]) -> DisclosureDiff:
    async with open_current(config) as house:
        return await change_control(house).plan(read_registry(paths), named(paths))


async def _apply(
    config: Config, paths: tuple[Path, ...], reason: str, amend: int | None
) -> Outcome:
    async with open_current(config) as house:
        return await change_control(house).propose(
            read_registry(paths),
            by=await who_asks(house),
            reason=reason,
            where=named(paths),
            amends=amend,
        )


async def _rollback(config: Config, number: Revision, reason: str) -> Outcome:
    async with open_current(config) as house:
        return await change_control(house).rollback(number, by=await who_asks(house), reason=reason)


async def _revision(config: Config, number: Revision | None) -> Registry:
    async with open_current(config) as house:
        if number is None:
            return (await house.registry.active()).registry
        return await change_control(house).earlier(number)


async def _revisions(config: Config, before: int, limit: int) -> list[dict[str, Any]]:
    async with open_current(config) as house:
        return await house.registry.revisions(before=before, limit=limit)
