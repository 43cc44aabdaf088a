"""`init` and `migrate`: from an empty folder to databases that are ready."""

import json
import os
import re
from pathlib import Path
from typing import Any, Final

import click

from dispatcher.api.calls import make_call
from dispatcher.app.calling import call_here
from dispatcher.app.config import DATA_FOLDER, FILE_NAME, Config, actor_name, load_config
from dispatcher.app.house import open_house
from dispatcher.app.running import run_async
from dispatcher.cli.output import config_option, json_option, print_json
from dispatcher.model.errors import ConfigInvalid, Conflict
from dispatcher.vault.keyring import create_keyring

FIRST_ROLES: Final = ("admin", "platform", "sre", "reader")
_TEMPLATE: Final = """\
# dispatcher: every key, its unit and default is in config.example.toml
environment = "{environment}"

[registry]
url = "sqlite:///{data}/dispatcher.db"
approvals = {approvals}

[outbox]
url = "sqlite:///{data}/dispatcher.db"

[vault]
keyring = "{data}/keyring.json"
"""


@click.command()
@click.option("--dev", is_flag=True, help="For a laptop: one person may apply, loopback inboxes.")
@click.option("--admin", "name", help="Who the first principal is. Default: your user name.")
@json_option
def init(dev: bool, name: str | None, as_json: bool) -> None:
    """Write dispatcher.toml and a fresh keyring in this folder, and make the databases ready.

    The first principal, who adds the others and may propose, gets a token, shown once. With --dev
    there is none: whoever sits at this machine may do everything. Nothing that exists is
    overwritten. For PostgreSQL, change the addresses in dispatcher.toml, then 'dispatcher migrate'
    and 'dispatcher principal add'.
    """
    path, keyring = Path(FILE_NAME), Path(DATA_FOLDER) / "keyring.json"
    if os.path.lexists(path):
        raise Conflict(
            "there is a configuration here already",
            where=str(path.resolve()),
            fix="use it, or run 'dispatcher init' in another folder",
            code="config_exists",
        )
    ensure_keyring(keyring)
    text = _TEMPLATE.format(
        environment="dev" if dev else "production", approvals=1 if dev else 2, data=DATA_FOLDER
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable("the configuration", path, error) from None
    config = load_config(path)
    run_async(_migrate(config))
    made = {"config": str(path.resolve()), "keyring": str(keyring.resolve()), "dev": dev}
    first = {} if dev else _first(config, name or actor_name())
    if as_json:
        print_json(made | first)
        return
    click.echo(f"config    {made['config']}")
    click.echo(f"keyring   {made['keyring']}  (nothing opens without it: back it up, apart)")
    click.echo("databases ready: embedded, in the same folder")
    if dev:
        click.echo("approvals 1: one person may change what flows. Not for production.")
        click.echo("next      describe a partner in TOML files, then: dispatcher apply FOLDER")
        return
    click.echo(f"you       {first['principal']} ({', '.join(first['roles'])})")
    click.echo(f"token     shown this once: export DISPATCHER_TOKEN={first['token']}")
    click.echo("approvals 2: you propose what lets more flow, and another approves it. Add one:")
    click.echo("          dispatcher principal add COLLEAGUE --role approver")
    click.echo("next      describe a partner in TOML files, then: dispatcher apply FOLDER")


def _first(config: Config, name: str) -> dict[str, Any]:
    """Make the first principal where there is none, whoever's token is set here."""
    words = re.sub(r"[^a-z0-9_.@-]", "-", name.lower()).lstrip("_.@-")
    body = {"name": words or "admin", "roles": FIRST_ROLES}
    call = make_call("POST", "/v1/principals", body=json.dumps(body).encode())
    added: dict[str, Any] = run_async(call_here(config, call, with_token=False))
    return added


@click.command()
@config_option
@json_option
def migrate(config_path: Path | None, as_json: bool) -> None:
    """Bring both databases to the tables this release works with.

    Safe to run from every replica at once, and again.
    """
    config = load_config(config_path)
    before = run_async(_migrate(config))
    if as_json:
        print_json({"migrated": True, "before": before})
        return
    for plane, was in before.items():
        click.echo(f"{plane:9} ready (was: {was or 'empty'})")


async def _migrate(config: Config) -> dict[str, str | None]:
    from dispatcher.app.migration import migrate_house

    async with open_house(config) as house:
        return await migrate_house(house)


def ensure_keyring(path: Path) -> bool:
    """Make a keyring where there is none; true when it is new."""
    try:
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable("the folder of the keyring", path.parent, error) from None
    create_keyring(path)
    return True


def _unwritable(what: str, path: Path, error: OSError) -> ConfigInvalid:
    return ConfigInvalid(
        f"{what} cannot be made: {error.strerror}",
        where=str(path.absolute()),
        fix="work in a folder that this user may write to, and move away what stands there",
        code="folder_unwritable",
    )
