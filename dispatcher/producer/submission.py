"""Check what a product service hands in, as far as that can be done without the catalogue.

Called by `producer.enqueueing` before it touches the database. Every fault is an `EnqueueRefused`
with a stable code; none of them quotes a value of the payload.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeGuard, cast

import msgspec

from dispatcher.model.errors import EnqueueRefused
from dispatcher.model.verdict import Reason

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An event as the product service meant it: every part well-formed, the payload as text."""

    type: str
    tenant: str
    subjects: str
    subject_count: int
    producer: str
    payload: bytes = field(repr=False)
    idempotency_key: str | None
    ordering_key: str | None
    occurred_us: int | None
    traceparent: str | None


def submit(
    event_type: str,
    payload: object,
    *,
    tenant: str | None,
    subjects: Collection[str] | None,
    producer: str,
    idempotency_key: str | None,
    ordering_key: str | None,
    occurred_at: datetime | None,
    traceparent: str | None,
) -> Submission:
    """Give the event in the form it is stored in, or raise `EnqueueRefused`."""
    names = _check_subjects(subjects)
    return Submission(
        type=_check_type(event_type),
        tenant=_check_tenant(tenant),
        subjects=msgspec.json.encode(names).decode(),
        subject_count=len(names),
        producer=_check_text("producer", producer),
        payload=_encode_payload(payload),
        idempotency_key=_check_optional("idempotency_key", idempotency_key),
        ordering_key=_check_optional("ordering_key", ordering_key),
        occurred_us=_microseconds(occurred_at),
        traceparent=_check_optional("traceparent", traceparent),
    )


def _check_type(event_type: object) -> str:
    if not _is_text(event_type):
        raise EnqueueRefused(
            "an event type is a name",
            where="event_type",
            fix="pass the name of a registered event type",
            code=Reason.EVENT_TYPE_UNKNOWN,
        )
    return event_type


def _check_tenant(tenant: object) -> str:
    if not _is_text(tenant):
        raise EnqueueRefused(
            "the event names no tenant",
            where="tenant",
            fix="pass the tenant the event belongs to: tenant='...'",
            code=Reason.TENANT_MISSING,
        )
    return tenant


def _check_subjects(subjects: object) -> list[str]:
    """Give each subject once, in the order given."""
    is_list = isinstance(subjects, Collection) and not isinstance(
        subjects, str | bytes | bytearray | Mapping
    )
    names = list(cast("Collection[object]", subjects)) if is_list else [None]
    texts = [name for name in names if _is_text(name)]
    if len(texts) < len(names):
        raise EnqueueRefused(
            "it is not said whom the event is about",
            where="subjects",
            fix="pass a list of names, empty when it is about nobody: subjects=[]",
            code="subjects_missing",
        )
    return list(dict.fromkeys(texts))


def _check_optional(name: str, value: object) -> str | None:
    return None if value is None else _check_text(name, value)


def _check_text(name: str, value: object) -> str:
    if not _is_text(value):
        raise EnqueueRefused(
            f"'{name}' is not a text, or is blank, or holds what no database stores",
            where=name,
            fix=f"pass a readable text as {name}, or leave it out",
            code="argument_invalid",
        )
    return value


def _is_text(value: object) -> TypeGuard[str]:
    """True for what every database keeps as it is: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_payload(payload: object) -> bytes:
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    try:
        text = msgspec.json.encode(payload)
        # NaN and the infinities would be written as null.
        is_exact = b"null" not in text or _is_finite(msgspec.to_builtins(payload))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        is_exact = False
    if not is_exact:
        raise EnqueueRefused(
            "the payload cannot be written as JSON",
            where="payload",
            fix="pass a mapping of plain values, or bytes that hold a JSON object",
            code=Reason.SCHEMA_INVALID,
        )
    return text


def _is_finite(payload: object) -> bool:
    """True when every number of plain values is one that JSON has."""
    waiting = [payload]
    while waiting:
        node = waiting.pop()
        if isinstance(node, float) and not math.isfinite(node):
            return False
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)
    return True


def _microseconds(moment: object) -> int | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise EnqueueRefused(
            "'occurred_at' is not a moment with a time zone",
            where="occurred_at",
            fix="pass an aware datetime, as in datetime.now(UTC)",
            code="occurred_at_naive",
        )
    moment_us = (moment - _EPOCH) // _MICROSECOND
    if not 0 <= moment_us <= _LAST_US:
        raise EnqueueRefused(
            "'occurred_at' is not from 1970 to 9999",
            where="occurred_at",
            fix="pass when it happened, or leave it out for now",
            code="occurred_at_invalid",
        )
    return moment_us
