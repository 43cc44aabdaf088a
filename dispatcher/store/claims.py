"""Step 2 of the road, and its repair: lease due deliveries lane by lane; rescue lost leases.

Each statement stands here in both dialects, with what forces the difference: PostgreSQL visits all
lanes in one statement (`LATERAL`) and skips rows another worker is claiming; SQLite has neither,
nor a second worker. Only lanes the caller names are visited: a closed or dead lane costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dispatcher.model.ids import Epoch, Lane, LeaseToken
from dispatcher.model.letter import Leased
from dispatcher.model.verdict import Reason
from dispatcher.store.database import Database
from dispatcher.store.rows import (
    DELIVERY_COLUMNS,
    EVENT_COLUMNS,
    PayloadOpener,
    event_from,
    leased_from,
)

# A skip scan: one index probe for each lane that has waiting rows, however many rows there are.
_WAITING_LANES: Final = """
WITH RECURSIVE found(lane) AS (
    SELECT (SELECT min(d.lane) FROM {deliveries} d WHERE d.due_us IS NOT NULL AND d.lane > '')
    UNION ALL
    SELECT (SELECT min(d.lane) FROM {deliveries} d
            WHERE d.due_us IS NOT NULL AND d.lane > found.lane)
    FROM found WHERE found.lane IS NOT NULL
)
SELECT found.lane,
       (SELECT min(d.due_us) FROM {deliveries} d
        WHERE d.lane = found.lane AND d.due_us IS NOT NULL) - {now} AS wait_us
FROM found WHERE found.lane IS NOT NULL
"""

_TAKE: Final = """
    state = 'leased', due_us = NULL, lease_token = :token, leased_until_us = {now} + :lease_us
"""
_LEASE_POSTGRESQL: Final = f"""
WITH due AS MATERIALIZED (
    SELECT w.id
    FROM unnest(CAST(:lanes AS text[]), CAST(:limits AS integer[]), CAST(:floors AS bigint[]))
         AS l(lane, rows_max, floor)
    CROSS JOIN LATERAL (
        SELECT id FROM {{deliveries}} x
        WHERE x.lane = l.lane AND x.due_us >= l.floor AND x.due_us <= {{now}}
        ORDER BY x.due_us, x.id LIMIT l.rows_max FOR UPDATE SKIP LOCKED
    ) AS w
)
UPDATE {{deliveries}} AS d SET {_TAKE}
FROM due JOIN {{deliveries}} AS own ON own.id = due.id JOIN {{events}} AS e ON e.seq = own.event_seq
WHERE d.id = due.id
RETURNING {EVENT_COLUMNS}, {DELIVERY_COLUMNS}, d.lane, own.due_us
"""
_LEASE_SQLITE: Final = f"""
UPDATE {{deliveries}} SET {_TAKE}
WHERE id IN (SELECT x.id FROM {{deliveries}} x
             WHERE x.lane = :lane AND x.due_us >= :floor AND x.due_us <= {{now}}
             ORDER BY x.due_us, x.id LIMIT :rows_max)
"""
_LEASED_SQLITE: Final = f"""
SELECT {EVENT_COLUMNS}, {DELIVERY_COLUMNS}, d.lane, 0
FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.lease_token = :token AND d.leased_until_us IS NOT NULL
"""

_LOST: Final = """
SELECT id, attempt FROM {deliveries} WHERE leased_until_us < {now} ORDER BY leased_until_us LIMIT :n
"""
_LOST_ATTEMPT: Final = """
UPDATE {disclosures} SET outcome = 'unknown', code = 'lease_lost', ended_us = {now}
WHERE delivery_id = :id AND attempt = :attempt + 1 AND outcome IS NULL
"""
# The attempt counts only if the ledger has its row. It may have disclosed under a narrower scope
# than the delivery names: keep the narrower.
_RESCUE: Final = """
UPDATE {deliveries} SET state = 'waiting', due_us = {now}, lease_token = NULL,
    leased_until_us = NULL,
    attempt = attempt + (SELECT count(*) FROM {disclosures} x
                         WHERE x.delivery_id = :id AND x.attempt = :attempt + 1),
    scope_id = COALESCE((SELECT x.scope_id FROM {disclosures} x
                         WHERE x.delivery_id = :id AND x.attempt = :attempt + 1), scope_id)
