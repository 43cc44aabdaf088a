"""`/v1/events`: put an event in, find it again, and hear its whole story."""

from typing import Annotated, Any, Final

import msgspec
from pydantic import AwareDatetime, Field

from dispatcher.api.blurring import as_seen_by
from dispatcher.api.calls import Ask
from dispatcher.api.deliveries import DeliveryView, seen_deliveries
from dispatcher.api.disclosures import DisclosureView
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import NumberPageQuery, Page, Text, View, page
from dispatcher.control.means import Means
from dispatcher.model.errors import (
    EnqueueRefused,
    Forbidden,
    KeyMissing,
    KeyUnavailable,
    Malformed,
    NotFound,
)
from dispatcher.model.people import Right
from dispatcher.model.producers import UNNAMED_PRODUCER
from dispatcher.model.schema import has_twins
from dispatcher.model.verdict import Reason
from dispatcher.producer import enqueue
from dispatcher.producer.enqueueing import check
from dispatcher.producer.submission import Submission, submit
from dispatcher.store.history import Filter, HistoryStore
from dispatcher.vault.sealer import Vault

Loose = Annotated[str, Field(max_length=500)]
"""A text that `enqueue` judges, as for every other producer."""
STORY_DELIVERIES_MAX: Final = 1000


class NewEvent(View):
    """An event as a service hands it in; `subjects` may be empty, but must be said."""

    type: Loose
    tenant: Loose
    subjects: Annotated[list[Loose], Field(max_length=1000)]
    payload: dict[str, Any]
    producer: Loose = UNNAMED_PRODUCER
    ordering_key: Loose | None = None
    occurred_at: AwareDatetime | None = None
    traceparent: Loose | None = None


class _Payload(msgspec.Struct):
    """The payload as it was sent: a number keeps every digit it has."""

    payload: msgspec.Raw


class Enqueued(View):
    """The id of an event; the first one's, where an idempotency key was used before."""

    event: str


class EventQuery(NumberPageQuery):
    """Which events: exact matches."""

    tenant: Text | None = None
    type: Text | None = None


class EventView(View):
    """An event, without its payload."""

    id: str
    seq: int
    tenant: str
    type: str
    producer: str
    written_by: str | None
    subjects: str | None
    occurred_us: int
    enqueued_us: int
    has_payload: bool


class Story(View):
    """An event, for whom it was planned, and every attempt with what it disclosed."""

    event: EventView
    deliveries: list[DeliveryView]
    attempts: list[DisclosureView]


async def enqueue_event(means: Means, ask: Ask) -> dict[str, Any]:
    """Put one event into the outbox."""
    wanted: NewEvent = ask.body
    of_one_tenant(ask.principal, wanted.tenant)
    producer = wanted.producer
    if not ask.principal.is_here:
        producer = await means.producers.name_for(
            ask.principal, producer, wanted.type, wanted.tenant
        )
    payload = payload_of(ask.raw)
    said: dict[str, Any] = {
        "tenant": wanted.tenant,
        "subjects": wanted.subjects,
        "producer": producer,
        "idempotency_key": ask.key,
        "ordering_key": wanted.ordering_key,
        "occurred_at": wanted.occurred_at,
        "traceparent": wanted.traceparent,
    }
    try:
        vault = await _ready_for(means, submit(wanted.type, payload, **said))
        async with means.outbox_database.begin() as connection:
            event_id = await enqueue(connection, wanted.type, payload, vault=vault, **said)
    except EnqueueRefused as error:
        if error.reason != Reason.PRODUCER_NOT_ALLOWED:
            raise
        raise Forbidden(error.why, where=error.where, fix=error.fix, code=error.reason) from None
    return {"event": event_id}


async def _ready_for(means: Means, submission: Submission) -> Vault | None:
    """Give the vault once it can seal the event; nothing where the intake's key must do.

    No key is made for the tenant of an event that is refused, and none seals that has ended.
    """
    vault = means.vault
    try:
        await vault.renew()
        if vault.is_ready(submission.tenant):
            return vault
        async with means.outbox_database.view() as connection:
            await connection.run_sync(check, submission)
        await vault.ready(submission.tenant)
    except (KeyMissing, KeyUnavailable):
        return None
    return vault


def payload_of(body: bytes) -> bytes:
    """Give the payload of a body as it was sent."""
    try:
        document = msgspec.json.decode(body)
        payload = bytes(msgspec.json.decode(body, type=_Payload).payload)
    except msgspec.MsgspecError:  # NaN and Infinity, which are not JSON
        raise Malformed("not JSON", where="body", fix="send numbers that JSON has") from None
    # Where the payload itself names a member twice, `enqueue` says so.
    if has_twins(body, document) and not has_twins(payload, document["payload"]):
        raise Malformed("a member is named twice", where="body", fix="name each member once")
    return payload


async def list_events(means: Means, ask: Ask) -> dict[str, Any]:
    """List events, the newest first, without their payloads."""
    query: EventQuery = ask.query
    rows = await HistoryStore(means.outbox_database).events(
        tenant=of_one_tenant(ask.principal, query.tenant),
        event_type=query.type,
        before=query.before,
        limit=query.limit + 1,
    )
    return page(rows, query.limit, "seq")


async def read_event(means: Means, ask: Ask) -> dict[str, Any]:
    """Give one event, without its payload."""
    event = await HistoryStore(means.outbox_database).event(ask.path["id"])
    if event is None or ask.principal.tenant not in (None, event["tenant"]):
        raise NotFound(
            f"no event {ask.path['id'][:100]}",
            where="EVENT_ID",
            fix="'dispatcher deliveries' lists what there is",
            code="event_unknown",
        )
    return event


async def trace_event(means: Means, ask: Ask) -> dict[str, Any]:
    """Tell the whole story of an event: planned for whom, tried when, which fields left.

    Of what waits in a closed lane it says why.
    """
    event = await read_event(means, ask)
    wanted = Filter(event_id=event["id"], limit=STORY_DELIVERIES_MAX)
    history = HistoryStore(means.outbox_database)
    planned = await history.deliveries(wanted)
    return {
        "event": event,
        "deliveries": await seen_deliveries(means, ask.principal, planned),
        "attempts": as_seen_by(ask.principal, await history.attempts(event["seq"])),
    }


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/events",
        right=Right.ENQUEUE,
        answer=enqueue_event,
        body=NewEvent,
        reply=Enqueued,
        status=201,
        links={name: {"id": "$response.body#/event"} for name in ("read_event", "trace_event")},
        refusals=(422,),
        is_tenant_bound=True,
    ),
    Route(
        method="GET",
        path="/v1/events",
        right=Right.READ,
        answer=list_events,
        query=EventQuery,
        reply=Page[EventView],
        links={"trace_event": {"id": "$response.body#/items/0/id"}},
        is_tenant_bound=True,
        privileged="events.read",
    ),
    Route(
        method="GET",
        path="/v1/events/{id}",
        right=Right.READ,
        answer=read_event,
        reply=EventView,
        refusals=(404,),
        is_tenant_bound=True,
        privileged="events.read",
    ),
    Route(
        method="GET",
        path="/v1/events/{id}/trace",
        right=Right.READ,
        answer=trace_event,
        reply=Story,
        refusals=(404,),
        is_tenant_bound=True,
        privileged="events.read",
    ),
)
