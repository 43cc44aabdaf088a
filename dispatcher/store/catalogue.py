"""An outbox's own copy of the event catalogue, so that enqueueing never needs the registry.

Written by upkeep and after an activation; read by `store.enqueueing` and the SQL function.
"""

from collections.abc import Iterable
from typing import Final

from dispatcher.model.ids import Revision
from dispatcher.model.registry import EventType
from dispatcher.store.database import Database

_UPSERT: Final = """
INSERT INTO {catalogue} (event_type, schema, payload_bytes_max, revision)
VALUES (:event_type, :schema, :payload_bytes_max, :revision)
ON CONFLICT (event_type) DO UPDATE SET
    schema = excluded.schema, payload_bytes_max = excluded.payload_bytes_max,
    revision = excluded.revision
WHERE {catalogue}.revision <= excluded.revision
"""
_RETIRE: Final = "DELETE FROM {catalogue} WHERE revision < :revision"
_NEWEST: Final = "SELECT max(revision) FROM {catalogue}"


class CatalogueStore:
    """The catalogue of one outbox database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, event_types: Iterable[EventType], revision: Revision) -> None:
        """Make the copy equal to a revision's event types; an older revision changes nothing."""
        rows = [
            {
                "event_type": each.name,
                "schema": each.schema,
                "payload_bytes_max": each.payload_bytes_max,
                "revision": revision,
            }
            for each in event_types
        ]
        async with self._database.begin() as connection:
            newest = (await self._database.execute(connection, _NEWEST)).scalar()
            if newest is not None and newest >= revision:
                return
            await self._database.execute_many(connection, _UPSERT, rows)
            await self._database.execute(connection, _RETIRE, revision=revision)
