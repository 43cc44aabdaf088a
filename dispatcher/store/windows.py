"""Summary windows: which events count in which, and the one letter that each leaves by.

Filing joins an event to its window inside the intake's transaction; the first to come files the
window's letter, due when the window closes. A window takes nobody in once its letter was leased, so
that the letter says the same at every attempt; whoever comes later joins the window after it.

Two workers may open the same window: the unique span decides, and the other one joins. Joining
locks the letter's row shared, and leasing passes over locked rows, so the two exclude each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, Epoch, WindowId
from dispatcher.model.letter import Planned
from dispatcher.model.window import Window
from dispatcher.store.arrays import execute_rows, over_rows
from dispatcher.store.database import Database
from dispatcher.store.rows import EVENT_COLUMNS, PayloadOpener, event_from

_SPAN: Final = "lane, tenant, scope_id, start_us, end_us"
_SPANS: Final = (
    ("lane", "text"),
    ("tenant", "text"),
    ("scope_id", "text"),
    ("start_us", "bigint"),
    ("end_us", "bigint"),
    ("closes_us", "bigint"),
)
# In the order of their spans, so that two workers never wait for each other.
_OPEN: Final = over_rows(
    f"""
INSERT INTO {{windows}} ({_SPAN}, closes_us) SELECT {_SPAN}, closes_us FROM {{rows}}
WHERE true ORDER BY {_SPAN} ON CONFLICT DO NOTHING RETURNING id, {_SPAN}
""",
    *_SPANS,
)
_LETTER: Final = """
INSERT INTO {deliveries} (event_seq, lane, subscription, webhook_id, scope_id, due_us, window_id,
    state, judged_epoch, attempt, failures)
VALUES (:event_seq, :lane, :subscription, :webhook_id, :scope_id, :due_us, :window_id,
    'waiting', :epoch, 0, 0)
"""
_FIND_POSTGRESQL, _FIND_SQLITE = over_rows(
    """
SELECT w.id, w.lane, w.tenant, w.scope_id, w.start_us, w.end_us
FROM {rows} JOIN {windows} w ON w.lane = u.lane AND w.tenant = u.tenant
    AND w.scope_id = u.scope_id AND w.start_us = u.start_us AND w.end_us = u.end_us
JOIN {deliveries} d ON d.window_id = w.id
WHERE d.state IN ('waiting', 'parked') AND d.attempt = 0 AND w.closes_us > {now}
""",
    *_SPANS,
)
_ENTER: Final = over_rows(
    "INSERT INTO {window_members} (window_id, event_seq) SELECT window_id, event_seq FROM {rows}",
    ("window_id", "bigint"),
    ("event_seq", "bigint"),
)
_ABSORB: Final = over_rows(
    "DELETE FROM {deliveries} WHERE id IN (SELECT slot FROM {rows})", ("slot", "bigint")
)
_WINDOW: Final = """
SELECT start_us, end_us FROM {windows} WHERE id = :window_id
"""
_MEMBERS: Final = f"""
SELECT {EVENT_COLUMNS} FROM {{window_members}} m JOIN {{events}} e ON e.seq = m.event_seq
WHERE m.window_id = :window_id AND m.event_seq > :after ORDER BY m.event_seq LIMIT :limit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """An event that is to count in a window; `slot` is the intake row this makes superfluous."""

    event: Event
    planned: Planned
    window: Window
    slot: DeliveryId | None


class _Span(NamedTuple):
    """What is one window: the columns of its unique index."""

    lane: str
    tenant: str
    scope_id: str
    start_us: int
    end_us: int

    @property
    def window(self) -> Window:
        return Window(self.start_us, self.end_us)

    @classmethod
    def of(cls, joining: Joining, window: Window) -> "_Span":
        planned = joining.planned
        place = (planned.lane, joining.event.tenant, planned.scope.id)
        return cls(*place, window.start_us, window.end_us)


async def join_windows(
    database: Database, connection: AsyncConnection, joinings: Sequence[Joining], epoch: Epoch
) -> None:
    """Let every event count in its window, or in the next that is open, in this transaction."""
    if not joinings:
        return
    members: list[tuple[int, int]] = []
    wanted = _by_span((_Span.of(joining, joining.window), joining) for joining in joinings)
    while wanted:
        found = await _open(database, connection, wanted, epoch)
        rest = sorted(wanted.keys() - found.keys())
        if rest:
            found |= await _find(database, connection, rest)
        for span, window_id in found.items():
            members += [(window_id, joining.event.seq) for joining in wanted[span]]
        wanted = _by_span(
            (_Span.of(joining, span.window.following), joining)
            for span in rest
            if span not in found
            for joining in wanted[span]
        )
    await execute_rows(database, connection, *_ENTER, sorted(members))
    slots = [(joining.slot,) for joining in joinings if joining.slot is not None]
    if slots:
        await execute_rows(database, connection, *_ABSORB, slots)


def _by_span(pairs: Iterator[tuple[_Span, Joining]]) -> dict[_Span, list[Joining]]:
    found: dict[_Span, list[Joining]] = {}
    for span, joining in pairs:
        found.setdefault(span, []).append(joining)
    return found


async def _open(
    database: Database,
    connection: AsyncConnection,
    wanted: dict[_Span, list[Joining]],
    epoch: Epoch,
) -> dict[_Span, int]:
    """Open the windows that are not there yet, and file their letters; give these windows' ids."""
    opened = _ids(await execute_rows(database, connection, *_OPEN, _span_rows(wanted)))
    letters = [
        {
            "event_seq": first.event.seq,
            "lane": span.lane,
            "subscription": first.planned.subscription,
            "webhook_id": first.planned.webhook_id,
            "scope_id": span.scope_id,
            "due_us": span.window.closes_us,
            "window_id": window_id,
            "epoch": epoch,
        }
        for span, window_id in opened.items()
        for first in wanted[span][:1]
    ]
    await database.execute_many(connection, _LETTER, letters)
    return opened


async def _find(
    database: Database, connection: AsyncConnection, spans: Sequence[_Span]
) -> dict[_Span, int]:
    """Give those of these windows that still take events, and keep them from being leased."""
    locking = f"{_FIND_POSTGRESQL} ORDER BY d.id FOR SHARE OF d"
    rows = _span_rows(spans)
    return _ids(await execute_rows(database, connection, locking, _FIND_SQLITE, rows))


def _span_rows(spans: Any) -> list[tuple[Any, ...]]:
    return [(*span, span.window.closes_us) for span in spans]


def _ids(rows: Any) -> dict[_Span, int]:
    return {_Span(*row[1:]): row[0] for row in rows}


class WindowStore:
    """What the windows of one outbox database hold."""

    def __init__(self, database: Database, open_payload: PayloadOpener) -> None:
        self._database = database
        self._open_payload = open_payload

    async def window(self, window_id: WindowId) -> Window | None:
        """Give the time that a window spans."""
        async with self._database.look() as connection:
            rows = await self._database.execute(connection, _WINDOW, window_id=window_id)
            found = rows.one_or_none()
        return Window(*found) if found is not None else None

    async def members(self, window_id: WindowId, *, after: int, limit: int) -> list[Event]:
        """Give the next events of a window, in the order of their numbers, payloads opened."""
        terms = {"window_id": window_id, "after": after, "limit": limit}
        async with self._database.look() as connection:
            rows = await self._database.execute(connection, _MEMBERS, **terms)
            return [event_from(row, self._open_payload, is_filed=True) for row in rows]
