"""Signing keys over time: rotated with an overlap, retired early, revoked at once.

Called by `keys`. Every change is judged by the keys as they are inside its own transaction, moves
the policy's epoch with them, and is on the record by fingerprints. A revocation destroys the secret
and returns once no worker can still sign with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from dispatcher.control.confirming import confirmed
from dispatcher.control.key_changes import Turn, retire_key, revoke_keys, turn_keys
from dispatcher.control.people import require
from dispatcher.control.signing_keys import seal_key
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import Entry
from dispatcher.model.errors import InvalidInput, NotFound
from dispatcher.model.ids import Epoch
from dispatcher.model.keys import KeyKind, KeyState
from dispatcher.model.people import Principal, Right
from dispatcher.model.registry import Registry, Subscription
from dispatcher.model.switch import Target, TargetKind
from dispatcher.stages.sealing.rotation import unsigned
from dispatcher.stages.sealing.standard_webhooks import format_secret
from dispatcher.store.database import Database
from dispatcher.store.key_trials import KeyTrialStore, Standing
from dispatcher.store.registry import RegistryStore
from dispatcher.store.signing_keys import KeyChange, StoredKey
from dispatcher.store.tickets import revoke_tickets
from dispatcher.store.workers import WorkerRow, WorkerStore
from dispatcher.vault.places import REGISTRY
from dispatcher.vault.sealer import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is to be revoked: one key, those of a subscription, or those of a connector."""

    key: str | None = None
    subscription: str | None = None
    connector: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key as it stands now, and whose it is. Nothing of its secret is here.

    `trial` is how it does alone at its endpoint, where that was ever tried.
    """

    key: StoredKey
    connector: str | None
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
class Revoked:
    """Keys that no letter can be signed with any more, since when, and how long that took.

    `unsigned` subscriptions have no key left, and wait for a new one. Where it was a connector, it
    is `held`, and so many `tickets` ended.
    """

    keys: tuple[str, ...]
    unsigned: tuple[str, ...]
    held: Target | None
    tickets: int
    epoch: Epoch
    confirmed_us: int
    confirmed_ms: float
    workers_confirmed: int
    workers_fenced: int
    in_flight: int

    @classmethod
    def confirmed_by(
        cls,
        rows: Sequence[WorkerRow],
        *,
        epoch: Epoch,
        keys: tuple[str, ...],
        began_us: int,
        confirmed_us: int,
        unsigned: tuple[str, ...] = (),
        held: Target | None = None,
        tickets: int = 0,
    ) -> Self:
        """Say what these workers have confirmed."""
        return cls(
            keys=keys,
            unsigned=unsigned,
            held=held,
            tickets=tickets,
            epoch=epoch,
            confirmed_us=confirmed_us,
            confirmed_ms=round((confirmed_us - began_us) / 1000, 1),
            workers_confirmed=sum(row.confirmed_epoch >= epoch for row in rows),
            workers_fenced=sum(row.confirmed_epoch < epoch for row in rows),
            in_flight=sum(row.in_flight for row in rows if row.confirmed_epoch >= epoch),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyControl:
    """The signing keys of one registry, and the tickets of one outbox."""

    registry: RegistryStore
    trials: KeyTrialStore
    workers: WorkerStore
    outbox: Database
    vault: Vault
    mint_secret: Callable[[], bytes]
    wall_us: Callable[[], int]

    async def list(self) -> list[ListedKey]:
        """List every key there ever was, by name."""
        now_us = self.wall_us()
        active = (await self.registry.active()).registry
        trials = await self.trials.standings()
        whose = {each.name: each.connector for each in active.subscriptions}
        return [
            ListedKey(
                key=key,
                connector=whose.get(key.subscription),
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
        subscription = _named((await self.registry.active()).registry, turn.subscription)
        kind = turn.kind or _only_kind(subscription)
        secret = self.mint_secret()
        await self.vault.ready(REGISTRY)
        key = seal_key(subscription.name, kind, secret, self.vault)

        def judge(known: Sequence[StoredKey], now_us: int) -> KeyChange:
            return turn_keys(turn, key, known, now_us, by.name)

        change, epoch = await self.registry.change_keys(judge)
        ending = tuple(each for each in change.turned if each.sealed is not None)
        told = format_secret(secret) if kind is KeyKind.HMAC else ""
        return Rotated(key=change.made[0], secret=told, ending=ending, epoch=epoch)

    async def retire(self, name: str, *, reason: str, by: Principal) -> StoredKey:
        """End a key whose time runs out anyway, now. Raises `NotFound` and `Conflict`."""
        require(by, Right.KEYS)
        require_reason(reason)

        def judge(known: Sequence[StoredKey], now_us: int) -> KeyChange:
            return retire_key(_find(known, name), known, now_us, actor=by.name, reason=reason)

        change, _ = await self.registry.change_keys(judge)
        return change.turned[0]

    async def revoke(self, aim: Aim, *, reason: str, by: Principal, wait_seconds: float) -> Revoked:
        """Destroy the secrets of the keys aimed at; a connector is held in the same act.

        Returns once no worker can sign with them. Raises `NotFound`, `Conflict` (`key_revoked`)
        where nothing is left to revoke, and `NotConfirmed` when workers have not answered in time:
        the keys are gone all the same.
        """
        require(by, Right.KEYS)
        require_reason(reason)
        registry = (await self.registry.active()).registry
        hold = Target(TargetKind.CONNECTOR, aim.connector) if aim.connector is not None else None
        began_us = self.wall_us()

        def judge(known: Sequence[StoredKey], now_us: int) -> KeyChange:
            found, about = _aimed_at(aim, known, registry)
            entry = Entry(kind="key.revoked", actor=by.name, about=about, reason=reason)
            stripped = _of_connector(registry, aim.connector) if hold is not None else ()
            return revoke_keys(found, known, now_us, entry, hold, stripped)

        change, epoch = await self.registry.change_keys(judge)
        tickets = 0
        try:
            rows = await confirmed(
                self.workers,
                epoch,
                wait_seconds,
                done="the keys are revoked",
                code="revocation_unconfirmed",
            )
        finally:
            # Last, so that no worker that did not know yet gives a letter another.
            if aim.connector is not None:
                tickets = await revoke_tickets(self.outbox, aim.connector)
        confirmed_us = self.wall_us()
        gone = [each for each in change.turned if each.times.revoked_us is not None]
        return Revoked.confirmed_by(
            rows,
            epoch=epoch,
            keys=tuple(each.name for each in gone),
            began_us=began_us,
            confirmed_us=confirmed_us,
            unsigned=await self._unsigned({each.subscription for each in gone}),
            held=change.hold,
            tickets=tickets,
        )

    async def _unsigned(self, names: set[str]) -> tuple[str, ...]:
        keys = [(key.subscription, key.kind, key.times) for key in await self.registry.keys()]
        active = (await self.registry.active()).registry
        return tuple(sorted(names & unsigned(active, keys, self.wall_us())))


def _aimed_at(
    aim: Aim, known: Sequence[StoredKey], registry: Registry
) -> tuple[Sequence[StoredKey], str]:
    """Give the keys that are meant, and how the record names them."""
    if aim.key is not None:
        key = _find(known, aim.key)
        return [key], f"key {key.name}"
    if aim.subscription is not None:
        names = {_named(registry, aim.subscription).name}
        about = f"subscription {aim.subscription}"
    else:
        if aim.connector not in {each.name for each in registry.connectors}:
            raise _unknown("connector", "--connector", aim.connector or "")
        names = set(_of_connector(registry, aim.connector))
        about = f"connector {aim.connector}"
    return [each for each in known if each.subscription in names], about


def _of_connector(registry: Registry, connector: str | None) -> list[str]:
    return [each.name for each in registry.subscriptions if each.connector == connector]


def _find(known: Sequence[StoredKey], name: str) -> StoredKey:
    """Give the key of a fingerprint, or of a subscription and a fingerprint."""
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
    raise _unknown("key", "KEY", name)


def _named(registry: Registry, name: str) -> Subscription:
    found = next((each for each in registry.subscriptions if each.name == name), None)
    if found is None:
        raise _unknown("subscription", "SUBSCRIPTION", name)
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


def _unknown(what: str, where: str, name: str) -> NotFound:
    return NotFound(
        f"there is no {what} {name[:100]!r}",
        where=where,
        fix="'dispatcher keys list' shows what there is",
        code=f"{what}_unknown",
    )
