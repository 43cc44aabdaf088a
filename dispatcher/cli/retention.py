"""`purges`: what was removed because its time was over, and what is due."""

from typing import Any

import click

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import moment, print_json, print_table
from dispatcher.model.retention import Store


@click.command()
@click.option(
    "--store", type=click.Choice([each.value for each in Store]), help="Only of this store."
)
@click.option("--due", "is_due", is_flag=True, help="Count what is past its window now instead.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@where_options
def purges(store: str | None, is_due: bool, limit: int, where: Where, as_json: bool) -> None:
    """List what was removed because its window was over: one record a sweep and rule, newest first.

    'from' tells how old what went was; 'oldest left' is the oldest that stayed and neither moves
    nor is held. How long things stay is policy: [policy.retention] in docs/registry.md.

    With --due nothing is removed: each rule of the policy is counted as it would be followed now.
    'held' rows are under a legal hold, 'moving' ones belong to events that may still be sent.
    """
    if is_due:
        rows = where.ask("GET", "/v1/purges/due")
        rows = [row for row in rows if store in (None, row["store"])]
    else:
        rows = where.list("/v1/purges", limit, {"store": store})
    if as_json:
        print_json(rows)
    elif is_due:
        names = ("store", "rule", "due", "held", "moving")
        due = [(*(row[name] for name in names), moment(row["oldest_us"])) for row in rows]
        print_table("due now", (*names, "oldest"), due)
    elif not rows:
        click.echo("nothing was removed so far", err=True)
    else:
        for row in rows:
            _print_purge(row)


def _print_purge(row: dict[str, Any]) -> None:
    removed = ", ".join(f"{count} {name}" for name, count in row["counts"].items())
    left = moment(row["survivor_us"]) or ("none" if row["is_complete"] else "the sweep was cut off")
    click.echo(f"{moment(row['at_us'])}  {row['rule']}, revision {row['revision']}")
    click.echo(f"  removed      {removed}")
    click.echo(f"  from         {moment(row['oldest_us'])} to {moment(row['newest_us'])}")
    click.echo(f"  oldest left  {left}")
