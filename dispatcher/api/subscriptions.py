"""`/v1/subscriptions`: which endpoint receives which fields of which event types."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.registered import list_and_read, named
from dispatcher.api.views import NamePageQuery, Text, page_of_names
from dispatcher.control.means import Means
from dispatcher.model.registry import Subscription


class SubscriptionQuery(NamePageQuery):
    """Which subscriptions: those of one partner, or all."""

    connector: Text | None = None


async def list_subscriptions(means: Means, ask: Ask) -> dict[str, Any]:
    """List subscriptions, those of one connector if one is named."""
    query: SubscriptionQuery = ask.query
    active = await means.active()
    wanted = [e for e in active.subscriptions if query.connector in (None, e.connector)]
    return page_of_names(wanted, query)


async def read_subscription(means: Means, ask: Ask) -> Subscription:
    """Give one subscription."""
    return named((await means.active()).subscriptions, ask.path["name"], "subscription")


ROUTES: Final = list_and_read(
    "/v1/subscriptions", list_subscriptions, read_subscription, Subscription, SubscriptionQuery
)
