"""`/v1/event-types`: what can happen, and which of its fields nobody has classified yet."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.plane import Plane
from dispatcher.api.registered import list_and_read, named
from dispatcher.api.views import View, page_of_names
from dispatcher.model.path import format_path
from dispatcher.model.registry import EventType
from dispatcher.stages.shaping.schema import Unfit, flatten


class EventTypeView(View):
    """An event type. `unclassified` fields never leave until somebody gives them a class."""

    event_type: EventType
    unclassified: list[str]


async def list_event_types(plane: Plane, ask: Ask) -> dict[str, Any]:
    """List event types, and of each the fields that wait to be classified."""
    found = page_of_names((await plane.active()).event_types, ask.query)
    return {**found, "items": [_view(each) for each in found["items"]]}


async def read_event_type(plane: Plane, ask: Ask) -> dict[str, Any]:
    """Give one event type."""
    return _view(named((await plane.active()).event_types, ask.path["name"], "event type"))


def _view(event_type: EventType) -> dict[str, Any]:
    leaves = flatten(event_type.schema).items()
    unclassified = [format_path(path) for path, leaf in leaves if leaf is Unfit.UNCLASSIFIED]
    return {"event_type": event_type, "unclassified": unclassified}


ROUTES: Final = list_and_read(
    "/v1/event-types", list_event_types, read_event_type, EventTypeView, name="event_type/name"
)
