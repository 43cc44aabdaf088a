"""What is wrong with a subscription: its endpoint, its limits, what it names, what it grants."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dispatcher.model.action import ActionKind, parse_action
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.grant import parse_grant
from dispatcher.model.headers import find_header_faults, folded
from dispatcher.model.keys import KeyKind
from dispatcher.model.path import format_path
from dispatcher.model.registry import (
    GROUP_MIN,
    WINDOW_SECONDS,
    Connector,
    Encryption,
    EventType,
    Policy,
    Style,
    Subscription,
)
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.gates.listing import has_hidden_steps, listed_entries
from dispatcher.stages.gates.paper import Needs, judge_country
from dispatcher.stages.revising.fault import Fault, out_of_range
from dispatcher.stages.revising.fixed_texts import check_fixed_headers, check_fixed_text
from dispatcher.stages.shaping.schema import CLASSIFICATION, Unfit
from dispatcher.stages.shaping.scopes import Withheld, resolve_scope
from dispatcher.stages.shaping.summary import GROUP_LEAST

CONCURRENCY_LIMIT: Final = 1_000
RATE_LEAST: Final = 0.1
RATE_LIMIT: Final = 10_000
ATTEMPT_SECONDS_LIMIT: Final = 300
RETRY_SECONDS_LIMIT: Final = 7 * 86_400
RETRIES_LIMIT: Final = 50
ENCRYPTED_LIMIT: Final = 8
"""Fields of one letter encrypted by themselves: each costs as much as the rest of the road."""
WINDOW_SECONDS_LEAST: Final = 60
WINDOW_SECONDS_LIMIT: Final = 86_400
GROUP_LIMIT: Final = 1_000
CEILINGS: Final = {
    "body_bytes_max": (1024, 64 * 1024 * 1024),
    "subjects_max": (1, 100_000),
    "records_max": (1, 1_000_000),
    "ticket_uses": (1, 1_000),
}
"""Between which bounds each ceiling of a letter may be set; a challenge must fit."""
TICKET_SECONDS_LIMIT: Final = 86_400

_FIXES: Final[dict[Unfit, str]] = {
    Unfit.MALFORMED: "write a path such as $.order.id, and behind a blank an action or nothing",
    Unfit.UNKNOWN: "grant a path that the event type's schema declares",
    Unfit.CONTAINER: "grant the single fields below it, one by one",
    Unfit.UNFOLLOWED: "declare the field with properties, items or additionalProperties alone",
    Unfit.UNCLASSIFIED: f"give the field a scalar type and {CLASSIFICATION} in the schema",
    Unfit.SECRET: "take the path out: secrets and credentials never leave",
    Unfit.UNSUITED: "choose an action that is made for the field's type",
    Unfit.PERSONAL: "write vault(...) instead of siv(...): what is about a person must be erasable",
    Unfit.OUT_OF_STYLE: "write sum or latest behind each path of a summary, and nowhere else",
    Unfit.MANY: "sum up a single field of the event: none behind [*], and nobody's name",
    Unfit.OVER_CLEARANCE: "take the path out, choose an action that tells less, or raise the "
    "connector's clearance",
    Unfit.OUT_OF_PURPOSE: "take the path out, or add its category to the purpose",
}


def check_subscription(subscription: Subscription) -> Iterator[Fault]:
    """Find the faults that a subscription has by itself."""
    of = f"subscription {subscription.name!r}"
    try:
        endpoint = parse_endpoint(subscription.url)
    except ValueError as error:
        fix = "write https://host/path, with no user, password or fragment"
        yield Fault(f"{of}: url", str(error), fix)
    else:
        if has_hidden_steps(endpoint.path):
            yield Fault(f"{of}: url", "the path has dot segments", "write the path it leads to")
        yield from check_fixed_text(f"{of}: url", "url", subscription.url)
    yield from check_fixed_headers(of, subscription.headers)
    for fault in find_header_faults(subscription.headers):
        yield Fault(f"{of}: headers {fault.name!r}", fault.why, fault.fix)
    yield from _check_compat(of, subscription)
    if not 1 <= subscription.concurrency <= CONCURRENCY_LIMIT:
        yield out_of_range(f"{of}: concurrency", 1, CONCURRENCY_LIMIT)
    rate = subscription.rate_per_second
    if rate is not None and not RATE_LEAST <= rate <= RATE_LIMIT:
        yield out_of_range(f"{of}: rate_per_second", RATE_LEAST, RATE_LIMIT)
    if not 0 < subscription.attempt_seconds <= ATTEMPT_SECONDS_LIMIT:
        yield out_of_range(f"{of}: attempt_seconds", 0, ATTEMPT_SECONDS_LIMIT)
    if any(not 0 < seconds <= RETRY_SECONDS_LIMIT for seconds in subscription.retry_seconds):
        yield out_of_range(f"{of}: retry_seconds", 0, RETRY_SECONDS_LIMIT)
    if len(subscription.retry_seconds) > RETRIES_LIMIT:
        yield Fault(f"{of}: retry_seconds", "too many waits", f"write at most {RETRIES_LIMIT}")
    if subscription.encryption_kid and subscription.encryption is Encryption.NONE:
        fix = f'take it out, or write encryption = "{Encryption.JWE}"'
        yield Fault(f"{of}: encryption_kid", "nothing is encrypted to it", fix)
    yield from _check_ceilings(of, subscription)


def _check_compat(of: str, subscription: Subscription) -> Iterator[Fault]:
    compat = subscription.compat_signature
    if compat is None:
        return
    where = f"{of}: compat_signature"
    if KeyKind.HMAC not in subscription.signing.kinds:
        why = f"signing = {str(subscription.signing)!r} has no shared secret to make it with"
        yield Fault(where, why, "sign by v1, by v1+v1a or by rfc9421-hmac beside it")
    for fault in find_header_faults({compat.header: ""}):
        yield Fault(f"{where}: header {fault.name!r}", fault.why, fault.fix)
    if folded(compat.header) in map(folded, subscription.headers):
        why = "it stands among headers as well"
        yield Fault(f"{where}: header {compat.header!r}", why, "name a header of its own")


def _check_ceilings(of: str, subscription: Subscription) -> Iterator[Fault]:
    for ceiling, (least, most) in CEILINGS.items():
        said = getattr(subscription, ceiling)
        if said is not None and not least <= said <= most:
            yield out_of_range(f"{of}: {ceiling}", least, most)
    if not 0 <= subscription.ticket_seconds <= TICKET_SECONDS_LIMIT:
        fix = f"write seconds up to {TICKET_SECONDS_LIMIT}, or 0 for letters without a ticket"
        yield Fault(f"{of}: ticket_seconds", "out of range", fix)
    yield from _check_summary(subscription)


def _check_summary(subscription: Subscription) -> Iterator[Fault]:
    of = f"subscription {subscription.name!r}"
    if not WINDOW_SECONDS_LEAST <= subscription.window_seconds <= WINDOW_SECONDS_LIMIT:
        yield out_of_range(f"{of}: window_seconds", WINDOW_SECONDS_LEAST, WINDOW_SECONDS_LIMIT)
    if not GROUP_LEAST <= subscription.group_min <= GROUP_LIMIT:
        yield out_of_range(f"{of}: group_min", GROUP_LEAST, GROUP_LIMIT)
    if subscription.style is Style.SUMMARY:
        return
    # Whoever reads the file would believe that it holds.
    for key, usual in (("window_seconds", WINDOW_SECONDS), ("group_min", GROUP_MIN)):
        if getattr(subscription, key) != usual:
            fix = f'take it out, or write style = "{Style.SUMMARY}"'
            yield Fault(f"{of}: {key}", "only a summary has it", fix)


def check_references(
    subscription: Subscription, connectors: dict[str, Connector], event_types: set[str]
) -> Iterator[Fault]:
    """Find what a subscription names that is not there."""
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


def check_scope(
    subscription: Subscription, connector: Connector, sound: dict[str, EventType], policy: Policy
) -> Iterator[Fault]:
    """Find the grants that cannot be made, and the countries that may not get what they grant."""
    purpose = connector.purpose(subscription.purpose)
    if purpose is None:
        return
    granted: list[Field] = []
    kid = subscription.encryption_kid
    if kid and connector.key_set is None and kid not in {key.kid for key in connector.keys}:
        yield _no_key(f"subscription {subscription.name!r}: encryption_kid", connector, kid)
    for name, grants in subscription.scope.items():
        where = f"subscription {subscription.name!r}: scope {name!r}"
        for path, count in Counter(map(_path, grants)).items():
            if count > 1:
                yield Fault(f"{where} {path}", f"granted {count} times", "grant it once")
        if name not in sound:
            continue
        scope, withheld = resolve_scope(
            sound[name].schema,
            tuple(grants),
            connector.clearance,
            frozenset(purpose.categories),
            group_min=subscription.group,
        )
        granted += scope.fields
        yield from _check_encryption(where, connector, scope)
        for each in withheld:
            why = f"cannot be granted: {each.why}"
            yield Fault(f"{where} {each.path}", why, _fix(each))
    yield from _check_country(subscription, connector, granted, policy)


def _check_encryption(where: str, connector: Connector, scope: Scope) -> Iterator[Fault]:
    actions = (parse_action(field.action) for field in scope.fields)
    named = [action.argument for action in actions if action.kind is ActionKind.ENCRYPT]
    known = {key.kid for key in connector.keys}
    for kid in sorted(set(named) - known):
        yield _no_key(where, connector, kid)
    if len(named) > ENCRYPTED_LIMIT:
        why = f"{len(named)} fields are encrypted one by one"
        yield Fault(where, why, f"encrypt at most {ENCRYPTED_LIMIT}")


def _no_key(where: str, connector: Connector, kid: str) -> Fault:
    why = f"connector {connector.name!r} has no key {kid!r}"
    return Fault(where, why, "list the partner's key under [[connector.keys]]")


def _path(grant: str) -> str:
    try:
        return format_path(parse_grant(grant).path)
    except ValueError:
        return grant


def _fix(withheld: Withheld) -> str:
    """Say what would help; where a grant cannot be read, what exactly was not understood."""
    if withheld.why is Unfit.MALFORMED:
        try:
            parse_grant(withheld.path)
        except ValueError as error:
            return f"{_FIXES[Unfit.MALFORMED]}: {error}"
    return _FIXES[withheld.why]


def _check_country(
    subscription: Subscription, connector: Connector, granted: list[Field], policy: Policy
) -> Iterator[Fault]:
    try:
        endpoint = parse_endpoint(subscription.url)
    except ValueError:
        return
    needs = Needs.of(granted)
    for entry in listed_entries(connector, endpoint):
        for _, why in judge_country(connector, entry, needs, policy):
            yield Fault(
                f"subscription {subscription.name!r}: url",
                why,
                "name the country of the destination, and one that agreement and policy allow",
            )
