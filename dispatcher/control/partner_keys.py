"""The set of keys that a partner publishes: what was found, what of it may be used, and why not.

Called by `keys partner`. It fetches nothing: workers do, who have the door. What counts is judged
by the functions that a snapshot is compiled with. All of it is public.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import msgspec

from dispatcher.control.lanes import compile_policy, only
from dispatcher.control.means import Means
from dispatcher.model.errors import NotFound
from dispatcher.model.key_set import KeySet, KeySetMode, KeySetNow
from dispatcher.model.registry import Connector
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.partner_keys import (
    STALE_US,
    KeyUse,
    SetState,
    judge_key,
    judge_set,
    ripe_us,
)
from dispatcher.store.partner_keys import ExposedKey, Fetching, PartnerKeyStore
from dispatcher.store.registry import PolicyNow, RegistryStore


class _Kind(msgspec.Struct):
    kty: str
    crv: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKey:
    """One key: what it is called, of what kind, and from when it may be used, if it may at all."""

    thumbprint: str
    kid: str
    kty: str
    crv: str | None
    use: KeyUse
    first_seen_us: int
    usable_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSet:
    """A partner's set: where it is, whether it counts and until when, and how fetching it goes.

    `forbidden_by` is what keeps workers from asking. `found_us` is 0 where it was never found.
    """

    connector: str
    url: str
    mode: KeySetMode
    state: SetState
    found_us: int
    stale_us: int
    fetching: Fetching | None
    forbidden_by: tuple[Reason, ...]
    keys: tuple[PublishedKey, ...]
    exposed: tuple[ExposedKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerKeyControl:
    """The sets of one registry's partners."""

    registry: RegistryStore
    partner_keys: PartnerKeyStore
    loopback: frozenset[tuple[str, int]]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            partner_keys=PartnerKeyStore(means.registry_database, means.audit),
            loopback=means.loopback,
            wall_us=means.wall_us,
        )

    async def read(self, name: str) -> PublishedSet:
        """Say what is known of a partner's set. Raises `NotFound`: no such partner, or no set."""
        now = await self.registry.policy_now()
        connector, key_set = _named(now, name)
        now_us, known = self.wall_us(), now.key_sets.get(name)
        found_us = known.good_us if known is not None else 0
        return PublishedSet(
            connector=name,
            url=key_set.url,
            mode=key_set.mode,
            state=judge_set(key_set, known, now_us),
            found_us=found_us,
            stale_us=found_us + STALE_US if found_us else 0,
            fetching=await self.partner_keys.fetching(name),
            forbidden_by=self._forbidden_by(now, name, now_us),
            keys=tuple(_published(key_set, connector, known, now_us)),
            exposed=tuple(await self.partner_keys.exposed(name)),
        )

    def _forbidden_by(self, now: PolicyNow, name: str, now_us: int) -> tuple[Reason, ...]:
        snapshot = compile_policy(
            now,
            only(now.active.registry, ()),
            loopback=self.loopback,
            certificates=None,  # it is workers who have them
            now_us=now_us,
        )
        refusal = snapshot.key_routes[name].refusal if name in snapshot.key_routes else None
        return refusal.reasons if refusal is not None else ()


def _named(now: PolicyNow, name: str) -> tuple[Connector, KeySet]:
    connector = next((each for each in now.active.registry.connectors if each.name == name), None)
    if connector is None:
        raise NotFound(
            f"the active revision has no connector {name[:100]!r}",
            where="name",
            fix="ask for the list",
            code="connector_unknown",
        )
    if connector.key_set is None:
        raise NotFound(
            f"{name} is not known to publish its keys",
            where="name",
            fix="write [connector.key_set] in its file; keys that it handed over are listed there",
            code="key_set_unknown",
        )
    return connector, connector.key_set


def _published(
    key_set: KeySet, connector: Connector, known: KeySetNow | None, now_us: int
) -> Iterator[PublishedKey]:
    for each in known.keys if known is not None else ():
        kind = msgspec.json.decode(each.found.jwk, type=_Kind)
        use = judge_key(key_set, connector, each, now_us)
        is_ever = use in (KeyUse.USABLE, KeyUse.HELD)
        yield PublishedKey(
            thumbprint=each.found.thumbprint,
            kid=each.found.kid,
            kty=kind.kty,
            crv=kind.crv,
            use=use,
            first_seen_us=each.first_seen_us,
            usable_us=ripe_us(key_set, connector, each) if is_ever else None,
        )
