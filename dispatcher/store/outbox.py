"""Step 1 of the road: claim new events, and file the deliveries that fan-out planned.

Both happen in one transaction, so an event is either still new or wholly planned. On PostgreSQL
rows are claimed with `SKIP LOCKED`, so any number of workers share the intake; on SQLite the one
writer claims. Called by `worker.relay` alone.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.delivery import State
from dispatcher.model.event import INTAKE_MARK, SEALED_SUBJECTS, Event, read_subjects
from dispatcher.model.ids import INTAKE, DeliveryId, Epoch, LeaseToken, ScopeId, WebhookId
from dispatcher.model.letter import Planned
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Refusal
from dispatcher.model.window import Window
from dispatcher.store.arrays import execute_rows, over_rows
from dispatcher.store.database import Database
from dispatcher.store.rows import EVENT_COLUMNS, PayloadOpener, event_from
from dispatcher.store.windows import Joining, join_windows

NOBODY_SUBSCRIBED: Final = "nobody_subscribed"

_CLAIM: Final = f"""
SELECT {EVENT_COLUMNS}, d.id, d.due_us, d.judged_epoch, NULLIF(e.written_by, {{owner}}),
    e.enqueued_us, {{now}} AS now_us
FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.lane = '' AND d.due_us >= :floor AND d.due_us <= {{now}}
ORDER BY d.due_us, d.id LIMIT :limit
"""

_PLANNED: Final = tuple(
    (name, "text") for name in ("lane", "subscription", "webhook_id", "scope_id", "state")
)
_SLOTS: Final = over_rows(
    """
UPDATE {deliveries} AS d
SET lane = u.lane, subscription = u.subscription, webhook_id = u.webhook_id,
    scope_id = u.scope_id, state = u.state, code = u.code, judged_epoch = :epoch,
    due_us = CASE WHEN u.state = 'waiting' THEN {now} END,
    lease_token = CASE WHEN u.state = 'leased' THEN :token END,
    leased_until_us = CASE WHEN u.state = 'leased' THEN {now} + :lease_us END,
    settled_us = CASE WHEN u.state = 'dropped' THEN {now} END
FROM {rows} WHERE d.id = u.id
""",
    ("id", "bigint"),
    *_PLANNED,
    ("code", "text"),
)
_FURTHER: Final = over_rows(
    """
INSERT INTO {deliveries} (event_seq, lane, subscription, webhook_id, scope_id, state, judged_epoch,
    attempt, failures, due_us, lease_token, leased_until_us)
SELECT u.event_seq, u.lane, u.subscription, u.webhook_id, u.scope_id, u.state, :epoch, 0, 0,
    CASE WHEN u.state = 'waiting' THEN {now} END,
    CASE WHEN u.state = 'leased' THEN :token END,
    CASE WHEN u.state = 'leased' THEN {now} + :lease_us END
FROM {rows} WHERE true
RETURNING webhook_id, id
""",
    ("event_seq", "bigint"),
    *_PLANNED,
)
_SEAL: Final = """
UPDATE {events}
SET payload = :blob, is_sealed = true, subjects = :subjects, ordering_key = NULL
WHERE seq = :seq AND (NOT is_sealed OR substr(payload, 1, 1) = :intake)
"""
_POSTPONE: Final = "UPDATE {deliveries} SET due_us = {now} + :delay_us WHERE id = :id"
_KNOWN_SCOPE: Final = """
INSERT INTO {scopes} (id, fields) VALUES (:id, :fields) ON CONFLICT DO NOTHING
"""
_SCOPE: Final = "SELECT fields FROM {scopes} WHERE id = :id"
_scope = msgspec.json.Decoder(Scope)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A claimed event and the intake row it came in, which becomes its first delivery.

    `has_subjects` is false where a hand-written row does not say properly whom it is about.
    `is_sealed` tells that the payload is as it is to stay: one sealed to the intake is not yet.
    `is_parked_before` tells that it was refused once: whatever it was refused for, a sealed payload
    is then no sign that a producer library has checked it. `claimed_us` is the clock `enqueued_us`
    was read from: the database's.
    """

    event: Event
    slot: DeliveryId
    is_sealed: bool
    due_us: int
    is_parked_before: bool
    has_subjects: bool
    enqueued_us: int
    claimed_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """What to file for one event: a delivery, or the reason why there is none.

    `slot` is the intake row to turn into this delivery; further deliveries of an event have none.
    With a `window`, the event counts in the window's letter and gets no delivery of its own.
    """

    event: Event
    slot: DeliveryId | None
    state: State
    planned: Planned | None = None
    refusal: Refusal | None = None
    window: Window | None = None


