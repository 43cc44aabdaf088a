"""Payloads do not stay longer than they are needed: dropped a while after the last final delivery.

Called by `worker.upkeep`, in small batches, so that no transaction is long.
"""

from typing import Final

from dispatcher.store.database import Database

# An event is finished when no delivery of it can still move, nor the letter of a window it counts
# in, and the last one ended long enough ago. A dead one keeps its payload longer, for a person may
# want to replay it.
_IS_KEEPING: Final = """(
    d.state IN ('waiting', 'leased', 'parked')
    OR d.settled_us > {now} - :kept_us
    OR (d.state = 'dead' AND d.settled_us > {now} - :dead_kept_us))"""
_DROP: Final = f"""
UPDATE {{events}} SET payload = NULL WHERE seq IN (
    SELECT e.seq FROM {{events}} e
    WHERE e.payload IS NOT NULL AND e.seq > :after AND e.enqueued_us < {{now}} - :kept_us
      AND NOT EXISTS (
        SELECT 1 FROM {{deliveries}} d WHERE d.event_seq = e.seq AND {_IS_KEEPING})
      AND NOT EXISTS (
        SELECT 1 FROM {{window_members}} m JOIN {{deliveries}} d ON d.window_id = m.window_id
        WHERE m.event_seq = e.seq AND {_IS_KEEPING})
    ORDER BY e.seq LIMIT :limit)
RETURNING seq
"""


class RetentionStore:
    """What one outbox database forgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def drop_payloads(
        self, *, after: int, kept_us: int, dead_kept_us: int, rows_max: int
    ) -> list[int]:
        """Drop payloads whose time is over, of events after `after`; give the events' numbers."""
        async with self._database.single() as connection:
            dropped = await self._database.execute(
                connection,
                _DROP,
                after=after,
                kept_us=kept_us,
                dead_kept_us=dead_kept_us,
                limit=rows_max,
            )
            return [row[0] for row in dropped]
