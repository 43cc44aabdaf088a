"""One delivery's whole journey, steps 3 to 10 of the road, in order.

Called by `worker.desk` for every leased delivery, first try or last, replayed or released: there is
no second road. Decisions are asked of the pure stages; this module only performs them. Whatever
happens, the turn ends in exactly one settlement, unless the process dies.
"""

import asyncio
from typing import NamedTuple

from dispatcher.model.errors import DispatcherError
from dispatcher.model.ids import Epoch, ScopeId
from dispatcher.model.letter import (
    Admitted,
    Answer,
    Cleared,
    Departure,
    Leased,
    Sealed,
    Settlement,
    Stopped,
    Trouble,
)
from dispatcher.model.registry import STANDARD_RETRY_SECONDS
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.tls import Met
from dispatcher.model.verdict import Reason, Refusal, hold, refuse
from dispatcher.stages.gates.departure import may_begin
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.stored_headers import with_credentials
from dispatcher.stages.settling.outcome import Health, health_of
from dispatcher.stages.settling.settle import set_aside, settle
from dispatcher.store.groupcommit import GroupCommit
from dispatcher.store.ledger import Disclosure, Settled
from dispatcher.vault.partner_encryption import encrypt
from dispatcher.worker.disclosing import disclosure_of, sign_disclosed
from dispatcher.worker.kit import Kit, Step
from dispatcher.worker.peers import PeerWatch
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reaching import reach
from dispatcher.worker.shaping import shape_letter
from dispatcher.worker.tokens import LetterTokens, TokenDesk
from dispatcher.worker.unlocking import unlock_letter


class _Made(NamedTuple):
    """A letter that may leave, as far as was judged so far, and what it was judged and made by."""

    sealed: Sealed
    filed: Scope
    tokens: LetterTokens


