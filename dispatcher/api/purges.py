"""`/v1/purges`: what was removed because its window was over, and what is due by now.

For whoever must show that retention is followed: rules, counts and instants, never a value.
"""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import NumberPageQuery, Page, View, page
from dispatcher.control.means import Means
from dispatcher.model.days import day_of
from dispatcher.model.people import Right
from dispatcher.model.retention import Store
from dispatcher.stages.revising.retention import retention_rules
from dispatcher.store.retention import RetentionStore


class PurgeQuery(NumberPageQuery):
    """Of one store, or of all."""

    store: Store | None = None


class PurgeView(View):
    """What one sweep removed of a store by one rule of the policy, of that revision.

    `counts` are rows by table. `oldest_us` and `newest_us` tell from when they were, by the clock
    that the rule counts from; `survivor_us` the same of the oldest row that stayed and neither
    moves nor is held: null where there is none, or where a sweep that is not `is_complete` was cut
    short. What it had removed until then is in `counts` all the same.
    """

    id: int
    at_us: int
    store: Store
    rule: str
    counts: dict[str, int]
    oldest_us: int
    newest_us: int
    survivor_us: int | None
    is_complete: bool
    worker: str
    revision: int


class DueView(View):
    """What a rule of the policy would remove now, and what it would not though its window is over.

    `held` rows are under a legal hold; `moving` ones are of events that may still be sent.
    """

    store: Store
    rule: str
    due: int
    held: int
    moving: int
    oldest_us: int | None


async def list_purges(means: Means, ask: Ask) -> dict[str, Any]:
    """List what was removed because its window was over, the newest first."""
    query: PurgeQuery = ask.query
    rows = await RetentionStore(means.outbox_database).purges(
        store=query.store, before=query.before, limit=query.limit + 1
    )
    return page(rows, query.limit, "id")


async def count_due(means: Means, ask: Ask) -> list[Any]:  # noqa: ARG001 - as every noun's
    """Count what is past its window now, rule by rule, without removing it."""
    registry = await means.active()
    retention, today = registry.policy.retention, day_of(means.wall_us())
    rules = retention_rules(retention, registry.event_types, today)
    store = RetentionStore(means.outbox_database)
    return [await store.due(rule) for rule in rules]


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/purges",
        right=Right.READ,
        answer=list_purges,
        query=PurgeQuery,
        reply=Page[PurgeView],
    ),
    Route(
        method="GET",
        path="/v1/purges/due",
        right=Right.READ,
        answer=count_due,
        reply=list[DueView],
    ),
)
