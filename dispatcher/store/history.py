"""Questions people ask of an outbox: where is this event, what waits, what left, to whom.

Called by the API. Read only; gives rows, never payloads. Filters are exact, and a list goes on
after the row it ended with.
"""

from dataclasses import dataclass
from typing import Any, Final

from dispatcher.store.database import Database

_DELIVERY: Final = (
    "d.id, d.event_seq, e.id AS event_id, e.tenant, e.type, d.subscription, d.webhook_id, "
    "d.state, d.due_us, d.attempt, d.failures, d.status, d.code, d.settled_us, d.replay_of, "
    "w.start_us AS window_start_us, w.end_us AS window_end_us"
)
_FROM: Final = """
FROM {deliveries} d JOIN {events} e ON e.seq = d.event_seq
LEFT JOIN {windows} w ON w.id = d.window_id
"""
# An event leaves by deliveries of its own, and by the letters of the windows it counts in.
_OF_EVENT: Final = """
SELECT o.id FROM {deliveries} o JOIN {events} v ON v.seq = o.event_seq WHERE v.id = :event_id
UNION
SELECT o.id FROM {window_members} m JOIN {events} v ON v.seq = m.event_seq
JOIN {deliveries} o ON o.window_id = m.window_id WHERE v.id = :event_id
"""
_LIST: Final = f"""
SELECT {_DELIVERY} {_FROM}
WHERE d.id > :after
  AND (CAST(:state AS text) IS NULL OR d.state = :state)
  AND (CAST(:subscription AS text) IS NULL OR d.subscription = :subscription)
  AND (CAST(:event_id AS text) IS NULL OR d.id IN ({_OF_EVENT}))
  AND (CAST(:tenant AS text) IS NULL OR e.tenant = :tenant)
ORDER BY d.id LIMIT :limit
"""
_ONE: Final = f"""
SELECT {_DELIVERY} {_FROM}
WHERE d.id = :delivery_id
"""
_COUNTS: Final = """
SELECT subscription, state, count(*) AS rows FROM {deliveries}
GROUP BY subscription, state ORDER BY subscription, state
"""
_EVENT_COLUMNS: Final = """
id, seq, tenant, type, producer, written_by, occurred_us, enqueued_us,
CASE WHEN subjects = '' THEN '[]' ELSE NULLIF(subjects, '*') END AS subjects,
payload IS NOT NULL AS has_payload
"""
_EVENT: Final = f"SELECT {_EVENT_COLUMNS} FROM {{events}} WHERE id = :event_id"
_EVENTS: Final = f"""
SELECT {_EVENT_COLUMNS} FROM {{events}} WHERE seq < :before
  AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
  AND (CAST(:type AS text) IS NULL OR type = :type)
ORDER BY seq DESC LIMIT :limit
"""
_DISCLOSURE: Final = """
SELECT x.delivery_id, x.attempt, CASE WHEN x.attempt < 0 THEN 'read' ELSE 'letter' END AS kind,
       e.id AS event_id, x.tenant, x.connector, x.subscription,
       x.endpoint, x.purpose, x.legal_basis, x.agreement, x.country, x.subjects, x.webhook_id,
       x.revision, x.epoch, x.scope_id, x.body_sha256, x.body_bytes, x.key_ids, x.worker,
       x.begun_us, x.ended_us, x.outcome, x.status, x.code, x.location_host,
       x.caller, x.caller_address, f.fields,
       p.address AS peer_address, p.issuer AS peer_issuer, p.not_after_us AS peer_not_after_us,
       p.spki AS peer_spki
FROM {disclosures} x LEFT JOIN {field_sets} f ON f.id = x.field_set
LEFT JOIN {peers} p ON p.id = x.peer
LEFT JOIN {events} e ON e.seq = x.event_seq
"""
_DISCLOSURES: Final = f"""{_DISCLOSURE}
WHERE (x.delivery_id > :delivery_id OR (x.delivery_id = :delivery_id AND x.attempt > :attempt))
  AND (CAST(:tenant AS text) IS NULL OR x.tenant = :tenant)
  AND (CAST(:connector AS text) IS NULL OR x.connector = :connector)
  AND (CAST(:subscription AS text) IS NULL OR x.subscription = :subscription)
  AND (CAST(:event_id AS text) IS NULL OR x.delivery_id IN ({_OF_EVENT}))
  AND x.begun_us >= :since_us AND x.begun_us < :until_us
ORDER BY x.delivery_id, x.attempt LIMIT :limit
"""
_ATTEMPTS: Final = f"""{_DISCLOSURE}
WHERE x.event_seq = :seq OR x.delivery_id IN (
    SELECT o.id FROM {{window_members}} m JOIN {{deliveries}} o ON o.window_id = m.window_id
    WHERE m.event_seq = :seq)
ORDER BY x.begun_us, x.delivery_id, x.attempt
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which deliveries to list: exact matches, and the number to go on after."""

    state: str | None = None
    subscription: str | None = None
    event_id: str | None = None
    tenant: str | None = None
    after: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureFilter:
    """Which disclosures to list, of a time from and before, and the row to go on after."""

    connector: str | None = None
    subscription: str | None = None
    event_id: str | None = None
    tenant: str | None = None
    since_us: int = 0
    until_us: int = 2**62
    delivery_id: int = 0
    attempt: int = 0
    limit: int = 100


class HistoryStore:
    """What one outbox database remembers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def deliveries(self, wanted: Filter) -> list[dict[str, Any]]:
        """List deliveries in the order they were filed."""
        parameters = {name: getattr(wanted, name) for name in Filter.__slots__}
        return await self._rows(_LIST, **parameters)

    async def delivery(self, delivery_id: int) -> dict[str, Any] | None:
        """Give one delivery."""
        rows = await self._rows(_ONE, delivery_id=delivery_id)
        return rows[0] if rows else None

    async def counts(self) -> list[dict[str, Any]]:
        """Count deliveries by subscription and state; new events have no subscription yet."""
        return await self._rows(_COUNTS)

    async def event(self, event_id: str) -> dict[str, Any] | None:
        """Give an event without its payload."""
        rows = await self._rows(_EVENT, event_id=event_id)
        return rows[0] if rows else None

    async def events(
        self, *, tenant: str | None, event_type: str | None, before: int, limit: int
    ) -> list[dict[str, Any]]:
        """List events, the newest first, without their payloads."""
        return await self._rows(_EVENTS, tenant=tenant, type=event_type, before=before, limit=limit)

    async def disclosures(self, wanted: DisclosureFilter) -> list[dict[str, Any]]:
        """List the ledger's rows, in the order their deliveries were filed."""
        parameters = {name: getattr(wanted, name) for name in DisclosureFilter.__slots__}
        return await self._rows(_DISCLOSURES, **parameters)

    async def attempts(self, seq: int) -> list[dict[str, Any]]:
        """Give the ledger's rows for one event, with the fields each disclosed."""
        return await self._rows(_ATTEMPTS, seq=seq)

    async def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self._database.look() as connection:
            found = await self._database.execute(connection, sql, **parameters)
            return [dict(row) for row in found.mappings()]
