"""How a disclosure diff and a change set are printed, for people and for programs."""

from typing import Any, Final

import click

from dispatcher.cli.output import moment
from dispatcher.model.change_set import ChangeSet
from dispatcher.model.disclosure import Direction, DisclosureDiff

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


def diff_document(diff: DisclosureDiff) -> dict[str, Any]:
    """Give a diff as programs read it."""
    return {
        "direction": diff.direction.value,
        "changes": [
            {
                "direction": change.direction.value,
                "aspect": change.aspect.value,
                "where": change.where,
                "what": change.what,
            }
            for change in diff.changes
        ],
    }


def print_diff(diff: DisclosureDiff) -> None:
    """Print every change, and what they come to."""
    for change in diff.changes:
        sign, colour = _SIGNS[change.direction]
        click.echo(
            f"  {click.style(sign, fg=colour)} {change.aspect:11} {change.where}: {change.what}"
        )
    click.echo(_SENTENCES[diff.direction] if diff.changes else "Nothing would change.")


def change_document(change: ChangeSet) -> dict[str, Any]:
    """Give a change set as programs read it, without its content."""
    return {
        "number": change.number,
        "state": change.state.value,
        "base": change.base,
        "hash": change.hash,
        "author": change.author,
        "reason": change.reason,
        "proposed_us": change.proposed_us,
        "decided_by": change.decided_by,
        "decided_us": change.decided_us,
        "decision": change.decision,
        "revision": change.revision,
        **diff_document(change.diff),
    }


def print_change(change: ChangeSet) -> None:
    """Print one change set whole."""
    click.echo(f"change set {change.number}, {change.state}, on revision {change.base}")
    click.echo(f"  by {change.author} at {moment(change.proposed_us)}: {change.reason or '-'}")
    if change.decided_by:
        at = moment(change.decided_us)
        click.echo(f"  decided by {change.decided_by} at {at}: {change.decision or '-'}")
    click.echo(f"  hash {change.hash}")
    print_diff(change.diff)
