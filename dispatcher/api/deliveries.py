"""`/v1/deliveries`: what was planned for whom, and where it stands."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dispatcher.api.blurring import as_seen_by, reasons_for
from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import NumberPageQuery, Page, Text, View, page
from dispatcher.control.lanes import LaneControl, Waiting
from dispatcher.control.means import Means
from dispatcher.model.delivery import State
from dispatcher.model.errors import NotFound
from dispatcher.model.people import Principal, Right
from dispatcher.store.history import Filter, HistoryStore


class DeliveryQuery(NumberPageQuery):
    """Which deliveries: exact matches."""

    state: State | None = None
    subscription: Text | None = None
    event: Text | None = None
    tenant: Text | None = None


class DeliveryView(View):
    """One delivery; `subscription` is missing until its event was planned.

    `closed_by` are the reasons, if there are any, for which the lane of one that waits is closed,
    as they are known without a worker's opened keys.
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
    closed_by: list[str]
    replay_of: int | None
    window_start_us: int | None
    window_end_us: int | None


class DeliveryCount(View):
    """How many deliveries of a subscription are in a state."""

    subscription: str | None
    state: str
    rows: int


async def list_deliveries(means: Means, ask: Ask) -> dict[str, Any]:
    """List deliveries in the order they were filed."""
    query: DeliveryQuery = ask.query
    rows = await HistoryStore(means.outbox_database).deliveries(
        Filter(
            state=query.state,
            subscription=query.subscription,
            event_id=query.event,
            tenant=of_one_tenant(ask.principal, query.tenant),
            after=query.after,
            limit=query.limit + 1,
        )
    )
    return page(await seen_deliveries(means, ask.principal, rows), query.limit, "id")


async def count_deliveries(means: Means, _ask: Ask) -> list[dict[str, Any]]:
    """Count deliveries by subscription and state."""
    return await HistoryStore(means.outbox_database).counts()


async def read_delivery(means: Means, ask: Ask) -> Mapping[str, Any]:
    """Give one delivery."""
    found = await HistoryStore(means.outbox_database).delivery(int(ask.path["number"]))
    if found is None or ask.principal.tenant not in (None, found["tenant"]):
        raise NotFound(
            f"no delivery {ask.path['number']}",
            where="N",
            fix="'dispatcher deliveries' lists what there is",
            code="delivery_unknown",
        )
    return (await seen_deliveries(means, ask.principal, [found]))[0]


async def seen_deliveries(
    means: Means, principal: Principal, rows: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Give deliveries as somebody may see them, with what keeps the lanes of those that wait."""
    lanes = [_lane(row) for row in rows]
    closed = await LaneControl.over(means).closed({lane for lane in lanes if lane is not None})
    told = {lane: reasons_for(principal, reasons) for lane, reasons in closed.items()}
    return [
        {**row, "closed_by": told.get(lane, []) if lane is not None else []}
        for row, lane in zip(as_seen_by(principal, rows), lanes, strict=True)
    ]


def _lane(row: Mapping[str, Any]) -> Waiting | None:
    """Give what a delivery waits for; nothing where it does not, or is not planned yet."""
    if row["state"] != State.WAITING or row["subscription"] is None:
        return None
    return Waiting(row["subscription"], row["type"], row["tenant"])


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
