"""Fetches the sets of keys that partners publish, before letters are encrypted to any of them.

Runs beside the road and never in its way. A fetch goes through the same gates, resolver and door as
a letter, stopped by the same switches, up to the instant before the first byte. What comes back is
hostile input: `gates.key_fetch` reads it. It must never let a key be used that its registry or the
policy's own rules do not name, nor follow a redirect.
"""

import asyncio
from functools import partial
from typing import Final

from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Epoch
from dispatcher.model.key_set import FoundKeys
from dispatcher.model.letter import Admitted, Answer, Stopped
from dispatcher.model.snapshot import KeyRoute
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
from dispatcher.worker.kit import Kit, rest
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reaching import reach

FETCHES_MAX: Final = 16
"""How many sets are fetched at once."""
LOOK_SECONDS: Final = 60.0
"""How often it is looked whether a set is due; another worker may have been before."""
WAITS_SECONDS: Final = (60.0, 300.0, 900.0)
"""How long to wait after each failure in a row, give or take a half; the last one for ever."""
LEASE_SECONDS: Final = 30.0
"""Longer than any fetch may take, with its names and the database."""
OK: Final = 200
EMPTY: Final = "key_set_unreadable"


class KeyFetcher:
    """Keeps the sets of all partners fresh. One instance serves the whole worker."""

    def __init__(self, kit: Kit, policy: PolicyWatch) -> None:
        self._kit = kit
        self._policy = policy
        self._epoch = Epoch(-1)
        self._looks: dict[str, float] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Look for sets to fetch until told to stop; fetches under way are given back then."""
        try:
            while not stopping.is_set():
                self.turn()
                await rest(stopping, self._kit.settings.policy_poll_seconds)
        finally:
            for task in self._fetches.values():
                task.cancel()
            await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    def turn(self) -> None:
        """Begin to fetch every set that may be fetched and whose time may have come."""
        policy, now = self._policy, self._kit.clock.boot()
        if policy.snapshot.epoch != self._epoch:
            self._epoch = policy.snapshot.epoch
            self._looks.clear()  # what forbade it may be gone, or another key be wanted
        for name, key_route in policy.snapshot.key_routes.items():
            if len(self._fetches) >= FETCHES_MAX:
                return
            is_idle = name not in self._fetches and self._looks.get(name, 0.0) <= now
            if is_idle and self._check(key_route) is None:
                task = asyncio.create_task(self._try(name, key_route))
                self._fetches[name] = task
                task.add_done_callback(partial(self._forget, name))

    def _forget(self, name: str, _task: asyncio.Task[None]) -> None:
        del self._fetches[name]

    async def _try(self, name: str, key_route: KeyRoute) -> None:
        kit, wait = self._kit, LOOK_SECONDS
        known = self._policy.key_sets.get(name)
        try:
            claim = await kit.partner_keys.claim(
                name,
                key_route.key_set.url,
                kit.mint_token(),
                int(LEASE_SECONDS * 1_000_000),
                is_short=is_short(key_route.key_set, key_route.kids, known),
            )
            if claim.is_ours:
                await self._refresh(claim, key_route)
            else:
                wait = min(max(claim.wait_seconds, 1.0), LOOK_SECONDS)
        except Conflict:
            pass  # somebody else is at it
        except Exception as error:  # noqa: BLE001 - one partner's fault must not end the others
            kit.report("key_fetcher_failed", error)
        self._looks[name] = kit.clock.boot() + wait

    async def _refresh(self, claim: Claim, key_route: KeyRoute) -> None:
        kit, store = self._kit, self._kit.partner_keys
        try:
            answer = await self._fetch(key_route)
        except BaseException:
            await store.give_back(claim)
            raise
        if isinstance(answer, Stopped) and self._check(key_route) is not None:
            await store.give_back(claim)
            return
        found = _read(answer)
        line = {"connector": claim.connector, "host": key_route.route.endpoint.host}
        if isinstance(found, str):
            base = WAITS_SECONDS[min(claim.failures, len(WAITS_SECONDS) - 1)]
            wait = base * (0.5 + kit.chance())
            await store.fail(claim, found, int(wait * 1_000_000))
            kit.metrics.key_fetches.labels(claim.connector, found).inc()
            kit.log.warning("key_set_unfetched", code=found, **line)
            return
        cached = answer.cache_control if isinstance(answer, Answer) else ""
        is_new = await store.record(claim, found, cache_seconds(cached) * 1_000_000)
        kit.metrics.key_fetches.labels(
            claim.connector, EXPOSED if found.is_exposed else "found"
        ).inc()
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
        stopped = self._check(key_route)
        if stopped is not None:
            return stopped
        admitted = await reach(kit, clear_fetch(key_route, policy.snapshot))
        if not isinstance(admitted, Admitted):
            return admitted.code
        policy.in_flight += 1
        try:
            result = await kit.transport.fetch(
                admitted, lambda: self._check(key_route), SET_BYTES_MAX
            )
        finally:
            policy.in_flight -= 1
        return result if isinstance(result, Answer | Stopped) else result.code

    def _check(self, key_route: KeyRoute) -> Stopped | None:
        return may_fetch(
            key_route,
            self._policy.snapshot,
            now=self._kit.clock.boot(),
            policy_lease_ends=self._policy.lease_ends,
        )


def _read(answer: Answer | Stopped | str) -> FoundKeys | str:
    """Read the set from what came back; else the code of why there is none."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Stopped):
        return answer.reason.value
    if answer.status != OK:
        return code_of(answer)
    return read_key_set(answer.body) if answer.body else EMPTY
