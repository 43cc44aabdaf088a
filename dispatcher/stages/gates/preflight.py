"""The first gate: may this delivery go out under this snapshot, and with which fields at most?

Called by the courier before anything is resolved, and again by `departure` when policy moved. It
never reads the payload, only whether there is one.
"""

from functools import lru_cache

from dispatcher.model.ids import lane_of
from dispatcher.model.letter import Cleared, Leased
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.switch import Switch, TargetKind
from dispatcher.model.verdict import Reason, Refusal, refuse


def preflight(leased: Leased, snapshot: Snapshot, filed: Scope) -> Cleared | Refusal:
    """Judge one delivery; today's scope may only narrow `filed`, that of its filing."""
    event = leased.event
    route = snapshot.routes.get(leased.subscription)
    if route is None:
        return refuse(Reason.SUBSCRIPTION_UNKNOWN, detail=leased.subscription)
    closed = snapshot.closed.get(lane_of(leased.subscription, event.type))
    if closed is not None:
        return closed
    if _is_tenant_stopped(event.tenant, snapshot.switches):
        # The lane stays open for other tenants, so this delivery steps aside: one write now, and it
        # is judged again when a switch changes. Waiting, it would be leased over and over.
        return refuse(Reason.SWITCH_ON, detail=f"{TargetKind.TENANT}:{event.tenant}")
    scope = route.scopes.get(event.type)
    reasons = []
    if scope is None:
        reasons.append(Reason.EVENT_TYPE_NOT_SUBSCRIBED)
    if event.tenant not in route.tenants:
        reasons.append(Reason.TENANT_NOT_SERVED)
    if event.payload is None:
        reasons.append(Reason.PAYLOAD_GONE)
    if reasons or scope is None:
        return refuse(*reasons, detail=f"{event.type} to {leased.subscription}")
    return Cleared(
        leased=leased,
        route=route,
        scope=_narrow(scope, filed),
        revision=snapshot.revision,
        epoch=snapshot.epoch,
    )


def _is_tenant_stopped(tenant: str, switches: tuple[Switch, ...]) -> bool:
    return any(
        switch.target.kind is TargetKind.TENANT and switch.target.name == tenant
        for switch in switches
    )


@lru_cache(maxsize=4096)
def _narrow(now: Scope, filed: Scope) -> Scope:
    """Intersect two scopes once, not once per delivery. An equal pair gives the snapshot's own."""
    return now.intersect(filed)
