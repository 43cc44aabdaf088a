"""What the configuration says of the way out, for workers and for those who only ask about it.

Loads neither stores nor the API: a list of URLs is judged without them.
"""

from dataclasses import dataclass

from dispatcher.app.config import Config
from dispatcher.app.egress import parse_proxy
from dispatcher.network.settings import ResolverSettings
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
