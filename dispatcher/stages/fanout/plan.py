"""Decide who gets a copy of an event, and under which scope it is filed.

Called by the relay for each event it claims, and by previews. It never looks at the payload, and it
plans nothing for a connector that does not serve the event's tenant: that is the first of the two
tenant checks, the second is in `gates.preflight`. Whoever wrote the row may not have asked anybody,
so their right to enqueue it is judged here whatever was judged before.
"""

from collections.abc import Callable

from dispatcher.model.event import Event
from dispatcher.model.ids import WebhookId, lane_of
from dispatcher.model.letter import Planned
from dispatcher.model.producers import Writer, judge_producer
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason, Refusal, refuse


def plan(
    event: Event, snapshot: Snapshot, mint: Callable[[], WebhookId]
) -> tuple[Planned, ...] | Refusal:
    """Plan one delivery per subscriber; an empty tuple means that nobody subscribed.

    `mint` gives a fresh random id for each delivery, so no two partners share one.
    """
    reasons = []
    if not event.tenant.strip():
        reasons.append(Reason.TENANT_MISSING)
    if event.type not in snapshot.event_types:
        reasons.append(Reason.EVENT_TYPE_UNKNOWN)
    if reasons:
        return refuse(*reasons)
    writer = Writer(event.producer, event.role)
    producer = judge_producer(snapshot.producers, writer, event.type, event.tenant)
    if isinstance(producer, Refusal):
        return producer
    return tuple(
        Planned(
            subscription=route.subscription,
            lane=lane_of(route.subscription, event.type),
            webhook_id=mint(),
            scope=route.scopes[event.type],
        )
        for route in snapshot.routes_by_type.get(event.type, ())
        if event.tenant in route.tenants
    )
