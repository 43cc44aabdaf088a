"""How a disclosure diff, a change set and what became of a proposal are printed for people."""

from typing import Any, Final

import click

from dispatcher.cli.output import moment, print_json
from dispatcher.model.disclosure import Direction

NEEDS_APPROVAL: Final = 3
_SIGNS: Final = {
    Direction.WIDENS: ("+", "red"),
    Direction.NARROWS: ("-", "green"),
    Direction.NEUTRAL: ("~", "yellow"),
}
_SENTENCES: Final = {
    Direction.WIDENS: "This lets more flow (+).",
    Direction.NARROWS: "This lets less flow (-).",
    Direction.NEUTRAL: "This changes nothing that flows.",
}


def print_diff(diff: dict[str, Any]) -> None:
    """Print every change, and what they come to."""
    for change in diff["changes"]:
        sign, colour = _SIGNS[Direction(change["direction"])]
        sign = click.style(sign, fg=colour)
        click.echo(f"  {sign} {change['aspect']:11} {change['where']}: {change['what']}")
    click.echo(
        _SENTENCES[Direction(diff["direction"])] if diff["changes"] else "Nothing would change."
    )


def print_change(change: dict[str, Any]) -> None:
    """Print one change set whole."""
    click.echo(f"change set {change['number']}, {change['state']}, on revision {change['base']}")
    at = moment(change["proposed_us"])
    click.echo(f"  by {change['author']} at {at}: {change['reason'] or '-'}")
    if change["decided_by"]:
        at = moment(change["decided_us"])
        click.echo(f"  decided by {change['decided_by']} at {at}: {change['decision'] or '-'}")
    click.echo(f"  hash {change['hash']}")
    print_diff(change)


def show_outcome(outcome: dict[str, Any], as_json: bool, *, was_shown: bool = False) -> int:
    """Print what became of a proposal, and its diff unless it was shown; give the exit status."""
    if as_json:
        print_json(outcome)
    elif not outcome["changes"]:
        click.echo(f"revision {outcome['revision']} already says so: nothing changed")
    else:
        if not was_shown:
            print_diff(outcome)
        if outcome["active"]:
            click.echo(f"revision {outcome['revision']} is active")
        else:
            number = outcome["change_set"]
            click.echo(f"change set {number} waits: another person must approve it")
            click.echo(f"  they run: dispatcher approve {number}")
        for subscription, secret in outcome["secrets"].items():
            click.echo(f"signing secret of {subscription}, shown this once: {secret}")
        for subscription, key in outcome["public_keys"].items():
            click.echo(f"public key of {subscription}, for the partner: {key}")
    return 0 if outcome["active"] else NEEDS_APPROVAL
