"""`/v1/disclosures`: what left, about whom, to whom, under which agreement; looks are recorded."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dispatcher.api.blurring import as_seen_by
from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import Count, Page, PageQuery, Text, View, page
from dispatcher.control.means import Means
from dispatcher.model.people import Right
from dispatcher.store.history import DisclosureFilter, HistoryStore


class DisclosureQuery(PageQuery):
    """Which disclosures: exact matches, and when they began (microseconds, UTC)."""

    connector: Text | None = None
    subscription: Text | None = None
    event: Text | None = None
    tenant: Text | None = None
    since_us: Count = 0
    until_us: Count | None = None
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}\.-?[0-9]{1,9}$")] | None = None


class DisclosureView(View):
    """One attempt or read and what it disclosed: fields and classes, people as pseudonyms.

    A `read` is what a partner fetched by a ticket: numbered downwards from -1, with the credential
    (`caller`) and the address that came for it. No row holds a value.

    Without an outcome it was begun and nobody knows how it ended: possibly disclosed. `peer_...`
    says who was at the other end: address, and issuer, end and public key of the certificate.
    """

    delivery_id: int
    attempt: int
    kind: Literal["letter", "read"]
    event_id: str | None
    tenant: str
    connector: str
    subscription: str
    endpoint: str
    purpose: str
    legal_basis: str
    agreement: str
    country: str
    subjects: str
    webhook_id: str
    revision: int
    epoch: int
    scope_id: str
    body_sha256: str
    body_bytes: int
    key_ids: str
    worker: str
    begun_us: int
    ended_us: int | None
    outcome: str | None
    status: int | None
    code: str | None
    location_host: str | None
    caller: str | None
    caller_address: str | None
    fields: str | None
    peer_address: str | None
    peer_issuer: str | None
    peer_not_after_us: int | None
    peer_spki: str | None


async def list_disclosures(means: Means, ask: Ask) -> dict[str, Any]:
    """List what was disclosed, in the order the deliveries were filed."""
    query: DisclosureQuery = ask.query
    delivery, _, attempt = (query.cursor or "0.0").partition(".")
    wanted = DisclosureFilter(
        connector=query.connector,
        subscription=query.subscription,
        event_id=query.event,
        tenant=of_one_tenant(ask.principal, query.tenant),
        since_us=query.since_us,
        until_us=query.until_us if query.until_us is not None else 2**62,
        delivery_id=int(delivery),
        attempt=int(attempt),
        limit=query.limit + 1,
    )
    rows = await HistoryStore(means.outbox_database).disclosures(wanted)
    return page(as_seen_by(ask.principal, rows), query.limit, "delivery_id", "attempt")


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/disclosures",
        right=Right.READ,
        answer=list_disclosures,
        query=DisclosureQuery,
        reply=Page[DisclosureView],
        is_tenant_bound=True,
        privileged="disclosures.read",
    ),
)
