"""`preview`: what one partner would get of one event, beside the event, and what stays here."""

from typing import Any, Final

import click
from rich.console import Console

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.events import read_payload
from dispatcher.cli.output import NUMBER, print_json
from dispatcher.cli.showing_previews import show_preview
from dispatcher.model.errors import InvalidInput

REFUSED: Final = 4


@click.command()
@click.argument("subscription")
@click.option(
    "--event",
    "file",
    metavar="FILE",
    help="A payload of your own: a JSON file, '-' for standard input.",
)
@click.option("--recent", is_flag=True, help="The newest event that would go there (the default).")
@click.option("--delivery", type=NUMBER, help="The event of this delivery, with its own id.")
@click.option("--synthetic", is_flag=True, help="An event made of nothing but its schema.")
@click.option("--seed", default="1", show_default=True, help="Another seed makes another.")
@click.option("--type", help="The type of the event, where there are several.")
@click.option("--tenant", help="Whose event it is, where the partner serves several.")
@click.option("--subject", "subjects", multiple=True, help="With --event: a person it is about.")
@click.option("--against", metavar="SUBSCRIPTION", help="Show what this one would get, too.")
@where_options
def preview(
    subscription: str,
    file: str | None,
    recent: bool,
    delivery: int | None,
    synthetic: bool,
    seed: str,
    where: Where,
    as_json: bool,
    **terms: Any,
) -> int:
    """Show what SUBSCRIPTION would get of an event: the exact body and headers, and nothing sent.

    The event stands beside the body. '+' marks what leaves and '-' what stays here; below, each
    field says why. What would keep the letter from being sent today is told with the codes that a
    worker would give. The signature and a thin letter's ticket are made when it is sent, and not
    shown.

    Of an event that is kept, values are shown to those alone who may see what events hold (role
    'privacy'); others see names, types and lengths. Every preview is on the record.

    Exits 0 when it would be sent, 4 when something keeps it here.
    """
    if sum((file is not None, recent, synthetic, delivery is not None)) > 1:
        raise InvalidInput(
            "--event, --recent, --delivery and --synthetic each name the event",
            where="dispatcher preview",
            fix="give one of them",
            code="usage",
        )
    body = {
        "subscription": subscription,
        "delivery": delivery,
        "synthetic": seed if synthetic else None,
        **terms,  # in the API's own words
    }
    if file is not None:
        body["payload"] = read_payload(file)
    found = where.ask("POST", "/v1/previews", body)
    if as_json:
        print_json(found)
    else:
        show_preview(found, Console())
    return 0 if all(each["is_sent"] for each in found["recipients"]) else REFUSED
