"""Is the lane of one subscription and event type open? Judged when a snapshot is compiled.

Called when a snapshot is compiled, and by the disclosure diff, which compares what flows. Every
reason is collected, so that whoever is called at night sees all of them at once. It never resolves
a name: addresses are judged later, each time, in `addresses`.
"""

from collections.abc import Collection, Sequence

from dispatcher.model.host import parse_host
from dispatcher.model.registry import Connector, Destination
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Route
from dispatcher.model.switch import Switch, Target, TargetKind
from dispatcher.model.verdict import Reason, Refusal, hold
from dispatcher.stages.gates.listing import Ground, Listing
from dispatcher.stages.gates.paper import Finding, judge_paper, reach_of
from dispatcher.stages.gates.partner_keys import judge_encryption


def judge_lane(
    connector: Connector,
    route: Route,
    listing: Listing,
    event_type: str,
    scope: Scope,
    switches: Sequence[Switch],
    ground: Ground,
) -> Refusal | None:
    """Collect everything that keeps this lane closed; nothing means that it is open.

    `listing` is what `judge_listing` finds for the endpoint: the same for all of its lanes.
    """
    findings: list[Finding] = []
    endpoint = route.endpoint
    if switches:  # a calm night has none, and a large registry has a great many lanes
        stopping = lane_targets(
            connector.name, route.subscription, endpoint.host, event_type, connector.tenants
        )
        findings += [
            (Reason.SWITCH_ON, str(switch.target))
            for switch in switches
            if plain_target(switch.target) in stopping
        ]
    findings += listing.findings
    entries = listing.entries
    if listing.is_reported:  # nobody named a country either, and that is judged like any other
        entries = (Destination(host=endpoint.host, reason=""),)
    if ground.ownership is not None and ground.ownership.is_unproven(connector.name, endpoint):
        findings.append((Reason.ENDPOINT_UNPROVEN, f"{endpoint.host} is not proven to be theirs"))
    if route.subscription in ground.lacks.unsigned:
        findings.append((Reason.SIGNING_KEY_MISSING, f"no key of {route.subscription} signs now"))
    findings += judge_encryption(connector, route, scope, ground.partner_keys)
    if route.subscription in ground.lacks.unbound:
        what = "a stored header of it is not for this place, or has the name of a plain one"
        findings.append((Reason.CREDENTIALS_UNBOUND, what))
    reach = reach_of(event_type, endpoint, entries, scope)
    findings += judge_paper(connector, scope, entries, ground.policy, ground.today, reach)
    if not findings:
        return None
    reasons = tuple(dict.fromkeys(reason for reason, _ in findings))
    return hold(*reasons, detail="; ".join(detail for _, detail in findings))


def lane_targets(
    connector: str, subscription: str, host: str, event_type: str, tenants: Collection[str]
) -> tuple[Target, ...]:
    """List the switch targets that stop this whole lane.

    A tenant's switch does so where the connector serves that tenant alone; elsewhere `preflight`
    parks that tenant's deliveries one by one.
    """
    alone = [Target(TargetKind.TENANT, tenant) for tenant in tenants if len(tenants) == 1]
    return (
        *alone,
        Target(TargetKind.EVERYTHING),
        Target(TargetKind.CONNECTOR, connector),
        Target(TargetKind.HOST, host),
        Target(TargetKind.SUBSCRIPTION, subscription),
        Target(TargetKind.EVENT_TYPE, event_type),
    )


def plain_target(target: Target) -> Target:
    """Give the target with its host name in canonical form, as endpoints have it."""
    if target.kind is not TargetKind.HOST:
        return target
    bare = target.name[1:-1] if target.name.startswith("[") else target.name
    try:
        return Target(TargetKind.HOST, parse_host(bare))
    except ValueError:
        return target
