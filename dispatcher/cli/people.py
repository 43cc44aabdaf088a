"""`principal` and `token`: who may ask, and by what they show it."""

from typing import Final

import click

from dispatcher.cli.asking import Where, part, where_options
from dispatcher.cli.output import moment, print_json, print_table
from dispatcher.model.people import DAYS_DEFAULT, DAYS_MAX, PrincipalKind, Role

ROWS_MAX: Final = 100_000
_COLUMNS: Final = ("id", "principal", "tenant", "issued by", "good until", "revoked", "by")
_days = click.option(
    "--days",
    default=DAYS_DEFAULT,
    show_default=True,
    type=click.IntRange(1, DAYS_MAX),
    help="How long the token is good.",
)


@click.group()
def principal() -> None:
    """Say who may ask: people and services, and what each is here for."""


@principal.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([PrincipalKind.HUMAN.value, PrincipalKind.SERVICE.value]),
    default=PrincipalKind.HUMAN.value,
    show_default=True,
    help="A service cannot approve.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([each.value for each in Role]),
    help="What they are here for; repeat for several.",
)
@_days
@where_options
def add(
    name: str,
    kind: str,
    roles: tuple[str, ...],
    days: int,
    where: Where,
    as_json: bool,
) -> None:
    """Add the principal NAME with a first token, which is shown once.

    The first principal of all must be an admin, and is added without a token; from then on
    DISPATCHER_TOKEN must be an admin's.

    Roles: platform proposes, approver and privacy approve what somebody else proposed, sre stops
    and starts, reader looks, producer enqueues, admin adds people.
    """
    body = {"name": name, "kind": kind, "roles": roles, "days": days}
    made = where.ask("POST", "/v1/principals", body)
    if as_json:
        print_json(made)
        return
    click.echo(f"{name} is added")
    _show_token(name, made["token"])


@principal.command("list")
@where_options
def list_principals(where: Where, as_json: bool) -> None:
    """List everybody, and what they may do."""
    found = where.list("/v1/principals", ROWS_MAX, {})
    if as_json:
        print_json(found)
        return
    cells = [
        (each["name"], each["kind"], ", ".join(each["roles"]), ", ".join(each["rights"]))
        for each in found
    ]
    print_table("principals", ("name", "kind", "roles", "may"), cells)


@click.group()
def token() -> None:
    """Issue, list and revoke the tokens that principals show."""


@token.command()
@click.argument("name")
@_days
@click.option("--tenant", help="The one tenant it is good for. Default: all of them.")
@where_options
def issue(name: str, days: int, tenant: str | None, where: Where, as_json: bool) -> None:
    """Make another token for the principal NAME, and show it once.

    With a token of one tenant, events go in, are found and are stopped for that tenant alone; what
    is about all tenants is refused.
    """
    body = {"principal": name, "days": days, "tenant": tenant}
    made = where.ask("POST", "/v1/tokens", body)
    if as_json:
        print_json(made)
        return
    _show_token(name, made["token"])


@token.command("list")
@where_options
def list_tokens(where: Where, as_json: bool) -> None:
    """List tokens: whose, from whom, until when. The secrets are not kept anywhere."""
    rows = where.list("/v1/tokens", ROWS_MAX, {})
    if as_json:
        print_json(rows)
        return
    names = ("id", "principal", "tenant", "created_by", "expires_us", "revoked_us", "revoked_by")
    cells = [
        tuple(moment(row[name]) if name.endswith("_us") else row[name] for name in names)
        for row in rows
    ]
    print_table("tokens", _COLUMNS, cells)


@token.command()
@click.argument("token_id", metavar="ID")
@where_options
def revoke(token_id: str, where: Where, as_json: bool) -> None:
    """Make the token ID worthless at once. The ID is the middle part, dsp_ID_..., or the whole."""
    token_id = token_id.removeprefix("dsp_").partition("_")[0]
    done = where.ask("DELETE", f"/v1/tokens/{part(token_id)}")
    if as_json:
        print_json(done)
        return
    click.echo(f"token {token_id} is revoked")


def _show_token(name: str, made: str) -> None:
    click.echo(f"token of {name}, shown this once: {made}")
    click.echo("  they set it: export DISPATCHER_TOKEN=...")
