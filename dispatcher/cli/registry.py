"""`plan`, `apply`, `export`, `rollback`, `revisions`: files and earlier revisions become active."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import TypeAdapter

from dispatcher.app.running import calm_collector
from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import NUMBER, moment, print_json, print_table, reason_option
from dispatcher.cli.showing_changes import NEEDS_APPROVAL, print_diff, show_outcome
from dispatcher.control.documents import named, read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.disclosure import Direction
from dispatcher.model.errors import InvalidInput, RegistryInvalid
from dispatcher.model.registry import Registry

T = TypeVar("T")
_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
_registry: TypeAdapter[Registry] = TypeAdapter(Registry)


@click.command()
@_paths
@where_options
def plan(paths: tuple[Path, ...], where: Where, as_json: bool) -> int:
    """Show what the registry files under PATHS would change, and change nothing.

    The disclosure diff: destinations, recipients, countries, fields with their classes, tenants and
    periods gained (+) and lost (-). Exits 0 when nothing more would flow, 3 when something would:
    then 'apply' needs another person's approval.
    """
    body = {"registry": _document(paths)}
    found = _about(paths, lambda: where.ask("POST", "/v1/plans", body))
    widens = found["direction"] == Direction.WIDENS
    if as_json:
        print_json(found)
    else:
        print_diff(found)
        if widens:
            click.echo("To apply it takes another person's approval.")
    return NEEDS_APPROVAL if widens else 0


@click.command()
@_paths
@reason_option
@click.option(
    "--amend", type=NUMBER, help="Put the files into this change set instead of a new one."
)
@where_options
def apply(
    paths: tuple[Path, ...], reason: str, amend: int | None, where: Where, as_json: bool
) -> int:
    """Make the registry files under PATHS the active revision.

    The files are the whole registry: what they do not list stops flowing. All faults are reported
    together and nothing is changed. What lets nothing more flow is active at once; what does waits
    as a change set until another person has approved it (exit status 3). New subscriptions get a
    signing key: the secret for the partner is shown once, or its public key.
    """
    body = {"registry": _document(paths), "reason": reason}
    method, path = "POST", "/v1/change-sets"
    if amend is not None:
        method, path = "PUT", f"/v1/change-sets/{amend}"
    return show_outcome(_about(paths, lambda: where.ask(method, path, body)), as_json)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--revision", "number", type=NUMBER, help="An earlier one. Default: the active one.")
@where_options
def export(folder: Path, number: int | None, where: Where, as_json: bool) -> None:
    """Write the registry into the new folder FOLDER, as files that 'apply' reads.

    Nothing that exists is overwritten, and the folder appears whole or not at all. Right after an
    export, 'plan' finds nothing to change.
    """
    path = "/v1/registry" if number is None else f"/v1/revisions/{number}/registry"
    held = _registry.validate_python(where.ask("GET", path)["registry"])
    files = export_registry(held, folder)
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    click.echo(f"{len(files)} files in {folder}")


@click.command()
@click.argument("number", metavar="N", type=NUMBER)
@reason_option
@where_options
def rollback(number: int, reason: str, where: Where, as_json: bool) -> int:
    """Go back to what revision N held.

    It is a change set like any other: what lets nothing more flow is active at once, what does
    needs another person. Hosts that were revoked since stay revoked.
    """
    outcome = where.ask("POST", f"/v1/revisions/{number}/rollback", {"reason": reason})
    return show_outcome(outcome, as_json)


@click.command()
@click.option("--before", type=NUMBER, help="Continue below this revision.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@where_options
def revisions(before: int | None, limit: int, where: Where, as_json: bool) -> None:
    """List revisions, the newest first: who made each, who agreed, and why."""
    rows = where.list("/v1/revisions", limit, {"cursor": before})
    if as_json:
        print_json(rows)
        return
    names = ("number", "author", "approver", "reason")
    cells = [
        (*(row[name] for name in names), moment(row["created_us"]), row["hash"][:12])
        for row in rows
    ]
    print_table("revisions", (*names, "made", "hash"), cells)


def _document(paths: tuple[Path, ...]) -> dict[str, Any]:
    calm_collector()  # a large registry is a million small objects, none of them garbage
    document: dict[str, Any] = _registry.dump_python(read_registry(paths), mode="json")
    return document


def _about(paths: tuple[Path, ...], ask: Callable[[], T]) -> T:
    """Ask, and where the answer is that the registry has faults, name the files it came from."""
    try:
        return ask()
    except InvalidInput as error:
        if error.reason == RegistryInvalid.code:
            error.where = named(paths)
        raise
