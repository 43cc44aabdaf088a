"""`principal` and `token`: who may ask, and by what they show it."""

from pathlib import Path
from typing import Any

import click

from dispatcher.app.asking import who_asks
from dispatcher.app.config import Config, load_config
from dispatcher.app.controls import people
from dispatcher.app.house import open_current
from dispatcher.app.running import run_async
from dispatcher.cli.output import common_options, moment, print_json, print_table
from dispatcher.control.people import DAYS_MAX
from dispatcher.model.people import Principal, PrincipalKind, Role

DAYS = 90
_days = click.option(
    "--days",
    default=DAYS,
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
@common_options
def add(
    name: str,
    kind: str,
    roles: tuple[str, ...],
    days: int,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Add the principal NAME with a first token, which is shown once.

    The first principal of all must be an admin, and is added without a token; from then on
    DISPATCHER_TOKEN must be an admin's.

    Roles: platform proposes, approver and privacy approve what somebody else proposed, sre stops
    and starts, reader looks, producer enqueues, admin adds people.
    """
    wanted = (name, PrincipalKind(kind), tuple(map(Role, roles)))
    token = run_async(_add(load_config(config_path), wanted, days))
    if as_json:
        print_json({"principal": name, "kind": kind, "roles": sorted(roles), "token": token})
        return
    click.echo(f"{name} is added")
    _show_token(name, token)


@principal.command("list")
@common_options
def list_principals(config_path: Path | None, as_json: bool) -> None:
    """List everybody, and what they may do."""
    found = run_async(_principals(load_config(config_path)))
    rows = [(each.name, each.kind.value, sorted(each.roles), sorted(each.rights)) for each in found]
    if as_json:
        names = ("name", "kind", "roles", "rights")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    cells = [(name, kind, ", ".join(roles), ", ".join(may)) for name, kind, roles, may in rows]
    print_table("principals", ("name", "kind", "roles", "may"), cells)


@click.group()
def token() -> None:
    """Issue, list and revoke the tokens that principals show."""


@token.command()
@click.argument("name")
@_days
@common_options
def issue(name: str, days: int, config_path: Path | None, as_json: bool) -> None:
    """Make another token for the principal NAME, and show it once."""
    made = run_async(_issue(load_config(config_path), name, days))
    if as_json:
        print_json({"principal": name, "token": made})
        return
    _show_token(name, made)


@token.command("list")
@common_options
def list_tokens(config_path: Path | None, as_json: bool) -> None:
    """List tokens: whose, from whom, until when. The secrets are not kept anywhere."""
    rows = run_async(_tokens(load_config(config_path)))
    if as_json:
        print_json(rows)
        return
    names = ("id", "principal", "created_by", "expires_us", "revoked_us", "revoked_by")
    cells = [
        tuple(moment(row[name]) if name.endswith("_us") else row[name] for name in names)
        for row in rows
    ]
    print_table("tokens", ("id", "principal", "issued by", "good until", "revoked", "by"), cells)


@token.command()
@click.argument("token_id", metavar="ID")
@common_options
def revoke(token_id: str, config_path: Path | None, as_json: bool) -> None:
    """Make the token ID worthless at once. The ID is the middle part: dsp_ID_..."""
    run_async(_revoke(load_config(config_path), token_id))
    if as_json:
        print_json({"token": token_id, "revoked": True})
        return
    click.echo(f"token {token_id} is revoked")


def _show_token(name: str, made: str) -> None:
    click.echo(f"token of {name}, shown this once: {made}")
    click.echo("  they set it: export DISPATCHER_TOKEN=...")


async def _add(
    config: Config, wanted: tuple[str, PrincipalKind, tuple[Role, ...]], days: int
) -> str:
    async with open_current(config) as house:
        control = people(house)
        is_first = not await control.store.principals()
        by = None if is_first else await who_asks(house)
        added = await control.add(*wanted, by=by)
        return await control.issue(added.name, days=days, by=by or added)


async def _principals(config: Config) -> tuple[Principal, ...]:
    async with open_current(config) as house:
        return await people(house).store.principals()


async def _issue(config: Config, name: str, days: int) -> str:
    async with open_current(config) as house:
        return await people(house).issue(name, days=days, by=await who_asks(house))


async def _tokens(config: Config) -> list[dict[str, Any]]:
    async with open_current(config) as house:
        return await people(house).store.tokens()


async def _revoke(config: Config, token_id: str) -> None:
    async with open_current(config) as house:
        await people(house).revoke(token_id, by=await who_asks(house))
