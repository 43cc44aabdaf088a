"""Single events with their payloads opened, for whoever is shown what a partner would get.

Asked by previews alone: lists are `history`'s, and have none. Read only.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, ScopeId, WebhookId
from dispatcher.store.database import Database
from dispatcher.store.rows import EVENT_COLUMNS, PayloadOpener, event_from

_DELIVERY: Final = f"""
SELECT {EVENT_COLUMNS}, NULLIF(e.written_by, {{owner}}),
       d.id, d.webhook_id, d.subscription, d.scope_id, d.state
FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.id = :delivery_id AND d.subscription IS NOT NULL
"""
_RECENT: Final = f"""
SELECT {EVENT_COLUMNS}, NULLIF(e.written_by, {{{{owner}}}}) FROM {{{{events}}}} e
WHERE e.seq = (
    SELECT max(n.seq) FROM (
        SELECT seq, type, tenant, payload IS NOT NULL AS is_kept FROM {{{{events}}}}
        ORDER BY seq DESC LIMIT :looked_at
    ) n
    WHERE n.is_kept AND n.type {{types}} AND n.tenant {{tenants}}
)
"""
_RECENT_POSTGRESQL: Final = _RECENT.format(
    types="= ANY(CAST(:types AS text[]))", tenants="= ANY(CAST(:tenants AS text[]))"
)
_RECENT_SQLITE: Final = _RECENT.format(
    types="IN (SELECT value FROM json_each(:types))",
    tenants="IN (SELECT value FROM json_each(:tenants))",
)
LOOKED_AT: Final = 10_000
"""Of so many of the newest events the newest one that fits is found: a rare type costs no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """One delivery as it was filed, and its event."""

    id: DeliveryId
    event: Event
    subscription: str
    webhook_id: WebhookId
    scope: ScopeId
    state: str


class PayloadStore:
    """The payloads of one outbox database."""

    def __init__(self, database: Database, open_payload: PayloadOpener) -> None:
        self._database = database
        self._open_payload = open_payload

    async def filed(self, delivery_id: int) -> Filed | None:
        """Give one delivery that was planned, with its event."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _DELIVERY, delivery_id=delivery_id)
            row = found.one_or_none()
        if row is None:
            return None
        number, webhook_id, subscription, scope, state = row[12:17]
        return Filed(
            id=DeliveryId(number),
            event=event_from(row, self._open_payload, role=row[11]),
            subscription=subscription,
            webhook_id=WebhookId(webhook_id),
            scope=ScopeId(scope),
            state=state,
        )

    async def recent(self, types: Collection[str], tenants: Collection[str]) -> Event | None:
        """Give the newest event of these types and tenants that still has its payload."""
        given: dict[str, Any] = {"types": sorted(types), "tenants": sorted(tenants)}
        sql = _RECENT_POSTGRESQL
        if self._database.is_sqlite:
            sql = _RECENT_SQLITE
            given = {name: msgspec.json.encode(each).decode() for name, each in given.items()}
        async with self._database.look() as connection:
            found = await self._database.execute(connection, sql, looked_at=LOOKED_AT, **given)
            row = found.one_or_none()
        return event_from(row, self._open_payload, role=row[11]) if row is not None else None
