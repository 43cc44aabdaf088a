"""Signing keys over time: listed, rotated with an overlap, retired early; `revoking` ends them.

Called by `keys`. Every change is judged by the keys as they are inside its own transaction, moves
the policy's epoch with them, and is on the record by fingerprints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from dispatcher.control.key_changes import Turn, retire_key, turn_keys
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.signing_keys import seal_key
from dispatcher.control.texts import require_reason
from dispatcher.model.errors import InvalidInput, NotFound
from dispatcher.model.ids import Epoch
from dispatcher.model.keys import KeyKind, KeyState
from dispatcher.model.people import Principal, Right
from dispatcher.model.registry import Registry, Subscription
from dispatcher.stages.sealing.standard_webhooks import format_secret
from dispatcher.store.key_trials import KeyTrialStore, Standing
from dispatcher.store.registry import RegistryStore
from dispatcher.store.signing_keys import KeyChange, StoredKey
from dispatcher.vault.places import REGISTRY
from dispatcher.vault.sealer import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key as it stands now, and whose it is. Nothing of its secret is here.

    `trial` is how it does alone at its endpoint, where that was ever tried.
    """

    key: StoredKey
    state: KeyState
    trial: Standing
    age_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """A new key, and those whose end is known now.

    `secret` is what the partner is told of a shared one, shown this once.
    """

    key: StoredKey
    secret: str = field(repr=False)
    ending: tuple[StoredKey, ...]
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyControl:
    """The signing keys of one registry."""

    registry: RegistryStore
    trials: KeyTrialStore
    vault: Vault
    mint_secret: Callable[[], bytes]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            trials=KeyTrialStore(means.registry_database),
            vault=means.vault,
            mint_secret=means.mint_secret,
            wall_us=means.wall_us,
        )

    async def list(self) -> list[ListedKey]:
        """List every key there ever was, by name."""
        now_us = self.wall_us()
        trials = await self.trials.standings()
        return [
            ListedKey(
                key=key,
                state=key.times.state(now_us),
                trial=trials.get((key.subscription, key.fingerprint), Standing()),
                age_days=key.times.age_days(now_us),
            )
            for key in sorted(await self.registry.keys(), key=lambda key: key.name)
        ]

    async def rotate(self, turn: Turn, *, by: Principal) -> Rotated:
        """Make a key that takes the place of those there are, once it signs.

        Raises `NotFound`, `InvalidInput` where the kind must be said, and `Conflict` where another
        waits to sign already (`key_pending`) or there are too many (`keys_too_many`).
        """
        require(by, Right.KEYS)
        require_reason(turn.reason)
        subscription = find_subscription((await self.registry.active()).registry, turn.subscription)
        kind = turn.kind or _only_kind(subscription)
        secret = self.mint_secret()
        await self.vault.ready(REGISTRY)
        key = seal_key(subscription, kind, secret, self.vault)

        def judge(known: Sequence[StoredKey], now_us: int) -> KeyChange:
            return turn_keys(turn, key, known, now_us, by.name)

        change, epoch = await self.registry.change_keys(judge)
        told = format_secret(secret) if kind is KeyKind.HMAC else ""
        return Rotated(key=change.made[0], secret=told, ending=tuple(change.turned), epoch=epoch)

    async def retire(self, name: str, *, reason: str, by: Principal) -> StoredKey:
        """End a key whose time runs out anyway, now. Raises `NotFound` and `Conflict`."""
        require(by, Right.KEYS)
        require_reason(reason)

        def judge(known: Sequence[StoredKey], now_us: int) -> KeyChange:
            return retire_key(find_key(known, name), known, now_us, actor=by.name, reason=reason)

        change, _ = await self.registry.change_keys(judge)
        return change.turned[0]


def find_key(known: Sequence[StoredKey], name: str) -> StoredKey:
    """Give the key of a fingerprint, or of a subscription and a fingerprint.

    Raises `NotFound`, and `InvalidInput` where there are several.
    """
    found = [each for each in known if name in (each.fingerprint, each.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput(
            f"{len(found)} subscriptions have a key of this fingerprint",
            where="KEY",
            fix="write SUBSCRIPTION/FINGERPRINT",
            code="key_ambiguous",
        )
    raise unknown("key", "KEY", name, "; revoke certificates and callers by --identity")


def find_subscription(registry: Registry, name: str) -> Subscription:
    """Give the subscription of a name. Raises `NotFound`."""
    found = next((each for each in registry.subscriptions if each.name == name), None)
    if found is None:
        raise unknown("subscription", "SUBSCRIPTION", name)
    return found


def _only_kind(subscription: Subscription) -> KeyKind:
    kinds = subscription.signing.kinds
    if len(kinds) == 1:
        return kinds[0]
    raise InvalidInput(
        f"{subscription.name} is signed with keys of several kinds",
        where="--kind",
        fix=f"say which: {' or '.join(kinds)}",
        code="key_kind_unsaid",
    )


def unknown(what: str, where: str, name: str, more: str = "") -> NotFound:
    """Say that there is none of this name, and what to do; `more` of that, too."""
    return NotFound(
        f"there is no {what} {name[:100]!r}",
        where=where,
        fix=f"'dispatcher keys list' shows what there is{more}",
        code=f"{what}_unknown",
    )
