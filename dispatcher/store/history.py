"""Questions people ask of an outbox: where is this event, what waits, what was sent.

Called by `control`. Read only; gives rows, never payloads. Filters are exact.
"""

from dataclasses import dataclass
from typing import Any, Final

from dispatcher.store.database import Database

_DELIVERY: Final = (
    "d.id, d.event_seq, e.id AS event_id, e.tenant, e.type, d.subscription, d.webhook_id, "
    "d.state, d.due_us, d.attempt, d.failures, d.status, d.code, d.settled_us"
)
_LIST: Final = f"""
SELECT {_DELIVERY} FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.id > :after
  AND (CAST(:state AS text) IS NULL OR d.state = :state)
  AND (CAST(:subscription AS text) IS NULL OR d.subscription = :subscription)
  AND (CAST(:event_id AS text) IS NULL OR e.id = :event_id)
ORDER BY d.id LIMIT :limit
"""
_COUNTS: Final = """
SELECT subscription, state, count(*) AS rows FROM {deliveries}
GROUP BY subscription, state ORDER BY subscription, state
"""
_EVENT: Final = """
SELECT id, seq, tenant, type, producer, subjects, occurred_us, enqueued_us, written_by,
       payload IS NOT NULL AS has_payload
FROM {events} WHERE id = :event_id
"""
_ATTEMPTS: Final = """
SELECT x.delivery_id, x.attempt, x.connector, x.subscription, x.endpoint, x.purpose, x.webhook_id,
       x.legal_basis, x.agreement, x.country, x.revision, x.epoch, x.scope_id, x.body_sha256,
       x.body_bytes, x.key_ids, x.worker,
       x.begun_us, x.ended_us, x.outcome, x.status, x.code, f.fields
FROM {disclosures} x LEFT JOIN {field_sets} f ON f.id = x.field_set
JOIN {deliveries} d ON d.id = x.delivery_id
WHERE d.event_seq = :seq ORDER BY x.begun_us, x.delivery_id, x.attempt
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which deliveries to list: exact matches, and a cursor."""

    state: str | None = None
    subscription: str | None = None
    event_id: str | None = None
    after: int = 0
    limit: int = 100


class HistoryStore:
    """What one outbox database remembers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def deliveries(self, wanted: Filter) -> list[dict[str, Any]]:
        """List deliveries in the order they were filed."""
        parameters = {name: getattr(wanted, name) for name in Filter.__slots__}
        return await self._rows(_LIST, **parameters)

    async def counts(self) -> list[dict[str, Any]]:
        """Count deliveries by subscription and state; new events have no subscription yet."""
        return await self._rows(_COUNTS)

    async def event(self, event_id: str) -> dict[str, Any] | None:
        """Give an event without its payload."""
        rows = await self._rows(_EVENT, event_id=event_id)
        return rows[0] if rows else None

    async def attempts(self, seq: int) -> list[dict[str, Any]]:
        """Give the ledger's rows for one event, with the fields each disclosed."""
        return await self._rows(_ATTEMPTS, seq=seq)

    async def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self._database.look() as connection:
            found = await self._database.execute(connection, sql, **parameters)
            return [dict(row) for row in found.mappings()]
