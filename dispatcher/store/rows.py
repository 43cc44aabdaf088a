"""Reading rows into the model: events with their payloads opened, leased deliveries.

Used by the claiming modules. A payload that does not open is not an error here: it becomes empty,
which is no JSON, so shaping parks the delivery with a reason. One whose key is not at hand stays
sealed: nobody waits for a key inside a transaction. One broken row stops no batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from dispatcher.model.errors import KeyDestroyed, KeyUnavailable
from dispatcher.model.event import (
    INTAKE_MARK,
    SEALED_SUBJECTS,
    UNREADABLE,
    Content,
    Event,
    read_subjects,
)
from dispatcher.model.ids import DeliveryId, EventId, LeaseToken, ScopeId, WebhookId, WindowId
from dispatcher.model.letter import Leased

EVENT_COLUMNS: Final = (
    "e.seq, e.id AS event_id, e.tenant, e.type, e.producer, e.subjects, e.occurred_us, "
    "e.payload, e.is_sealed, e.ordering_key, e.traceparent"
)
DELIVERY_COLUMNS: Final = (
    "d.id, d.attempt, d.failures, d.webhook_id, d.subscription, d.scope_id, d.window_id"
)


class PayloadOpener(Protocol):
    """Opens a sealed payload of one event."""

    def __call__(self, blob: bytes, tenant: str, event_id: str) -> bytes | None:
        """Give what was sealed (`model.event.Content`), or `None` when the seal is broken.

        Raises `KeyUnavailable` for a key that is not at hand, `KeyDestroyed` for one that is gone.
        """


def event_from(
    row: Sequence[Any],
    open_payload: PayloadOpener,
    *,
    role: str | None = None,
    is_filed: bool = False,
) -> Event:
    """Make an event of a row that starts with `EVENT_COLUMNS`; `role` is whoever answers for it.

    Whatever is filed was sealed by a worker that had checked it: a payload of it that lies in
    clear, or is sealed as anybody can, was put there by somebody else, and is not read.
    """
    seq, event_id, tenant, kind, producer, subjects, occurred_us, payload, is_sealed, key, trace = (
        row[:11]
    )
    is_locked = False
    if payload is not None:
        payload = bytes(payload)
        if is_filed and (not is_sealed or payload.startswith(INTAKE_MARK)):
            payload = UNREADABLE
        elif is_sealed:
            try:
                opened = Content.unpack(open_payload(payload, tenant, event_id) or b"", kind)
                subjects, key, payload = opened or (subjects, key, UNREADABLE)
            except KeyUnavailable:
                is_locked = True
            except KeyDestroyed:
                payload = None
    if is_sealed and subjects == SEALED_SUBJECTS:
        subjects = "[]"  # they went with the payload, or are to be read with it
    return Event(
        seq=seq,
        id=EventId(event_id),
        tenant=tenant,
        type=kind,
        producer=producer,
        subjects=read_subjects(subjects) or (),
        occurred_us=occurred_us,
        payload=payload,
        ordering_key=key,
        traceparent=trace,
        role=role,
        is_locked=is_locked,
        subjects_text=subjects,
    )


def leased_from(
    row: Sequence[Any], token: LeaseToken, lease_ends: float, event_of: Callable[[Any], Event]
) -> Leased:
    """Make a leased delivery of a row with `EVENT_COLUMNS`, then `DELIVERY_COLUMNS`."""
    delivery_id, attempt, failures, webhook_id, subscription, scope_id, window_id = row[11:18]
    return Leased(
        id=DeliveryId(delivery_id),
        token=token,
        attempt=attempt + 1,
        failures=failures,
        webhook_id=WebhookId(webhook_id),
        subscription=subscription,
        filed_scope=ScopeId(scope_id),
        lease_ends=lease_ends,
        event=event_of(row),
        window_id=WindowId(window_id) if window_id is not None else None,
    )
