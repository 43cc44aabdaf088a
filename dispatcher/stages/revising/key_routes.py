"""Where partners publish their keys, compiled: which of these places may be asked, and under which
terms.

Called by `compile_snapshot`. A set of keys is fetched like a letter is sent: only from an entry of
the connector's own allowlist, under that entry's TLS terms, and not while a switch stops the
partner. Report-only mode lets nothing be fetched: whoever answers there would choose our keys.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from dispatcher.model.endpoint import Endpoint, parse_endpoint
from dispatcher.model.key_set import KeySet
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Connector, Encryption, Registry
from dispatcher.model.snapshot import KeyRoute, Route
from dispatcher.model.switch import Switch
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason, Refusal, hold
from dispatcher.stages.gates.lanes import lane_targets, plain_target
from dispatcher.stages.gates.listing import Ground, Listing, judge_listing
from dispatcher.stages.gates.paper import Finding

FETCH_SECONDS: Final = 5.0
_NO_SUBSCRIPTION: Final = ""


def plan_key_routes(
    registry: Registry, switches: Sequence[Switch], ground: Ground
) -> Mapping[str, KeyRoute]:
    """Give the place of every connector that publishes its keys, with what forbids to ask there."""
    kids = defaultdict(set)
    for subscription in registry.subscriptions:
        if subscription.encryption is Encryption.JWE and subscription.encryption_kid:
            kids[subscription.connector].add(subscription.encryption_kid)
    found = {}
    for connector in registry.connectors:
        key_set = connector.key_set
        endpoint = _endpoint(key_set) if key_set is not None else None
        if key_set is None or endpoint is None:
            continue
        listing = judge_listing(connector, endpoint, ground)
        found[connector.name] = KeyRoute(
            route=_route(connector, endpoint, listing),
            key_set=key_set,
            kids=frozenset(kids[connector.name]),
            refusal=_judge(connector, endpoint, listing, switches),
        )
    return found


def _endpoint(key_set: KeySet) -> Endpoint | None:
    try:
        endpoint = parse_endpoint(key_set.url)
    except ValueError:
        return None
    return endpoint if endpoint.scheme == "https" else None


def _judge(
    connector: Connector, endpoint: Endpoint, listing: Listing, switches: Sequence[Switch]
) -> Refusal | None:
    findings: list[Finding] = [*listing.findings]
    if listing.is_reported:
        findings.append((Reason.DESTINATION_UNLISTED, f"{endpoint.host} is not listed"))
    if connector.state is not ConnectorState.ACTIVE:
        findings.append((Reason.CONNECTOR_INACTIVE, f"{connector.name} is {connector.state}"))
    stopping = lane_targets(connector.name, _NO_SUBSCRIPTION, endpoint.host, "", connector.tenants)
    findings += [
        (Reason.SWITCH_ON, str(switch.target))
        for switch in switches
        if plain_target(switch.target) in stopping
    ]
    if not findings:
        return None
    reasons = tuple(dict.fromkeys(reason for reason, _ in findings))
    return hold(*reasons, detail="; ".join(detail for _, detail in findings))


def _route(connector: Connector, endpoint: Endpoint, listing: Listing) -> Route:
    terms = listing.terms
    return Route(
        subscription=_NO_SUBSCRIPTION,
        connector=connector.name,
        purpose="",
        legal_basis="",
        agreement="",
        country="",
        endpoint=endpoint,
        private_ranges=listing.ranges,
        tenants=frozenset(connector.tenants),
        scopes={},
        retry_seconds=(),
        attempt_seconds=FETCH_SECONDS,
        concurrency=1,
        alias_zones=listing.alias_zones,
        tls=terms.tls if terms is not None else Tls(),
        close_after_each=True,
    )
