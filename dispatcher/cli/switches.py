"""`hold`, `release` and `switches`: stop sending at once, start again, and see what is stopped."""

import click

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import (
    moment,
    print_json,
    print_table,
    reason_option,
    wait_option,
    why_option,
)


@click.command()
@click.argument("target")
@why_option
@wait_option
@where_options
def hold(target: str, reason: str, wait_seconds: float, where: Where, as_json: bool) -> None:
    """Stop everything that matches TARGET, and return once it has stopped.

    TARGET is 'everything' or KIND:NAME, where KIND is tenant, connector, host, subscription or
    event-type; for example connector:acme.

    Events are kept and no retry is spent. Returns when every live worker has confirmed, or its
    policy lease has run out, and prints how long that took, and how many lanes match; a warning
    says so when none does.
    """
    body = {"target": target, "reason": reason, "wait_seconds": wait_seconds}
    held = where.ask("POST", "/v1/switches", body)
    if not held["lanes"]:
        # Under --json too: the document is on standard output, and this is meant for a person.
        click.echo(
            f"{click.style('warning', fg='yellow', bold=True)}: nothing in the active revision "
            f"matches {held['target']}; the switch is on all the same",
            err=True,
        )
    if as_json:
        print_json(held)
        return
    fenced = f", {held['workers_fenced']} silent ones fenced" if held["workers_fenced"] else ""
    click.echo(
        f"{held['target']} held at {moment(held['confirmed_us'])}: "
        f"{held['workers_confirmed']} workers confirmed in {held['confirmed_ms']:.0f} ms{fenced}, "
        f"in flight at the time: {held['in_flight']}"
    )
    lanes = held["lanes"]
    click.echo("1 lane matches" if lanes == 1 else f"{lanes} lanes match")


@click.command()
@click.argument("target")
@reason_option
@where_options
def release(target: str, reason: str, where: Where, as_json: bool) -> None:
    """Take off the switches on exactly TARGET, written as for 'hold'.

    Other switches stay on. What waits is judged again under today's policy, then delivered.
    """
    done = where.ask("POST", "/v1/switches/release", {"target": target, "reason": reason})
    if as_json:
        print_json(done)
        return
    released = done["released"]
    click.echo(f"{target} released ({released} switch{'es' if released > 1 else ''} taken off)")


@click.command()
@where_options
def switches(where: Where, as_json: bool) -> None:
    """List what is stopped: since when, by whom, and why."""
    found = where.ask("GET", "/v1/switches")
    if as_json:
        print_json(found)
        return
    cells = [
        (each["id"], each["target"], moment(each["tripped_us"]), each["actor"], each["reason"])
        for each in found
    ]
    print_table("switches", ("id", "target", "since", "by", "reason"), cells)
