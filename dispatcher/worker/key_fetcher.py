"""Fetches the sets of keys that partners publish, before letters are encrypted to any of them.

Runs beside the road and never in its way. A fetch goes through the same gates, resolver and door as
a letter, stopped by the same switches, up to the instant before the first byte. What comes back is
hostile input: `gates.key_fetch` reads it. It must never let a key be used that its registry or the
policy's own rules do not name, nor follow a redirect.
"""

from collections.abc import Iterable
from typing import Final

from dispatcher.model.errors import Conflict
from dispatcher.model.key_set import FoundKeys
from dispatcher.model.letter import Admitted, Answer, Stopped
from dispatcher.model.snapshot import KeyRoute, Snapshot
from dispatcher.stages.gates.key_fetch import (
    SET_BYTES_MAX,
    cache_seconds,
    clear_fetch,
    may_fetch,
    read_key_set,
)
from dispatcher.stages.gates.partner_keys import is_short
from dispatcher.stages.settling.outcome import code_of
from dispatcher.store.partner_keys import EXPOSED, Claim
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reaching import reach
from dispatcher.worker.rounds import wait_after

LOOK_SECONDS: Final = 60.0
"""How often it is looked whether a set is due; another worker may have been before."""
WAITS_SECONDS: Final = (60.0, 300.0, 900.0)
"""How long to wait after each failure in a row, give or take a half; the last one for ever."""
LEASE_SECONDS: Final = 30.0
"""Longer than any fetch may take, with its names and the database."""
OK: Final = 200
EMPTY: Final = "key_set_unreadable"


class KeyFetcher:
    """Keeps the sets of all partners fresh: the asker of one worker's `Rounds`."""

    fault = "key_fetcher_failed"
    asks_anew = True

    def __init__(self, kit: Kit, policy: PolicyWatch) -> None:
        self.again_seconds = LOOK_SECONDS
        self._kit = kit
        self._policy = policy

    def places(self, snapshot: Snapshot) -> Iterable[tuple[str, KeyRoute]]:
        """Give where each connector publishes its keys, by the connector's name."""
        return snapshot.key_routes.items()

    def check(self, key_route: KeyRoute) -> Stopped | None:
        """Say why a set may not be fetched now, or nothing if it may."""
        return may_fetch(
            key_route,
            self._policy.snapshot,
            now=self._kit.clock.boot(),
            policy_lease_ends=self._policy.lease_ends,
        )

    async def ask(self, name: str, key_route: KeyRoute) -> float:
        """Fetch a set if it is due, and give in how many seconds to look again."""
        kit, store = self._kit, self._kit.partner_keys
        known = self._policy.key_sets.get(name)
        claim = await store.claim(
            name,
            key_route.key_set.url,
            kit.mint_token(),
            int(LEASE_SECONDS * 1_000_000),
            is_short=is_short(key_route.key_set, key_route.kids, known),
        )
        if not claim.is_ours:
            return min(max(claim.wait_seconds, 1.0), LOOK_SECONDS)
        try:
            answer = await self._fetch(key_route)
        except BaseException:
            await store.give_back(claim)
            raise
        if isinstance(answer, Stopped) and self.check(key_route) is not None:
            await store.give_back(claim)
        else:
            await self._keep(claim, key_route, answer)
        return LOOK_SECONDS

    async def _keep(
        self, claim: Claim, key_route: KeyRoute, answer: Answer | Stopped | str
    ) -> None:
        """Read what came back, and put down what was found, or why nothing was."""
        kit, found = self._kit, _read(answer)
        line = {"connector": claim.connector, "host": key_route.route.endpoint.host}
        if isinstance(found, str):
            wait = wait_after(claim.failures, WAITS_SECONDS, kit.chance())
            await kit.partner_keys.fail(claim, found, int(wait * 1_000_000))
            kit.metrics.key_fetches.labels(claim.connector, found).inc()
            kit.log.warning("key_set_unfetched", code=found, **line)
            return
        cached = answer.cache_control if isinstance(answer, Answer) else ""
        try:
            is_new = await kit.partner_keys.record(claim, found, cache_seconds(cached) * 1_000_000)
        except Conflict:
            return  # somebody else is at it
        result = EXPOSED if found.is_exposed else "found"
        kit.metrics.key_fetches.labels(claim.connector, result).inc()
        self._tell(found, is_new=is_new, line=line)
        if is_new:
            self._policy.hint.set()

    def _tell(self, found: FoundKeys, *, is_new: bool, line: dict[str, str]) -> None:
        log = self._kit.log
        if found.is_exposed:
            why = "it holds private keys: nothing is encrypted to it until the partner has new ones"
            log.error("key_set_exposed", code=EXPOSED, why=why, **line)
        elif is_new:
            log.info("key_set_found", count=len(found.keys), **line)
            if found.refused:
                log.warning("keys_refused", why="; ".join(found.refused), **line)

    async def _fetch(self, key_route: KeyRoute) -> Answer | Stopped | str:
        """Take a fetch down the road, from the resolver to the door; else the code of why not."""
        kit, policy = self._kit, self._policy
        stopped = self.check(key_route)
        if stopped is not None:
            return stopped
        admitted = await reach(kit, clear_fetch(key_route, policy.snapshot))
        if not isinstance(admitted, Admitted):
            return admitted.code
        policy.in_flight += 1
        try:
            result = await kit.transport.fetch(
                admitted, lambda: self.check(key_route), SET_BYTES_MAX
            )
        finally:
            policy.in_flight -= 1
        return result if isinstance(result, Answer | Stopped) else result.code


def _read(answer: Answer | Stopped | str) -> FoundKeys | str:
    """Read the set from what came back; else the code of why there is none."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Stopped):
        return answer.reason.value
    if answer.status != OK:
        return code_of(answer)
    return read_key_set(answer.body) if answer.body else EMPTY
