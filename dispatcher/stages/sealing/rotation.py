"""How an endpoint's signing keys take turns: which end when another comes, and which may not go.

Asked by `control.keys` and `worker.key_trials` of the keys of one kind of one subscription, by
fingerprint; and whenever a snapshot is compiled, of who has no key to sign with. Only times come in
and go out: no secret is near here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from dispatcher.model.keys import KeyKind, KeyState, KeyTimes
from dispatcher.model.registry import Registry

_SECOND_US: Final = 1_000_000
DAY_SECONDS: Final = 86_400
OVERLAP_SECONDS: Final = DAY_SECONDS
OVERLAP_SECONDS_MAX: Final = 7 * DAY_SECONDS
AHEAD_SECONDS_MAX: Final = 30 * DAY_SECONDS
LIVE_MAX: Final = 3
"""Keys of one kind that sign or will sign: receivers compare every signature with every secret."""
_LIVE: Final = (KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING)

Times = Mapping[str, KeyTimes]


def ahead_seconds(kind: KeyKind, *, is_first: bool) -> int:
    """Say how long before it signs a key is made, where nobody says otherwise.

    A public key is published a day ahead, for receivers that keep the set; a first one has nobody
    to sign in its place.
    """
    return DAY_SECONDS if kind is KeyKind.ED25519 and not is_first else 0


def with_state(keys: Times, now_us: int, *states: KeyState) -> list[str]:
    """List the keys in one of these states."""
    return [name for name, times in keys.items() if times.state(now_us) in states]


def live(keys: Times, now_us: int) -> list[str]:
    """List the keys that sign, or will."""
    return with_state(keys, now_us, *_LIVE)


def hand_over(keys: Times, now_us: int, ends_us: int) -> dict[str, KeyTimes]:
    """Give new times for the keys that sign: none goes on beyond this moment."""
    return {
        name: replace(times, until_us=min(ends_us, times.until_us or ends_us))
        for name, times in keys.items()
        if times.is_signing(now_us)
    }


def provable(keys: Times, now_us: int) -> str | None:
    """Name the key that others still sign beside, until it is known to do alone."""
    active = with_state(keys, now_us, KeyState.ACTIVE)
    return active[0] if active and with_state(keys, now_us, KeyState.RETIRING) else None


def end_early(keys: Times, proven: str, now_us: int) -> dict[str, KeyTimes]:
    """Give new times for those that sign beside a proven key: their end is now.

    None, where that key is no longer what takes their place.
    """
    if provable(keys, now_us) != proven:
        return {}
    return {
        name: replace(keys[name], until_us=whole_second(now_us))
        for name in with_state(keys, now_us, KeyState.RETIRING)
    }


def whole_second(now_us: int) -> int:
    """Give the full second: the ledger counts microseconds, a signature seconds, and they agree."""
    return now_us - now_us % _SECOND_US


def take_back(keys: Times, now_us: int) -> dict[str, KeyTimes]:
    """Give new times for the key that signs on where the pending one will not come.

    It is the newest of those that sign; where none of them was told to end, nothing changes.
    """
    signing = [name for name, times in keys.items() if times.is_signing(now_us)]
    if not signing or with_state(keys, now_us, KeyState.ACTIVE):
        return {}
    newest = max(signing, key=lambda name: keys[name].created_us)
    return {newest: replace(keys[newest], until_us=None)}


def unsigned(
    registry: Registry, keys: Iterable[tuple[str, KeyKind, KeyTimes]], now_us: int
) -> frozenset[str]:
    """List the subscriptions without a key that signs now of every kind they are signed with."""
    signing = {(name, kind) for name, kind, times in keys if times.is_signing(now_us)}
    return frozenset(
        each.name
        for each in registry.subscriptions
        if any((each.name, kind) not in signing for kind in each.signing.kinds)
    )


def next_turn_us(times: Iterable[KeyTimes], now_us: int) -> int | None:
    """Say when the next key begins to sign, or ends; `None`: none does by itself."""
    moments = (each for one in times for each in (one.active_us, one.until_us or 0))
    return min((each for each in moments if each > now_us), default=None)
