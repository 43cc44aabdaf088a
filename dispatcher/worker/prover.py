"""Asks endpoints to show that they are their partner's own, before anything real is sent to them.

Runs beside the road and never in its way. A challenge takes the same rooms and the same door as a
letter; whatever else would stop a letter stops it too, up to the instant before the first byte. It
must never carry anything of the company, nor take a proof for granted that is not on the record.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final

from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Epoch
from dispatcher.model.letter import Admitted, Answer, Cleared, Departure, Stopped, Trouble
from dispatcher.model.proof import ProofKey, ProofMethod, Unproven, proof_key, txt_name
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.verdict import Refusal
from dispatcher.stages.gates.challenge import (
    ECHO_BYTES_MAX,
    clear_challenge,
    has_token,
    is_echo,
    judge_challenge,
    may_challenge,
)
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart
from dispatcher.stages.settling.outcome import code_of, is_success
from dispatcher.store.proofs import Claim
from dispatcher.vault.partner_encryption import encrypt
from dispatcher.worker.kit import Kit, rest
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reaching import reach
from dispatcher.worker.tokens import TokenDesk

TRIES_MAX: Final = 16
"""How many endpoints are asked at once."""
WAITS_SECONDS: Final = (5.0, 30.0, 300.0, 3600.0)
"""How long to wait after each failure in a row, give or take a half; the last one for ever."""
LEASE_MARGIN_SECONDS: Final = 15.0
"""How much longer than an attempt a try may take: for names, and for the database."""
NO_ECHO: Final = "no_echo"
TXT_MISSING: Final = "txt_missing"
TXT_UNASKED: Final = "txt_unasked"
TXT_UNKNOWN: Final = "txt_unknown"
TXT_IMPOSSIBLE: Final = "txt_impossible"


class Prover:
    """Asks one endpoint after the other, as long as there are some without a proof."""

    def __init__(self, kit: Kit, policy: PolicyWatch, tokens: TokenDesk) -> None:
        self._kit = kit
        self._policy = policy
        self._tokens = tokens
        self._epoch = Epoch(-1)
        self._looks: dict[ProofKey, float] = {}
        self._tries: dict[ProofKey, asyncio.Task[None]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Look for endpoints to ask until told to stop; tries under way are given back then."""
        try:
            while not stopping.is_set():
                self.turn()
                await rest(stopping, self._kit.settings.policy_poll_seconds)
        finally:
            for task in self._tries.values():
                task.cancel()
            await asyncio.gather(*self._tries.values(), return_exceptions=True)

    def turn(self) -> None:
        """Begin a try at every endpoint that is to be asked and whose time has come."""
        policy, now = self._policy, self._kit.clock.boot()
        if policy.snapshot.epoch != self._epoch:
            # Somebody may have wished for a try, and what forbade one may be gone.
            self._epoch = policy.snapshot.epoch
            self._looks.clear()
            self._kit.metrics.endpoints_to_prove.set(_count(policy.snapshot))
        if now >= policy.lease_ends:
            return
        for key, route in _to_ask(policy.snapshot):
            if len(self._tries) >= TRIES_MAX:
                return
            if key not in self._tries and self._looks.get(key, 0.0) <= now:
                task = asyncio.create_task(self._try(key, route))
                self._tries[key] = task
                task.add_done_callback(partial(self._forget, key))

    def _forget(self, key: ProofKey, _task: asyncio.Task[None]) -> None:
        del self._tries[key]

    async def _try(self, key: ProofKey, route: Route) -> None:
        kit = self._kit
        wait = WAITS_SECONDS[0]
        try:
            lease_us = int((route.attempt_seconds + LEASE_MARGIN_SECONDS) * 1_000_000)
            claim = await kit.proofs.claim(key, kit.mint_token(), lease_us)
            wait = await self._ask(claim, route) if claim.is_ours else claim.wait_seconds
        except Exception as error:  # noqa: BLE001 - one endpoint's fault must not end the others
            kit.report("prover_failed", error)
        self._looks[key] = kit.clock.boot() + wait

    async def _ask(self, claim: Claim, route: Route) -> float:
        """Ask by both ways; give for how long this endpoint is to be left alone."""
        kit = self._kit
        try:
            found = await self._prove(route)
        except BaseException:
            await kit.proofs.give_back(claim)
            raise
        line = {"connector": route.connector, "subscription": route.subscription}
        if isinstance(found, Stopped):
            await kit.proofs.give_back(claim)
            return 0.0
        if isinstance(found, ProofMethod):
            try:
                await kit.proofs.record(claim, found, kit.id)
            except Conflict:
                return 0.0
            kit.log.info("endpoint_proven", why=found.value, **line)
            self._policy.hint.set()
            return WAITS_SECONDS[-1]  # the policy moves, and everything is looked at again
        base = WAITS_SECONDS[min(claim.failures, len(WAITS_SECONDS) - 1)]
        wait = base * (0.5 + kit.chance())
        if not await kit.proofs.fail(claim, found, int(wait * 1_000_000)):
            return 0.0
        kit.log.warning("endpoint_unproven", code=found.echo, reason=found.dns, **line)
        return wait

    async def _prove(self, route: Route) -> ProofMethod | Unproven | Stopped:
        echo = await self._echo(route)
        if isinstance(echo, Stopped):
            return echo
        if echo is None:
            return ProofMethod.ECHO
        if isinstance(echo, Refusal):
            # No letter may go there, so nothing is asked about the host either.
            return Unproven(echo.code, TXT_UNASKED)
        dns = await self._read_txt(route)
        if isinstance(dns, Stopped):
            return dns
        if dns is None:
            return ProofMethod.DNS
        return Unproven(echo, dns)

    async def _echo(self, route: Route) -> str | Stopped | Refusal | None:
        """Post a challenge like a letter; nothing where it came back, else why it did not."""
        kit, snapshot, challenge = self._kit, self._policy.snapshot, self._kit.mint_challenge()
        stopped = self._check(route)
        if stopped is not None:
            return stopped
        cleared = clear_challenge(
            route, snapshot, kit.mint_webhook_id(), challenge, kit.clock.wall_us()
        )
        result = await self._carry(cleared)
        if isinstance(result, Stopped):
            # Not by policy: then it is the key or the certificate, and asking at once is in vain.
            return result if self._check(route) is not None else result.reason.value
        if isinstance(result, Refusal):
            return result
        if isinstance(result, Answer) and is_success(result.status):
            return None if is_echo(result, challenge) else NO_ECHO
        return code_of(result)

    async def _carry(self, cleared: Cleared) -> Answer | Trouble | Stopped | Refusal:
        """Take a challenge down the road, from the resolver to the door."""
        kit, route = self._kit, cleared.route
        admitted = await reach(kit, cleared)
        if not isinstance(admitted, Admitted):
            return admitted
        shaped = await self._tokens.shape(admitted, self._tokens.of(cleared))
        if isinstance(shaped, Refusal):
            return shaped
        sealed = seal(shaped, encrypt)
        if isinstance(sealed, Refusal):
            return sealed

        def sign() -> Departure | Stopped:
            keys = self._policy.keys.get(route.subscription, ())
            return depart(sealed, keys, kit.clock.wall_us() // 1_000_000)

        self._policy.in_flight += 1
        try:
            return await kit.transport.post(
                sealed, sign, lambda: self._check(route), ECHO_BYTES_MAX
            )
        finally:
            self._policy.in_flight -= 1

    async def _read_txt(self, route: Route) -> str | Stopped | None:
        """Look for the connector's token at the host; nothing where it stands, else why not."""
        name = txt_name(route.endpoint)
        if name is None:
            return TXT_IMPOSSIBLE
        stopped = self._check(route)
        if stopped is not None:
            return stopped
        texts = await self._kit.resolver.texts(name)
        if isinstance(texts, Trouble):
            return TXT_UNKNOWN
        token = self._kit.vault.ownership_token(route.connector, route.endpoint.host)
        return None if has_token(texts, token) else TXT_MISSING

    def _check(self, route: Route) -> Stopped | None:
        return may_challenge(
            route,
            self._policy.snapshot,
            now=self._kit.clock.boot(),
            policy_lease_ends=self._policy.lease_ends,
        )


def _count(snapshot: Snapshot) -> int:
    return len({proof_key(route.connector, route.endpoint) for route in snapshot.proving})


def _to_ask(snapshot: Snapshot) -> Iterator[tuple[ProofKey, Route]]:
    """Give one route for each place that wants a proof and may be asked."""
    seen: set[ProofKey] = set()
    for route in snapshot.proving:
        key = proof_key(route.connector, route.endpoint)
        if key not in seen and judge_challenge(snapshot, route) is None:
            seen.add(key)
            yield key, route
