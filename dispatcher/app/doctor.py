"""Checks each thing that a deployment needs, without starting anything or changing anything.

Called by `dispatcher doctor`. Every check is told, also after one that failed, with what was found
or what to do. It asks databases and name servers alone, the latter for nothing that has a name, and
what listens at its own address for partners; no packet goes to a partner.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from dispatcher.app.clock import SystemClock
from dispatcher.app.config import Config, OutboxSection, RegistrySection, load_config
from dispatcher.app.finding import Finding, Remark
from dispatcher.app.key_checks import look_at_signing_keys
from dispatcher.app.key_providers import key_providers
from dispatcher.app.partner_checks import look_at_address, look_at_identity, look_at_need
from dispatcher.app.surroundings import check_surroundings
from dispatcher.app.way_out import name_source, network_settings
from dispatcher.model.days import DAY_US
from dispatcher.model.errors import ConfigInvalid, DispatcherError, SealBroken, StoreUnavailable
from dispatcher.model.identity import ClientCertificate
from dispatcher.network.identities import read_pair
from dispatcher.network.liveness import does_answer
from dispatcher.network.name_servers import RESOLV_CONF, read_name_servers
from dispatcher.network.sources import check_sources
from dispatcher.network.tls import make_context
from dispatcher.store.clock import database_us
from dispatcher.store.database import Database, open_database
from dispatcher.store.identities import read_revoked_identities
from dispatcher.store.versions import HEADS, check_schema
from dispatcher.vault.keyring import load_keyring
from dispatcher.vault.provider import KeyContext

CLOCK_SECONDS_MAX: Final = 5.0
IDENTITY_DAYS: Final = 30
"""How long before its end a client certificate is reminded of."""
RELEASED_US: Final = 1_767_225_600_000_000
"""The first of January 2026. A clock that stands before it was never set."""

PROBE: Final = "doctor"
"""The name of a key that is wrapped and opened once, and kept by nobody."""

Look = Callable[[], Awaitable[str | Remark]]


async def examine(path: Path | None) -> tuple[Finding, ...]:
    """Make every check. Without a readable configuration there is but one."""
    try:
        config = load_config(path)
    except DispatcherError as error:
        return (_failed("configuration", error),)
    looks: tuple[tuple[str, Look], ...] = (
        ("configuration", partial(_look_at_configuration, config)),
        ("environment", partial(_look_at_environment, config)),
        ("keyring", partial(_look_at_keyring, config)),
        ("key provider", partial(_look_at_provider, config)),
        ("registry database", partial(_look_at_database, config, "registry")),
        ("outbox database", partial(_look_at_database, config, "outbox")),
        ("signing keys", partial(look_at_signing_keys, config)),
        ("clock", partial(_look_at_clock, config)),
        ("trusted roots", partial(_look_at_roots, config)),
        ("client identities", partial(_look_at_identities, config)),
        ("name servers", partial(_look_at_name_servers, config)),
        ("source address", partial(_look_at_source, config)),
        ("partner listener", partial(look_at_need, config)),
        ("listener identity", partial(look_at_identity, config)),
        ("listener address", partial(look_at_address, config)),
    )
    return tuple(await asyncio.gather(*(_finding(check, look) for check, look in looks)))


async def _finding(check: str, look: Look) -> Finding:
    try:
        found = await look()
    except DispatcherError as error:
        return _failed(check, error)
    if isinstance(found, Remark):
        return Finding(check, True, found.said, found.fix, found.code)
    return Finding(check, True, found)


def _failed(check: str, error: DispatcherError) -> Finding:
    place = f" ({error.where})" if error.where else ""
    return Finding(check, False, f"{error.why}{place}", error.fix, error.reason)


async def _look_at_configuration(config: Config) -> str:
    where = config.source.resolve() if config.source is not None else "none: defaults"
    return f"{where} ({config.environment})"


async def _look_at_environment(config: Config) -> str:
    check_surroundings(config)
    tolerated = ", ".join(config.network.tolerated_variables)
    return "nothing steers TLS or names" + (f"; tolerated: {tolerated}" if tolerated else "")


async def _look_at_keyring(config: Config) -> str:
    keyring = load_keyring(config.keyring_path)
    return f"{config.keyring_path}, for its owner alone, keys: {len(keyring.keys)}"


async def _look_at_provider(config: Config) -> str:
    provider = key_providers(config, load_keyring(config.keyring_path)).primary
    said, context = await provider.describe(), KeyContext("", PROBE)
    key, wrapped = await provider.generate(context)
    if await provider.unwrap(wrapped, context) != key:
        raise SealBroken("what the key provider wraps does not open", where="vault.provider")
    return f"{said} wraps and opens"


async def _look_at_database(config: Config, plane: str) -> str:
    database = _open(config, plane)
    try:
        await check_schema(database, plane)
    finally:
        await database.aclose()
    return f"answers, tables at {HEADS[plane]}"


async def _look_at_clock(config: Config) -> str:
    here = SystemClock().wall_us()
    if here < RELEASED_US:
        raise _wrong_clock("this machine's clock was never set")
    apart: list[float] = []
    for plane in ("registry", "outbox"):
        database = _open(config, plane)
        try:
            there = await database_us(database)
        except StoreUnavailable:  # told by another check
            continue
        finally:
            await database.aclose()
        seconds = abs(SystemClock().wall_us() - there) / 1_000_000
        apart.append(seconds)
        if seconds > CLOCK_SECONDS_MAX:
            raise _wrong_clock(f"this machine and the {plane} database are {seconds:.0f} s apart")
    if not apart:
        return "not compared: see the databases"
    return f"within {max(apart):.1f} s of the databases"


async def _look_at_roots(config: Config) -> str:
    settings = network_settings(config)
    found = make_context(settings).cert_store_stats()["x509_ca"]
    if not found:
        raise ConfigInvalid(
            "nobody is trusted: every handshake would fail",
            fix="install the system's certificates, or name a PEM file in [network] ca_file",
        )
    return f"{found} from {settings.ca_file or 'the system'}"


async def _look_at_identities(config: Config) -> str:
    now_us, said = SystemClock().wall_us(), []
    revoked = await _revoked_identities(config)
    for name, identity in sorted(network_settings(config).identities.items()):
        all_of_it = [read_pair(name, pair).certificate for pair in identity.pairs]
        found = [each for each in all_of_it if each.fingerprint not in revoked]
        if not found:
            raise ConfigInvalid(
                f"every certificate of identity {name} was revoked ({_named(all_of_it)})",
                where=identity.certificate,
                fix="put a new one and its key in the place of it, or take the identity out",
            )
        last = max(found, key=lambda each: each.not_after_us)
        days = (last.not_after_us - now_us) // DAY_US
        if days < 0:
            raise ConfigInvalid(
                f"the certificate of identity {name} ({last.fingerprint}) has ended",
                where=identity.certificate,
                fix="put a new one and its key in the place of it",
            )
        soon = ": replace it soon" if days < IDENTITY_DAYS else ""
        said.append(f"{name} {_named(found)}, ends in {days} days{soon}")
    return "; ".join(said) or "none"


def _named(certificates: Iterable[ClientCertificate]) -> str:
    return " and ".join(each.fingerprint for each in certificates)


async def _revoked_identities(config: Config) -> Collection[str]:
    """Read which certificates are never shown again; none where another check says why not."""
    database = _open(config, "registry")
    try:
        async with database.look() as connection:
            return await read_revoked_identities(database, connection)
    except StoreUnavailable:
        return ()
    finally:
        await database.aclose()


async def _look_at_name_servers(config: Config) -> str:
    network = config.network
    groups = {
        "name_servers": network.name_servers or read_name_servers(RESOLV_CONF),
        "private_name_servers": network.private_name_servers,
    }
    if not groups["name_servers"]:
        raise ConfigInvalid(
            "there are none", where=str(RESOLV_CONF), fix="list them in [network] name_servers"
        )
    said = []
    for key, servers in groups.items():
        seconds = network.dns_seconds
        answers = await asyncio.gather(*(does_answer(server, seconds) for server in servers))
        dead = [server for server, is_alive in zip(servers, answers, strict=True) if not is_alive]
        if servers and len(dead) == len(servers):
            raise ConfigInvalid(
                f"none answers: {', '.join(dead)}",
                where=f"network.{key}",
                fix="let this machine reach them over UDP, or list others",
            )
        said += [f"{server} {'is silent' if server in dead else 'answers'}" for server in servers]
    return ", ".join(said)


async def _look_at_source(config: Config) -> str:
    check_sources(network_settings(config).bind_addresses)  # reads a proxy's credentials, too
    return name_source(config).said


def _open(config: Config, plane: str) -> Database:
    section: RegistrySection | OutboxSection = (
        config.registry if plane == "registry" else config.outbox
    )
    return open_database(config.database_url(section), SystemClock().wall_us, name=plane, pool=1)


def _wrong_clock(why: str) -> ConfigInvalid:
    return ConfigInvalid(
        why, fix="keep the clocks by NTP: partners refuse signatures of another time"
    )
