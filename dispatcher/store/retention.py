"""What an outbox forgets, batch by batch, and the record of it.

Called by `worker.purging`; `api.purges` counts what is due. Each batch is one short transaction
that removes rows and brings the sweep's record up to date, so a record never tells of more or less
than what went. Rows that another worker has in hand are passed over.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.ids import Revision, WorkerId
from dispatcher.model.retention import Due, Rule
from dispatcher.store.arrays import execute_rows
from dispatcher.store.database import Database
from dispatcher.store.shelves import MOVING, SHELVES, Shelf

_BEGIN: Final = """
INSERT INTO {purges} (at_us, store, rule, counts, oldest_us, newest_us, survivor_us, is_complete,
    worker, revision)
VALUES ({now}, :store, :rule, :counts, :oldest_us, :newest_us, :survivor_us, :is_complete,
    :worker, :revision)
RETURNING id
"""
_GO_ON: Final = """
UPDATE {purges} SET counts = :counts, oldest_us = :oldest_us, newest_us = :newest_us,
    survivor_us = :survivor_us, is_complete = :is_complete
WHERE id = :id
"""
_LIST: Final = """
SELECT id, at_us, store, rule, counts, oldest_us, newest_us, survivor_us, is_complete, worker,
    revision
FROM {purges}
WHERE id < :before AND (CAST(:store AS text) IS NULL OR store = :store)
ORDER BY id DESC LIMIT :limit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How far one sweep by one rule has come; a new one has removed nothing.

    `late_us` is by how much the oldest row of the last batch was past its window.
    """

    rule: Rule
    worker: WorkerId
    revision: Revision
    after: tuple[int, int | str] | None = None
    record: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    oldest_us: int | None = None
    newest_us: int | None = None
    late_us: int = 0
    is_done: bool = False


class RetentionStore:
    """What one outbox database forgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def purge(self, sweep: Sweep, *, rows_max: int) -> Sweep:
        """Remove the next rows whose time is over; give how far the sweep has come by that."""
        async with self._database.begin() as connection:
            found = await self._next(connection, sweep, rows_max)
            went, counts = await self._take(connection, SHELVES[sweep.rule.store], found)
            sweep = _further(sweep, found, went, counts, is_done=len(found) < rows_max)
            if went or (sweep.is_done and sweep.counts):
                sweep = replace(sweep, record=await self._write(connection, sweep))
        return sweep

    async def due(self, rule: Rule) -> Due:
        """Count what a rule would remove now, and what is past its window and stays."""
        shelf, held = SHELVES[rule.store], _held(rule)
        at_rest = f"{_past(shelf)} AND NOT {_moving(shelf)}"
        async with self._database.look() as connection:
            due, oldest_us = await self._count(connection, rule, f"{at_rest} AND NOT {held}")
            kept, _ = await self._count(connection, rule, f"{at_rest} AND {held}")
            moving, _ = await self._count(connection, rule, f"{_seen(shelf)} AND {_moving(shelf)}")
        return Due(
            store=rule.store,
            rule=rule.said,
            due=due,
            held=kept,
            moving=moving,
            oldest_us=oldest_us,
        )

    async def purges(self, *, store: str | None, before: int, limit: int) -> list[dict[str, Any]]:
        """List the records of what went, the newest first."""
        terms = {"store": store, "before": before, "limit": limit}
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _LIST, **terms)
            return [
                {**row, "counts": msgspec.json.decode(row["counts"])} for row in found.mappings()
            ]

    async def _next(
        self, connection: AsyncConnection, sweep: Sweep, rows_max: int
    ) -> Sequence[Any]:
        """Find and lock the next rows to remove, and where the walk has come to."""
        rule = sweep.rule
        shelf = SHELVES[rule.store]
        after_us, after_key = sweep.after or (-(2**62), shelf.first_key)
        lock = "" if self._database.is_sqlite else f"FOR UPDATE OF {shelf.row} SKIP LOCKED"
        sql = f"""
SELECT {shelf.key} AS k, {shelf.seen} AS seen_us, {shelf.aged} AS aged_us, {{now}} AS now_us
FROM {shelf.source}
WHERE {self._of(rule)} AND {_past(shelf)} AND NOT {_moving(shelf)} AND NOT {_held(rule)}
  AND ({shelf.seen}, {shelf.key}) > (:after_us, :after_key)
ORDER BY {shelf.seen}, {shelf.key} LIMIT :limit {lock}"""
        given = {"after_us": after_us, "after_key": after_key, "limit": rows_max}
        found = await self._database.execute(connection, sql, **given, **self._terms(rule))
        return found.fetchall()

    async def _take(
        self, connection: AsyncConnection, shelf: Shelf, found: Sequence[Any]
    ) -> tuple[Sequence[Any], Counter[str]]:
        """Remove these rows; give those that went after all, and how many of which table."""
        counts: Counter[str] = Counter()
        went, keys = found, [(row.k,) for row in found]
        for name, statement in shelf.takes if keys else ():
            done = await execute_rows(self._database, connection, *statement, keys)
            if done.returns_rows:
                taken = {row[0] for row in done}
                went = [row for row in found if row.k in taken]
                counts[name] += len(went)
            else:
                counts[name] += done.rowcount
        return went, counts

    async def _write(self, connection: AsyncConnection, sweep: Sweep) -> int | None:
        """Bring the sweep's record up to date; give its number."""
        survivor = await self._survivor(connection, sweep.rule) if sweep.is_done else None
        given = {
            "counts": msgspec.json.encode(sweep.counts, order="sorted").decode(),
            "oldest_us": sweep.oldest_us,
            "newest_us": sweep.newest_us,
            "survivor_us": survivor,
            "is_complete": sweep.is_done,
        }
        if sweep.record is not None:
            await self._database.execute(connection, _GO_ON, id=sweep.record, **given)
            return sweep.record
        given |= {"store": sweep.rule.store.value, "rule": sweep.rule.said}
        given |= {"worker": sweep.worker, "revision": sweep.revision}
        begun = await self._database.execute(connection, _BEGIN, **given)
        number: int = begun.scalar_one()
        return number

    async def _survivor(self, connection: AsyncConnection, rule: Rule) -> int | None:
        """Give the age of the oldest row that stays though it neither moves nor is held."""
        shelf = SHELVES[rule.store]
        sql = f"""
SELECT {shelf.aged} AS aged_us FROM {shelf.source}
WHERE {self._of(rule)} AND NOT {_moving(shelf)} AND NOT {_held(rule)}
ORDER BY {shelf.seen}, {shelf.key} LIMIT 1"""
        found = await self._database.execute(connection, sql, **self._terms(rule))
        us: int | None = found.scalar_one_or_none()
        return us

    async def _count(
        self, connection: AsyncConnection, rule: Rule, where: str
    ) -> tuple[int, int | None]:
        shelf = SHELVES[rule.store]
        sql = f"""
SELECT count(*), min(r.aged_us) FROM (
    SELECT {shelf.aged} AS aged_us FROM {shelf.source} WHERE {self._of(rule)} AND {where}) r"""
        found = await self._database.execute(connection, sql, **self._terms(rule))
        count, oldest_us = found.one()
        return count, oldest_us

    def _of(self, rule: Rule) -> str:
        """Say which rows of a shelf a rule is about, whatever their age."""
        shelf = SHELVES[rule.store]
        if rule.is_rest and not rule.event_types:
            return shelf.where
        among = "SELECT value FROM json_each(:types)"
        if not self._database.is_sqlite:
            among = "SELECT unnest(CAST(:types AS text[]))"
        return f"{shelf.where} AND e.type {'NOT ' if rule.is_rest else ''}IN ({among})"

    def _terms(self, rule: Rule) -> dict[str, Any]:
        """Give what a statement about a rule names."""
        terms: dict[str, Any] = {"kept_us": rule.kept_us}
        if rule.event_types:
            types = list(rule.event_types)
            is_sqlite = self._database.is_sqlite
            terms["types"] = msgspec.json.encode(types).decode() if is_sqlite else types
        for number, (tenant, event_type) in enumerate(rule.holds):
            terms |= {f"tenant{number}": tenant} if tenant else {}
            terms |= {f"type{number}": event_type} if event_type else {}
        return terms


