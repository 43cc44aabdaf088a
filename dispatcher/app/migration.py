"""Brings the databases of a house to this release's tables: `migrate`, and `run` when embedded."""

from pathlib import Path

from dispatcher.app.house import House
from dispatcher.store.migrating import migrate


async def migrate_house(house: House) -> dict[str, str | None]:
    """Migrate both planes, in a folder made for it if need be; give where each was before."""
    for database in (house.registry_database, house.outbox_database):
        file = database.engine.url.database
        if database.is_sqlite and file and file != ":memory:":
            Path(file).parent.mkdir(parents=True, exist_ok=True)
    return {
        "registry": await migrate(house.registry_database, "registry"),
        "outbox": await migrate(house.outbox_database, "outbox"),
    }
