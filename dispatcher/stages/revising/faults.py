"""Everything that is wrong with a registry, all at once, each fault naming object and key.

Called by `control` before a change set is accepted and by the command line on files. What merely
closes a lane (expired paper, an unlisted destination, a missing owner) is no fault: it is a state
of affairs. It never changes the registry and never stops at the first fault.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from dispatcher.model.endpoint import parse_endpoint, parse_host
from dispatcher.model.registry import Connector, Destination, EventType, Registry, Subscription
from dispatcher.model.schema import compile_schema, read_schema
from dispatcher.stages.gates.lanes import has_hidden_steps
from dispatcher.stages.shaping.schema import CLASSIFICATION, Unfit, classify
from dispatcher.stages.shaping.scopes import resolve_scope

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_UNWRITABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
PAYLOAD_BYTES_LIMIT: Final = 16 * 1024 * 1024
CONCURRENCY_LIMIT: Final = 1_000
ATTEMPT_SECONDS_LIMIT: Final = 300
RETRY_SECONDS_LIMIT: Final = 7 * 86_400
RETRIES_LIMIT: Final = 50

_FIXES: Final[dict[Unfit, str]] = {
    Unfit.MALFORMED: "write a path such as $.order.id or $.lines[*].sku",
    Unfit.UNKNOWN: "grant a path that the event type's schema declares",
    Unfit.CONTAINER: "grant the single fields below it, one by one",
    Unfit.UNFOLLOWED: "declare the field with properties, items or additionalProperties alone",
    Unfit.UNCLASSIFIED: f"give the field a scalar type and {CLASSIFICATION} in the schema",
    Unfit.SECRET: "take the path out: secrets and credentials never leave",
    Unfit.OVER_CLEARANCE: "take the path out, or raise the connector's clearance",
    Unfit.OUT_OF_PURPOSE: "take the path out, or add its category to the purpose",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, why, and what to do about it."""

    where: str
    why: str
    fix: str


def find_faults(registry: Registry, loopback: frozenset[tuple[str, int]]) -> tuple[Fault, ...]:
    """List every fault; an empty tuple means that the registry holds together."""
    return tuple(_find(registry, loopback))


def _find(registry: Registry, loopback: frozenset[tuple[str, int]]) -> Iterator[Fault]:
    for kind, objects in (
        ("event type", registry.event_types),
        ("connector", registry.connectors),
        ("subscription", registry.subscriptions),
    ):
        for each in objects:
            for key, value in _fields(each):
                yield from _check_texts(f"{kind} {each.name!r}: {key}", value)
    yield from _check_names("event type", (each.name for each in registry.event_types))
    yield from _check_names("connector", (each.name for each in registry.connectors))
    yield from _check_names("subscription", (each.name for each in registry.subscriptions))
    sound: dict[str, EventType] = {}
    for event_type in registry.event_types:
        faults = tuple(_check_event_type(event_type))
        yield from faults
        if not faults:
            sound[event_type.name] = event_type
    for connector in registry.connectors:
        yield from _check_connector(connector, loopback)
    known = {each.name for each in registry.event_types}
    connectors = {each.name: each for each in registry.connectors}
    for subscription in registry.subscriptions:
        yield from _check_subscription(subscription, loopback)
        yield from _check_references(subscription, connectors, known)
        connector_of = connectors.get(subscription.connector)
        if connector_of is not None:
            yield from _check_scope(subscription, connector_of, sound)


def _fields(thing: Any) -> Iterator[tuple[str, object]]:
    return ((each.name, getattr(thing, each.name)) for each in fields(thing))


def _check_texts(where: str, value: object) -> Iterator[Fault]:
    """Find text that no database keeps and no line of a log shows, however deep it lies."""
    if isinstance(value, str):
        if _UNWRITABLE.search(value):
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
            yield from _check_texts(f"{where} {name}", inner)


def _check_names(kind: str, names: Iterable[str]) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        where = f"{kind} {name!r}: name"
        if count > 1:
            yield Fault(where, f"defined {count} times", "give each its own name")
        if not _NAME.match(name):
            yield _bad_name(where)


def _bad_name(where: str) -> Fault:
    return Fault(
        where,
        "not a name",
        "use lower-case letters, digits, '_', '.', '-'; begin with a letter or digit; at most 64",
    )


def _check_event_type(event_type: EventType) -> Iterator[Fault]:
    of = f"event type {event_type.name!r}"
    if not 1 <= event_type.payload_bytes_max <= PAYLOAD_BYTES_LIMIT:
        yield _out_of_range(f"{of}: payload_bytes_max", 1, PAYLOAD_BYTES_LIMIT)
    try:
        schema = read_schema(event_type.schema)
    except ValueError as error:
        yield Fault(f"{of}: schema", str(error), "write one JSON object")
        return
    faults = [*_check_schema_words(f"{of}: schema", schema)]
    yield from faults
    if faults:
        return
    try:
        compile_schema(event_type.schema)
    except ValueError as error:
        why = str(error).partition("\n")[0]
        yield Fault(f"{of}: schema", f"not JSON Schema 2020-12: {why}", "correct the schema")


def _check_schema_words(where: str, schema: object) -> Iterator[Fault]:
    """Find references and misspelt classes anywhere in the schema."""
    waiting: list[object] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
            yield from _check_node(where, node)