def _further(
    sweep: Sweep,
    found: Sequence[Any],
    went: Sequence[Any],
    counts: Counter[str],
    *,
    is_done: bool,
) -> Sweep:
    ages = [row.aged_us for row in went]
    span = [us for us in (sweep.oldest_us, sweep.newest_us, *ages) if us is not None]
    late = [row.now_us - sweep.rule.kept_us - row.aged_us for row in went]
    return replace(
        sweep,
        after=(found[-1].seen_us, found[-1].k) if found else sweep.after,
        counts=+(Counter(sweep.counts) + counts),
        oldest_us=min(span, default=None),
        newest_us=max(span, default=None),
        late_us=max(late, default=0),
        is_done=is_done,
    )


def _seen(shelf: Shelf) -> str:
    return f"{shelf.seen} < {{now}} - :kept_us"


def _past(shelf: Shelf) -> str:
    """Say that a row's window is over; `seen` alone is what an index knows."""
    if shelf.aged == shelf.seen:
        return _seen(shelf)
    return f"{_seen(shelf)} AND {shelf.aged} < {{now}} - :kept_us"


def _moving(shelf: Shelf) -> str:
    return MOVING if shelf.is_about_events else "false"


def _held(rule: Rule) -> str:
    """Say that a row is under a legal hold."""
    holds = []
    for number, (tenant, event_type) in enumerate(rule.holds):
        parts = [f"e.tenant = :tenant{number}"] if tenant else []
        parts += [f"e.type = :type{number}"] if event_type else []
        holds.append(" AND ".join(parts))
    return f"({' OR '.join(holds) or 'false'})"
