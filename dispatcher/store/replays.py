"""Replays: look up what could be sent again, and file new deliveries of it.

Called by `control.replaying`. A replay names its ancestor, waits in the same lane, and is due now;
an ancestor never changes. Relatives are found by their event and subscription, so that whatever any
of them may have told counts for the next.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.delivery import Outcome, State
from dispatcher.model.ids import DeliveryId, WebhookId
from dispatcher.model.replay import Ancestor, FiledReplay, PlannedReplay
from dispatcher.model.scope import Scope
from dispatcher.store.arrays import execute_rows, over_rows
from dispatcher.store.database import Database
from dispatcher.store.outbox import ScopeMemory

_MOVING: Final = ", ".join(f"'{state}'" for state in State if not state.is_final)
_TOLD: Final = ", ".join(f"'{outcome}'" for outcome in Outcome if outcome.is_disclosed)
_ANCESTOR: Final = f"""
SELECT d.id, d.event_seq, e.type, d.subscription, d.state,
    CASE WHEN d.window_id IS NULL THEN e.payload IS NOT NULL ELSE NOT EXISTS (
        SELECT 1 FROM {{window_members}} m JOIN {{events}} v ON v.seq = m.event_seq
        WHERE m.window_id = d.window_id AND v.payload IS NULL) END AS is_kept,
    (SELECT min(r.id) FROM {{deliveries}} r
     WHERE r.event_seq = d.event_seq AND r.subscription = d.subscription
       AND r.state IN ({_MOVING})) AS moving
FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.subscription IS NOT NULL
  AND (CAST(:tenant AS text) IS NULL OR e.tenant = :tenant)
"""
_ID: Final = ("id", "bigint")
_NAMED: Final = over_rows(f"{_ANCESTOR} AND d.id IN (SELECT u.id FROM {{rows}}) ORDER BY d.id", _ID)
# Of relatives the last one tells how it ended: what was replayed since is no longer dead.
_ENDED: Final = f"""{_ANCESTOR}
  AND d.subscription = :subscription AND d.state = :state
  AND d.settled_us >= :since_us AND d.settled_us < :until_us
  AND NOT EXISTS (SELECT 1 FROM {{deliveries}} r WHERE r.event_seq = d.event_seq
                  AND r.subscription = d.subscription AND r.id > d.id)
"""
_KEPT: Final = f"SELECT * FROM ({_ENDED}) AS ended WHERE is_kept ORDER BY id LIMIT :limit"
_COUNT: Final = f"""
SELECT min(id) AS id, min(event_seq) AS event_seq, type, subscription, state, is_kept,
    min(moving) AS moving, count(*) AS rows
FROM ({_ENDED}) AS ended GROUP BY type, subscription, state, is_kept, moving IS NULL ORDER BY type
"""
# Whoever files replays of the same event waits here, and finds the other's. So does retention: it
# drops no payload, of any event of a window, that a replay was just promised.
_LOCK, _ = over_rows(
    """
SELECT e.seq FROM {events} e
WHERE e.seq IN (
    SELECT d.event_seq FROM {rows} JOIN {deliveries} d ON d.id = u.id
    UNION ALL
    SELECT m.event_seq FROM {rows} JOIN {deliveries} d ON d.id = u.id
    JOIN {window_members} m ON m.window_id = d.window_id)
ORDER BY e.seq FOR NO KEY UPDATE
""",
    _ID,
)
_SCOPES: Final = over_rows(
    f"""
WITH family AS (
    SELECT d.id, r.id AS relative, r.scope_id FROM {{rows}} JOIN {{deliveries}} d ON d.id = u.id
    JOIN {{deliveries}} r ON r.event_seq = d.event_seq AND r.subscription = d.subscription)
SELECT f.id, s.fields FROM family f LEFT JOIN {{scopes}} s ON s.id = f.scope_id
UNION
SELECT f.id, s.fields FROM family f JOIN {{disclosures}} x ON x.delivery_id = f.relative
LEFT JOIN {{scopes}} s ON s.id = x.scope_id WHERE x.outcome IS NULL OR x.outcome IN ({_TOLD})
""",
    _ID,
)
_FILE: Final = over_rows(
    """
INSERT INTO {deliveries} (event_seq, lane, subscription, webhook_id, scope_id, state, due_us,
    attempt, failures, replay_of, window_id)
