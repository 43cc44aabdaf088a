"""Which of a partner's keys may letters be encrypted to, now, and from when on is that different?

Asked when a snapshot is compiled, and by whoever shows a set. A key of the registry counts because
it was reviewed; one of the partner's own set because its thumbprint was, or because the set is
followed and its time of waiting is over. Nothing of a set counts that could not be found for too
long, or that was found somewhere else. It never looks for another key than one that is named.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dispatcher.model.action import ActionKind, parse_action
from dispatcher.model.key_set import KeySet, KeySetMode, KeySetNow, SeenKey
from dispatcher.model.partner_key import PartnerKey, describe
from dispatcher.model.path import format_path
from dispatcher.model.registry import Connector, Encryption
from dispatcher.model.scope import Scope, sensitive_fields
from dispatcher.model.snapshot import Route
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.paper import Finding

STALE_US: Final = 72 * 3_600_000_000
"""How long a set counts that cannot be fetched: a long weekend."""


class SetState(StrEnum):
    """Whether a set counts at all: one does that was found lately, and where it is named now."""

    GOOD = "good"
    UNFOUND = "unfound"
    ELSEWHERE = "elsewhere"
    STALE = "stale"
    LOST = "lost"


class KeyUse(StrEnum):
    """Whether a key of a set that counts may be used. `held`: not yet; `unmarked`: not said to be
    for encryption.
    """

    USABLE = "usable"
    HELD = "held"
    UNPINNED = "unpinned"
    UNMARKED = "unmarked"


@dataclass(frozen=True, slots=True)
class PartnerKeys:
    """By connector, which of its keys may be used now.

    `letters` are those that it publishes, the preferred first. `handed` is what is left of those
    that were handed over, for a connector that has published a private half.
    """

    letters: Mapping[str, tuple[PartnerKey, ...]]
    handed: Mapping[str, tuple[PartnerKey, ...]] = field(default_factory=dict)


def list_partner_keys(
    connectors: Sequence[Connector], known: Mapping[str, KeySetNow], now_us: int
) -> PartnerKeys:
    """Give the keys of every connector that publishes its own, or once published a private one."""
    return PartnerKeys(
        {
            each.name: tuple(_usable(each.key_set, each, known.get(each.name), now_us))
            for each in connectors
            if each.key_set is not None
        },
        {
            each.name: tuple(_unexposed(each.keys, known[each.name]))
            for each in connectors
            if each.name in known and known[each.name].exposed
        },
    )


def next_change_us(
    connectors: Iterable[Connector], known: Mapping[str, KeySetNow], now_us: int
) -> int | None:
    """Give the next moment at which, by the mere passing of time, other keys may be used."""
    moments = [
        moment
        for each in connectors
        if each.key_set is not None and each.name in known
        for moment in _moments(each.key_set, each, known[each.name])
        if moment > now_us
    ]
    return min(moments, default=None)


def keys_of(connector: Connector, partner_keys: PartnerKeys | None) -> tuple[PartnerKey, ...]:
    """Give a connector's keys for letters: those it publishes, or else those of the registry."""
    if connector.key_set is None:
        return handed_keys_of(connector, partner_keys)
    return partner_keys.letters.get(connector.name, ()) if partner_keys is not None else ()


def handed_keys_of(
    connector: Connector, partner_keys: PartnerKeys | None
) -> tuple[PartnerKey, ...]:
    """Give a connector's keys of the registry, which fields are encrypted to one by one."""
    handed = partner_keys.handed if partner_keys is not None else {}
    return handed.get(connector.name, connector.keys)


def judge_set(key_set: KeySet, known: KeySetNow | None, now_us: int) -> SetState:
    """Say whether a set counts, as it was last found, and why not."""
    if known is None:
        return SetState.UNFOUND
    if known.url != key_set.url:
        return SetState.ELSEWHERE
    if known.is_lost:
        return SetState.LOST
    return SetState.GOOD if now_us < known.good_us + STALE_US else SetState.STALE


