"""`init` and `migrate`: from an empty folder to databases that are ready."""

import os
from pathlib import Path

import click

from dispatcher.app.config import DATA_FOLDER, FILE_NAME, Config, load_config
from dispatcher.app.house import open_house
from dispatcher.app.running import run_async
from dispatcher.cli.output import common_options, json_option, print_json
from dispatcher.model.errors import ConfigInvalid, Conflict
from dispatcher.vault.keyring import create_keyring

_TEMPLATE = """\
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
@json_option
def init(dev: bool, as_json: bool) -> None:
    """Write dispatcher.toml and a fresh keyring in this folder.

    Nothing that exists is overwritten. Next: 'dispatcher migrate'.
    """
    path = Path(FILE_NAME)
    if os.path.lexists(path):
        raise Conflict(
            "there is a configuration here already",
            where=str(path.resolve()),
            fix="use it, or run 'dispatcher init' in another folder",
            code="config_exists",
        )
    keyring = Path(DATA_FOLDER) / "keyring.json"
    ensure_keyring(keyring)
    text = _TEMPLATE.format(
        environment="dev" if dev else "production", approvals=1 if dev else 2, data=DATA_FOLDER
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable("the configuration", path, error) from None
    if as_json:
        print_json({"config": str(path.resolve()), "keyring": str(keyring.resolve()), "dev": dev})
        return
    click.echo(f"config    {path.resolve()}")
    click.echo(f"keyring   {keyring.resolve()}  (nothing opens without it: back it up, apart)")
    click.echo("next      dispatcher migrate")
    if dev:
        click.echo("approvals 1: one person may change what flows. Not for production.")
    else:
        click.echo("approvals 2: one person proposes what lets more flow, another approves it:")
        click.echo("          dispatcher principal add YOUR-NAME --role admin")


@click.command()
@common_options
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
