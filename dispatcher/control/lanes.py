"""Which lanes are closed, and why, as it can be told away from the workers.

Called wherever waiting deliveries are shown; previews and proofs compile the policy in force by it
too. It knows which keys sign now by their times, and which headers are stored; whether one opens a
worker alone knows. It must never be what a letter leaves by.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from dispatcher.control.means import Means
from dispatcher.model.days import day_of
from dispatcher.model.identity import ClientCertificate, choose_shown
from dispatcher.model.ids import lane_of
from dispatcher.model.registry import Registry
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.credentials import Lacks, find_unbound
from dispatcher.stages.gates.partner_keys import list_partner_keys
from dispatcher.stages.revising.compiling import compile_snapshot
from dispatcher.stages.sealing.rotation import unsigned
from dispatcher.store.registry import PolicyNow, RegistryStore


class Waiting(NamedTuple):
    """What a delivery waits for: its turn in the lane of a subscription and an event type."""

    subscription: str
    type: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneControl:
    """The lanes of one registry. `certificates` are what this configuration has for clients."""

    registry: RegistryStore
    certificates: Callable[[], Sequence[ClientCertificate]]
    loopback: frozenset[tuple[str, int]]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            certificates=means.certificates,
            loopback=means.loopback,
            wall_us=means.wall_us,
        )

    async def closed(self, waiting: Collection[Waiting]) -> dict[Waiting, tuple[Reason, ...]]:
        """Say of each whose lane is closed what closes it, all by one reading of the policy.

        Of a tenant that is not served there any more, that alone: the rest is not its business.
        """
        if not waiting:
            return {}
        now, found = await self.registry.policy_now(), await asyncio.to_thread(self.certificates)
        now_us, names = self.wall_us(), {each.subscription for each in waiting}
        snapshot = compile_policy(
            now,
            only(now.active.registry, names),
            loopback=self.loopback,
            certificates=found,
            now_us=now_us,
        )
        closed: dict[Waiting, tuple[Reason, ...]] = {}
        for each in waiting:
            refusal = snapshot.closed.get(lane_of(each.subscription, each.type))
            if refusal is not None:
                is_served = each.tenant in snapshot.routes[each.subscription].tenants
                closed[each] = refusal.reasons if is_served else (Reason.TENANT_NOT_SERVED,)
        return closed


def only(registry: Registry, subscriptions: Collection[str]) -> Registry:
    """Cut a registry down to these of its subscriptions."""
    kept = tuple(each for each in registry.subscriptions if each.name in subscriptions)
    return replace(registry, subscriptions=kept)


def compile_policy(
    now: PolicyNow,
    held: Registry,
    *,
    loopback: frozenset[tuple[str, int]],
    certificates: Sequence[ClientCertificate] | None,
    now_us: int,
) -> Snapshot:
    """Compile the policy in force for what of its registry is `held`.

    `certificates` are those that there are for clients; with `None` none is asked for.
    """
    identities = None
    if certificates is not None:
        identities = frozenset(choose_shown(certificates, now.revoked_identities, now_us))
    keys = ((each.subscription, each.kind, each.times) for each in now.keys)
    stored = (each.credential for each in now.credentials)
    return compile_snapshot(
        held,
        revision=now.active.revision,
        epoch=now.active.epoch,
        switches=now.switches,
        proofs=now.proofs,
        today=day_of(now_us),
        loopback=loopback,
        identities=identities,
        lacks=Lacks(unsigned(held, keys, now_us), find_unbound(held, stored)),
        partner_keys=list_partner_keys(held.connectors, now.key_sets, now_us),
    )
