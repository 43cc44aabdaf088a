"""Carries a challenge to an endpoint and back, down the road of a letter, to the same door.

Called by the prover, of endpoints, and by the key trials, of keys: they say what it is signed with,
and what an echo means. Whatever would stop a letter stops a challenge too, up to the instant before
the first byte. It must never carry anything of the company.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from dispatcher.model.letter import Admitted, Answer, Cleared, Departure, Sealed, Stopped, Trouble
from dispatcher.model.snapshot import Route
from dispatcher.model.verdict import Refusal
from dispatcher.stages.gates.challenge import (
    ECHO_BYTES_MAX,
    clear_challenge,
    is_echo,
    may_challenge,
)
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.settling.outcome import code_of, heeds_retry_after, is_success
from dispatcher.vault.partner_encryption import encrypt
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reaching import reach
from dispatcher.worker.tokens import TokenDesk

LEASE_MARGIN_SECONDS: Final = 15.0
"""How much longer than its attempts a try may take: for names, and for the database."""
NO_ECHO: Final = "no_echo"

Sign = Callable[[Sealed], Departure | Stopped]


@dataclass(frozen=True, slots=True)
class Unechoed:
    """A challenge that did not come back: the code of what came of it instead.

    `refusal` says that no letter may go there either. `is_withheld` is true where the endpoint did
    answer, with something else: not where it asks for patience, or is at fault.
    """

    code: str
    refusal: Refusal | None = None
    is_withheld: bool = False


class Challenger:
    """Asks endpoints to repeat a random word. One instance serves the whole worker."""

    def __init__(self, kit: Kit, policy: PolicyWatch, tokens: TokenDesk) -> None:
        self._kit = kit
        self._policy = policy
        self._tokens = tokens

    def check(self, route: Route) -> Stopped | None:
        """Say why an endpoint may not be asked now, or nothing if it may."""
        return may_challenge(
            route,
            self._policy.snapshot,
            now=self._kit.clock.boot(),
            policy_lease_ends=self._policy.lease_ends,
        )

    async def ask(self, route: Route, sign: Sign) -> Unechoed | Stopped | None:
        """Post a challenge like a letter; nothing where it came back, else why it did not.

        `Stopped` where policy forbids it: nothing is known of the endpoint then.
        """
        kit, snapshot, challenge = self._kit, self._policy.snapshot, self._kit.mint_challenge()
        stopped = self.check(route)
        if stopped is not None:
            return stopped
        # On a connection of its own: one that letters keep open leads to the same machine for ever.
        alone = replace(route, close_after_each=True)
        cleared = clear_challenge(
            alone, snapshot, kit.mint_webhook_id(), challenge, kit.clock.wall_us()
        )
        result = await self._carry(cleared, sign, lambda: self.check(route))
        if isinstance(result, Stopped):
            # Not by policy: then it is the key or the certificate, and asking at once is in vain.
            return result if self.check(route) is not None else Unechoed(result.reason.value)
        if isinstance(result, Refusal):
            return Unechoed(result.code, result)
        if isinstance(result, Trouble):
            return Unechoed(code_of(result))
        if is_echo(result, challenge):
            return None
        code = NO_ECHO if is_success(result.status) else code_of(result)
        # Who asks for patience may stand before whoever verifies letters, and has not looked.
        return Unechoed(code, is_withheld=not heeds_retry_after(result.status))

    async def _carry(
        self, cleared: Cleared, sign: Sign, check: Callable[[], Stopped | None]
    ) -> Answer | Trouble | Stopped | Refusal:
        """Take a challenge down the road, from the resolver to the door."""
        kit = self._kit
        admitted = await reach(kit, cleared)
        if not isinstance(admitted, Admitted):
            return admitted
        shaped = await self._tokens.shape(admitted, self._tokens.of(cleared))
        if isinstance(shaped, Refusal):
            return shaped
        sealed = seal(shaped, encrypt)
        if isinstance(sealed, Refusal):
            return sealed
        self._policy.in_flight += 1
        try:
            return await kit.transport.post(sealed, lambda: sign(sealed), check, ECHO_BYTES_MAX)
        finally:
            self._policy.in_flight -= 1