SELECT d.event_seq, d.lane, d.subscription, COALESCE(u.webhook_id, d.webhook_id), u.scope_id,
    'waiting', {now}, 0, 0, d.id, d.window_id
FROM {rows} JOIN {deliveries} d ON d.id = u.id WHERE true ORDER BY d.id
RETURNING id, replay_of, webhook_id
""",
    _ID,
    ("scope_id", "text"),
    ("webhook_id", "text"),
)
_scope = msgspec.json.Decoder(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Deliveries of a subscription that ended so, at or after one time and before another."""

    subscription: str
    state: State
    since_us: int = 0
    until_us: int = 2**62


class Filing:
    """One open transaction that files replays: nobody else files any of the same events."""

    def __init__(
        self, database: Database, connection: AsyncConnection, ancestors: Sequence[Ancestor]
    ) -> None:
        self._database = database
        self._connection = connection
        self.ancestors = ancestors

    async def scopes(self, ancestors: Sequence[Ancestor]) -> dict[DeliveryId, list[Scope | None]]:
        """Give every scope that relatives were filed under, or may have disclosed under.

        `None` stands for one that is not known any more.
        """
        rows = [(each.id,) for each in ancestors]
        found = await execute_rows(self._database, self._connection, *_SCOPES, rows)
        scopes: dict[DeliveryId, list[Scope | None]] = {each.id: [] for each in ancestors}
        for delivery_id, content in found:
            scopes[delivery_id].append(_scope.decode(content) if content is not None else None)
        return scopes

    async def file(
        self, planned: Sequence[PlannedReplay], scopes: Iterable[Scope]
    ) -> list[FiledReplay]:
        """File replays, due now; `scopes` are their ceilings."""
        await ScopeMemory(self._database).remember(self._connection, scopes)
        rows = [(each.ancestor, each.scope_id, each.webhook_id) for each in planned]
        found = await execute_rows(self._database, self._connection, *_FILE, rows)
        return [
            FiledReplay(
                delivery=DeliveryId(row), replay_of=DeliveryId(of), webhook_id=WebhookId(webhook_id)
            )
            for row, of, webhook_id in found
        ]


class ReplayStore:
    """What one outbox database could send again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def named(self, ids: Iterable[int], *, tenant: str | None) -> list[Ancestor]:
        """Look deliveries up by their numbers: those there are, of one tenant where it is named."""
        async with self._database.look() as connection:
            return await self._named(connection, ids, tenant)

    async def ended(self, wanted: Ended, *, tenant: str | None, limit: int) -> list[Ancestor]:
        """Look up what ended in a state and still has its payload, the first ones first.

        Where it was replayed, the last replay counts alone.
        """
        terms = {name: getattr(wanted, name) for name in Ended.__slots__} | {"limit": limit}
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _KEPT, tenant=tenant, **terms)
            return [_ancestor(row) for row in found]

    async def count(self, wanted: Ended, *, tenant: str | None) -> list[tuple[Ancestor, int]]:
        """Count what `ended` would give: one of each kind that is judged alike, and how many."""
        terms = {name: getattr(wanted, name) for name in Ended.__slots__}
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _COUNT, tenant=tenant, **terms)
            return [(_ancestor(row), row.rows) for row in found]

    @asynccontextmanager
    async def filing(self, ids: Sequence[DeliveryId]) -> AsyncIterator[Filing]:
        """Open the transaction in which replays of these are filed, and look them up again."""
        async with self._database.begin() as connection:
            if not self._database.is_sqlite:
                rows = [(each,) for each in ids]
                await execute_rows(self._database, connection, _LOCK, "", rows)
            ancestors = await self._named(connection, ids, None)
            yield Filing(self._database, connection, ancestors)

    async def _named(
        self, connection: AsyncConnection, ids: Iterable[int], tenant: str | None
    ) -> list[Ancestor]:
        rows = [(each,) for each in ids]
        found = await execute_rows(self._database, connection, *_NAMED, rows, tenant=tenant)
        return [_ancestor(row) for row in found]


def _ancestor(row: Any) -> Ancestor:
    return Ancestor(
        id=DeliveryId(row.id),
        event_seq=row.event_seq,
        type=row.type,
        subscription=row.subscription,
        state=State(row.state),
        is_kept=bool(row.is_kept),
        moving=DeliveryId(row.moving) if row.moving is not None else None,
    )