class Courier:
    """Carries letters. One instance serves the whole worker."""

    def __init__(
        self,
        kit: Kit,
        policy: PolicyWatch,
        tokens: TokenDesk,
        disclosures: GroupCommit[Disclosure, bool],
        settlements: GroupCommit[Settled, None],
    ) -> None:
        self._kit = kit
        self._policy = policy
        self._disclosures = disclosures
        self._settlements = settlements
        self._peers = PeerWatch(kit, policy)
        self._tokens = tokens
        self._scopes: dict[ScopeId, Scope] = {}

    async def carry(self, leased: Leased) -> Health:
        """Take one leased delivery as far as it gets, and settle it.

        Says how its destination is, as far as the attempt tells.
        """
        step = self._kit.step
        step(Step.PREFLIGHT)
        unlocked = await unlock_letter(self._kit, leased)
        snapshot = self._policy.snapshot
        if isinstance(unlocked, Refusal):
            self._settle(leased, snapshot, unlocked)
            return Health.UNSAID
        leased = unlocked
        made = await self._make(leased, snapshot)
        if not isinstance(made, _Made):
            self._settle(leased, snapshot, made)
            return Health.UNSAID  # also without an address: who answers for names is another
        step(Step.DISCLOSE)
        row = disclosure_of(self._kit, self._policy, made.sealed)
        if not await self._disclose(row, snapshot):
            return Health.UNSAID
        step(Step.POST)
        route = made.sealed.cleared.route
        result, seconds = await self._post(row, made.filed, made.tokens, snapshot)
        step(Step.SETTLE)
        met = None
        try:
            met = await self._peers.meet(route, result)
        finally:
            settlement = self._settle(leased, snapshot, result, made.sealed.cleared.scope, met)
        if settlement.is_endpoint_gone:
            # A partner answered 410.
            await self._policy.hold((leased.subscription,), Reason.ENDPOINT_GONE)
        if isinstance(result, Stopped):
            return Health.UNSAID
        return health_of(result, seconds, route.attempt_seconds)

    async def _make(self, leased: Leased, snapshot: Snapshot) -> _Made | Refusal | Trouble:
        """Steps 3 to 7: make what may leave, or say why nothing may. None of it is told anybody."""
        filed = await self._scope(leased)
        if filed is None:
            return refuse(Reason.SCOPE_UNKNOWN)
        cleared = preflight(leased, snapshot, filed)
        if isinstance(cleared, Refusal):
            return cleared
        stopped = self._may_begin(cleared, filed)
        if stopped is not None:
            return hold(stopped.reason)
        admitted = await reach(self._kit, cleared)
        if not isinstance(admitted, Admitted):
            return admitted
        self._kit.step(Step.SHAPE)
        tokens = self._tokens.of(cleared)
        shaped = await shape_letter(self._kit, self._tokens, admitted, tokens)
        if isinstance(shaped, Refusal):
            return shaped
        self._kit.step(Step.SEAL)
        sealed = seal(shaped, encrypt)
        return sealed if isinstance(sealed, Refusal) else _Made(sealed, filed, tokens)

    def give_back(self, leased: Leased, reason: Reason) -> None:
        """Return a delivery that was not begun; no retry is spent."""
        self._settle(leased, self._policy.snapshot, hold(reason))

    def park_faulty(self, leased: Leased, error: Exception) -> None:
        """Set aside a delivery that a fault of ours stopped, so that it is not tried for ever."""
        self._kit.log.error("courier_failed", delivery=leased.id, error=type(error).__name__)
        self.record(leased, set_aside(leased), self._policy.snapshot.epoch)

    async def _scope(self, leased: Leased) -> Scope | None:
        """Give the scope of the filing: as a rule today's own, for its id is its content."""
        scope_id = leased.filed_scope
        route = self._policy.snapshot.routes.get(leased.subscription)
        today = route.scopes.get(leased.event.type) if route is not None else None
        if today is not None and today.id == scope_id:
            return today
        known = self._scopes.get(scope_id)
        if known is None:
            known = await self._kit.outbox.scope(scope_id)
            if known is not None:
                self._scopes[scope_id] = known
        return known

    def _may_begin(self, cleared: Cleared, filed: Scope) -> Stopped | None:
        return may_begin(
            cleared,
            filed,
            self._policy.snapshot,
            now=self._kit.clock.boot(),
            policy_lease_ends=self._policy.lease_ends,
        )

    async def _disclose(self, row: Disclosure, snapshot: Snapshot) -> bool:
        """Write the ledger row; `False` when the lease is lost, and with it the right to settle."""
        try:
            return await self._disclosures.put(row)
        except DispatcherError as error:
            self._kit.log.error("ledger_unwritable", reason=error.reason, why=error.why)
            self._settle(
                row.sealed.leased,
                snapshot,
                Stopped(Reason.LEDGER_UNAVAILABLE),
                row.sealed.cleared.scope,
            )
            return False

    async def _post(
        self, row: Disclosure, filed: Scope, tokens: LetterTokens, snapshot: Snapshot
    ) -> tuple[Answer | Trouble | Stopped, float]:
        """Give what came back, and the seconds it took."""
        sealed = row.sealed

        # Both run between the guarded connection and the first byte, and never await.
        def sign() -> Departure | Stopped:
            departure = sign_disclosed(self._kit, self._policy, row)
            return with_credentials(departure, self._policy.credentials, sealed.cleared.route)

        def check() -> Stopped | None:
            if not self._tokens.is_current(tokens):
                return Stopped(Reason.POLICY_CHANGED)  # somebody was erased meanwhile
            return self._may_begin(sealed.cleared, filed)

        began = self._kit.clock.boot()
        self._policy.in_flight += 1
        try:
            result = await self._kit.transport.post(sealed, sign, check)
        except asyncio.CancelledError:
            # A drain ran out of time: the partner may have it, and the ledger will say so.
            aborted = Trouble("aborted", is_begun=True)
            self._settle(sealed.leased, snapshot, aborted, sealed.cleared.scope)
            raise
        finally:
            self._policy.in_flight -= 1
        seconds = self._kit.clock.boot() - began
        self._kit.metrics.attempt_seconds.observe(seconds)
        return result, seconds

    def _settle(
        self,
        leased: Leased,
        judged: Snapshot,
        result: Answer | Trouble | Stopped | Refusal,
        used: Scope | None = None,
        met: Met | None = None,
    ) -> Settlement:
        """Settle under the snapshot the letter was judged under; `used` once the ledger has it."""
        route = judged.routes.get(leased.subscription)
        settlement = settle(
            leased,
            used,
            result,
            route.retry_seconds if route is not None else STANDARD_RETRY_SECONDS,
            self._kit.chance(),
            self._kit.clock.wall_us(),
        )
        self.record(leased, settlement, judged.epoch, met)
        return settlement

    def record(
        self, leased: Leased, settlement: Settlement, epoch: Epoch, met: Met | None = None
    ) -> None:
        """Hand a settlement to the group commit, and say so in one log line."""
        self._settlements.put(Settled(settlement, epoch, met))
        self._kit.metrics.count_settled(leased.subscription, settlement.move.value, settlement.code)
        say = (
            self._kit.log.debug
            if settlement.status and settlement.status < 300
            else self._kit.log.info
        )
        say(
            "attempt",
            delivery=leased.id,
            event_id=leased.event.id,
            webhook_id=leased.webhook_id,
            subscription=leased.subscription,
            attempt=settlement.attempt,
            move=settlement.move.value,
            outcome=settlement.outcome.value if settlement.outcome else None,
            status=settlement.status,
            code=settlement.code,
        )
