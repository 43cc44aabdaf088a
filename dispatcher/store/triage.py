"""Which fields events carry that their schemas do not class: found by workers, read by people.

Names of places only, never a value. A row goes when a schema classes its place, or when it was not
seen for long.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from dispatcher.store.database import Database

PATH_CHARS_MAX: Final = 400
"""Places that are harder to name are not kept: an index has no room for them."""

_REMEMBER: Final = """
INSERT INTO {triage} (event_type, path, reason, first_seen_us, last_seen_us)
VALUES (:event_type, :path, :reason, {now}, {now})
ON CONFLICT (event_type, path) DO UPDATE SET
    reason = excluded.reason, last_seen_us = excluded.last_seen_us
"""
_LIST: Final = """
SELECT event_type, path, reason, first_seen_us, last_seen_us FROM {triage}
WHERE (event_type, path) > (CAST(:after_type AS text), CAST(:after_path AS text))
  AND event_type = COALESCE(CAST(:event_type AS text), event_type)
ORDER BY event_type, path LIMIT :limit
"""
_PLACES: Final = "SELECT event_type, path FROM {triage}"
_SETTLE: Final = "DELETE FROM {triage} WHERE event_type = :event_type AND path = :path"


class TriageStore:
    """The triage of one outbox database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, places: Mapping[tuple[str, str], str]) -> None:
        """Note that these places, by event type and path, were seen, and what each lacks."""
        rows = [
            {"event_type": event_type, "path": path, "reason": lack}
            for (event_type, path), lack in sorted(places.items())
        ]
        async with self._database.begin() as connection:
            await self._database.execute_many(connection, _REMEMBER, rows)

    async def listed(
        self, *, event_type: str | None, after: tuple[str, str], limit: int
    ) -> list[dict[str, Any]]:
        """Give places in order, of one event type or of all."""
        given = {"event_type": event_type, "limit": limit}
        given |= {"after_type": after[0], "after_path": after[1]}
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _LIST, **given)
            return [dict(row) for row in found.mappings()]

    async def places(self) -> list[tuple[str, str]]:
        """Give every place there is, by event type and path."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _PLACES)
            return [(event_type, path) for event_type, path in found]

    async def settle(self, places: Iterable[tuple[str, str]]) -> None:
        """Forget these places: somebody has seen to them."""
        rows = [{"event_type": kind, "path": path} for kind, path in sorted(places)]
        async with self._database.begin() as connection:
            await self._database.execute_many(connection, _SETTLE, rows)
