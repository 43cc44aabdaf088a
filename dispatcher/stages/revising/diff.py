"""The disclosure diff: what a change of the registry lets flow that did not flow, and the reverse.

Asked by `control` for every change set, before anybody approves it. It may say "widens" where in
truth nothing more would flow, never the other way round: a test searches for an event that could
disclose more after a change that was not called widening.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Final

from dispatcher.model.action import parse_action
from dispatcher.model.classification import Sensitivity
from dispatcher.model.disclosure import Aspect, Change, Direction, DisclosureDiff
from dispatcher.model.ids import Lane
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.path import format_path
from dispatcher.model.registry import Connector, Encryption, EventType, Limits, Registry
from dispatcher.model.scope import Field, Scope
from dispatcher.model.snapshot import Route
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.revising.acceptance import accepts_no_more
from dispatcher.stages.revising.caller_rights import compare_callers, compare_tickets
from dispatcher.stages.revising.encryption_terms import (
    compare_encryption,
    compare_floor,
    compare_key_sets,
    compare_named_keys,
    tell_unencrypted,
)
from dispatcher.stages.revising.flows import Flow, flows
from dispatcher.stages.revising.host_notes import compare_hosts
from dispatcher.stages.revising.leak_rules import compare_leak_rules
from dispatcher.stages.revising.listing import (
    compare_classes,
    compare_listing,
    compare_ownership,
    compare_revoked,
    compare_terms,
    compare_tokens,
    compare_versions,
)
from dispatcher.stages.revising.producer_rights import compare_producers
from dispatcher.stages.revising.reaches import tell_reaches
from dispatcher.stages.revising.retention_terms import compare_retention
from dispatcher.stages.revising.tls_terms import compare_tls

WIDENS: Final = Direction.WIDENS
NARROWS: Final = Direction.NARROWS
_STYLES: Final = {True: "names the event alone", False: "carries what is granted"}
_Named = EventType | Connector
_DIRECTIONS: Final = tuple(Direction)
_ASPECTS: Final = tuple(Aspect)


def diff(
    old: Registry, new: Registry, today: date, loopback: frozenset[tuple[str, int]]
) -> DisclosureDiff:
    """Compare two registries; `today` decides which papers have ended."""
    if old == new:
        return DisclosureDiff(())
    was, now = _apart(old, new)
    changes = {
        *compare_listing(old, new, today),
        *compare_hosts(old, new),
        *compare_revoked(old, new),
        *compare_ownership(old.policy, new.policy),
        *compare_leak_rules(old.policy, new.policy),
        *compare_retention(old, new, today),
        *compare_floor(old.policy, new.policy),
        *compare_key_sets(old, new),
        *compare_named_keys(old, new),
        *compare_classes(old, new),
        *compare_versions(old, new),
        *compare_tokens(old, new),
        *compare_producers(old, new),
        *compare_callers(old, new),
        *compare_terms(old, new),
        *tell_reaches(now, Ground(new.policy, today, loopback)),
        *tell_unencrypted(now, Ground(new.policy, today, loopback)),
        *_compare_flows(flows(was, today, loopback), flows(now, today, loopback)),
    }
    return DisclosureDiff(tuple(sorted(changes, key=_order)))


def _apart(old: Registry, new: Registry) -> tuple[Registry, Registry]:
    """Leave out the subscriptions that nothing of differs: what flows by them is the same."""
    if old.policy != new.policy:
        return old, new
    types = _differing(old.event_types, new.event_types)
    connectors = _differing(old.connectors, new.connectors)
    before = {each.name: each for each in old.subscriptions}
    same = {
        each.name
        for each in new.subscriptions
        if before.get(each.name) == each
        and each.connector not in connectors
        and types.isdisjoint(each.scope)
    }
    was, now = (
        replace(held, subscriptions=tuple(s for s in held.subscriptions if s.name not in same))
        for held in (old, new)
    )
    return was, now


def _differing(old: Sequence[_Named], new: Sequence[_Named]) -> frozenset[str]:
    before = {each.name: each for each in old}
    after = {each.name: each for each in new}
    names = before.keys() | after.keys()
    return frozenset(name for name in names if before.get(name) != after.get(name))


def _order(change: Change) -> tuple[int, int, str, str]:
    direction, aspect = _DIRECTIONS.index(change.direction), _ASPECTS.index(change.aspect)
    return direction, aspect, change.where, change.what


def _compare_flows(old: Mapping[Lane, Flow], new: Mapping[Lane, Flow]) -> Iterator[Change]:
    for lane, flow in new.items():
        before = old.get(lane)
        if before is None:
            yield from _whole(WIDENS, flow)
        elif before != flow:
            yield from _compare_flow(before, flow)
    for lane, flow in old.items():
        if lane not in new:
            yield from _whole(NARROWS, flow)


def _whole(direction: Direction, flow: Flow) -> Iterator[Change]:
    """Say everything about a flow that begins or ends."""
    route, where = flow.route, _where(flow)
    name = flow.event_type.name
    yield Change(direction, Aspect.RECIPIENT, where, f"{route.connector} at {route.endpoint}")
    for header in route.headers:
        yield Change(direction, Aspect.TERMS, where, _header(header))
    if route.encryption is Encryption.JWE:
        yield Change(direction, Aspect.TERMS, where, "encrypted to the partner")
    granted = _scope(flow).fields
    for field in granted:
        yield Change(direction, Aspect.FIELD, where, _field(name, field))
    if not granted:
        yield Change(direction, Aspect.FIELD, where, f"{name}: the envelope alone")


def _compare_flow(old: Flow, new: Flow) -> Iterator[Change]:
    was, now, where = old.route, new.route, _where(new)
    if (was.connector, was.endpoint) != (now.connector, now.endpoint):
        yield Change(NARROWS, Aspect.RECIPIENT, where, f"{was.connector} at {was.endpoint}")
        yield Change(WIDENS, Aspect.RECIPIENT, where, f"{now.connector} at {now.endpoint}")
    if was.format is not now.format:
        # The same members under other names; a CloudEvent also names the subscription.
        what = f"laid out as {now.format}, was {was.format}"
        yield Change(WIDENS, Aspect.TERMS, where, what)
    if _signing(was) != _signing(now):
        # What vouches for a letter is not for one person to change.
        yield Change(WIDENS, Aspect.TERMS, where, f"{_signing(now)}, was {_signing(was)}")
    yield from _compare_limits(where, was.limits, now.limits)
    yield from _compare_keys(where, was.keys, now.keys)
    yield from compare_encryption(where, was, now)
    if was.window_seconds and now.window_seconds and was.window_seconds != now.window_seconds:
        # A shorter one tells more of each moment; a longer one makes groups large enough to tell.
        what = f"windows of {now.window_seconds} seconds, were {was.window_seconds}"
        yield Change(WIDENS, Aspect.FIELD, where, what)
    # Partners may tell accounts apart by a header: another one may reach somebody else there.
    kept = set(was.headers) if was.endpoint == now.endpoint else set()
    for header in sorted(set(now.headers) - kept):
        yield Change(WIDENS, Aspect.TERMS, where, _header(header))
    for header in sorted(set(was.headers) - set(now.headers)):
        yield Change(WIDENS, Aspect.TERMS, where, f"no longer {_header(header)}")
    if (was.purpose, was.legal_basis) != (now.purpose, now.legal_basis):
        what = f"{_purpose(was.purpose, was.legal_basis)} becomes "
        what += _purpose(now.purpose, now.legal_basis)
        yield Change(WIDENS, Aspect.PURPOSE, where, what)
    yield from compare_tls(
        where,
        str(now.endpoint),
        (was.tls, was.close_after_each),
        (now.tls, now.close_after_each),
    )
    yield from compare_tickets(where, was, now)
    for tenant in sorted(now.tenants - was.tenants):
        yield Change(WIDENS, Aspect.TENANT, where, f"events of {tenant}")
    for tenant in sorted(was.tenants - now.tenants):
        yield Change(NARROWS, Aspect.TENANT, where, f"events of {tenant}")
    yield from _compare_fields(where, new.event_type.name, _scope(old), _scope(new))
    if old.until != new.until:
        direction = WIDENS if new.until > old.until else NARROWS
        what = f"open through {_day(new.until)}, was {_day(old.until)}"
        yield Change(direction, Aspect.PERIOD, where, what)
    yield from _compare_events(where, old, new)


def _compare_limits(where: str, old: Limits, new: Limits) -> Iterator[Change]:
    for limit in fields(Limits):
        was, now = getattr(old, limit.name), getattr(new, limit.name)
        if was != now:
            direction = WIDENS if now > was else NARROWS
            yield Change(direction, Aspect.TERMS, where, f"{limit.name} {now}, was {was}")


def _compare_keys(
    where: str, old: tuple[PartnerKey, ...], new: tuple[PartnerKey, ...]
) -> Iterator[Change]:
    """Say who else could read what is encrypted: grants and subscriptions name keys by `kid`."""
    for key in sorted(set(new) - set(old), key=lambda each: each.kid):
        yield Change(WIDENS, Aspect.RECIPIENT, where, f"whoever holds the new key {key.kid}")
    for key in sorted(set(old) - set(new), key=lambda each: each.kid):
        yield Change(NARROWS, Aspect.RECIPIENT, where, f"whoever holds the key {key.kid} so far")


def _compare_summing(where: str, event_type: str, old: int, new: int) -> Iterator[Change]:
    if old and new and old != new:
        what = f"{event_type}: tells nothing about fewer than {new} people, was {old}"
        yield Change(WIDENS if new < old else NARROWS, Aspect.FIELD, where, what)
    elif old != new:
        # Neither tells less than the other: a summary counts and adds, a letter names each event.
        styles = {True: "one letter for each event", False: "summaries"}
        what = f"{event_type}: {styles[not new]}, so far {styles[not old]}"
        yield Change(WIDENS, Aspect.FIELD, where, what)


def _compare_fields(where: str, event_type: str, old: Scope, new: Scope) -> Iterator[Change]:
    if old.id == new.id:
        return
    yield from _compare_summing(where, event_type, old.group_min, new.group_min)
    if old.is_thin != new.is_thin:
        what = f"{event_type}: a letter {_STYLES[new.is_thin]}, so far it {_STYLES[old.is_thin]}"
        yield Change(NARROWS if new.is_thin else WIDENS, Aspect.FIELD, where, what)
    # The class says what a field is, not what is sent: `compare_classes` looks at it.
    was = {(field.path, field.type): field for field in old.fields}
    now = {(field.path, field.type): field for field in new.fields}
    for key, field in now.items():
        before = was.get(key)
        if before is None:
            yield Change(WIDENS, Aspect.FIELD, where, _field(event_type, field))
        elif before.action != field.action:
            tells_no_more = parse_action(field.action).tells_no_more_than(
                parse_action(before.action)
            )
            what = f"{_field(event_type, field)}, was {before.action}"
            yield Change(NARROWS if tells_no_more else WIDENS, Aspect.FIELD, where, what)
    for key in was.keys() - now.keys():
        yield Change(NARROWS, Aspect.FIELD, where, _field(event_type, was[key]))


def _compare_events(where: str, old: Flow, new: Flow) -> Iterator[Change]:
    was, now = old.event_type, new.event_type
    if was == now:
        return
    if not accepts_no_more(was.schema, now.schema):
        what = f"{now.name}: events that the schema kept out so far"
        yield Change(WIDENS, Aspect.EVENTS, where, what)
    elif not accepts_no_more(now.schema, was.schema):
        yield Change(NARROWS, Aspect.EVENTS, where, f"{now.name}: the schema keeps more out")
    for most, before, of in (
        (now.payload_bytes_max, was.payload_bytes_max, "bytes"),
        (now.subjects_max, was.subjects_max, "subjects"),
    ):
        if most != before:
            direction = WIDENS if most > before else NARROWS
            what = f"{now.name}: up to {most} {of}, was {before}"
            yield Change(direction, Aspect.EVENTS, where, what)


def _scope(flow: Flow) -> Scope:
    return flow.route.scopes[flow.event_type.name]


def _where(flow: Flow) -> str:
    return f"subscription {flow.route.subscription}"


def _field(event_type: str, field: Field) -> str:
    kind = "" if field.action == "pass" else f"{field.action}, "
    marked = field.sensitivity is not Sensitivity.PUBLIC or field.category.is_personal
    sensitivity = f"{field.sensitivity} " if marked else ""
    return f"{event_type} {format_path(field.path)} ({kind}{sensitivity}{field.category})"


def _signing(route: Route) -> str:
    compat = route.compat_signature
    beside = f" and {compat.style} in {compat.header}" if compat is not None else ""
    if compat is not None and compat.style.is_replayable:
        beside += " (which does not keep a letter from being played again)"
    return f"signed by {route.signing}{beside}"


def _header(header: tuple[str, str]) -> str:
    return f"header {header[0]}: {header[1]}"


def _purpose(name: str, legal_basis: str) -> str:
    return f"{name} ({legal_basis})" if legal_basis else name


def _day(day: date) -> str:
    return "no end" if day == date.max else str(day)
