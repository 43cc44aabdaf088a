"""`/v1/replays`: send again what was delivered or is dead, by number or by how it ended."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import NUMBER_MAX, Text, View, Why, whole_number
from dispatcher.control.means import Means
from dispatcher.control.replaying import Replayed, Replaying, Wish
from dispatcher.model.delivery import State
from dispatcher.model.errors import InvalidInput
from dispatcher.model.people import Right
from dispatcher.model.replay import REPLAYS_MAX
from dispatcher.store.replays import Ended

Number = Annotated[int, Field(ge=1, le=NUMBER_MAX), BeforeValidator(whole_number)]
Moment = Annotated[int, Field(ge=0, le=NUMBER_MAX), BeforeValidator(whole_number)]

_FILTERS: Final = frozenset({"state", "since_us", "until_us"})


class Replay(View):
    """What to send again: `deliveries`, or what of a `subscription` ended in a `state`; and why.

    `since_us` and `until_us` bound when it ended; they and `state` go with a subscription alone.
    More than `limit` is refused. With `new_ids` partners get a new `webhook-id`, and take it for
    another message.
    """

    deliveries: Annotated[list[Number], Field(min_length=1, max_length=1000)] | None = None
    subscription: Text | None = None
    state: Literal["delivered", "dead"] = "dead"
    since_us: Moment = 0
    until_us: Moment | None = None
    tenant: Text | None = None
    reason: Why
    new_ids: bool = False
    dry_run: bool = False
    limit: Annotated[int, Field(ge=1, le=REPLAYS_MAX), BeforeValidator(whole_number)] = 1000


class KindView(View):
    """How many of one kind; with a `code` they cannot be sent again, and it says why."""

    subscription: str
    type: str
    state: str
    code: str | None
    count: int


class FiledView(View):
    """A new delivery, and the one that it is a replay of."""

    delivery: int
    replay_of: int
    webhook_id: str


class ReplayedView(View):
    """What was found, by kind, and what was filed of it: nothing at a dry run."""

    dry_run: bool
    kinds: list[KindView]
    filed: list[FiledView]


async def replay(means: Means, ask: Ask) -> dict[str, Any]:
    """File new deliveries of what has ended. They go out as policy lets them, and never wider."""
    body: Replay = ask.body
    wish = Wish(
        ids=tuple(dict.fromkeys(body.deliveries or ())),
        ended=_ended(body),
        tenant=of_one_tenant(ask.principal, body.tenant),
        new_ids=body.new_ids,
        limit=body.limit,
    )
    if body.dry_run:
        return _view(await Replaying.over(means).look(wish, by=ask.principal))
    return _view(await Replaying.over(means).replay(wish, reason=body.reason, by=ask.principal))


def _ended(body: Replay) -> Ended | None:
    if (body.deliveries is None) is (body.subscription is None):
        raise InvalidInput(
            "it is not said what to send again",
            where="deliveries, subscription",
            fix="name deliveries, or the subscription whose ended deliveries it is about",
            code="replay_unclear",
        )
    if body.subscription is None:
        if not _FILTERS.isdisjoint(body.model_fields_set):
            raise InvalidInput(
                "deliveries are named, so nothing else chooses among them",
                where=", ".join(sorted(_FILTERS & body.model_fields_set)),
                fix="leave it out, or name the subscription instead of deliveries",
                code="replay_unclear",
            )
        return None
    until_us = body.until_us if body.until_us is not None else 2**62
    return Ended(
        subscription=body.subscription,
        state=State(body.state),
        since_us=body.since_us,
        until_us=until_us,
    )


def _view(found: Replayed) -> dict[str, Any]:
    return {"dry_run": found.is_dry, "kinds": list(found.kinds), "filed": list(found.filed)}


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/replays",
        right=Right.REPLAY,
        answer=replay,
        body=Replay,
        reply=ReplayedView,
        refusals=(404, 409, 422),
        is_tenant_bound=True,
        keeps_replies=True,
    ),
)
