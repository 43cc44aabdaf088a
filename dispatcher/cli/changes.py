"""`changes`, `approve` and `reject`: what waits for a second person, and what they say."""

import click

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import NUMBER, print_json, print_table, reason_option
from dispatcher.cli.showing_changes import print_change, show_outcome
from dispatcher.model.errors import InvalidInput

_number = click.argument("number", metavar="N", type=NUMBER)


@click.command()
@click.argument("number", metavar="[N]", type=NUMBER, required=False)
@click.option("--all", "is_all", is_flag=True, help="Decided ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@where_options
def changes(number: int | None, is_all: bool, limit: int, where: Where, as_json: bool) -> None:
    """List the change sets that wait, or show change set N whole."""
    if number is not None:
        change = where.ask("GET", f"/v1/change-sets/{number}")
        if as_json:
            print_json(change)
        else:
            print_change(change)
        return
    found = where.list("/v1/change-sets", limit, {"state": None if is_all else "proposed"})
    if as_json:
        print_json(found)
        return
    names = ("number", "state", "direction", "author", "base", "reason")
    cells = [[each[name] for name in names] for each in found]
    print_table("change sets", ("N", *names[1:]), cells)


@click.command()
@_number
@click.option("--hash", "digest", help="Approve this content only, without being asked.")
@reason_option
@where_options
def approve(number: int, digest: str | None, reason: str, where: Where, as_json: bool) -> int:
    """Activate change set N, which another person proposed.

    Shows what it lets flow and asks; the approval is for exactly what was shown. A script passes
    the --hash that 'dispatcher changes N' printed. Nobody approves their own, and no service does.
    """
    was_shown = digest is None
    if digest is None:
        if as_json:
            raise InvalidInput(
                "an approval without a question needs the hash of what it is for",
                where="--hash",
                fix=f"read it: dispatcher changes {number} --json",
                code="hash_missing",
            )
        change = where.ask("GET", f"/v1/change-sets/{number}")
        print_change(change)
        click.confirm(f"Approve change set {number}?", abort=True)
        digest = change["hash"]
    body = {"hash": digest, "reason": reason}
    outcome = where.ask("POST", f"/v1/change-sets/{number}/approval", body)
    return show_outcome(outcome, as_json, was_shown=was_shown)


@click.command()
@_number
@reason_option
@where_options
def reject(number: int, reason: str, where: Where, as_json: bool) -> None:
    """End change set N without effect."""
    done = where.ask("POST", f"/v1/change-sets/{number}/rejection", {"reason": reason})
    if as_json:
        print_json(done)
        return
    click.echo(f"change set {number} is rejected; nothing changed")
