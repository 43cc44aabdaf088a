"""What a change does to who can read letters: encryption laid down or lifted, keys changed.

Called by `diff` alone. To encrypt narrows; another key, or another place to find keys, may be
somebody else's and widens.
"""

from collections.abc import Iterator
from typing import Final

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.key_set import HOUR_US, KeySetMode
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Connector, Encryption, Policy, Registry
from dispatcher.model.snapshot import Route
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.gates.partner_keys import judge_encryption
from dispatcher.stages.revising.compiling import plan_routes

_FLOORS: Final = ("public", "internal", "confidential", "restricted", "never")
_WIDENS: Final = Direction.WIDENS
_NARROWS: Final = Direction.NARROWS


def compare_encryption(where: str, was: Route, now: Route) -> Iterator[Change]:
    """Give whether letters of one lane are encrypted, and to which key of the registry."""
    if was.encryption is not now.encryption:
        direction = _WIDENS if now.encryption is Encryption.NONE else _NARROWS
        what = f"encryption {now.encryption}, was {was.encryption}"
        yield Change(direction, Aspect.RECIPIENT, where, what)
    elif was.letter_key != now.letter_key:
        what = f"encrypted to {_named(now.letter_key)}, was {_named(was.letter_key)}"
        yield Change(_WIDENS, Aspect.RECIPIENT, where, what)


def compare_named_keys(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the subscriptions that name another key of those that their partner publishes."""
    was = {each.name: each for each in old.subscriptions}
    publishing = {each.name for each in new.connectors if each.key_set is not None}
    for each in new.subscriptions:
        before = was.get(each.name, each)
        is_published = each.connector in publishing
        if is_published and before.encryption_kid != each.encryption_kid:
            what = f"encrypted to {each.encryption_kid or 'the first key'}, "
            what += f"was {before.encryption_kid or 'the first key'}"
            yield Change(_WIDENS, Aspect.RECIPIENT, f"subscription {each.name}", what)


def compare_key_sets(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the sets of keys that are named, named otherwise, or no longer."""
    was = {each.name: each for each in old.connectors}
    for now in new.connectors:
        yield from _compare_sets(was.get(now.name), now)


def compare_floor(old: Policy, new: Policy) -> Iterator[Change]:
    """Give from which class on fields leave encrypted alone, where that is another."""
    if old.encrypt_from != new.encrypt_from:
        is_less = _FLOORS.index(new.encrypt_from) > _FLOORS.index(old.encrypt_from)
        what = f"fields leave encrypted alone from {new.encrypt_from} on, was {old.encrypt_from}"
        yield Change(_WIDENS if is_less else _NARROWS, Aspect.CLASS, "policy", what)


def tell_unencrypted(registry: Registry, ground: Ground) -> Iterator[Change]:
    """Name what closes each lane whose fields may only leave encrypted, to whoever plans a change.

    Nothing flows there, so nothing else of it is told.
    """
    for connector, route, _ in plan_routes(registry, ground):
        for event_type, scope in route.scopes.items():
            for _, why in judge_encryption(connector, route, scope, ground.partner_keys):
                what = f"{event_type}: closed, for {why}"
                where = f"subscription {route.subscription}"
                yield Change(Direction.NEUTRAL, Aspect.TERMS, where, what)


def _compare_sets(was: Connector | None, now: Connector) -> Iterator[Change]:
    where = f"connector {now.name}"
    before, after = was.key_set if was is not None else None, now.key_set
    if after is None:
        if before is not None:
            yield Change(_NARROWS, Aspect.RECIPIENT, where, "no longer the keys it publishes")
        return
    if was is None or before is None or before.url != after.url:
        yield Change(_WIDENS, Aspect.RECIPIENT, where, f"the keys it publishes at {after.url}")
        return
    if before.mode is not after.mode:
        # In either direction: a pinned key counts without having waited.
        what = f"the keys it publishes are {_MODES[after.mode]}, were {_MODES[before.mode]}"
        yield Change(_WIDENS, Aspect.RECIPIENT, where, what)
    if after.mode is KeySetMode.PINNED and before.thumbprints != after.thumbprints:
        is_less = set(after.thumbprints) < set(before.thumbprints)
        what = f"whoever holds one of the keys {', '.join(after.thumbprints)}"
        yield Change(_NARROWS if is_less else _WIDENS, Aspect.RECIPIENT, where, what)
    waited, waits = before.hold_us(was.clearance), after.hold_us(now.clearance)
    if waits != waited:
        what = f"a key it publishes waits {waits // HOUR_US} hours, was {waited // HOUR_US}"
        yield Change(_WIDENS if waits < waited else _NARROWS, Aspect.PERIOD, where, what)


_MODES: Final = {KeySetMode.PINNED: "pinned", KeySetMode.FOLLOW: "followed"}


def _named(key: PartnerKey | None) -> str:
    return f"the key {key.kid}" if key is not None else "none of the registry's keys"
