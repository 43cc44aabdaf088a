"""Asks endpoints to show that they are their partner's own, before anything real is sent to them.

Runs beside the road and never in its way; `challenging` carries what is asked. It must never take a
proof for granted that is not on the record.
"""

from collections.abc import Sequence
from typing import Final

from dispatcher.model.errors import Conflict
from dispatcher.model.letter import Departure, Sealed, Stopped, Trouble
from dispatcher.model.proof import ProofKey, ProofMethod, Unproven, proof_key, txt_name
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.stages.gates.challenge import has_token
from dispatcher.stages.sealing.signature import depart
from dispatcher.store.proofs import Claim
from dispatcher.worker.challenging import LEASE_MARGIN_SECONDS, Challenger
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.rounds import wait_after

WAITS_SECONDS: Final = (5.0, 30.0, 300.0, 3600.0)
"""How long to wait after each failure in a row, give or take a half; the last one for ever."""
TXT_MISSING: Final = "txt_missing"
TXT_UNASKED: Final = "txt_unasked"
TXT_UNKNOWN: Final = "txt_unknown"
TXT_IMPOSSIBLE: Final = "txt_impossible"


class Prover:
    """Asks every endpoint that has no proof: the asker of one worker's `Rounds`."""

    fault = "prover_failed"
    again_seconds = WAITS_SECONDS[0]
    asks_anew = True

    def __init__(self, kit: Kit, policy: PolicyWatch, challenger: Challenger) -> None:
        self._kit = kit
        self._policy = policy
        self._challenger = challenger

    def places(self, snapshot: Snapshot) -> Sequence[tuple[ProofKey, Route]]:
        """Give every route that wants a proof; several may lead to one place."""
        places = [(proof_key(each.connector, each.endpoint), each) for each in snapshot.proving]
        self._kit.metrics.endpoints_to_prove.set(len(dict(places)))
        return places

    def check(self, route: Route) -> Stopped | None:
        """Say why an endpoint may not be asked now, or nothing if it may."""
        return self._challenger.check(route)

    async def ask(self, key: ProofKey, route: Route) -> float:
        """Ask by both ways, if it is time; give for how many seconds to leave it alone."""
        kit = self._kit
        lease_us = int((route.attempt_seconds + LEASE_MARGIN_SECONDS) * 1_000_000)
        claim = await kit.proofs.claim(key, kit.mint_token(), lease_us)
        if not claim.is_ours:
            return claim.wait_seconds
        try:
            found = await self._prove(route)
        except BaseException:
            await kit.proofs.give_back(claim)
            raise
        if isinstance(found, Stopped):
            await kit.proofs.give_back(claim)
            return 0.0
        return await self._keep(claim, route, found)

    async def _keep(self, claim: Claim, route: Route, found: ProofMethod | Unproven) -> float:
        """Put down what was found, and give for how long to leave the endpoint alone."""
        kit = self._kit
        line = {"connector": route.connector, "subscription": route.subscription}
        if isinstance(found, ProofMethod):
            try:
                await kit.proofs.record(claim, found, kit.id)
            except Conflict:
                return 0.0  # somebody else is at it
            kit.log.info("endpoint_proven", why=found.value, **line)
            self._policy.hint.set()
            return WAITS_SECONDS[-1]  # the policy moves, and everything is looked at again
        wait = wait_after(claim.failures, WAITS_SECONDS, kit.chance())
        if not await kit.proofs.fail(claim, found, int(wait * 1_000_000)):
            return 0.0
        kit.log.warning("endpoint_unproven", code=found.echo, reason=found.dns, **line)
        return wait

    async def _prove(self, route: Route) -> ProofMethod | Unproven | Stopped:
        asked = await self._challenger.ask(route, self._sign)
        if asked is None:
            return ProofMethod.ECHO
        if isinstance(asked, Stopped):
            return asked
        if asked.refusal is not None:
            # No letter may go there, so nothing is asked about the host either.
            return Unproven(asked.code, TXT_UNASKED)
        dns = await self._read_txt(route)
        if isinstance(dns, Stopped):
            return dns
        if dns is None:
            return ProofMethod.DNS
        return Unproven(asked.code, dns)

    def _sign(self, sealed: Sealed) -> Departure | Stopped:
        keys = self._policy.keys.get(sealed.cleared.route.subscription, ())
        return depart(sealed, keys, self._kit.clock.wall_us() // 1_000_000)

    async def _read_txt(self, route: Route) -> str | Stopped | None:
        """Look for the connector's token at the host; nothing where it stands, else why not."""
        name = txt_name(route.endpoint)
        if name is None:
            return TXT_IMPOSSIBLE
        stopped = self.check(route)
        if stopped is not None:
            return stopped
        texts = await self._kit.resolver.texts(name)
        if isinstance(texts, Trouble):
            return TXT_UNKNOWN
        token = self._kit.vault.ownership_token(route.connector, route.endpoint.host)
        return None if has_token(texts, token) else TXT_MISSING
