"""What the configuration says of the way out, for workers and for those who only ask about it."""

from dispatcher.api.plane import WayOut
from dispatcher.app.config import Config
from dispatcher.app.house import House
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.resolver import Resolver
from dispatcher.network.settings import ResolverSettings
from dispatcher.stages.gates.addresses import AddressRules


def address_rules(config: Config) -> AddressRules:
    """Give the rules without the loopback inboxes of a development: `explain` does not see them."""
    return AddressRules(nat64=config.network.translators)


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


def way_out(house: House) -> WayOut:
    """Give what may be asked about the way out of this house; nothing is opened until it is."""

    async def look_up(host: str, is_private: bool) -> Resolved | Trouble:
        resolver = Resolver(resolver_settings(house.config), clock=house.clock.boot)
        try:
            return await resolver.resolve(host, is_private=is_private)
        finally:
            resolver.close()

    return WayOut(rules=address_rules(house.config), look_up=look_up)
