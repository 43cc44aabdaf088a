"""`apply`: registry files become the active revision."""

from pathlib import Path

import click

from dispatcher.app.clock import mint_secret
from dispatcher.app.config import Config, actor_name, load_config
from dispatcher.app.house import open_house
from dispatcher.app.running import run_async
from dispatcher.cli.output import common_options, print_json
from dispatcher.control.revisions import Applied, RevisionControl


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--reason", default="", help="Why, for the record.")
@common_options
def apply(paths: tuple[Path, ...], reason: str, config_path: Path | None, as_json: bool) -> None:
    """Make the registry files under PATHS the active revision.

    The files are the whole registry: what they do not list stops flowing. All faults are reported
    together and nothing is changed. New subscriptions get a signing secret, shown once.
    """
    applied = run_async(_apply(load_config(config_path), paths, reason))
    if as_json:
        print_json(
            {
                "revision": applied.revision,
                "epoch": applied.epoch,
                "changed": applied.is_changed,
                "secrets": applied.secrets,
            }
        )
        return
    if not applied.is_changed:
        click.echo(f"revision {applied.revision} already says so: nothing changed")
        return
    click.echo(f"revision {applied.revision} is active")
    for subscription, secret in applied.secrets.items():
        click.echo(f"signing secret of {subscription}, shown this once: {secret}")


async def _apply(config: Config, paths: tuple[Path, ...], reason: str) -> Applied:
    async with open_house(config) as house:
        await house.check_schema()
        control = RevisionControl(
            registry=house.registry,
            catalogue=house.catalogue,
            vault=house.vault,
            approvals=config.registry.approvals,
            loopback=config.network.inboxes,
            mint_secret=mint_secret,
        )
        return await control.apply(paths, author=actor_name(), reason=reason)
