"""The statements of enqueueing, for the caller's own connection and transaction.

Used by `producer` inside a product service, so nothing here imports a server dependency, opens a
connection, commits or rolls back. The trigger on `events` files the intake row.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from dispatcher.model.errors import EnqueueRefused
from dispatcher.model.producers import Producers, Rights, Writer
from dispatcher.model.registry import EventType
from dispatcher.model.verdict import Reason
from dispatcher.store.tables import render

OUTBOX_CHANNEL: Final = "dispatcher_outbox"

# One round trip for all there is to know. A role that is not dispatcher's own is judged by itself,
# and then the name it gives counts for nothing.
_LOOKUP: Final = """
SELECT c.schema, c.payload_bytes_max, c.subjects_max, w.role, w.is_open,
    p.producer, p.event_types, p.tenants, c.intake_key, c.intake_public
FROM (SELECT NULLIF({session}, {owner}) AS role,
             NOT EXISTS (SELECT 1 FROM {producers}) AS is_open) AS w
LEFT JOIN {catalogue} c ON c.event_type = :type
LEFT JOIN {producers} p ON p.kind = CASE WHEN w.role IS NULL THEN 'name' ELSE 'role' END
                       AND p.who = COALESCE(w.role, :producer)
"""
_INSERT: Final = """
INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed, idempotency_key,
    payload_digest, ordering_key, traceparent, occurred_us, enqueued_us)
VALUES (:id, :tenant, :type, :producer, :subjects, :payload, :is_sealed, :idempotency_key,
    :payload_digest, :ordering_key, :traceparent, :occurred_us, :enqueued_us)
"""
# Only rows with a key can collide, so only they pay for the check and the answer.
_INSERT_ONCE: Final = f"""{_INSERT}
ON CONFLICT (tenant, producer, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING id
"""
_FIRST: Final = """
SELECT id, payload_digest FROM {events}
WHERE tenant = :tenant AND producer = :producer AND idempotency_key = :idempotency_key
"""
# SQLSTATE of an undefined table, and of an undefined schema.
_MISSING: Final = ("42P01", "3F000")
_names = msgspec.json.Decoder(frozenset[str])
_TEXTS: dict[tuple[str, str], TextClause] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One row of the outbox, its payload already sealed where the producer can seal."""

    id: str
    tenant: str
    type: str
    producer: str
    subjects: str
    payload: bytes = field(repr=False)
    is_sealed: bool
    idempotency_key: str | None
    payload_digest: str | None
    ordering_key: str | None
    traceparent: str | None
    occurred_us: int
    enqueued_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the outbox knows of an event about to be written: its type, its writer, of the producers
    whatever this writer may be, and the name and public half of the key to seal to."""

    event_type: EventType | None
    writer: Writer
    producers: Producers
    intake: tuple[str, bytes] | None = None


def look_up(connection: Connection, event_type: str, producer: str) -> Standing:
    """Read from the catalogue's copy what an event of this type, by this name, is judged by."""
    given = {"type": event_type, "producer": producer}
    schema, bytes_max, subjects_max, role, is_open, name, types, tenants, key_id, public = (
        connection.execute(_text(_LOOKUP, connection), given).one()
    )
    found: dict[str, Rights] = {}
    if name is not None:
        found[role or producer] = Rights(name, _names.decode(types), _names.decode(tenants))
    return Standing(
        event_type=None
        if schema is None
        else EventType(
            name=event_type,
            schema=schema,
            payload_bytes_max=bytes_max,
            subjects_max=subjects_max,
        ),
        writer=Writer(producer, role),
        producers=Producers(
            is_open=bool(is_open),
            by_name=found if role is None else {},
            by_role=found if role is not None else {},
            by_principal={},
        ),
        intake=None if key_id is None else (key_id, bytes.fromhex(public)),
    )


def insert(connection: Connection, row: EventRow) -> tuple[str, str | None] | None:
    """Write the row. Gives `None` when it was written, else the id and digest of the first row
    that used the same idempotency key. Raises `EnqueueRefused` in the instant in which the writer
    becomes another producer, for then its key is looked for under the wrong name."""
    values = {name: getattr(row, name) for name in EventRow.__slots__}
    if row.idempotency_key is None:
        connection.execute(_text(_INSERT, connection), values)
        return None
    if connection.execute(_text(_INSERT_ONCE, connection), values).scalar_one_or_none():
        return None
    keys = {name: values[name] for name in ("tenant", "producer", "idempotency_key")}
    first: Any = connection.execute(_text(_FIRST, connection), keys).one_or_none()
    if first is None:
        raise EnqueueRefused(
            "who may enqueue has changed at this very moment",
            where="producer",
            fix="enqueue it again",
            code=Reason.PRODUCER_NOT_ALLOWED,
        )
    return first[0], first[1]


def insert_many(connection: Connection, rows: Sequence[EventRow]) -> None:
    """Write rows that bear no idempotency key, all in one go."""
    values = [{name: getattr(row, name) for name in EventRow.__slots__} for row in rows]
    connection.execute(_text(_INSERT, connection), values)


def announce(connection: Connection) -> None:
    """Hint to the workers, in a transaction of its own, that something was committed."""
    connection.exec_driver_sql(f"NOTIFY {OUTBOX_CHANNEL}")
    connection.commit()


def lacks_tables(error: DBAPIError) -> bool:
    """True when a statement failed because the outbox was never migrated into this database."""
    original: Any = error.orig
    said = original.args[0] if original.args else ""
    stated = said.get("C") if isinstance(said, dict) else getattr(original, "sqlstate", None)
    return (stated or getattr(original, "pgcode", None)) in _MISSING or "no such table" in str(said)


def payload_digest(event_id: str, event_type: str, payload: bytes) -> str:
    """Hash a payload for the idempotency check, salted with the id so that equal payloads of two
    events do not look alike at rest. The SQL function computes the same."""
    return hashlib.sha256(f"{event_id}\n{event_type}\n".encode() + payload).hexdigest()


def _text(sql: str, connection: Connection) -> TextClause:
    key = (sql, connection.dialect.name)
    if key not in _TEXTS:
        _TEXTS[key] = text(render(*key))
    return _TEXTS[key]