def _check_node(where: str, node: dict[str, Any]) -> Iterator[Fault]:
    for word in _REFERENCES:
        if isinstance(node.get(word), str):
            yield Fault(where, f"{word} is not supported", "write the referenced schema in place")
    said = node.get(CLASSIFICATION)
    # A member of `properties` may bear the word as its name: then it is a schema, not a class.
    is_class = CLASSIFICATION in node and not (isinstance(said, dict) and "type" in said)
    if is_class and classify(node) is None:
        yield Fault(
            where,
            f"{CLASSIFICATION} is not in the vocabulary",
            'write {"category": ..., "sensitivity": ...} with the words of the documentation',
        )


def _check_connector(connector: Connector, loopback: frozenset[tuple[str, int]]) -> Iterator[Fault]:
    of = f"connector {connector.name!r}"
    for name, count in Counter(each.name for each in connector.purposes).items():
        where = f"{of}: purposes {name!r}"
        if count > 1:
            yield Fault(where, f"defined {count} times", "give each its own name")
        if not _NAME.match(name):
            yield _bad_name(where)
    if any(not tenant.strip() for tenant in connector.tenants):
        yield Fault(f"{of}: tenants", "a tenant is blank", "name the tenant")
    for destination in connector.destinations:
        where = f"{of}: destinations {destination.host!r}"
        yield from _check_destination(where, destination, loopback)


def _check_destination(
    where: str, entry: Destination, loopback: frozenset[tuple[str, int]]
) -> Iterator[Fault]:
    host = ""
    try:
        host = parse_host(entry.host.removeprefix("*."))
    except ValueError as error:
        yield Fault(where, str(error), "write a host name or an address, without scheme or port")
    if entry.host.startswith("*.") and host and "." not in host:
        yield Fault(where, "the wildcard covers a whole top level", "name at least two labels")
    if entry.scheme not in ("https", "http"):
        yield Fault(f"{where}: scheme", "not https", "write scheme = 'https'")
    if entry.scheme == "http" and (host, entry.port) not in loopback:
        yield _plaintext(f"{where}: scheme")
    if not 1 <= entry.port <= 65535:
        yield _out_of_range(f"{where}: port", 1, 65535)
    if not entry.path_prefix.startswith("/") or has_hidden_steps(entry.path_prefix):
        yield Fault(f"{where}: path_prefix", "not a plain path", "begin with '/', without '..'")
    if not entry.reason.strip():
        yield Fault(f"{where}: reason", "no business reason", "say why data goes there")


def _check_subscription(
    subscription: Subscription, loopback: frozenset[tuple[str, int]]
) -> Iterator[Fault]:
    of = f"subscription {subscription.name!r}"
    try:
        endpoint = parse_endpoint(subscription.url)
    except ValueError as error:
        fix = "write https://host/path, with no user, password or fragment"
        yield Fault(f"{of}: url", str(error), fix)
    else:
        if endpoint.scheme == "http" and (endpoint.host, endpoint.port) not in loopback:
            yield _plaintext(f"{of}: url")
        if has_hidden_steps(endpoint.path):
            yield Fault(f"{of}: url", "the path has dot segments", "write the path it leads to")
    if not 1 <= subscription.concurrency <= CONCURRENCY_LIMIT:
        yield _out_of_range(f"{of}: concurrency", 1, CONCURRENCY_LIMIT)
    if not 0 < subscription.attempt_seconds <= ATTEMPT_SECONDS_LIMIT:
        yield _out_of_range(f"{of}: attempt_seconds", 0, ATTEMPT_SECONDS_LIMIT)
    if any(not 0 < seconds <= RETRY_SECONDS_LIMIT for seconds in subscription.retry_seconds):
        yield _out_of_range(f"{of}: retry_seconds", 0, RETRY_SECONDS_LIMIT)
    if len(subscription.retry_seconds) > RETRIES_LIMIT:
        yield Fault(f"{of}: retry_seconds", "too many waits", f"write at most {RETRIES_LIMIT}")


def _check_references(
    subscription: Subscription, connectors: dict[str, Connector], event_types: set[str]
) -> Iterator[Fault]:
    of = f"subscription {subscription.name!r}"
    connector = connectors.get(subscription.connector)
    if connector is None:
        why = f"there is no connector {subscription.connector!r}"
        yield Fault(f"{of}: connector", why, "name a connector of this registry")
    elif connector.purpose(subscription.purpose) is None:
        why = f"connector {connector.name!r} has no purpose {subscription.purpose!r}"
        yield Fault(f"{of}: purpose", why, "name a purpose of the connector")
    for name in subscription.scope:
        if name not in event_types:
            why = "there is no such event type"
            yield Fault(f"{of}: scope {name!r}", why, "name an event type of this registry")


def _check_scope(
    subscription: Subscription, connector: Connector, sound: dict[str, EventType]
) -> Iterator[Fault]:
    purpose = connector.purpose(subscription.purpose)
    if purpose is None:
        return
    for name, paths in subscription.scope.items():
        where = f"subscription {subscription.name!r}: scope {name!r}"
        for path, count in Counter(paths).items():
            if count > 1:
                yield Fault(f"{where} {path}", f"written {count} times", "write it once")
        if name not in sound:
            continue
        _, withheld = resolve_scope(
            sound[name].schema, tuple(paths), connector.clearance, frozenset(purpose.categories)
        )
        for each in withheld:
            why = f"cannot be granted: {each.why}"
            yield Fault(f"{where} {each.path}", why, _FIXES[each.why])


def _plaintext(where: str) -> Fault:
    return Fault(
        where,
        "plain http to something that is not a loopback inbox",
        "use https; http is for [network] loopback_inboxes of a development configuration",
    )


def _out_of_range(where: str, least: float, most: float) -> Fault:
    floor = f"from {least}" if least else "above 0 and"
    return Fault(where, "out of range", f"write a number {floor} to {most}")
