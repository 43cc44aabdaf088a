"""What a partner's or a company's firewall must know: where letters come from, where none may go.

Called by `dispatcher doctor`. Facts of this machine, of the configuration and of the table of
addresses; nothing is sent and nothing is resolved.
"""

from collections.abc import Iterable
from typing import Any

from dispatcher.app.config import Config
from dispatcher.app.way_out import name_source
from dispatcher.model.host import Network
from dispatcher.network.own_addresses import list_interfaces
from dispatcher.stages.gates.address_table import (
    ALLOCATED_6,
    DENIED_4,
    DENIED_6,
    REGISTRY_DATES,
    TABLE_VERSION,
)
from dispatcher.stages.gates.firewall import list_openings


def describe_egress(config: Config) -> dict[str, Any]:
    """Give everything that a firewall is built from, as one document."""
    source = name_source(config)
    return {
        "source": {"kind": source.kind, "addresses": source.addresses, "note": source.said},
        "interfaces": list_interfaces(),
        "table": {"version": TABLE_VERSION, "registries": REGISTRY_DATES},
        "forbidden": {"ipv4": _texts(DENIED_4), "ipv6": _texts(DENIED_6)},
        "operator": sorted(config.network.forbidden),
        "allocated": {"ipv6": _texts(ALLOCATED_6)},
        "openings": [
            {"cidr": str(each.block), "except": _texts(each.closed)} for each in list_openings()
        ],
    }


def _texts(networks: Iterable[Network]) -> list[str]:
    return [str(network) for network in networks]
