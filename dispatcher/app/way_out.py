"""What the configuration says of the way out, for workers and for those who only ask about it.

Loads neither stores nor the API: a list of URLs is judged without them.
"""

from dispatcher.app.config import Config
from dispatcher.network.settings import ResolverSettings
from dispatcher.stages.gates.addresses import AddressRules


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
