"""One read's whole journey: what a thin letter named is fetched by its partner, with a ticket.

Called by `partner` for every request that was told whose it is. It is the courier's road, asked for
from the other end: the same gates, the same shaping, the same seal, a ledger row that is durable
before the answer's first byte, and the same last check with no await before it. Nobody but the
rightful partner learns anything from it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dispatcher.model.caller import Known
from dispatcher.model.delivery import Outcome
from dispatcher.model.errors import DispatcherError
from dispatcher.model.letter import Cleared, Departure, Sealed, Stopped
from dispatcher.model.scope import Scope
from dispatcher.model.ticket import Denial, Fetch, Ticket
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.reading import (
    admit_read,
    deny,
    find_rightful,
    judge_read,
    judge_ticket,
    may_answer,
)
from dispatcher.stages.sealing.seal import seal
from dispatcher.store.ledger import Disclosure
from dispatcher.store.tickets import Read
from dispatcher.vault.partner_encryption import encrypt
from dispatcher.worker.disclosing import disclosure_of, sign_disclosed
from dispatcher.worker.kit import Kit, Step
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.shaping import shape_letter
from dispatcher.worker.tokens import LetterTokens, TokenDesk
from dispatcher.worker.unlocking import unlock_letter

Write = Callable[[Sealed, Departure], Awaitable[None]]
"""Writes an answer; its first byte is written before it waits for anything."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A read that policy allows, and what it was judged from."""

    ticket: Ticket
    by: Known
    issued: Scope
    cleared: Cleared


class Reader:
    """Answers fetches. One instance serves the whole process."""

    def __init__(self, kit: Kit, policy: PolicyWatch) -> None:
        self._kit = kit
        self._policy = policy
        self._tokens = TokenDesk(kit, policy)

    @property
    def is_trusting(self) -> bool:
        """True while policy may be trusted; nothing is answered when it may not."""
        return self._kit.clock.boot() < self._policy.lease_ends

    async def answer(self, fetch: Fetch, write: Write) -> Denial | None:
        """Answer through `write`, or say what is told instead."""
        self._policy.in_flight += 1
        try:
            return await self._answer(fetch, write)
        finally:
            self._policy.in_flight -= 1

    async def _answer(self, fetch: Fetch, write: Write) -> Denial | None:
        kit = self._kit
        judged = await self._judge(fetch)
        if isinstance(judged, Denial):
            return judged
        kit.step(Step.SHAPE)
        tokens = self._tokens.of(judged.cleared)
        admitted = admit_read(judged.cleared)
        shaped = await shape_letter(kit, self._tokens, admitted, tokens)
        if isinstance(shaped, Refusal):
            return deny(shaped)
        sealed = seal(shaped, encrypt)
        if isinstance(sealed, Refusal):
            return deny(sealed)
        kit.step(Step.DISCLOSE)
        row = disclosure_of(kit, self._policy, sealed)
        number = await self._disclose(judged, row, fetch.address)
        if number is None:
            return Denial.USED_UP
        kit.step(Step.POST)
        departure = self._depart(judged, row, tokens)
        if isinstance(departure, Stopped):
            await self._complete(judged, number, Outcome.NOT_BEGUN, departure.reason)
            return deny(departure)
        outcome = Outcome.UNKNOWN
        try:
            await write(sealed, departure)
            outcome = Outcome.DELIVERED
        finally:
            # Also where the request is given up: the record must not wait for whoever looks for it.
            await asyncio.shield(self._complete(judged, number, outcome))
        return None

    async def _judge(self, fetch: Fetch) -> _Judged | Denial:
        kit, policy = self._kit, self._policy
        kit.step(Step.PREFLIGHT)
        ticket = await kit.tickets.find(fetch.webhook_id)
        by = find_rightful(fetch, ticket)
        if ticket is None or by is None:
            return Denial.UNKNOWN
        # Only now, so that nobody fills a table with signatures that come with no ticket.
        if fetch.signature_id and not await kit.tickets.show(fetch.signature_id):
            return Denial.UNKNOWN
        leased = await kit.tickets.load(ticket)
        issued = await kit.outbox.scope(ticket.scope_id)
        if leased is not None:
            unlocked = await unlock_letter(kit, leased)
            if isinstance(unlocked, Refusal):
                return deny(unlocked)
            leased = unlocked
        if not self.is_trusting:
            return Denial.UNAVAILABLE
        route = policy.snapshot.routes.get(ticket.subscription)
        if leased is None or issued is None or route is None:
            return Denial.HELD
        denial = judge_ticket(ticket, route)
        if denial is not None:
            return denial
        cleared = judge_read(leased, ticket, by, policy.snapshot, issued)
        if isinstance(cleared, Refusal):
            return deny(cleared)
        return _Judged(ticket, by, issued, cleared)

    async def _disclose(self, judged: _Judged, row: Disclosure, address: str) -> int | None:
        caller = judged.by.caller
        named = f"{caller.kid} {caller.pin}".strip()
        uses = judged.cleared.route.ticket_uses
        return await self._kit.tickets.take(Read(row, named, address, uses))

    def _depart(
        self, judged: _Judged, row: Disclosure, tokens: LetterTokens
    ) -> Departure | Stopped:
        """Sign, then check: between that and the first byte there is no await."""
        kit, policy = self._kit, self._policy
        departure = sign_disclosed(kit, policy, row, is_answer=True)
        if not self._tokens.is_current(tokens):
            return Stopped(Reason.POLICY_CHANGED)  # somebody was erased meanwhile
        stopped = may_answer(
            judged.cleared,
            judged.ticket,
            judged.by,
            judged.issued,
            policy.snapshot,
            now=kit.clock.boot(),
            policy_lease_ends=policy.lease_ends,
        )
        return stopped or departure

    async def _complete(
        self, judged: _Judged, number: int, outcome: Outcome, code: str = ""
    ) -> None:
        """Say how it ended, in the ledger and in one log line."""
        kit, leased = self._kit, judged.cleared.leased
        status = 200 if outcome is Outcome.DELIVERED else None
        kit.step(Step.SETTLE)
        try:
            await kit.tickets.complete(leased.id, number, outcome, status=status, code=code)
        except DispatcherError as error:
            # Upkeep calls it unknown after a while, and that is what it is.
            kit.report("read_unsettled", error)
        kit.log.info(
            "read",
            delivery=leased.id,
            event_id=leased.event.id,
            webhook_id=leased.webhook_id,
            subscription=leased.subscription,
            connector=judged.by.connector,
            attempt=number,
            outcome=outcome.value,
            code=code,
        )
