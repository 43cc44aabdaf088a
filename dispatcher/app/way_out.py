"""What the configuration says of the way out, for workers and for those who only ask about it.

Loads neither stores nor the API: a list of URLs is judged without them.
"""

from dataclasses import dataclass, replace

from dispatcher.app.config import Config, read_text
from dispatcher.app.network_section import IdentitySection
from dispatcher.network.settings import (
    CREDENTIALS_BYTES_MAX,
    Identity,
    NetworkSettings,
    Proxy,
    ResolverSettings,
    parse_credentials,
    parse_proxy,
)
from dispatcher.stages.gates.addresses import AddressRules


@dataclass(frozen=True, slots=True)
class Source:
    """Where letters come from, as partners see it: by `kind`, with the addresses, if known."""

    kind: str
    addresses: tuple[str, ...]
    said: str


def name_source(config: Config) -> Source:
    """Say from which addresses letters leave."""
    network = config.network
    if network.proxy:
        proxy = parse_proxy(network.proxy)
        said = f"whatever the proxy at {proxy.address} port {proxy.port} dials from"
        return Source("proxy", (), said)
    if network.bind_addresses:
        listed = ", ".join(network.bind_addresses)
        said = f"{listed} (bound; NAT behind this host may still change it)"
        return Source("bound", network.bind_addresses, said)
    return Source("route", (), "whatever this host's route, and NAT behind it, give")


def address_rules(config: Config) -> AddressRules:
    """Give the rules without the loopback inboxes of a development: `explain` does not see them."""
    network = config.network
    return AddressRules(nat64=network.translators, forbidden=network.forbidden_networks)


def client_identities(config: Config) -> dict[str, Identity]:
    """Give the files of the client certificates, by the name that destinations ask for."""
    return {name: _identity(config, each) for name, each in config.network.identities.items()}


def network_settings(config: Config) -> NetworkSettings:
    """Compose what the way out is bounded by."""
    network = config.network
    return NetworkSettings(
        connect_seconds=network.connect_seconds,
        answer_bytes_max=network.answer_bytes_max,
        keepalive_seconds=network.keepalive_seconds,
        connections_per_partner_max=network.connections_per_partner_max,
        ca_file=str(config.base / network.ca_file) if network.ca_file else None,
        identities=client_identities(config),
        loopback_inboxes=network.inboxes,
        nat64=network.translators,
        bind_addresses=network.bind_addresses,
        proxy=_proxy(config),
        forbidden=network.forbidden_networks,
    )


def resolver_settings(config: Config) -> ResolverSettings:
    """Compose how names are asked for."""
    network = config.network
    return ResolverSettings(
        is_system=network.resolver == "system",
        name_servers=network.name_servers,
        private_name_servers=network.private_name_servers,
        dns_seconds=network.dns_seconds,
        cache_seconds=network.dns_cache_seconds,
    )


def _identity(config: Config, section: IdentitySection) -> Identity:
    following = None
    if section.next_certificate is not None and section.next_key is not None:
        following = Identity(
            str(config.base / section.next_certificate), str(config.base / section.next_key)
        )
    return Identity(
        str(config.base / section.certificate), str(config.base / section.key), following
    )


def _proxy(config: Config) -> Proxy | None:
    network = config.network
    if not network.proxy:
        return None
    found = parse_proxy(network.proxy)
    if network.proxy_credentials_file is None:
        return found
    file = config.base / network.proxy_credentials_file
    text = read_text(file, "the proxy's credentials", bytes_max=CREDENTIALS_BYTES_MAX)
    user, password = parse_credentials(text, file)
    return replace(found, user=user, password=password)
