"""What a rotation, a retirement or a revocation makes of the keys there are.

Asked by `keys` inside the transaction that changes them: plain judgements of what is given, which
refuse by `Conflict` and leave the writing to the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dispatcher.model.audit import CHANGES_MAX, Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.keys import KeyKind, KeyState, KeyTimes
from dispatcher.model.switch import Target
from dispatcher.stages.sealing import rotation
from dispatcher.store.signing_keys import KeyChange, StoredKey, peers_of

_SECOND_US: Final = 1_000_000
_LIST: Final = "'dispatcher keys list --ended' shows those that ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A rotation that is asked for. `kind` and `ahead_seconds` may be left to us.

    The new key signs in `ahead_seconds`, and the others as long as `overlap_seconds` beside it: at
    most, unless `is_overlap_kept`, for they end once the partner's endpoint has proven the new one.
    """

    subscription: str
    kind: KeyKind | None
    overlap_seconds: int
    ahead_seconds: int | None
    is_overlap_kept: bool = False
    reason: str


def turn_keys(
    turn: Turn, key: StoredKey, known: Sequence[StoredKey], now_us: int, actor: str
) -> KeyChange:
    """Put a new key beside those of its kind, and say until when these sign."""
    peers = peers_of(key, known)
    times = {name: peer.times for name, peer in peers.items()}
    if rotation.with_state(times, now_us, KeyState.PENDING):
        raise _conflict(
            f"{key.subscription} has a key already that is yet to sign",
            "wait until it does, or revoke it: dispatcher keys list",
            "key_pending",
        )
    live = rotation.live(times, now_us)
    if len(live) >= rotation.LIVE_MAX:
        raise _conflict(
            f"{len(live)} keys of {key.subscription} sign already",
            "end one early: dispatcher keys retire KEY",
            "keys_too_many",
        )
    ahead = turn.ahead_seconds
    if ahead is None:
        ahead = rotation.ahead_seconds(key.kind, is_first=not live)
    starts_us = rotation.whole_second(now_us) + ahead * _SECOND_US
    ends_us = starts_us + turn.overlap_seconds * _SECOND_US
    ends = rotation.hand_over(times, now_us, ends_us)
    made = replace(key, times=KeyTimes(now_us, starts_us if ahead else 0))
    entry = Entry(
        kind="key.made",
        actor=actor,
        about=f"key {made.name}",
        reason=turn.reason,
        detail={"key_kind": key.kind.value, "active_us": starts_us, "ending": sorted(ends)},
    )
    return KeyChange(
        entry=entry,
        made=[made],
        tried_from_us=ends_us if turn.is_overlap_kept else None,
        turned=[replace(peers[name], times=each) for name, each in ends.items()],
    )


def retire_key(
    key: StoredKey, known: Sequence[StoredKey], now_us: int, *, actor: str, reason: str
) -> KeyChange:
    """End a retiring key now, where another signs in its place."""
    state = key.times.state(now_us)
    times = {name: peer.times for name, peer in peers_of(key, known).items()}
    signing = rotation.with_state(times, now_us, KeyState.ACTIVE, KeyState.RETIRING)
    if state is KeyState.RETIRING and len(signing) > 1:
        entry = Entry(kind="key.retired", actor=actor, about=f"key {key.name}", reason=reason)
        ended = replace(key, times=replace(key.times, until_us=rotation.whole_second(now_us)))
        return KeyChange(entry=entry, turned=[ended])
    if key.times.is_signing(now_us):
        first = "wait for the next key" if state is KeyState.RETIRING else "rotate first"
        why, fix = "nothing else signs in its place", f"{first}; to stop at once, revoke it"
    elif state is KeyState.PENDING:
        why, fix = "it is yet to sign", "revoke it: the one it was to replace signs on"
    else:
        why, fix = f"it is {state} already: nothing to do", _LIST
    raise _conflict(f"{key.name}: {why}", fix, "key_not_retiring")


def revoke_keys(
    found: Sequence[StoredKey],
    known: Sequence[StoredKey],
    now_us: int,
    entry: Entry,
    hold: Target | None,
    stripped: Sequence[str] = (),
) -> KeyChange:
    """Take every secret that is left, and hold the partner too where all of theirs is revoked.

    The stored headers of `stripped` subscriptions go as well. Where a key was yet to sign, the one
    that it was to replace signs on.
    """
    gone = {
        each.name: replace(each, sealed=None, times=replace(each.times, revoked_us=now_us))
        for each in found
        if each.times.revoked_us is None
    }
    if not gone and hold is None:
        raise _conflict("everything of it is revoked already: nothing to do", _LIST, "key_revoked")
    turned = list(gone.values())
    for key in found:
        if key.name in gone and key.times.state(now_us) is KeyState.PENDING:
            left = {n: peer for n, peer in peers_of(key, known).items() if peer.name not in gone}
            back = rotation.take_back({n: peer.times for n, peer in left.items()}, now_us)
            turned += [replace(left[name], times=times) for name, times in back.items()]
    keys = {"keys": sorted(gone)[:CHANGES_MAX], "keys_count": len(gone)}
    return KeyChange(
        entry=replace(entry, detail={**keys, **entry.detail}),
        turned=turned,
        stripped=stripped,
        hold=hold,
    )


def _conflict(why: str, fix: str, code: str) -> Conflict:
    return Conflict(why, where="KEY", fix=fix, code=code)