WHERE id = :id
"""
# A window's letter that was set aside before its window closed waits for that again.
_REJUDGE: Final = """
UPDATE {{deliveries}} AS d SET state = 'waiting', judged_epoch = :epoch,
    due_us = COALESCE((SELECT w.closes_us FROM {{windows}} w
                       WHERE w.id = d.window_id AND w.closes_us > {{now}}), {{now}})
WHERE id IN (SELECT id FROM {{deliveries}}
             WHERE state = 'parked' AND judged_epoch < :epoch
             ORDER BY judged_epoch LIMIT :n {lock})
  AND state = 'parked' AND judged_epoch < :epoch
"""
_PARK_LANE: Final = """
UPDATE {{deliveries}} SET state = 'parked', due_us = NULL, code = :code, judged_epoch = :epoch
WHERE id IN (SELECT id FROM {{deliveries}}
             WHERE lane = :lane AND due_us IS NOT NULL ORDER BY due_us LIMIT :n {lock})
  AND due_us IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class LaneOrder:
    """How many due rows to take from one lane, none due before `floor_us`."""

    lane: Lane
    rows_max: int
    floor_us: int


class ClaimStore:
    """Leases on the deliveries of one outbox database."""

    def __init__(self, database: Database, open_payload: PayloadOpener) -> None:
        self._database = database
        self._open_payload = open_payload

    async def waiting_lanes(self) -> dict[Lane, int]:
        """Give each lane that has waiting rows, and microseconds until its first is due."""
        async with self._database.look() as connection:
            rows = await self._database.execute(connection, _WAITING_LANES)
            return {Lane(lane): wait_us for lane, wait_us in rows}

    async def lease(
        self,
        orders: Sequence[LaneOrder],
        *,
        token: LeaseToken,
        lease_us: int,
        lease_ends: float,
    ) -> tuple[list[Leased], dict[Lane, int]]:
        """Lease due deliveries, and say for each lane up to which due time rows were taken.

        `token` is a fresh one; `lease_ends` is on the caller's own clock, read before the call.
        """
        terms = {"token": token, "lease_us": lease_us}
        async with self._database.begin() as connection:
            if self._database.is_sqlite:
                for order in orders:
                    lane = {"lane": order.lane, "rows_max": order.rows_max, "floor": order.floor_us}
                    await self._database.execute(connection, _LEASE_SQLITE, **lane, **terms)
                rows = await self._database.execute(connection, _LEASED_SQLITE, token=token)
            else:
                rows = await self._database.execute(
                    connection,
                    _LEASE_POSTGRESQL,
                    lanes=[order.lane for order in orders],
                    limits=[order.rows_max for order in orders],
                    floors=[order.floor_us for order in orders],
                    **terms,
                )
            taken = rows.fetchall()
        floors: dict[Lane, int] = {}
        for row in taken:
            floors[row[18]] = max(floors.get(row[18], 0), row[19])
        return [leased_from(row, token, lease_ends, self._event) for row in taken], floors

    async def rescue(self, *, rows_max: int = 500) -> int:
        """Give lost leases back: the attempt they had begun is "outcome unknown"."""
        skip_locked = "" if self._database.is_sqlite else " FOR UPDATE SKIP LOCKED"
        async with self._database.begin() as connection:
            found = await self._database.execute(connection, _LOST + skip_locked, n=rows_max)
            lost = [{"id": row.id, "attempt": row.attempt} for row in found]
            await self._database.execute_many(connection, _LOST_ATTEMPT, lost)
            await self._database.execute_many(connection, _RESCUE, lost)
            return len(lost)

    async def rejudge(self, epoch: Epoch, *, rows_max: int = 1000) -> int:
        """Put rows parked under an earlier policy back on the road, to be judged again."""
        async with self._database.single() as connection:
            done = await self._database.execute(
                connection, self._locking(_REJUDGE), epoch=epoch, n=rows_max
            )
            return done.rowcount

    async def park_lane(
        self, lane: Lane, reason: Reason, epoch: Epoch, *, rows_max: int = 1000
    ) -> int:
        """Park what waits in a lane that policy no longer knows; give how many rows that were."""
        async with self._database.single() as connection:
            done = await self._database.execute(
                connection,
                self._locking(_PARK_LANE),
                lane=lane,
                code=reason.value,
                epoch=epoch,
                n=rows_max,
            )
            return done.rowcount

    def _locking(self, sql: str) -> str:
        """Let a statement that picks rows pass over those another worker has in hand."""
        return sql.format(lock="" if self._database.is_sqlite else "FOR UPDATE SKIP LOCKED")

    def _event(self, row: Any) -> Any:
        return event_from(row, self._open_payload, is_filed=True)
