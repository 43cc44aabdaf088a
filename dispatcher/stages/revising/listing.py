"""The part of the disclosure diff that holds whether or not anything flows yet.

The allowlist itself, how fields are classed, and the terms that change nothing about disclosure.
Called by `diff` alone. An entry that nobody uses yet counts too: it is what may be reached.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from typing import Any, Final

from dispatcher.model.classification import Category
from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.host import contains, parse_network
from dispatcher.model.leak import Detector
from dispatcher.model.paper import ConnectorState
from dispatcher.model.path import format_path
from dispatcher.model.registry import Connector, Destination, OwnershipProof, Policy, Registry
from dispatcher.model.tls import Tls
from dispatcher.stages.gates.aliases import is_within_any, zones_of
from dispatcher.stages.gates.listing import granted_range
from dispatcher.stages.revising.evolution import Kind, compare_schemas
from dispatcher.stages.revising.tls_terms import compare_tls
from dispatcher.stages.shaping.schema import Leaf, flatten

_Key = tuple[str, str, int, str]
_STRICTEST: Final = tuple(OwnershipProof)


def compare_listing(old: Registry, new: Registry, today: date) -> Iterator[Change]:
    """Give destinations and countries gained and lost, plain http by itself."""
    was, now = _connectors(old), _connectors(new)
    for name in sorted(was.keys() | now.keys()):
        where = f"connector {name}"
        yield from _report_changes(where, was.get(name), now.get(name))
        before, after = _entries(was.get(name), today), _entries(now.get(name), today)
        if before == after:
            continue
        yield from _compare_entries(where, before, after, today)
        if _report_end(now.get(name)) is not None:
            yield from _freed_names(where, before, after)
        gained, lost = _countries(after), _countries(before)
        for country in sorted(gained - lost):
            yield Change(Direction.WIDENS, Aspect.COUNTRY, where, country)
        for country in sorted(lost - gained):
            yield Change(Direction.NARROWS, Aspect.COUNTRY, where, country)


def compare_revoked(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the hosts that were revoked, whose revocation is taken back, and what holds drift."""
    was, now = set(old.policy.revoked_hosts), set(new.policy.revoked_hosts)
    for host in was - now:
        what = f"{host} is no longer revoked"
        yield Change(Direction.WIDENS, Aspect.DESTINATION, "policy", what)
    for host in now - was:
        yield Change(Direction.NARROWS, Aspect.DESTINATION, "policy", f"{host} is revoked")
    if old.policy.on_drift != new.policy.on_drift:
        is_holding = new.policy.on_drift == "hold"
        direction = Direction.NARROWS if is_holding else Direction.WIDENS
        what = "held" if is_holding else "warned of, no longer held"
        what = f"a destination that drifts is {what}"
        yield Change(direction, Aspect.DESTINATION, "policy", what)


def compare_ownership(old: Policy, new: Policy) -> Iterator[Change]:
    """Give what is asked of an endpoint before anything is sent to it, where that is another."""
    was, now = _STRICTEST.index(old.ownership_proof), _STRICTEST.index(new.ownership_proof)
    if was != now:
        direction = Direction.WIDENS if now > was else Direction.NARROWS
        what = f"proof of an endpoint: {new.ownership_proof}, was {old.ownership_proof}"
        yield Change(direction, Aspect.DESTINATION, "policy", what)
    if old.proof_days != new.proof_days:
        direction = Direction.WIDENS if new.proof_days > old.proof_days else Direction.NARROWS
        what = f"a proof counts for {new.proof_days} days, was {old.proof_days}"
        yield Change(direction, Aspect.PERIOD, "policy", what)


def compare_classes(old: Registry, new: Registry) -> Iterator[Change]:
    """Give fields that are classed otherwise; to call one less sensitive is to widen."""
    was = {each.name: each.schema for each in old.event_types}
    for event_type in new.event_types:
        before = was.get(event_type.name)
        if before is None or before == event_type.schema:
            continue
        leaves = flatten(event_type.schema)
        for path, leaf in flatten(before).items():
            now = leaves.get(path)
            if isinstance(leaf, Leaf) and isinstance(now, Leaf) and _class(leaf) != _class(now):
                what = f"{format_path(path)}: {_said(now)}, was {_said(leaf)}"
                direction = Direction.WIDENS if _is_laxer(leaf, now) else Direction.NEUTRAL
                yield Change(direction, Aspect.CLASS, f"event type {event_type.name}", what)


