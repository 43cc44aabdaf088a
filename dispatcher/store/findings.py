"""What the leak guard found, for people to read: in which field and how long, never what.

Written by the worker before the letter leaves or is set aside, once for a delivery however often it
is tried; listed by the API, the newest first.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dispatcher.model.leak import Finding
from dispatcher.model.letter import Leased
from dispatcher.model.path import format_path
from dispatcher.store.database import Database

_NOTE: Final = """
INSERT INTO {findings} (delivery_id, event_seq, subscription, detector, path, action, length, count,
    found_us)
VALUES (:delivery_id, :event_seq, :subscription, :detector, :path, :action, :length, :count, {now})
ON CONFLICT DO NOTHING RETURNING id
"""
_LIST: Final = """
SELECT f.id, f.delivery_id, e.id AS event_id, e.tenant, e.type, f.subscription, f.detector, f.path,
    f.action, f.length, f.count, f.found_us
FROM {findings} f JOIN {events} e ON e.seq = f.event_seq
WHERE f.id < :before
  AND (CAST(:detector AS text) IS NULL OR f.detector = :detector)
  AND (CAST(:subscription AS text) IS NULL OR f.subscription = :subscription)
  AND (CAST(:event_id AS text) IS NULL OR e.id = :event_id)
  AND (CAST(:tenant AS text) IS NULL OR e.tenant = :tenant)
ORDER BY f.id DESC LIMIT :limit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """All findings of one detector in one field of a letter; `length` is that of the longest."""

    detector: str
    path: str
    action: str
    length: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFilter:
    """Which findings to list: exact matches, and the number to go on before."""

    detector: str | None = None
    subscription: str | None = None
    event_id: str | None = None
    tenant: str | None = None
    before: int = 2**62
    limit: int = 100


class FindingStore:
    """The findings of one outbox database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, leased: Leased, findings: Iterable[Finding]) -> list[Note]:
        """Keep what was found in a letter; give what was not known of it yet."""
        new = []
        async with self._database.begin() as connection:
            for note in _gather(findings):
                written = await self._database.execute(
                    connection,
                    _NOTE,
                    delivery_id=leased.id,
                    event_seq=leased.event.seq,
                    subscription=leased.subscription,
                    **{name: getattr(note, name) for name in Note.__slots__},
                )
                if written.first() is not None:
                    new.append(note)
        return new

    async def list(self, wanted: FindingFilter) -> list[dict[str, Any]]:
        """List findings, the newest first."""
        parameters = {name: getattr(wanted, name) for name in FindingFilter.__slots__}
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _LIST, **parameters)
            return [dict(row) for row in found.mappings()]


def _gather(findings: Iterable[Finding]) -> list[Note]:
    lengths: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for each in findings:
        lengths[each.detector.value, format_path(each.path), each.action.value].append(each.length)
    return [
        Note(detector=detector, path=path, action=action, length=max(found), count=len(found))
        for (detector, path, action), found in sorted(lengths.items())
    ]
