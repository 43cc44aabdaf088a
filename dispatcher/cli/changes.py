"""`changes`, `approve` and `reject`: what waits for a second person, and what they say."""

from pathlib import Path

import click

from dispatcher.app.asking import who_asks
from dispatcher.app.config import Config, load_config
from dispatcher.app.controls import change_control
from dispatcher.app.house import open_current
from dispatcher.app.running import run_async
from dispatcher.cli.output import NUMBER, common_options, print_json, print_table, reason_option
from dispatcher.cli.registry import show_outcome
from dispatcher.cli.showing_changes import change_document, print_change
from dispatcher.control.changes import Outcome
from dispatcher.model.change_set import ChangeSet, ChangeState
from dispatcher.model.errors import InvalidInput

_number = click.argument("number", metavar="N", type=NUMBER)


@click.command()
@click.argument("number", metavar="[N]", type=NUMBER, required=False)
@click.option("--all", "is_all", is_flag=True, help="Decided ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@common_options
def changes(
    number: int | None, is_all: bool, limit: int, config_path: Path | None, as_json: bool
) -> None:
    """List the change sets that wait, or show change set N whole."""
    config = load_config(config_path)
    if number is not None:
        change = run_async(_read(config, number))
        if as_json:
            print_json(change_document(change))
        else:
            print_change(change)
        return
    found = run_async(_list(config, None if is_all else ChangeState.PROPOSED, limit))
    if as_json:
        print_json([change_document(each) for each in found])
        return
    cells = [
        (each.number, each.state, each.diff.direction, each.author, each.base, each.reason)
        for each in found
    ]
    print_table("change sets", ("N", "state", "direction", "author", "base", "reason"), cells)


@click.command()
@_number
@click.option("--hash", "digest", help="Approve this content only, without being asked.")
@reason_option
@common_options
def approve(
    number: int, digest: str | None, reason: str, config_path: Path | None, as_json: bool
) -> int:
    """Activate change set N, which another person proposed.

    Shows what it lets flow and asks; the approval is for exactly what was shown. A script passes
    the --hash that 'dispatcher changes N' printed. Nobody approves their own, and no service does.
    """
    config, was_shown = load_config(config_path), digest is None
    if digest is None:
        if as_json:
            raise InvalidInput(
                "an approval without a question needs the hash of what it is for",
                where="--hash",
                fix=f"read it: dispatcher changes {number} --json",
                code="hash_missing",
            )
        change = run_async(_read(config, number))
        print_change(change)
        click.confirm(f"Approve change set {number}?", abort=True)
        digest = change.hash
    outcome = run_async(_approve(config, number, digest, reason))
    return show_outcome(outcome, as_json, was_shown=was_shown)


@click.command()
@_number
@reason_option
@common_options
def reject(number: int, reason: str, config_path: Path | None, as_json: bool) -> None:
    """End change set N without effect."""
    run_async(_reject(load_config(config_path), number, reason))
    if as_json:
        print_json({"change_set": number, "state": ChangeState.REJECTED.value})
        return
    click.echo(f"change set {number} is rejected; nothing changed")


async def _read(config: Config, number: int) -> ChangeSet:
    async with open_current(config) as house:
        return await change_control(house).read(number)


async def _list(config: Config, state: ChangeState | None, limit: int) -> tuple[ChangeSet, ...]:
    async with open_current(config) as house:
        return await change_control(house).changes.list(state, limit=limit)


async def _approve(config: Config, number: int, digest: str, reason: str) -> Outcome:
    async with open_current(config) as house:
        by = await who_asks(house)
        return await change_control(house).approve(number, digest, by=by, reason=reason)


async def _reject(config: Config, number: int, reason: str) -> None:
    async with open_current(config) as house:
        await change_control(house).reject(number, by=await who_asks(house), reason=reason)
