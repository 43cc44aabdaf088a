"""Compile one revision of the registry and the tripped switches to the snapshot workers obey.

Called by the worker whenever revision or epoch moved, and by `control.proofs`; `flows` takes the
routes from here. The work grows with the number of lanes, never with lanes times switches. It is
total: a subscription that does not hold together gets no route, so nothing flows through it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache

from dispatcher.model.caller import CallerKind, Callers, Known
from dispatcher.model.classification import Sensitivity
from dispatcher.model.endpoint import Endpoint, parse_endpoint
from dispatcher.model.headers import Headers, compile_headers
from dispatcher.model.ids import Epoch, Lane, Revision, lane_of
from dispatcher.model.leak import rules_in_force
from dispatcher.model.paper import ConnectorState
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.producers import list_producers
from dispatcher.model.proof import Proof
from dispatcher.model.registry import (
    SUBJECTS_MAX,
    SUMMARY_SUBJECTS_MAX,
    Connector,
    Encryption,
    EventType,
    Limits,
    Registry,
    Style,
    Subscription,
)
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.switch import Switch, Target, TargetKind
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Refusal
from dispatcher.stages.gates.credentials import LACKS_NOTHING, Lacks
from dispatcher.stages.gates.lanes import judge_lane, lane_targets, plain_target
from dispatcher.stages.gates.listing import Ground, Listing, judge_listing
from dispatcher.stages.gates.ownership import Ownership
from dispatcher.stages.gates.partner_keys import (
    PartnerKeys,
    choose_key,
    handed_keys_of,
    keys_of,
)
from dispatcher.stages.revising.key_routes import plan_key_routes
from dispatcher.stages.shaping.scopes import resolve_scope


def compile_snapshot(
    registry: Registry,
    *,
    revision: Revision,
    epoch: Epoch,
    switches: Sequence[Switch],
    proofs: Iterable[Proof],
    today: date,
    loopback: frozenset[tuple[str, int]],
    identities: frozenset[str] | None = frozenset(),
    lacks: Lacks = LACKS_NOTHING,
    partner_keys: PartnerKeys | None = None,
) -> Snapshot:
    """Make the snapshot of one revision and epoch; `today` decides what has expired.

    `identities` are the client certificates that the worker has, `partner_keys` what partners
    publish; `None` where none is asked. `lacks` says which subscriptions have no key to sign with,
    or no stored header for where they lead.
    """
    event_types = {each.name: each for each in registry.event_types}
    ownership = Ownership.of(registry.policy, loopback, proofs, today)
    ground = Ground(registry.policy, today, loopback, identities, ownership, lacks, partner_keys)
    parts = list(plan_routes(registry, ground))
    by_type: dict[str, list[Route]] = defaultdict(list)
    for _, route, _ in parts:
        for event_type in route.scopes:
            by_type[event_type].append(route)
    open_lanes, closed = _judge_lanes(parts, _by_target(switches), ground)
    return Snapshot(
        revision=revision,
        epoch=epoch,
        routes={route.subscription: route for _, route, _ in parts},
        routes_by_type={name: tuple(routes) for name, routes in by_type.items()},
        event_types=event_types,
        producers=list_producers(registry.producers),
        policy=registry.policy,
        switches=tuple(switches),
        closed=closed,
        open_lanes=tuple(open_lanes),
        callers=_callers(registry.connectors),
        key_routes=plan_key_routes(registry, switches, ground),
        proving=tuple(
            route for _, route, _ in parts if ownership.wants_proof(route.connector, route.endpoint)
        ),
    )


def _callers(connectors: Iterable[Connector]) -> Callers:
    """List who may fetch; a connector that is not active has nobody who may."""
    known = [
        Known(connector.name, caller)
        for connector in connectors
        if connector.state is ConnectorState.ACTIVE
        for caller in connector.callers
    ]
    by_pin: dict[str, list[Known]] = defaultdict(list)
    for each in known:
        if each.caller.kind is CallerKind.CERTIFICATE:
            by_pin[each.caller.pin].append(each)
    return Callers(
        {e.caller.kid: e for e in known if e.caller.kind is CallerKind.SIGNATURE},
        {pin: tuple(those) for pin, those in by_pin.items()},
        frozenset(each.caller.ca for those in by_pin.values() for each in those),
    )


def count_lanes(registry: Registry, target: Target) -> int:
    """Count the lanes that a switch on this target touches.

    A tenant's switch touches every lane of a connector that serves it, shared with others or not.
    """
    wanted = plain_target(target)
    known = {each.name for each in registry.event_types}
    connectors = {each.name: each for each in registry.connectors}
    count = 0
    for subscription in registry.subscriptions:
        connector = connectors.get(subscription.connector)
        endpoint = _endpoint(subscription.url)
        if connector is None or endpoint is None:
            continue
        is_served = wanted.kind is TargetKind.TENANT and wanted.name in connector.tenants
        for event_type in known.intersection(subscription.scope):
            touching = lane_targets(
                connector.name, subscription.name, endpoint.host, event_type, connector.tenants
            )
            count += is_served or wanted in touching
    return count


def plan_routes(registry: Registry, ground: Ground) -> Iterable[tuple[Connector, Route, Listing]]:
    """Give the route of every subscription that holds together, and what lists its endpoint."""
    event_types = {each.name: each for each in registry.event_types}
    connectors = {each.name: each for each in registry.connectors}
    leak_rules = rules_in_force(registry.policy.leak_rules)
    floor = registry.policy.encrypt_from
    encrypt_from = None if floor == "never" else Sensitivity(floor)
    for subscription in sorted(registry.subscriptions, key=lambda each: each.name):
        connector = connectors.get(subscription.connector)
        endpoint = _endpoint(subscription.url)
        headers = compile_headers(subscription.headers)
        if connector is not None and endpoint is not None and headers is not None:
            listing = judge_listing(connector, endpoint, ground)
            route = _route(subscription, connector, endpoint, listing, headers, event_types)
            route = replace(
                route,
                leak_rules=leak_rules,
                encrypt_from=encrypt_from,
                keys=handed_keys_of(connector, ground.partner_keys),
                letter_key=_letter_key(subscription, connector, ground),
            )
            yield connector, route, listing


def _letter_key(
    subscription: Subscription, connector: Connector, ground: Ground
) -> PartnerKey | None:
    if subscription.encryption is Encryption.NONE:
        return None
    return choose_key(keys_of(connector, ground.partner_keys), subscription.encryption_kid)


def _judge_lanes(
    parts: Iterable[tuple[Connector, Route, Listing]],
    tripped: Mapping[Target, Sequence[Switch]],
    ground: Ground,
) -> tuple[list[tuple[Lane, Route]], dict[Lane, Refusal]]:
    """Give the lanes that are open, and why the others are closed."""
    open_lanes: list[tuple[Lane, Route]] = []
    closed: dict[Lane, Refusal] = {}
    for connector, route, listing in parts:
        for event_type, scope in route.scopes.items():
            verdict = judge_lane(
                connector,
                route,
                listing,
                event_type,
                scope,
                _switches_here(tripped, route, event_type),
                ground,
            )
            lane = lane_of(route.subscription, event_type)
            if verdict is None:
                open_lanes.append((lane, route))
            else:
                closed[lane] = verdict
    return open_lanes, closed


def _route(
    subscription: Subscription,
    connector: Connector,
    endpoint: Endpoint,
    listing: Listing,
    headers: Headers,
    event_types: Mapping[str, EventType],
) -> Route:
    purpose = connector.purpose(subscription.purpose)
    basis = purpose.legal_basis if purpose is not None else None
    countries = {entry.country for entry in listing.entries}
    terms = listing.terms
    return Route(
        subscription=subscription.name,
        connector=connector.name,
        purpose=subscription.purpose,
        legal_basis=basis.value if basis is not None else "",
        agreement=connector.agreement.reference if connector.agreement is not None else "",
        country=",".join(sorted(filter(None, countries))),
        endpoint=endpoint,
        private_ranges=listing.ranges,
        is_reported=listing.is_reported,
        tenants=frozenset(connector.tenants),
        scopes=_scopes(subscription, connector, event_types),
        window_seconds=subscription.window_seconds if subscription.group else None,
        format=subscription.format,
        signing=subscription.signing,
        compat_signature=subscription.compat_signature,
        limits=Limits(
            subscription.body_bytes_max, _subjects_max(subscription), subscription.records_max
        ),
        encryption=subscription.encryption,
        retry_seconds=tuple(subscription.retry_seconds),
        attempt_seconds=subscription.attempt_seconds,
        concurrency=subscription.concurrency,
        rate_per_second=subscription.rate_per_second,
        alias_zones=listing.alias_zones,
        tls=terms.tls if terms is not None else Tls(),
        close_after_each=terms is not None and terms.close_after_each,
        headers=headers,
        token_version=connector.token_version,
        ticket_seconds=subscription.ticket_seconds,
        ticket_uses=subscription.ticket_uses,
    )


def _subjects_max(subscription: Subscription) -> int:
    if subscription.subjects_max is not None:
        return subscription.subjects_max
    return SUMMARY_SUBJECTS_MAX if subscription.style is Style.SUMMARY else SUBJECTS_MAX


def _scopes(
    subscription: Subscription, connector: Connector, event_types: Mapping[str, EventType]
) -> dict[str, Scope]:
    purpose = connector.purpose(subscription.purpose)
    categories = frozenset(purpose.categories if purpose is not None else ())
    return {
        name: resolve_scope(
            event_types[name].schema,
            tuple(grants),
            connector.clearance,
            categories,
            is_thin=subscription.style is Style.THIN,
            group_min=subscription.group,
        )[0]
        for name, grants in sorted(subscription.scope.items())
        if name in event_types
    }


def _by_target(switches: Iterable[Switch]) -> Mapping[Target, Sequence[Switch]]:
    found: dict[Target, list[Switch]] = defaultdict(list)
    for switch in switches:
        found[plain_target(switch.target)].append(switch)
    return found


def _switches_here(
    tripped: Mapping[Target, Sequence[Switch]], route: Route, event_type: str
) -> Sequence[Switch]:
    if not tripped:
        return ()
    targets = lane_targets(
        route.connector, route.subscription, route.endpoint.host, event_type, route.tenants
    )
    return [switch for target in targets for switch in tripped.get(target, ())]


@lru_cache(maxsize=65536)
def _endpoint(url: str) -> Endpoint | None:
    try:
        return parse_endpoint(url)
    except ValueError:
        return None
