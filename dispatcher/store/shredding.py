"""What of one outbox lies sealed under keys that are to be destroyed, and what becomes of it.

Called by `control.vault_keys`. A sealed payload begins with its format and the name of its key: by
that start it is found, whatever the time says. It opens nothing. Without the payload, what else is
known of an event stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dispatcher.store.database import Database

_UNDER: Final = "e.tenant = :tenant AND e.payload IS NOT NULL AND substr(e.payload, 1, :n) = :start"
_MOVES: Final = "('waiting', 'leased', 'parked')"
# A delivery needs its own event, and the letter of a window every event that counts in it.
_NEEDING: Final = f"""
SELECT d.id, d.state FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.state IN {_MOVES} AND {_UNDER}
UNION
SELECT d.id, d.state FROM {{deliveries}} d
JOIN {{window_members}} m ON m.window_id = d.window_id JOIN {{events}} e ON e.seq = m.event_seq
WHERE d.state IN {_MOVES} AND {_UNDER}
"""
_COUNT: Final = f"SELECT state, count(*) FROM ({_NEEDING}) AS n GROUP BY state"
_DROP: Final = f"""
UPDATE {{deliveries}} SET state = 'dropped', code = :code, due_us = NULL, settled_us = {{now}}
WHERE state IN ('waiting', 'parked') AND id IN (SELECT id FROM ({_NEEDING}) AS n)
"""
_SAMPLE: Final = f"SELECT e.id, e.payload FROM {{events}} e WHERE {_UNDER} ORDER BY e.seq LIMIT 1"
_FORGET: Final = f"""
UPDATE {{events}} SET payload = NULL WHERE seq IN (
    SELECT e.seq FROM {{events}} e WHERE {_UNDER} LIMIT :limit)
"""
SHREDDED: Final = "shredded"
"""The code of a delivery that was dropped because its payload was to be shredded."""
ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Sample:
    """One sealed payload, to show that it opens no more."""

    event_id: str
    blob: bytes = field(repr=False)


class ShredStore:
    """The sealed payloads of one outbox database. `starts` are how those of each key begin."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def place(self) -> str:
        """Which outbox this is."""
        return self._database.place

    async def needing(self, tenant: str, starts: Sequence[bytes]) -> dict[str, int]:
        """Count the deliveries that could not be made without these keys, by state."""
        counts: dict[str, int] = {}
        for start in starts:
            async with self._database.look() as connection:
                found = await self._database.execute(connection, _COUNT, **_given(tenant, start))
                for state, count in found:
                    counts[state] = counts.get(state, 0) + count
        return counts

    async def drop(self, tenant: str, starts: Sequence[bytes]) -> int:
        """Drop the deliveries that wait or are parked; give how many."""
        count = 0
        for start in starts:
            given = _given(tenant, start)
            async with self._database.single() as connection:
                done = await self._database.execute(connection, _DROP, code=SHREDDED, **given)
                count += done.rowcount
        return count

    async def sample(self, tenant: str, start: bytes) -> Sample | None:
        """Give the oldest payload under a key, as it lies in the database."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _SAMPLE, **_given(tenant, start))
            row = found.one_or_none()
        return None if row is None else Sample(row[0], bytes(row[1]))

    async def forget(self, tenant: str, starts: Sequence[bytes]) -> int:
        """Drop the payloads, which nobody can read any more; give how many."""
        count = 0
        for start in starts:
            dropped = ROWS_AT_ONCE
            while dropped == ROWS_AT_ONCE:
                async with self._database.single() as connection:
                    done = await self._database.execute(
                        connection, _FORGET, limit=ROWS_AT_ONCE, **_given(tenant, start)
                    )
                dropped = done.rowcount
                count += dropped
        return count


def _given(tenant: str, start: bytes) -> dict[str, Any]:
    return {"tenant": tenant, "start": start, "n": len(start)}
