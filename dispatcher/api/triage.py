"""`/v1/triage`: the fields that events carry and no schema classes, for somebody to decide on."""

from typing import Any, Final, Literal

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import NamePageQuery, Page, Text, View
from dispatcher.control.means import Means
from dispatcher.model.people import Right
from dispatcher.store.triage import TriageStore


class TriageQuery(NamePageQuery):
    """Of one event type, or of all."""

    event_type: Text | None = None


class Withheld(View):
    """A place in events that is withheld from everybody, for its schema does not class it.

    `[*]` stands for members whose names may be values, and for elements.
    """

    event_type: str
    path: str
    reason: Literal["unclassified", "undeclared"]
    first_seen_us: int
    last_seen_us: int


async def list_triage(means: Means, ask: Ask) -> dict[str, Any]:
    """List the places in events that no schema classes, as workers lately saw them."""
    query: TriageQuery = ask.query
    after_type, _, after_path = (query.cursor or "").partition(" ")
    rows = await TriageStore(means.outbox_database).listed(
        event_type=query.event_type, after=(after_type, after_path), limit=query.limit + 1
    )
    items = rows[: query.limit]
    more = len(rows) > query.limit
    cursor = f"{items[-1]['event_type']} {items[-1]['path']}" if more else None
    return {"items": items, "next": cursor}


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/triage",
        right=Right.READ,
        answer=list_triage,
        query=TriageQuery,
        reply=Page[Withheld],
    ),
)
