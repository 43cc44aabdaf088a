"""`/v1/connectors`: the partners, and which of their papers end soon."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.registered import list_and_read, named
from dispatcher.api.views import View, page_of_names
from dispatcher.control.means import Means
from dispatcher.model.days import day_of
from dispatcher.model.registry import Connector, Registry
from dispatcher.stages.gates.paper import Due, coming_due


class PaperView(View):
    """A paper that ends soon or has ended: the days left, less than none once it has."""

    paper: str
    until: date
    days_left: int


class ConnectorView(View):
    """A partner, and its papers that end within the policy's earliest warning."""

    connector: Connector
    papers_due: list[PaperView]


async def list_connectors(means: Means, ask: Ask) -> dict[str, Any]:
    """List partners: owner, agreement, clearance, and where each may be reached."""
    active = await means.active()
    due = _due(active, day_of(means.wall_us()))
    found = page_of_names(active.connectors, ask.query)
    return {**found, "items": [_view(each, due) for each in found["items"]]}


async def read_connector(means: Means, ask: Ask) -> dict[str, Any]:
    """Give one partner."""
    active = await means.active()
    due = _due(active, day_of(means.wall_us()))
    return _view(named(active.connectors, ask.path["name"], "connector"), due)


def _due(registry: Registry, today: date) -> dict[str, list[Due]]:
    found: dict[str, list[Due]] = {}
    for each in coming_due(registry, today):
        found.setdefault(each.connector, []).append(each)
    return found


def _view(connector: Connector, due: Mapping[str, Sequence[Due]]) -> dict[str, Any]:
    return {"connector": connector, "papers_due": due.get(connector.name, [])}


ROUTES: Final = list_and_read(
    "/v1/connectors", list_connectors, read_connector, ConnectorView, name="connector/name"
)
