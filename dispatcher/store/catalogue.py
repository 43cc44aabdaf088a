"""An outbox's own copy of the event catalogue, and of who may enqueue: nobody needs the registry.

Written by upkeep and after an activation; read by `store.enqueueing`, by the SQL function and by
the trigger on `events`. A producer has one row for each way to be known: its name, and each of its
database roles. No row at all says that the registry lists no producer.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from dispatcher.model.ids import Revision
from dispatcher.model.producers import Producers, Rights
from dispatcher.model.registry import EventType
from dispatcher.store.database import Database

# Whoever comes second waits here for the first, and then finds that there is nothing newer to say.
# The catalogue is looked at too, for a worker of an earlier release writes that alone.
_ADVANCE: Final = """
INSERT INTO {publication} (id, revision)
SELECT 1, CAST(:revision AS bigint)
WHERE NOT EXISTS (SELECT 1 FROM {catalogue} WHERE revision > CAST(:revision AS bigint))
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision
WHERE {publication}.revision < excluded.revision
RETURNING revision
"""
_UPSERT: Final = """
INSERT INTO {catalogue} (event_type, schema, payload_bytes_max, subjects_max, version, revision)
VALUES (:event_type, :schema, :payload_bytes_max, :subjects_max, :version, :revision)
ON CONFLICT (event_type) DO UPDATE SET
    schema = excluded.schema, payload_bytes_max = excluded.payload_bytes_max,
    subjects_max = excluded.subjects_max, version = excluded.version, revision = excluded.revision
WHERE {catalogue}.revision <= excluded.revision
"""
_OTHERWISE: Final = """intake_key IS NULL OR intake_key <> :id
    OR intake_public IS NULL OR intake_public <> :public"""
_LOOK: Final = f"SELECT count(*), count(intake_key) FROM {{catalogue}} WHERE {_OTHERWISE}"
_OFFER: Final = f"""
UPDATE {{catalogue}} SET intake_key = :id, intake_public = :public WHERE {_OTHERWISE}
"""
_RETIRE: Final = "DELETE FROM {catalogue} WHERE revision < :revision"
_FORGET: Final = "DELETE FROM {producers}"
_LIST: Final = """
INSERT INTO {producers} (kind, who, producer, event_types, tenants)
VALUES (:kind, :who, :producer, :event_types, :tenants)
"""


class CatalogueStore:
    """The catalogue and the producers of one outbox database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(
        self, event_types: Iterable[EventType], producers: Producers, revision: Revision
    ) -> None:
        """Make the copy equal to a revision's event types and producers, both in one transaction.

        An older revision than the one last published changes nothing.
        """
        catalogue = [
            {
                "event_type": each.name,
                "schema": each.schema,
                "payload_bytes_max": each.payload_bytes_max,
                "subjects_max": each.subjects_max,
                "version": each.version,
                "revision": revision,
            }
            for each in event_types
        ]
        listed = [
            _producer_row(kind, who, rights)
            for kind, known in (("name", producers.by_name), ("role", producers.by_role))
            for who, rights in known.items()
        ]
        async with self._database.begin() as connection:
            newer = await self._database.execute(connection, _ADVANCE, revision=revision)
            if newer.one_or_none() is None:
                return
            await self._database.execute_many(connection, _UPSERT, catalogue)
            await self._database.execute(connection, _RETIRE, revision=revision)
            await self._database.execute(connection, _FORGET)
            await self._database.execute_many(connection, _LIST, listed)

    async def offer_intake(self, key_id: str, public: bytes) -> int:
        """Let producers seal to this key alone from now on; give how many types named another."""
        terms = {"id": key_id, "public": public.hex()}
        async with self._database.look() as connection:
            rows, others = (await self._database.execute(connection, _LOOK, **terms)).one()
        if rows:
            async with self._database.single() as connection:
                await self._database.execute(connection, _OFFER, **terms)
        return int(others)


def _producer_row(kind: str, who: str, rights: Rights) -> dict[str, Any]:
    return {
        "kind": kind,
        "who": who,
        "producer": rights.producer,
        "event_types": msgspec.json.encode(sorted(rights.event_types)).decode(),
        "tenants": msgspec.json.encode(sorted(rights.tenants)).decode(),
    }
