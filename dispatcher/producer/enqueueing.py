"""Put one event into the outbox, in the caller's transaction: check everything, then write.

Called by product services through `dispatcher.producer`. A refusal is raised before anything is
written, so the outbox is as it was and the caller's transaction is still good. It must never
commit, roll back, flush, open a connection, or put a value of the payload into a message.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, overload

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, scoped_session

from dispatcher.model.errors import EnqueueRefused, SchemaMismatch
from dispatcher.model.event import SEALED_SUBJECTS, Content
from dispatcher.model.producers import UNNAMED_PRODUCER, judge_producer
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.producer import wakeup
from dispatcher.producer.submission import Submission, submit
from dispatcher.stages.fanout.intake import check_payload, check_subjects
from dispatcher.store.enqueueing import (
    EventRow,
    Standing,
    insert,
    lacks_tables,
    look_up,
    payload_digest,
)
from dispatcher.vault.intake import IntakeKey
from dispatcher.vault.places import payload_place
from dispatcher.vault.sealer import Place, Vault, seal_for_workers

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
    producer: str = UNNAMED_PRODUCER,
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
    producer: str = UNNAMED_PRODUCER,
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
    producer: str = UNNAMED_PRODUCER,
    idempotency_key: str | None = None,
    ordering_key: str | None = None,
    occurred_at: datetime | None = None,
    traceparent: str | None = None,
    vault: Vault | None = None,
) -> str | Awaitable[str]:
    """Write an event into the outbox and give its id; it exists once the caller commits.

    `target` is the session or connection of the caller's own transaction; with an asynchronous one
    the answer is to be awaited. `payload` is a mapping (or anything msgspec writes as a JSON
    object), or bytes that hold one. `subjects` names whom the event is about, `[]` for nobody; who
    is named twice counts once. The same `idempotency_key` with the same payload gives the first
    event's id again. The payload is sealed from the start, so that only a worker can open it, once
    a worker has put a key into this outbox; `vault` is for dispatcher's own processes.

    Where the registry lists producers, `producer` names the one whose event this is. On PostgreSQL
    the role that logged in says so itself, unless it is dispatcher's own.

    Raises `EnqueueRefused`, whose `reason` is one of `tenant_missing`, `subjects_missing`,
    `event_type_unknown`, `producer_not_allowed`, `too_many_subjects`, `payload_too_large`,
    `schema_invalid`, `idempotency_conflict`, `occurred_at_naive`, `occurred_at_invalid`,
    `argument_invalid`, `target_invalid`; nothing was written then.
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
    producer, intake = check(connection, submission)
    event_id = _insert(connection, replace(submission, producer=producer), vault, intake)
    if isinstance(session, Session):
        wakeup.remember(session, connection)
    return event_id


def check(connection: Connection, submission: Submission) -> tuple[str, IntakeKey | None]:
    """Give the name of the producer whose event it is, and the key to seal to, if there is one.

    Raises `EnqueueRefused` when the event may not be written, `SchemaMismatch` where no event may.
    """
    try:
        standing = look_up(connection, submission.type, submission.producer)
    except DBAPIError as error:
        if not lacks_tables(error):
            raise
        raise SchemaMismatch(
            "this database has no outbox, or an older one",
            fix="run 'dispatcher migrate'",
            where="outbox database",
        ) from error
    if standing.event_type is None:
        raise EnqueueRefused(
            f"the catalogue has no event type {submission.type[:200]!r}",
            where="event_type",
            fix="register the event type, then apply the registry",
            code=Reason.EVENT_TYPE_UNKNOWN,
        )
    producer = _check_producer(standing, submission)
    refusal = check_subjects(submission.subject_count, standing.event_type)
    if refusal is not None:
        raise EnqueueRefused(
            f"an event of {submission.type} is about fewer: {refusal.detail}",
            where="subjects",
            fix="enqueue one event for each of them, or raise the event type's subjects_max",
            code=refusal.code,
        )
    refusal = check_payload(submission.payload, standing.event_type)
    if refusal is not None:
        raise _refused(submission, refusal)
    return producer, None if standing.intake is None else IntakeKey(*standing.intake)


def _check_producer(standing: Standing, submission: Submission) -> str:
    writer = standing.writer
    producer = judge_producer(standing.producers, writer, submission.type, submission.tenant)
    if isinstance(producer, Refusal):
        key = "name" if writer.role is None else "database_roles"
        raise EnqueueRefused(
            producer.detail,
            where="producer",
            fix=f"in the registry, find or add a [[producer]] with this {key}; "
            "add the type to its event_types and the tenant to its tenants",
            code=producer.code,
        )
    if submission.producer not in (producer, UNNAMED_PRODUCER):
        raise EnqueueRefused(
            f"database role {writer.role!r} is producer {producer!r}, and no other",
            where="producer",
            fix=f"leave 'producer' out, or pass producer={producer!r}",
            code=Reason.PRODUCER_NOT_ALLOWED,
        )
    return producer


def _refused(submission: Submission, refusal: Refusal) -> EnqueueRefused:
    return EnqueueRefused(
        f"the payload of {submission.type} is refused: {refusal.detail}",
        where="payload",
        fix=_FIXES.get(refusal.reasons[0], ""),
        code=refusal.code,
    )


def _insert(
    connection: Connection, submission: Submission, vault: Vault | None, intake: IntakeKey | None
) -> str:
    event_id = f"evt_{uuid.uuid4().hex}"
    now_us = time.time_ns() // 1000
    key, payload = submission.idempotency_key, submission.payload
    digest = None if key is None else payload_digest(event_id, submission.type, payload)
    row = EventRow(
        id=event_id,
        tenant=submission.tenant,
        type=submission.type,
        producer=submission.producer,
        subjects=submission.subjects,
        payload=payload,
        is_sealed=False,
        idempotency_key=key,
        payload_digest=digest,
        ordering_key=submission.ordering_key,
        traceparent=submission.traceparent,
        occurred_us=now_us if submission.occurred_us is None else submission.occurred_us,
        enqueued_us=now_us,
    )
    if vault is not None:
        row = _sealed(row, vault.seal)
    elif intake is not None:
        row = _sealed(row, partial(seal_for_workers, intake))
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


def _sealed(row: EventRow, seal: Callable[[bytes, Place], bytes]) -> EventRow:
    """Close what a row says of people, all in one record."""
    content = Content(row.subjects, row.ordering_key, row.payload)
    blob = seal(content.pack(row.type), payload_place(row.tenant, row.id))
    return replace(row, subjects=SEALED_SUBJECTS, ordering_key=None, payload=blob, is_sealed=True)
