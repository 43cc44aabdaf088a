"""Where the proof of a subscription's endpoint stands, and the wish that it be asked for now.

Called by `prove`. It asks no endpoint itself: workers do, who have the door, the lease and the
switches. What forbids asking is judged by the very functions they judge by. An address that may not
be dialled is told like a destination that is not listed: nobody explores a network with this.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final, Self

from dispatcher.control.lanes import compile_policy, only
from dispatcher.control.means import Means
from dispatcher.model.days import day_of
from dispatcher.model.errors import NotFound
from dispatcher.model.proof import (
    TXT_PREFIX,
    Proof,
    ProofKey,
    proof_key,
    txt_name,
)
from dispatcher.model.snapshot import Route
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.challenge import judge_challenge
from dispatcher.stages.gates.ownership import is_proof_asked, last_proof_day
from dispatcher.store.proofs import Asking, ProofStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.workers import WorkerStore
from dispatcher.vault.sealer import Vault

POLL_SECONDS: Final = 0.05


class ProofState(StrEnum):
    """Where a proof stands. `not_asked`: the policy wants none here."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The proof of one subscription's endpoint, and what would win it.

    `echo` and `dns` are why the last try failed; `forbidden_by` what keeps workers from trying;
    `has_workers` is false where there is nobody to try.
    """

    subscription: str
    key: ProofKey
    state: ProofState
    proof: Proof | None
    until: date | None
    forbidden_by: tuple[Reason, ...]
    asking: Asking
    txt_name: str | None
    txt_value: str | None
    has_workers: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofControl:
    """The proofs of one registry's endpoints."""

    registry: RegistryStore
    proofs: ProofStore
    workers: WorkerStore
    vault: Vault
    loopback: frozenset[tuple[str, int]]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            proofs=ProofStore(means.registry_database, means.audit),
            workers=means.workers,
            vault=means.vault,
            loopback=means.loopback,
            wall_us=means.wall_us,
        )

    async def read(self, subscription: str) -> Standing:
        """Say where the proof of a subscription's endpoint stands. Raises `NotFound`."""
        now = await self.registry.policy_now()
        active, proofs, now_us = now.active, now.proofs, self.wall_us()
        today = day_of(now_us)
        snapshot = compile_policy(
            now,
            only(active.registry, (subscription,)),
            loopback=self.loopback,
            certificates=None,  # it is workers who have them
            now_us=now_us,
        )
        route = snapshot.routes.get(subscription)
        if route is None:
            raise NotFound(
                f"the active revision has no subscription {subscription[:100]!r}",
                where="name",
                fix="ask for the list",
                code="subscription_unknown",
            )
        policy, key = active.registry.policy, proof_key(route.connector, route.endpoint)
        proof = next((each for each in proofs if each.key == key), None)
        until = last_proof_day(proof, policy) if proof is not None else None
        refusal = judge_challenge(snapshot, route)
        is_proven = until is not None and today <= until
        state = ProofState.PROVEN if is_proven else ProofState.UNPROVEN
        if not is_proven and not is_proof_asked(policy, self.loopback):
            state = ProofState.NOT_ASKED
        return self._standing(route, state, proof, until, refusal, await self.proofs.asking(key))

    async def prove(self, subscription: str, *, actor: str, wait_seconds: float) -> Standing:
        """Have an unproven endpoint asked now, and say what came of it, or that nothing has yet.

        Raises `NotFound` for a subscription there is not.
        """
        standing = await self.read(subscription)
        if standing.state is not ProofState.UNPROVEN or standing.forbidden_by:
            return standing
        await self.proofs.ask(standing.key, actor=actor)
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while not (await self.proofs.asking(standing.key)).is_answered:
            if not await self._has_live_workers():
                return replace(await self.read(subscription), has_workers=False)
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        return await self.read(subscription)

    async def _has_live_workers(self) -> bool:
        return any(row.silent_us <= row.lease_us for row in await self.workers.all())

    def _standing(
        self,
        route: Route,
        state: ProofState,
        proof: Proof | None,
        until: date | None,
        refusal: Refusal | None,
        asking: Asking,
    ) -> Standing:
        name = txt_name(route.endpoint)
        token = self.vault.ownership_token(route.connector, route.endpoint.host)
        return Standing(
            subscription=route.subscription,
            key=proof_key(route.connector, route.endpoint),
            state=state,
            proof=proof,
            until=until,
            forbidden_by=refusal.reasons if refusal is not None else (),
            asking=asking,
            txt_name=name,
            txt_value=f"{TXT_PREFIX}{token}" if name is not None else None,
        )
