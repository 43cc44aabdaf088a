"""`/v1/event-types`: what can happen, with which fields."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.registered import list_and_read, named
from dispatcher.api.views import View, page_of_names
from dispatcher.control.means import Means
from dispatcher.model.registry import EventType


class EventTypeView(View):
    """An event type, its schema as text."""

    event_type: EventType


async def list_event_types(means: Means, ask: Ask) -> dict[str, Any]:
    """List event types."""
    found = page_of_names((await means.active()).event_types, ask.query)
    return {**found, "items": [_view(each) for each in found["items"]]}


async def read_event_type(means: Means, ask: Ask) -> dict[str, Any]:
    """Give one event type."""
    return _view(named((await means.active()).event_types, ask.path["name"], "event type"))


def _view(event_type: EventType) -> dict[str, Any]:
    return {"event_type": event_type}


ROUTES: Final = list_and_read(
    "/v1/event-types", list_event_types, read_event_type, EventTypeView, name="event_type/name"
)
