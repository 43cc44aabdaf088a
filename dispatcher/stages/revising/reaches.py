"""What the assessments of a registry do not cover yet: told to whoever plans a change.

Asked by `diff`. A lane that needs an assessment and whose reach is not among those it covers is
closed, so nothing here lets anything flow; it names what an assessor must look at and write down.
"""

from collections.abc import Iterator
from dataclasses import replace

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.registry import Registry
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.gates.paper import WHOLE, reach_of
from dispatcher.stages.revising.compiling import plan_routes


def tell_reaches(registry: Registry, ground: Ground) -> Iterator[Change]:
    """Name the reach of every lane that its connector's assessment does not cover."""
    covered = {
        each.name: each.assessment.covers
        for each in registry.connectors
        if each.assessment is not None and WHOLE not in each.assessment.covers
    }
    asked = tuple(each for each in registry.subscriptions if each.connector in covered)
    for connector, route, listing in plan_routes(replace(registry, subscriptions=asked), ground):
        for event_type, scope in route.scopes.items():
            reach = reach_of(event_type, route.endpoint, listing.entries, scope)
            if reach and reach not in covered[connector.name]:
                what = f"{event_type}: closed until {connector.name}'s assessment covers {reach}"
                where = f"subscription {route.subscription}"
                yield Change(Direction.NEUTRAL, Aspect.TERMS, where, what)