def judge_key(key_set: KeySet, connector: Connector, seen: SeenKey, now_us: int) -> KeyUse:
    """Say whether one key of a set may be used, where the set counts, and why not."""
    if key_set.mode is KeySetMode.PINNED:
        is_pinned = seen.found.thumbprint in key_set.thumbprints
        return KeyUse.USABLE if is_pinned else KeyUse.UNPINNED
    if not seen.found.is_for_encryption:
        return KeyUse.UNMARKED
    return KeyUse.USABLE if ripe_us(key_set, connector, seen) <= now_us else KeyUse.HELD


def ripe_us(key_set: KeySet, connector: Connector, seen: SeenKey) -> int:
    """Say when a key has been known for long enough."""
    is_held = key_set.mode is KeySetMode.FOLLOW
    return seen.first_seen_us + (key_set.hold_us(connector.clearance) if is_held else 0)


def choose_key(keys: tuple[PartnerKey, ...], kid: str) -> PartnerKey | None:
    """Give the key of this name, or the first where none is named."""
    return next((each for each in keys if kid in ("", each.kid)), None)


def judge_encryption(
    connector: Connector, route: Route, scope: Scope, partner_keys: PartnerKeys | None
) -> Iterator[Finding]:
    """Give what is missing before letters of this scope may leave: encryption, or a key for it.

    A field that leaves encrypted alone closes the lane, not only the letters that hold it: so
    nothing begins to flow when such a field is no longer granted, but by a reviewed change.
    """
    if route.encryption is Encryption.NONE:
        floor = route.encrypt_from
        found = sensitive_fields(scope, floor) if floor is not None else frozenset()
        if found:
            paths = sorted(format_path(field.path) for field in found)
            yield Reason.ENCRYPTION_REQUIRED, f"{', '.join(paths)} may only leave encrypted"
    elif route.letter_key is None and (connector.key_set is None or partner_keys is not None):
        what = f"{connector.name} has no key that letters may be encrypted to now"
        yield Reason.ENCRYPTION_KEY_MISSING, what
    exposed = {key.kid for key in connector.keys} - {key.kid for key in route.keys}
    for kid in sorted(exposed & _named(scope) if exposed else ()):
        what = f"fields are encrypted to {kid} of {connector.name}, whose private half is known"
        yield Reason.ENCRYPTION_KEY_MISSING, what


def _named(scope: Scope) -> set[str]:
    """Give the keys that fields are encrypted to one by one."""
    actions = (parse_action(each.action) for each in scope.fields)
    return {action.argument for action in actions if action.kind is ActionKind.ENCRYPT}


def is_short(key_set: KeySet, kids: frozenset[str], known: KeySetNow | None) -> bool:
    """True while a set lacks what is wanted of it, so that it is worth to look again soon."""
    if known is None or known.url != key_set.url:
        return True
    found = [each.found for each in known.keys]
    if key_set.mode is KeySetMode.PINNED:
        found = [each for each in found if each.thumbprint in key_set.thumbprints]
    return not found or not kids.issubset(each.kid for each in found)


def _unexposed(keys: Iterable[PartnerKey], known: KeySetNow) -> Iterator[PartnerKey]:
    """Leave out keys that were handed over, and whose private half was published all the same."""
    for key in () if known.is_lost else keys:
        try:
            _, named = describe(key)
        except ValueError:  # written by hand: nothing can be encrypted to it
            continue
        if named not in known.exposed:
            yield key


def _usable(
    key_set: KeySet, connector: Connector, known: KeySetNow | None, now_us: int
) -> Iterator[PartnerKey]:
    if known is None or judge_set(key_set, known, now_us) is not SetState.GOOD:
        return
    chosen = [
        each.found
        for each in known.keys
        if judge_key(key_set, connector, each, now_us) is KeyUse.USABLE
    ]
    if key_set.mode is KeySetMode.PINNED:
        chosen.sort(key=lambda found: key_set.thumbprints.index(found.thumbprint))
    for found in chosen:
        yield PartnerKey(kid=found.kid, jwk=found.jwk)


def _moments(key_set: KeySet, connector: Connector, known: KeySetNow) -> Iterator[int]:
    yield known.good_us + STALE_US
    if key_set.mode is KeySetMode.FOLLOW:
        yield from (ripe_us(key_set, connector, each) for each in known.keys)
