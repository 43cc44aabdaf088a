"""Is the lane of one subscription and event type open? Judged when a snapshot is compiled.

Called by `revising.compile_snapshot` and by `explain`. Every reason is collected, so that whoever
is called at night sees all of them at once. It never resolves a name: addresses are judged later,
each time, in `addresses`.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.host import parse_host
from dispatcher.model.registry import Connector, Destination, Policy
from dispatcher.model.scope import Scope
from dispatcher.model.switch import Switch, Target, TargetKind
from dispatcher.model.verdict import Reason, Refusal, hold
from dispatcher.stages.gates.paper import Finding, judge_paper

_DISGUISED: Final = re.compile(r"%(?:25)*(?:2e|2f|5c)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ground:
    """What every lane is judged by; `loopback` are the inboxes a development may use."""

    policy: Policy
    today: date
    loopback: frozenset[tuple[str, int]]


def judge_lane(
    connector: Connector,
    subscription: str,
    endpoint: Endpoint,
    event_type: str,
    scope: Scope,
    switches: Sequence[Switch],
    ground: Ground,
) -> Refusal | None:
    """Collect everything that keeps this lane closed; nothing means that it is open."""
    findings: list[Finding] = []
    if switches:  # a calm night has none, and a large registry has a great many lanes
        stopping = lane_targets(
            connector.name, subscription, endpoint.host, event_type, connector.tenants
        )
        findings += [
            (Reason.SWITCH_ON, str(switch.target))
            for switch in switches
            if plain_target(switch.target) in stopping
        ]
    entries = listed_entries(connector, endpoint)
    if not entries:
        findings.append((Reason.DESTINATION_UNLISTED, f"{endpoint.host} is not listed"))
    elif not any(entry.expires is None or ground.today <= entry.expires for entry in entries):
        findings.append((Reason.DESTINATION_EXPIRED, f"{endpoint.host} has expired"))
    if any(is_host_listed(endpoint.host, host) for host in ground.policy.revoked_hosts):
        findings.append((Reason.DESTINATION_REVOKED, f"{endpoint.host} was revoked"))
    if endpoint.scheme != "https" and (endpoint.host, endpoint.port) not in ground.loopback:
        findings.append((Reason.DESTINATION_PLAINTEXT, f"{endpoint.host} is reached without TLS"))
    findings += judge_paper(connector, scope, entries, ground.policy, ground.today)
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
    return Target(TargetKind.HOST, _canonical(bare) or target.name)


def has_hidden_steps(path: str) -> bool:
    """True when a server might read this path as another one: dot segments, plain or encoded."""
    if _DISGUISED.search(path):
        return True
    return any(segment.partition(";")[0] in (".", "..") for segment in path.split("/"))


def listed_entries(connector: Connector, endpoint: Endpoint) -> list[Destination]:
    """Find the entries of the allowlist that list this endpoint, expired ones included."""
    return [entry for entry in connector.destinations if _is_listed(endpoint, entry)]


def _is_listed(endpoint: Endpoint, entry: Destination) -> bool:
    return (
        endpoint.scheme == entry.scheme
        and endpoint.port == entry.port
        and is_host_listed(endpoint.host, entry.host)
        and _is_below(endpoint.path, entry.path_prefix)
    )


def is_host_listed(host: str, listed: str) -> bool:
    """Compare hosts; `*.` stands for exactly one leading label, and what follows it is a name."""
    if not listed.startswith("*."):
        return host == _canonical(listed)
    label, _, parent = host.partition(".")
    return bool(label) and parent == _canonical(listed[2:])


def _is_below(path: str, prefix: str) -> bool:
    """Compare paths by whole segments: `/in` lists `/in` and `/in/x`, not `/inbox`."""
    if has_hidden_steps(path) or not prefix.startswith("/"):
        return False
    return path == prefix or path.startswith(prefix.removesuffix("/") + "/")


@lru_cache(maxsize=65536)
def _canonical(host: str) -> str | None:
    try:
        return parse_host(host)
    except ValueError:
        return None
