"""Is this endpoint on a connector's allowlist, today, and what may its name answer with?

Asked by `compile_snapshot` and by `explain`: the same judgement. An entry lists one host, every
name one label below a wildcard, or every literal address of a network; always with scheme, port
and path. It never resolves a name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.host import (
    TYPED_CHARACTERS_MAX,
    as_address,
    canonical_host,
    is_public_suffix,
    is_special,
    parse_network,
)
from dispatcher.model.registry import Connector, Destination, Policy
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.addresses import parse_range
from dispatcher.stages.gates.aliases import granted_zones
from dispatcher.stages.gates.credentials import LACKS_NOTHING, Lacks
from dispatcher.stages.gates.ownership import Ownership
from dispatcher.stages.gates.paper import Finding
from dispatcher.stages.gates.partner_keys import PartnerKeys
from dispatcher.stages.gates.terms import find_terms, judge_terms

WILDCARD: Final = "*."
_DISGUISED: Final = re.compile(r"%(?:25)*(?:2e|2f|5c)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ground:
    """What every lane is judged by; `loopback` are the inboxes a development may use.

    `identities` are the client certificates at hand; `None` where it is not about one worker.
    Without `ownership` nobody is asked for a proof: where what may flow is compared, proofs are
    left out as switches are, for both come and go by themselves. So do `partner_keys`, those that
    partners publish, and what subscriptions have none of: `lacks`.
    """

    policy: Policy
    today: date
    loopback: frozenset[tuple[str, int]]
    identities: frozenset[str] | None = None
    ownership: Ownership | None = None
    lacks: Lacks = LACKS_NOTHING
    partner_keys: PartnerKeys | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What the allowlist says of one endpoint.

    `entries` list it, expired ones included; `ranges` are the private ranges that those of today
    name, `alias_zones` where they let its aliases lie. `is_reported`: nothing lists it, and the
    connector is in report-only mode. `terms` is the entry that says how TLS is spoken today.
    """

    entries: tuple[Destination, ...]
    ranges: tuple[str, ...]
    alias_zones: tuple[str, ...]
    findings: tuple[Finding, ...] = field(default=())
    is_reported: bool = False
    terms: Destination | None = None


def judge_listing(connector: Connector, endpoint: Endpoint, ground: Ground) -> Listing:
    """Find what lists an endpoint, and everything by which the allowlist refuses it."""
    entries = listed_entries(connector, endpoint)
    current = [each for each in entries if is_current(each, ground.today)]
    ranges = tuple(sorted({text for each in current if (text := granted_range(each))}))
    may_report = endpoint.scheme == "https" and is_report_only(connector, ground.today)
    is_reported = may_report and not entries
    findings = () if is_reported else tuple(_judge_entries(connector, endpoint, entries, current))
    is_inside = is_inside_name(endpoint) and not ranges
    findings += (*_judge_host(endpoint.host, ground, is_inside=is_inside),)
    terms = find_terms(current, ground.today)
    if terms is not None:
        findings += (*judge_terms(terms, ground.today, ground.identities),)
    zones = granted_zones(current)
    return Listing(tuple(entries), ranges, zones, findings, is_reported, terms)


def _judge_entries(
    connector: Connector,
    endpoint: Endpoint,
    entries: list[Destination],
    current: list[Destination],
) -> Iterator[Finding]:
    host = endpoint.host
    if current:
        return
    if entries:
        yield Reason.DESTINATION_EXPIRED, f"{host} has expired"
    elif endpoint.scheme != "https" and any(
        each.scheme == "https" and is_host_covered(host, each.host)
        for each in connector.destinations
    ):
        yield Reason.DESTINATION_PLAINTEXT, f"no entry lets {host} be reached without TLS"
    else:
        yield Reason.DESTINATION_UNLISTED, f"{host} is not listed"


def _judge_host(host: str, ground: Ground, *, is_inside: bool) -> Iterator[Finding]:
    if any(is_host_covered(host, revoked) for revoked in ground.policy.revoked_hosts):
        yield Reason.DESTINATION_REVOKED, f"{host} was revoked"
    # A development's own inboxes may have any name: they are reached by exact address and port.
    if is_inside and not ground.loopback:
        yield Reason.DESTINATION_INSIDE, f"{host} is a name of the inside and no range is granted"


def listed_entries(connector: Connector, endpoint: Endpoint) -> list[Destination]:
    """Find the entries of the allowlist that list this endpoint, expired ones included."""
    return [entry for entry in connector.destinations if _is_listed(endpoint, entry)]


def is_current(entry: Destination, today: date) -> bool:
    """True while an entry has not expired."""
    return entry.expires is None or today <= entry.expires


def is_report_only(connector: Connector, today: date) -> bool:
    """True while a connector only reports what is not listed; there is always a last day."""
    until = connector.report_only_until
    return until is not None and today <= until


def is_inside_name(endpoint: Endpoint) -> bool:
    """True for a name that only means something inside a network (N6)."""
    return endpoint.literal is None and is_special(endpoint.host)


def granted_range(entry: Destination) -> str:
    """Give the range an entry lets its host answer in; a network lists itself. Empty: none.

    A range that no entry may name grants nothing.
    """
    text = entry.private_range or (entry.host if "/" in entry.host else "")
    is_short = len(text) <= TYPED_CHARACTERS_MAX
    return text if text and is_short and _is_grant(text) else ""


def is_host_covered(host: str, by: str) -> bool:
    """Compare hosts: `*.` stands for exactly one leading label, a network for its addresses."""
    if len(by) > TYPED_CHARACTERS_MAX:
        return False
    if "/" in by:
        return _is_inside(host, by)
    if not by.startswith(WILDCARD):
        return host == canonical_host(by)
    label, _, parent = host.partition(".")
    return bool(label) and parent == canonical_host(by.removeprefix(WILDCARD))


def has_hidden_steps(path: str) -> bool:
    """True when a server might read this path as another one: dot segments, plain or encoded."""
    if _DISGUISED.search(path):
        return True
    return any(segment.partition(";")[0] in (".", "..") for segment in path.split("/"))


def _is_listed(endpoint: Endpoint, entry: Destination) -> bool:
    return (
        endpoint.scheme == entry.scheme
        and endpoint.port == entry.port
        and is_host_covered(endpoint.host, entry.host)
        and _may_list(entry.host)
        and _is_below(endpoint.path, entry.path_prefix)
    )


def _is_below(path: str, prefix: str) -> bool:
    """Compare paths by whole segments: `/in` lists `/in` and `/in/x`, not `/inbox`."""
    if has_hidden_steps(path) or not prefix.startswith("/"):
        return False
    return path == prefix or path.startswith(prefix.removesuffix("/") + "/")


@lru_cache(maxsize=65536)
def _may_list(host: str) -> bool:
    """True unless an entry is too wide: it was refused, or comes from before that was checked."""
    if "/" in host:
        return _is_grant(host)
    if not host.startswith(WILDCARD):
        return True
    parent = canonical_host(host.removeprefix(WILDCARD))
    return parent is not None and as_address(parent) is None and not is_public_suffix(parent)


@lru_cache(maxsize=4096)
def _is_grant(network: str) -> bool:
    try:
        parse_range(network)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=65536)
def _is_inside(host: str, network: str) -> bool:
    try:
        return ip_address(host) in parse_network(network)
    except ValueError:
        return False
