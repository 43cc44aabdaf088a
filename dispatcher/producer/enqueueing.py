"""Put one event into the outbox, in the caller's transaction: check everything, then write.

Called by product services through `dispatcher.producer`. A refusal is raised before anything is
written, so the outbox is as it was and the caller's transaction is still good. It must never
commit, roll back, flush, open a connection, or put a value of the payload into a message.
"""

import time
import uuid
from collections.abc import Awaitable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, Final, overload

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, scoped_session

from dispatcher.model.errors import EnqueueRefused, SchemaMismatch
from dispatcher.model.registry import EventType
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.producer import wakeup
from dispatcher.producer.submission import Submission, submit
from dispatcher.stages.fanout.intake import check_payload
from dispatcher.store.enqueueing import EventRow, insert, lacks_tables, look_up, payload_digest
from dispatcher.vault.keyring import load_keyring
from dispatcher.vault.places import payload_place
from dispatcher.vault.sealer import Vault

_DIALECTS: Final = ("postgresql", "sqlite")
_FIXES: Final = {
    Reason.PAYLOAD_TOO_LARGE: "send less, or a reference; or raise the event type's limit",
    Reason.SCHEMA_INVALID: "make the payload fit the event type's schema, or change the schema",
}


@overload
def enqueue(
    target: Session | scoped_session[Any] | Connection,
    event_type: str,
    payload: object,
    *,
    tenant: str,
    subjects: Collection[str],
    producer: str = "default",
    idempotency_key: str | None = None,
    ordering_key: str | None = None,
    occurred_at: datetime | None = None,
    traceparent: str | None = None,
    vault: Vault | None = None,
) -> str: ...


@overload
def enqueue(
    target: AsyncSession | AsyncConnection,
    event_type: str,
    payload: object,
    *,
    tenant: str,
    subjects: Collection[str],
    producer: str = "default",
    idempotency_key: str | None = None,
    ordering_key: str | None = None,
    occurred_at: datetime | None = None,
    traceparent: str | None = None,
    vault: Vault | None = None,
) -> Awaitable[str]: ...


def enqueue(  # noqa: PLR0913 - what an event has, each by its name
    target: object,
    event_type: str,
    payload: object,
    *,
    tenant: str | None = None,
    subjects: Collection[str] | None = None,
    producer: str = "default",
    idempotency_key: str | None = None,
    ordering_key: str | None = None,
    occurred_at: datetime | None = None,
    traceparent: str | None = None,
    vault: Vault | None = None,
) -> str | Awaitable[str]:
    """Write an event into the outbox and give its id; it exists once the caller commits.

    `target` is the session or connection of the caller's own transaction; with an asynchronous one
    the answer is to be awaited. `payload` is a mapping (or anything msgspec writes as a JSON
    object), or bytes that hold one. `subjects` names whom the event is about, `[]` for nobody. The
    same `idempotency_key` with the same payload gives the first event's id again. With a `vault`
    the payload is sealed from the start; without one the relay seals it.

    Raises `EnqueueRefused`, whose `reason` is one of `tenant_missing`, `subjects_missing`,
    `event_type_unknown`, `payload_too_large`, `schema_invalid`, `idempotency_conflict`,
    `occurred_at_naive`, `argument_invalid`, `target_invalid`; nothing was written then.
    """
    submission = submit(
        event_type,
        payload,
        tenant=tenant,
        subjects=subjects,
        producer=producer,
        idempotency_key=idempotency_key,
        ordering_key=ordering_key,
        occurred_at=occurred_at,
        traceparent=traceparent,
    )
    if isinstance(target, AsyncSession | AsyncConnection):
        return target.run_sync(_write, submission, vault)
    return _write(target, submission, vault)


def open_vault(keyring: str | Path) -> Vault:
    """Open the keyring file, so that `enqueue` can seal payloads from the start."""
    return Vault(load_keyring(Path(keyring)))


def _write(target: object, submission: Submission, vault: Vault | None) -> str:
    session = target() if isinstance(target, scoped_session) else target
    connection = session.connection() if isinstance(session, Session) else session
    if not isinstance(connection, Connection) or connection.dialect.name not in _DIALECTS:
        raise EnqueueRefused(
            "events are enqueued in a transaction of a PostgreSQL or SQLite database",
            where="target",
            fix="pass a SQLAlchemy Session, AsyncSession, Connection or AsyncConnection",
            code="target_invalid",
        )
    _check(connection, submission)
    event_id = _insert(connection, submission, vault)
    if isinstance(session, Session):
        wakeup.remember(session, connection)
    return event_id


def _check(connection: Connection, submission: Submission) -> None:
    try:
        known = look_up(connection, submission.type)
    except DBAPIError as error:
        if not lacks_tables(error):
            raise
        raise SchemaMismatch(
            "this database has no outbox", fix="run 'dispatcher migrate'", where="outbox database"
        ) from error
    if known is None:
        raise EnqueueRefused(
            f"the catalogue has no event type {submission.type[:200]!r}",
            where="event_type",
            fix="register the event type, then apply the registry",
            code=Reason.EVENT_TYPE_UNKNOWN,
        )
    schema, bytes_max = known
    refusal = check_payload(
        submission.payload,
        EventType(name=submission.type, schema=schema, payload_bytes_max=bytes_max),
    )
    if refusal is not None:
        raise _refused(submission, refusal)


def _refused(submission: Submission, refusal: Refusal) -> EnqueueRefused:
    return EnqueueRefused(
        f"the payload of {submission.type} is refused: {refusal.detail}",
        where="payload",
        fix=_FIXES.get(refusal.reasons[0], ""),
        code=refusal.code,
    )


def _insert(connection: Connection, submission: Submission, vault: Vault | None) -> str:
    event_id = f"evt_{uuid.uuid4().hex}"
    now_us = time.time_ns() // 1000
    key, payload = submission.idempotency_key, submission.payload
    digest = None if key is None else payload_digest(event_id, submission.type, payload)
    if vault is not None:
        payload = vault.seal(payload, payload_place(submission.tenant, event_id))
    row = EventRow(
        id=event_id,
        tenant=submission.tenant,
        type=submission.type,
        producer=submission.producer,
        subjects=submission.subjects,
        payload=payload,
        is_sealed=vault is not None,
        idempotency_key=key,
        payload_digest=digest,
        ordering_key=submission.ordering_key,
        traceparent=submission.traceparent,
        occurred_us=now_us if submission.occurred_us is None else submission.occurred_us,
        enqueued_us=now_us,
    )
    first = insert(connection, row)
    if first is None:
        return event_id
    first_id, first_digest = first
    if first_digest != payload_digest(first_id, submission.type, submission.payload):
        raise EnqueueRefused(
            "this idempotency key was used for another payload",
            where="idempotency_key",
            fix="use a new key for a new event",
            code="idempotency_conflict",
        )
    return first_id
