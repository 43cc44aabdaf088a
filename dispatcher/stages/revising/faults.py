"""Everything that is wrong with a registry, all at once, each fault naming object and key.

Called by `control` before a change set is accepted and by the command line on files. What merely
closes a lane (expired paper, an unlisted destination, a missing owner) is no fault: it is a state
of affairs. It never changes the registry and never stops at the first fault.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgspec

from dispatcher.model.caller import Caller
from dispatcher.model.host import parse_host, parse_network
from dispatcher.model.registry import EventType, Policy, Registry
from dispatcher.model.text import is_readable
from dispatcher.model.tls import Tls
from dispatcher.stages.gates.listing import WILDCARD
from dispatcher.stages.revising.caller_faults import check_callers
from dispatcher.stages.revising.connector_faults import check_connector, check_country
from dispatcher.stages.revising.event_type_faults import check_event_type
from dispatcher.stages.revising.fault import NAME, Fault, bad_name, out_of_range
from dispatcher.stages.revising.leak_rules import check_leak_rules
from dispatcher.stages.revising.producer_faults import check_producers
from dispatcher.stages.revising.retention_terms import check_retention
from dispatcher.stages.revising.subscription_faults import (
    check_references,
    check_scope,
    check_subscription,
)

DAYS_LIMIT: Final = 3_650
_ESCAPED: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[bfnrtu]")
"""The escape of a control character, unless the backslash itself is escaped."""


def find_faults(registry: Registry) -> tuple[Fault, ...]:
    """List every fault; an empty tuple means that the registry holds together."""
    return tuple(_find(registry))


def _find(registry: Registry) -> Iterator[Fault]:
    for kind, objects in (
        ("event type", registry.event_types),
        ("connector", registry.connectors),
        ("subscription", registry.subscriptions),
        ("producer", registry.producers),
    ):
        for each in objects:
            if not _may_be_unreadable(each):
                continue
            for key, value in _fields(each):
                yield from _check_texts(f"{kind} {each.name!r}: {key}", value)
    yield from _check_policy(registry.policy)
    yield from _check_once("event type", (each.name for each in registry.event_types))
    yield from _check_names("connector", (each.name for each in registry.connectors))
    yield from _check_names("subscription", (each.name for each in registry.subscriptions))
    yield from _check_names("producer", (each.name for each in registry.producers))
    sound: dict[str, EventType] = {}
    for event_type in registry.event_types:
        faults = tuple(check_event_type(event_type))
        yield from faults
        if not faults:
            sound[event_type.name] = event_type
    for connector in registry.connectors:
        yield from check_connector(connector)
    yield from check_callers(registry.connectors)
    known = {each.name for each in registry.event_types}
    connectors = {each.name: each for each in registry.connectors}
    for subscription in registry.subscriptions:
        yield from check_subscription(subscription)
        yield from check_references(subscription, connectors, known)
        connector_of = connectors.get(subscription.connector)
        if connector_of is not None:
            yield from check_scope(subscription, connector_of, sound, registry.policy)
    yield from check_producers(registry.producers, known)
    yield from check_leak_rules(registry.policy, sound, known)
    yield from check_retention(registry.policy.retention, known)


def _check_policy(policy: Policy) -> Iterator[Fault]:
    if any(not 0 <= days <= DAYS_LIMIT for days in policy.warn_days):
        yield out_of_range("policy: warn_days", 0, DAYS_LIMIT)
    if not 0 <= policy.owner_grace_days <= DAYS_LIMIT:
        yield out_of_range("policy: owner_grace_days", 0, DAYS_LIMIT)
    if not 1 <= policy.proof_days <= DAYS_LIMIT:
        yield out_of_range("policy: proof_days", 1, DAYS_LIMIT)
    for country in policy.countries:
        if country != "*":
            yield from check_country("policy: countries", country)
    for host in policy.revoked_hosts:
        try:
            _ = parse_network(host) if "/" in host else parse_host(host.removeprefix(WILDCARD))
        except ValueError as error:
            fix = "write a host name, an address or a network"
            yield Fault("policy: revoked_hosts", str(error), fix)


def _may_be_unreadable(thing: Any) -> bool:
    """Tell in one look at a whole object whether some text in it needs to be looked for.

    In JSON a control character is an escape, and everything else stands as it is.
    """
    try:
        text = msgspec.json.encode(thing).decode()
    except (UnicodeEncodeError, TypeError):
        return True
    return _ESCAPED.search(text) is not None or not is_readable(text)


def _fields(thing: Any) -> Iterator[tuple[str, object]]:
    return ((each.name, getattr(thing, each.name)) for each in fields(thing))


def _check_texts(where: str, value: object) -> Iterator[Fault]:
    """Find text that no database keeps and no line of a log shows, however deep it lies."""
    if isinstance(value, str):
        if not is_readable(value):
            yield Fault(where, "holds a control character", "write readable text on one line")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _check_texts(where, name)
            yield from _check_texts(f"{where} {name!r}", inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _check_texts(where, inner)
    elif is_dataclass(value):
        for name, inner in _fields(value):
            if not (isinstance(value, Tls | Caller) and name in ("ca", "key")):  # checked apart
                yield from _check_texts(f"{where} {name}", inner)


def _check_names(kind: str, names: Iterable[str]) -> Iterator[Fault]:
    given = tuple(names)
    yield from _check_once(kind, given)
    for name in dict.fromkeys(given):
        if not NAME.match(name):
            yield bad_name(f"{kind} {name!r}: name")


def _check_once(kind: str, names: Iterable[str]) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Fault(
                f"{kind} {name!r}: name", f"defined {count} times", "give each its own name"
            )
