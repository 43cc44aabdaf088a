"""`keys set-header` and what goes with it: secrets that a partner wants with every request."""

from typing import BinaryIO, Final

import click

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.keys import keys
from dispatcher.cli.output import moment, print_json, print_table, why_option
from dispatcher.model.errors import InvalidInput
from dispatcher.model.headers import CREDENTIAL_BYTES_MAX

_COLUMNS: Final = (
    "id",
    "subscription",
    "header",
    "for",
    "state",
    "entered by",
    "approved by",
    "on",
)


@keys.command("headers")
@where_options
def list_headers(where: Where, as_json: bool) -> None:
    """List stored headers: for where, and sent or not.

    No value is shown.
    """
    found = where.ask("GET", "/v1/credentials")
    if as_json:
        print_json(found)
        return
    names = ("id", "subscription", "header", "destination", "state", "entered_by", "approved_by")
    cells = [(*(each[name] for name in names), moment(each["approved_us"])) for each in found]
    print_table("stored headers", _COLUMNS, cells)


@keys.command("set-header")
@click.argument("subscription")
@click.argument("name")
@click.option(
    "--file",
    type=click.File("rb"),
    default="-",
    help="The file that holds the value. Default: standard input.",
)
@why_option
@where_options
def set_header(
    subscription: str, name: str, file: BinaryIO, reason: str, where: Where, as_json: bool
) -> None:
    """Store a secret header for a subscription.

    NAME is the header, such as Authorization; it is for SUBSCRIPTION's endpoint of today. The value
    is read from a file or standard input, never from the command line, and no command shows it
    again. It is sent once another person has approved it. Where the endpoint changes it is void:
    nothing is sent there until it is entered again and approved.
    """
    body = {"subscription": subscription, "header": name, "value": _value(file), "reason": reason}
    made = where.ask("POST", "/v1/credentials", body)
    if as_json:
        print_json(made)
        return
    click.echo(f"header {made['header']} of {subscription} is stored for {made['destination']}")
    if made["approved_by"] is None:
        click.echo(
            f"  somebody else approves it: dispatcher keys approve-header {made['id']} --reason ..."
        )


def _value(file: BinaryIO) -> str:
    given = file.read(CREDENTIAL_BYTES_MAX + 2).removesuffix(b"\n").removesuffix(b"\r")
    if 0 < len(given) <= CREDENTIAL_BYTES_MAX and given.isascii():
        return given.decode()
    raise InvalidInput(
        "the value is empty, too long, or holds what no header's value may hold",
        where="--file",
        fix=f"give 1 to {CREDENTIAL_BYTES_MAX} characters of ASCII",
        code="header_invalid",
    )


@keys.command("approve-header")
@click.argument("credential", metavar="ID")
@why_option
@where_options
def approve_header(credential: str, reason: str, where: Where, as_json: bool) -> None:
    """Let the stored header ID be sent.

    It takes another person than whoever entered it.
    """
    body = {"id": credential, "reason": reason}
    done = where.ask("POST", "/v1/credentials/approvals", body)
    if as_json:
        print_json(done)
        return
    click.echo(f"header {done['header']} is sent to {done['destination']} from now on")


@keys.command("remove-header")
@click.argument("subscription")
@click.argument("name")
@why_option
@where_options
def remove_header(subscription: str, name: str, reason: str, where: Where, as_json: bool) -> None:
    """Send a stored header no more, and forget its value."""
    body = {"subscription": subscription, "header": name, "reason": reason}
    done = where.ask("POST", "/v1/credentials/removals", body)
    if as_json:
        print_json(done)
        return
    click.echo(f"header {done['header']} of {subscription} is removed")
