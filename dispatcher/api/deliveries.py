"""`/v1/deliveries`: what was planned for whom, and where it stands."""

from collections.abc import Mapping
from typing import Any, Final

from dispatcher.api.blurring import as_seen_by
from dispatcher.api.calls import Ask
from dispatcher.api.plane import Plane
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import NumberPageQuery, Page, Text, View, page
from dispatcher.model.delivery import State
from dispatcher.model.errors import NotFound
from dispatcher.model.people import Right
from dispatcher.store.history import Filter


class DeliveryQuery(NumberPageQuery):
    """Which deliveries: exact matches."""

    state: State | None = None
    subscription: Text | None = None
    event: Text | None = None
    tenant: Text | None = None


class DeliveryView(View):
    """One delivery; `subscription` is missing until its event was planned.

    One that sums up a window of events says from when to when, and names the first of them. A
    replay names the delivery that it sends again.
    """

    id: int
    event_seq: int
    event_id: str
    tenant: str
    type: str
    subscription: str | None
    webhook_id: str | None
    state: str
    due_us: int | None
    attempt: int
    failures: int
    status: int | None
    code: str | None
    settled_us: int | None
    replay_of: int | None
    window_start_us: int | None
    window_end_us: int | None


class DeliveryCount(View):
    """How many deliveries of a subscription are in a state."""

    subscription: str | None
    state: str
    rows: int


async def list_deliveries(plane: Plane, ask: Ask) -> dict[str, Any]:
    """List deliveries in the order they were filed."""
    query: DeliveryQuery = ask.query
    rows = await plane.history.deliveries(
        Filter(
            state=query.state,
            subscription=query.subscription,
            event_id=query.event,
            tenant=of_one_tenant(ask.principal, query.tenant),
            after=query.after,
            limit=query.limit + 1,
        )
    )
    return page(as_seen_by(ask.principal, rows), query.limit, "id")


async def count_deliveries(plane: Plane, _ask: Ask) -> list[dict[str, Any]]:
    """Count deliveries by subscription and state."""
    return await plane.history.counts()


async def read_delivery(plane: Plane, ask: Ask) -> Mapping[str, Any]:
    """Give one delivery."""
    found = await plane.history.delivery(int(ask.path["number"]))
    if found is None or ask.principal.tenant not in (None, found["tenant"]):
        raise NotFound(
            f"no delivery {ask.path['number']}",
            where="N",
            fix="'dispatcher deliveries' lists what there is",
            code="delivery_unknown",
        )
    return as_seen_by(ask.principal, [found])[0]


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/deliveries",
        right=Right.READ,
        answer=list_deliveries,
        query=DeliveryQuery,
        reply=Page[DeliveryView],
        links={"read_delivery": {"number": "$response.body#/items/0/id"}},
        is_tenant_bound=True,
    ),
    Route(
        method="GET",
        path="/v1/deliveries/counts",
        right=Right.READ,
        answer=count_deliveries,
        reply=list[DeliveryCount],
    ),
    Route(
        method="GET",
        path="/v1/deliveries/{number}",
        right=Right.READ,
        answer=read_delivery,
        reply=DeliveryView,
        refusals=(404,),
        is_tenant_bound=True,
    ),
)
