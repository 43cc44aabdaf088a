"""Brings the databases of a house to this release's tables: `migrate`, and `run` when embedded."""

from dispatcher.app.house import House
from dispatcher.store.migrating import migrate


async def migrate_house(house: House) -> dict[str, str | None]:
    """Migrate both planes, making an embedded database if need be; give where each was before."""
    return {
        "registry": await migrate(house.registry_database, "registry"),
        "outbox": await migrate(house.outbox_database, "outbox"),
    }
