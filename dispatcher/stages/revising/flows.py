"""What may flow under a registry: one flow for each open lane, with everything that bounds it.

Made for `diff`, from the same routes and the same judgement of lanes as the snapshot that workers
obey, so that what a reviewer is shown is what will be done. Switches are left out: they come and go
by themselves. So are proofs, the keys that partners publish, and the client certificates that one
worker or another happens to have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from dispatcher.model.ids import Lane, lane_of
from dispatcher.model.registry import Connector, EventType, Registry
from dispatcher.model.snapshot import Route
from dispatcher.stages.gates.lanes import judge_lane
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.gates.paper import last_day
from dispatcher.stages.revising.compiling import plan_routes


@dataclass(frozen=True, slots=True)
class Flow:
    """One open lane: to whom, which events, which fields, and the last day it is open."""

    route: Route
    connector: Connector
    event_type: EventType
    until: date


def flows(
    registry: Registry, today: date, loopback: frozenset[tuple[str, int]]
) -> Mapping[Lane, Flow]:
    """Find every lane that is open today, or will be for as long as its papers last."""
    ground = Ground(registry.policy, today, loopback)
    event_types = {each.name: each for each in registry.event_types}
    found: dict[Lane, Flow] = {}
    for connector, route, listing in plan_routes(registry, ground):
        for name, scope in route.scopes.items():
            verdict = judge_lane(connector, route, listing, name, scope, (), ground)
            if verdict is None:
                until = last_day(connector, scope, listing.entries, registry.policy)
                if listing.is_reported and connector.report_only_until is not None:
                    until = min(until, connector.report_only_until)
                flow = Flow(route, connector, event_types[name], until)
                found[lane_of(route.subscription, name)] = flow
    return found
