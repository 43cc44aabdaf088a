"""`run`, `worker`, `api` and `partner`: the commands that stay."""

from pathlib import Path

import click

from dispatcher.app.config import Config, load_config
from dispatcher.app.house import open_house
from dispatcher.app.migration import migrate_house
from dispatcher.app.running import run_async
from dispatcher.app.surroundings import check_surroundings
from dispatcher.cli.output import config_option
from dispatcher.cli.setup import ensure_keyring
from dispatcher.model.errors import ConfigInvalid


@click.command()
@config_option
def run(config_path: Path | None) -> None:
    """Deliver events, all in one process, until Ctrl-C or SIGTERM.

    Works in an empty folder: without a configuration it makes an embedded database and a keyring in
    ./dispatcher-data and listens on loopback only. An embedded database is migrated on the way;
    run 'dispatcher migrate' yourself for PostgreSQL.
    """
    config = load_config(config_path)
    check_surroundings(config)  # before anything is made, or loaded
    from dispatcher.app.process import run_worker

    new_keyring = config.source is None and ensure_keyring(config.keyring_path)
    run_async(_migrate_embedded(config))
    _say_where(config, new_keyring)
    run_async(run_worker(config, _say_all_ready, with_api=True))


@click.command()
@config_option
def worker(config_path: Path | None) -> None:
    """Deliver events as one worker of any number, until SIGTERM.

    The databases must be migrated. On SIGTERM it drains: finishes what is on the wire, gives back
    the rest, and leaves.
    """
    config = load_config(config_path)
    check_surroundings(config)
    from dispatcher.app.process import run_worker

    run_async(run_worker(config, _say_ready))


@click.command()
@config_option
def api(config_path: Path | None) -> None:
    """Serve the API of the control plane, health and metrics, until SIGTERM.

    It is described at /v1/openapi.json. Whoever calls it bears a token: see 'dispatcher token'.
    """
    config = load_config(config_path)
    check_surroundings(config, carries_letters=False)
    from dispatcher.app.process import run_api

    run_async(run_api(config, _say_answering))


@click.command()
@config_option
def partner(config_path: Path | None) -> None:
    """Serve what partners fetch by the ticket of a thin letter, until SIGTERM.

    Listens with TLS where [partner] says, and serves nothing else there. It holds a policy lease
    like a worker: a hold waits for it. 'dispatcher run' serves it too, where it is configured.
    """
    config = load_config(config_path)
    check_surroundings(config)
    if not config.partner.is_on:
        raise ConfigInvalid(
            "the partner listener is not configured",
            where=f"{config.source or 'defaults'}: partner",
            fix="set base_url, certificate and key in [partner]; see config.example.toml",
        )
    from dispatcher.app.process import run_partner

    run_async(run_partner(config, _say_partners_ready))


async def _migrate_embedded(config: Config) -> None:
    async with open_house(config) as house:
        if house.registry_database.is_sqlite and house.outbox_database.is_sqlite:
            await migrate_house(house)


def _say_where(config: Config, new_keyring: bool) -> None:
    if config.source is not None:
        click.echo(f"config    {config.source.resolve()}")
    else:
        click.echo("config    none: defaults, everything under this folder")
    for name, section in (("registry", config.registry), ("outbox", config.outbox)):
        click.echo(f"{name:9} {_shown(config.database_url(section))}")
    note = "new: back it up, nothing opens without it" if new_keyring else "in use"
    click.echo(f"keyring   {config.keyring_path}  ({note})")
    if config.registry.approvals == 1:
        click.echo("approvals 1: one person may change what flows. Not for production.")
    for inbox in config.network.loopback_inboxes:
        click.echo(f"loopback  {inbox} may be delivered to, in plain http (development)")


def _say_ready(address: str) -> None:
    click.echo(f"listening {address} (/healthz, /readyz, /metrics)")
    click.echo("ready     events will be delivered as they are committed")


def _say_partners_ready(address: str) -> None:
    click.echo(f"listening {address} (/healthz, /readyz, /metrics)")
    click.echo("ready     tickets of thin letters are answered")


def _say_answering(address: str) -> None:
    click.echo(f"listening {address} (/v1, /healthz, /readyz, /metrics)")
    click.echo(f"ready     set DISPATCHER_URL={address} and DISPATCHER_TOKEN, and use any command")


def _say_all_ready(address: str) -> None:
    _say_answering(address)
    click.echo("          events will be delivered as they are committed")


def _shown(url: str) -> str:
    """Give a database URL without what may be secret."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
