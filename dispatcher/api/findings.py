"""`/v1/findings`: what the leak guard found in letters, and what was done about it."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import NumberPageQuery, Page, Text, View, page
from dispatcher.control.means import Means
from dispatcher.model.leak import Detector
from dispatcher.model.people import Right
from dispatcher.store.findings import FindingFilter, FindingStore


class FindingQuery(NumberPageQuery):
    """Which findings: exact matches."""

    detector: Detector | None = None
    subscription: Text | None = None
    event: Text | None = None
    tenant: Text | None = None


class FindingView(View):
    """What looked like a leak in one field of one delivery; `length` is the longest, in signs.

    Neither what was found nor anything it could be guessed from is kept.
    """

    id: int
    delivery_id: int
    event_id: str
    tenant: str
    type: str
    subscription: str
    detector: str
    path: str
    action: str
    length: int
    count: int
    found_us: int


async def list_findings(means: Means, ask: Ask) -> dict[str, Any]:
    """List what the leak guard found, the newest first."""
    query: FindingQuery = ask.query
    rows = await FindingStore(means.outbox_database).list(
        FindingFilter(
            detector=query.detector,
            subscription=query.subscription,
            event_id=query.event,
            tenant=of_one_tenant(ask.principal, query.tenant),
            before=query.before,
            limit=query.limit + 1,
        )
    )
    return page(rows, query.limit, "id")


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/findings",
        right=Right.READ,
        answer=list_findings,
        query=FindingQuery,
        reply=Page[FindingView],
        is_tenant_bound=True,
    ),
)
