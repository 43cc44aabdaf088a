"""Where this deployment itself is: the machine's interfaces, and the hosts of its databases.

Found once, when a worker starts, and handed to the gates: no letter may ever be sent there, also
where an entry of the allowlist grants a private range around it. What else belongs to the operator
is listed in `[network] forbidden`.
"""

import asyncio
from collections.abc import Iterable
from ipaddress import ip_network

from dispatcher.app.house import House
from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.host import Network
from dispatcher.network.own_addresses import list_own, look_up_host
from dispatcher.store.database import Database


async def find_own_networks(house: House) -> frozenset[Network]:
    """Give every address of this machine and of the databases, as networks of one address."""
    databases = {house.registry_database, house.outbox_database}
    found = set(list_own())
    for addresses in await asyncio.gather(*map(_addresses, databases)):
        found.update(addresses)
    return frozenset(map(ip_network, found))


async def _addresses(database: Database) -> Iterable[str]:
    if not database.host:
        return ()
    try:
        return await look_up_host(database.host)
    except OSError:
        raise StoreUnavailable(
            f"the host of the {database.name} database is not known",
            where=database.name,
            fix="check the name in the address, and that this machine can resolve it",
        ) from None