def compare_versions(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the versions that event types move between, and what that means for who uses them.

    Neutral by itself: what a schema lets in, and what is classed otherwise, is told beside it.
    """
    was = {each.name: each for each in old.event_types}
    for each in new.event_types:
        before = was.get(each.name, each)
        where = f"event type {each.name}"
        if before.version != each.version:
            what = f"version {each.version}, was {before.version}"
            yield Change(Direction.NEUTRAL, Aspect.TERMS, where, what)
        for one in compare_schemas(before.schema, each.schema):
            if one.kind is not Kind.RECLASSIFIED:
                breaks = f" (breaks {' and '.join(one.breaks)})" if one.breaks else ""
                what = f"{one.path} {one.kind}: {one.what}{breaks}"
                yield Change(Direction.NEUTRAL, Aspect.EVENTS, where, what)


def compare_tokens(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the partners whose tokens will be others, or can never be turned back again."""
    was = _connectors(old)
    for each in new.connectors:
        before, where = was.get(each.name), f"connector {each.name}"
        if before is None:
            continue
        if before.token_version != each.token_version:
            what = "every pseudonym and token is another: "
            what += f"token_version {each.token_version}, was {before.token_version}"
            yield Change(Direction.WIDENS, Aspect.TERMS, where, what)
        if each.state is ConnectorState.RETIRED and before.state is not ConnectorState.RETIRED:
            what = "its token keys are destroyed: what it holds can never be turned back"
            yield Change(Direction.NARROWS, Aspect.TERMS, where, what)


def compare_terms(old: Registry, new: Registry) -> Iterator[Change]:
    """Name every object that changed, and its keys, so that nothing goes past whoever approves.

    Neutral by itself: what flows differently for it is told beside it.
    """
    for kind, was, now in (
        ("event type", old.event_types, new.event_types),
        ("connector", old.connectors, new.connectors),
        ("subscription", old.subscriptions, new.subscriptions),
        ("producer", old.producers, new.producers),
    ):
        before: Mapping[str, Any] = {each.name: each for each in was}
        after: Mapping[str, Any] = {each.name: each for each in now}
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                what = _terms(before.get(name), after.get(name))
                yield Change(Direction.NEUTRAL, Aspect.TERMS, f"{kind} {name}", what)
    if old.policy != new.policy:
        what = _terms(old.policy, new.policy)
        yield Change(Direction.NEUTRAL, Aspect.TERMS, "policy", what)


def _compare_entries(
    where: str,
    before: Mapping[_Key, Destination],
    after: Mapping[_Key, Destination],
    today: date,
) -> Iterator[Change]:
    for direction, here, there in (
        (Direction.WIDENS, after, before),
        (Direction.NARROWS, before, after),
    ):
        for key in here.keys() - there.keys():
            # Gone, another entry may take its place, with looser terms.
            is_wider = _has_terms(here[key]) and _has_neighbour(key, after)
            way = Direction.WIDENS if is_wider else direction
            yield Change(way, Aspect.DESTINATION, where, _shown(here[key]))
            if here[key].private_range:
                what = f"{here[key].host} may answer inside {here[key].private_range}"
                yield Change(direction, Aspect.DESTINATION, where, what)
            if here[key].scheme != "https":
                yield Change(direction, Aspect.TLS, where, f"plain http to {here[key].host}")
    for key in before.keys() & after.keys():
        was, now = before[key], after[key]
        if was.country != now.country:
            what = f"{_shown(now)} is in {now.country or 'a country nobody named'}"
            yield Change(Direction.WIDENS, Aspect.COUNTRY, where, what)
        if was.private_range != now.private_range:
            yield _range_change(where, was, now)
        yield from _zone_changes(where, was, now)
        if was.expires != now.expires:
            is_later = (now.expires or date.max) > (was.expires or date.max)
            # Earlier, another entry may take its place sooner, with looser terms.
            is_wider = is_later or (_has_terms(was) and _has_neighbour(key, after))
            direction = Direction.WIDENS if is_wider else Direction.NARROWS
            what = f"{_shown(now)} listed through {now.expires or 'no end'}"
            yield Change(direction, Aspect.PERIOD, where, what)
        yield from compare_tls(
            where,
            _shown(now),
            (was.tls.on(today), was.close_after_each),
            (now.tls.on(today), now.close_after_each),
        )


def _range_change(where: str, was: Destination, now: Destination) -> Change:
    before, after = granted_range(was), granted_range(now)
    is_within = before and after and contains(parse_network(before), parse_network(after))
    direction = Direction.NARROWS if not after or is_within else Direction.WIDENS
    what = f"{now.host} may answer inside {after or 'no private range'}, was {before or 'none'}"
    return Change(direction, Aspect.DESTINATION, where, what)


def _report_changes(where: str, was: Connector | None, now: Connector | None) -> Iterator[Change]:
    """Give report-only mode granted, prolonged or ended; it lets any https host be reached."""
    before, after = _report_end(was), _report_end(now)
    if before != after:
        is_more = after is not None and (before is None or after > before)
        direction = Direction.WIDENS if is_more else Direction.NARROWS
        what = f"any https host through {after}, only reported" if after else "only what is listed"
        yield Change(direction, Aspect.DESTINATION, where, what)


def _report_end(connector: Connector | None) -> date | None:
    is_active = connector is not None and connector.state is ConnectorState.ACTIVE
    return connector.report_only_until if connector is not None and is_active else None


def _zone_changes(where: str, was: Destination, now: Destination) -> Iterator[Change]:
    """Give the rule about aliases laid down, lifted, or drawn otherwise."""
    before, after = zones_of(was), zones_of(now)
    is_more, is_less = not _covers(before, after), not _covers(after, before)
    if not is_more and not is_less:
        return
    direction = Direction.WIDENS if is_more else Direction.NARROWS
    what = f"{now.host} may go by names {_in(after)}, was {_in(before)}"
    yield Change(direction, Aspect.DESTINATION, where, what)


def _freed_names(
    where: str, before: Mapping[_Key, Destination], after: Mapping[_Key, Destination]
) -> Iterator[Change]:
    """Give the rules about aliases that fall with their entries, for what is then only reported."""
    for key in before.keys() - after.keys():
        if before[key].alias_zones:
            what = f"{before[key].host} may go by names in any zone, only reported"
            yield Change(Direction.WIDENS, Aspect.DESTINATION, where, what)


def _covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """True when every name that is in the one is in the other; no zone at all is all of them."""
    return not wide or (bool(narrow) and all(is_within_any(zone, wide) for zone in narrow))


def _in(zones: tuple[str, ...]) -> str:
    return f"in {', '.join(sorted(zones))}" if zones else "in any zone"


def _connectors(registry: Registry) -> dict[str, Connector]:
    return {each.name: each for each in registry.connectors}


def _entries(connector: Connector | None, today: date) -> dict[_Key, Destination]:
    """Give what may be reached: the unexpired entries of an active connector."""
    if connector is None or connector.state is not ConnectorState.ACTIVE:
        return {}
    return {
        (entry.scheme, entry.host, entry.port, entry.path_prefix): entry
        for entry in connector.destinations
        if entry.expires is None or today <= entry.expires
    }


def _has_terms(entry: Destination) -> bool:
    return entry.tls != Tls() or entry.close_after_each


def _has_neighbour(key: _Key, entries: Mapping[_Key, Destination]) -> bool:
    """True when some other entry may list what this one lists."""
    scheme, _, port, _ = key
    return any(other != key and other[0] == scheme and other[2] == port for other in entries)


def _countries(entries: Mapping[_Key, Destination]) -> set[str]:
    return {entry.country for entry in entries.values() if entry.country}


def _shown(entry: Destination) -> str:
    return f"{entry.scheme}://{entry.host}:{entry.port}{entry.path_prefix}"


def _class(leaf: Leaf) -> tuple[str, str]:
    return leaf.category, leaf.sensitivity


def _said(leaf: Leaf) -> str:
    return f"{leaf.sensitivity} {leaf.category}"


def _is_laxer(was: Leaf, now: Leaf) -> bool:
    return (
        now.sensitivity.rank < was.sensitivity.rank
        or (was.category.is_personal and not now.category.is_personal)
        or (was.category.is_special and not now.category.is_special)
        or (now.category.is_sendable and not was.category.is_sendable)
        or (now.category is not was.category and _declares(now.category))
    )


def _declares(category: Category) -> bool:
    """True for a class under which the leak guard lets be what it would stop elsewhere."""
    return any(each.declared_as is category for each in Detector)


def _terms(was: Any, now: Any) -> str:
    if was is None:
        return "new"
    if now is None:
        return "removed"
    changed = (
        each.name for each in fields(now) if getattr(was, each.name) != getattr(now, each.name)
    )
    return f"changed: {', '.join(changed)}"