class ScopeMemory:
    """Keeps the content of every scope that rows name, by id, and writes each once.

    A scope counts as kept only when its transaction has committed: see `confirm`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[ScopeId] = set()

    async def remember(self, connection: AsyncConnection, scopes: Iterable[Scope]) -> set[ScopeId]:
        """Write the scopes not yet kept, in the caller's transaction; give their ids.

        In the order of their ids, so that two workers never wait for each other.
        """
        new = {scope.id: scope for scope in scopes if scope.id not in self._known}
        rows = [
            {"id": scope_id, "fields": msgspec.json.encode(new[scope_id]).decode()}
            for scope_id in sorted(new)
        ]
        await self._database.execute_many(connection, _KNOWN_SCOPE, rows)
        return set(new)

    def confirm(self, scope_ids: Iterable[ScopeId]) -> None:
        """Note that the transaction that wrote these has committed."""
        self._known.update(scope_ids)


class Intake:
    """One open claiming transaction."""

    def __init__(
        self,
        database: Database,
        connection: AsyncConnection,
        events: Sequence[NewEvent],
        remembered: ScopeMemory,
    ) -> None:
        self._database = database
        self._connection = connection
        self._remembered = remembered
        self.events = events
        self.written_scopes: set[ScopeId] = set()

    async def file(
        self, filings: Sequence[Filing], *, epoch: Epoch, token: LeaseToken, lease_us: int
    ) -> dict[WebhookId, DeliveryId]:
        """Write every filing; give the row ids of those that carry a planned delivery."""
        terms: dict[str, Any] = {"epoch": epoch, "token": token, "lease_us": lease_us}
        scopes = {f.planned.scope.id: f.planned.scope for f in filings if f.planned is not None}
        self.written_scopes |= await self._remembered.remember(self._connection, scopes.values())
        joinings = [
            Joining(event=f.event, planned=f.planned, window=f.window, slot=f.slot)
            for f in filings
            if f.window is not None and f.planned is not None
        ]
        await join_windows(self._database, self._connection, joinings, epoch)
        alone = [filing for filing in filings if filing.window is None]
        slots = [_slot_row(filing) for filing in alone if filing.slot is not None]
        filed = {
            filing.planned.webhook_id: filing.slot
            for filing in alone
            if filing.planned is not None and filing.slot is not None
        }
        if slots:
            await execute_rows(self._database, self._connection, *_SLOTS, slots, **terms)
        further = [
            (f.event.seq, p.lane, p.subscription, p.webhook_id, p.scope.id, f.state.value)
            for f in alone
            if f.slot is None and (p := f.planned) is not None
        ]
        if further:
            rows = await execute_rows(self._database, self._connection, *_FURTHER, further, **terms)
            filed |= {WebhookId(webhook_id): DeliveryId(row) for webhook_id, row in rows}
        return filed

    async def seal(self, blobs: Sequence[tuple[int, bytes]]) -> None:
        """Put sealed records in the place of what came in clear, or was sealed to the intake."""
        fixed = {"intake": INTAKE_MARK, "subjects": SEALED_SUBJECTS}
        rows = [{"seq": seq, "blob": blob, **fixed} for seq, blob in blobs]
        await self._database.execute_many(self._connection, _SEAL, rows)

    async def postpone(self, slots: Sequence[DeliveryId], delay_us: int) -> None:
        """Leave these in the intake for a while, so that others are claimed before them."""
        rows = [{"id": slot, "delay_us": delay_us} for slot in slots]
        await self._database.execute_many(self._connection, _POSTPONE, rows)


class OutboxStore:
    """The intake of one outbox database."""

    def __init__(self, database: Database, open_payload: PayloadOpener) -> None:
        self._database = database
        self._open_payload = open_payload
        self._remembered = ScopeMemory(database)

    @asynccontextmanager
    async def intake(self, *, limit: int, floor_us: int) -> AsyncIterator[Intake]:
        """Claim up to `limit` new events, due at or after `floor_us`, oldest first.

        The floor spares a scan over the dead index entries of what was claimed before; the caller
        lowers it to zero now and then, for a slow transaction may commit an older row.
        """
        claim = _CLAIM if self._database.is_sqlite else f"{_CLAIM} FOR UPDATE OF d SKIP LOCKED"
        async with self._database.begin() as connection:
            rows = await self._database.execute(connection, claim, limit=limit, floor=floor_us)
            events = [self._new(row) for row in rows]
            intake = Intake(self._database, connection, events, self._remembered)
            yield intake
        self._remembered.confirm(intake.written_scopes)

    def _new(self, row: Sequence[Any]) -> NewEvent:
        event = event_from(row, self._open_payload, role=row[14])
        return NewEvent(
            event,
            slot=row[11],
            is_sealed=bool(row[8]) and bytes(row[7] or b"")[:1] != INTAKE_MARK,
            due_us=row[12],
            is_parked_before=row[13] is not None,
            has_subjects=event.is_locked or read_subjects(event.subjects_text) is not None,
            enqueued_us=row[15],
            claimed_us=row[16],
        )

    async def scope(self, scope_id: ScopeId) -> Scope | None:
        """Load a scope that a delivery was filed or attempted under."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _SCOPE, id=scope_id)
            content = found.scalar_one_or_none()
        return _scope.decode(content) if content is not None else None


def _slot_row(filing: Filing) -> tuple[Any, ...]:
    planned, refusal = filing.planned, filing.refusal
    if planned is None:
        code = refusal.code if refusal else NOBODY_SUBSCRIBED
        return (filing.slot, INTAKE, None, None, None, filing.state.value, code)
    return (
        filing.slot,
        planned.lane,
        planned.subscription,
        planned.webhook_id,
        planned.scope.id,
        filing.state.value,
        None,
    )
