"""Tries new signing keys at their endpoints, so that the old ones need not sign beside them longer.

A trial is a challenge signed with the new key alone, which must come back, and then one signed with
a key that nobody has, which must not: an endpoint that answers everybody has verified nothing. A
few trials in a row, some minutes apart, prove the key to whatever stands behind the endpoint, and
the old keys end then and there. Runs beside the road; no letter ever bears less than all the keys
that sign. It must never end a key that another does not sign in place of.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dispatcher.model.audit import Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Revision
from dispatcher.model.keys import KeyKind, SigningKey
from dispatcher.model.letter import Departure, Sealed, Stopped
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.stages.sealing.rotation import end_early, provable
from dispatcher.stages.sealing.signature import depart_by
from dispatcher.store.key_trials import Claim
from dispatcher.store.signing_keys import KeyChange, StoredKey, peers_of
from dispatcher.worker.challenging import LEASE_MARGIN_SECONDS, Challenger, Unechoed
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.rounds import wait_after

PROOFS_WANTED: Final = 3
APART_SECONDS: Final = 300.0
"""How long after a proof the next one is asked for: there may be several machines to ask."""
WAITS_SECONDS: Final = (60.0, 300.0, 1800.0, 3600.0)
"""How long to wait after each failure in a row, give or take a half; the last one for ever."""
UNCHECKED: Final = "signature_unchecked"
PROVEN: Final = "proven"


@dataclass(frozen=True, slots=True)
class Trial:
    """A key to try, and where, under which revision."""

    route: Route
    key: SigningKey
    revision: Revision

    @property
    def name(self) -> str:
        """What the key is called among those of all subscriptions."""
        return f"{self.route.subscription}/{self.key.fingerprint}"


class KeyTrials:
    """Tries every key that others still sign beside: the asker of one worker's `Rounds`."""

    fault = "key_trials_failed"
    again_seconds = WAITS_SECONDS[0]
    asks_anew = False  # nobody wishes for a trial, and to find that it is not due takes a write

    def __init__(self, kit: Kit, policy: PolicyWatch, challenger: Challenger) -> None:
        self._kit = kit
        self._policy = policy
        self._challenger = challenger
        self._keys: Mapping[str, tuple[SigningKey, ...]] = {}
        self._trials: dict[str, Trial] = {}

    def places(self, snapshot: Snapshot) -> Iterable[tuple[str, Trial]]:
        """Give every key that is to be tried, by its name."""
        keys = self._policy.keys
        if keys is not self._keys:  # looked through once for each reading of the policy
            now_us = self._kit.clock.wall_us()
            found = (
                Trial(route, key, snapshot.revision)
                for name, held in keys.items()
                if len(held) > 1 and (route := snapshot.routes.get(name)) is not None
                for key in _provable(held, route.signing.kinds, now_us)
            )
            self._keys, self._trials = keys, {each.name: each for each in found}
        return self._trials.items()

    def check(self, trial: Trial) -> Stopped | None:
        """Say why a key may not be tried now, or nothing if it may."""
        return self._challenger.check(trial.route)

    async def ask(self, _name: str, trial: Trial) -> float:
        """Try a key if it is time; give for how many seconds to leave it alone."""
        kit, route = self._kit, trial.route
        lease_seconds = 2 * route.attempt_seconds + LEASE_MARGIN_SECONDS
        claim = await kit.key_trials.claim(
            route.subscription,
            trial.key.fingerprint,
            str(route.endpoint),  # its query too: that may be what tells one receiver from another
            kit.mint_token(),
            int(lease_seconds * 1_000_000),
        )
        if not claim.is_ours:
            return claim.wait_seconds
        try:
            found = await self._try(trial)
        except BaseException:
            await kit.key_trials.give_back(claim)
            raise
        if isinstance(found, Stopped):
            await kit.key_trials.give_back(claim)
            return 0.0
        kit.metrics.key_trials.labels(route.connector, found or PROVEN).inc()
        if found is None:
            return await self._count(claim, trial)
        return await self._miss(claim, trial, found)

    async def _try(self, trial: Trial) -> str | Stopped | None:
        """Ask twice; nothing where the key was proven, else the code of what went wrong."""
        asked = await self._challenger.ask(trial.route, lambda sealed: self._sign(sealed, trial))
        if asked is not None:
            return asked.code if isinstance(asked, Unechoed) else asked
        nobodys = replace(trial.key, secret=self._mint_secret())
        asked = await self._challenger.ask(
            trial.route, lambda sealed: depart_by((nobodys,), sealed, self._now_seconds())
        )
        if asked is None:
            return UNCHECKED
        if isinstance(asked, Stopped):
            return asked
        return None if asked.is_withheld else asked.code

    def _sign(self, sealed: Sealed, trial: Trial) -> Departure | Stopped:
        """Sign with the key alone, if it is one of those that sign at this instant."""
        now_seconds = self._now_seconds()
        signing = tuple(
            key
            for key in self._policy.keys.get(trial.route.subscription, ())
            if key.fingerprint == trial.key.fingerprint
            and key.times.is_signing(now_seconds * 1_000_000)
        )
        return depart_by(signing, sealed, now_seconds)

    async def _miss(self, claim: Claim, trial: Trial, code: str) -> float:
        """Put down that a key was not proven, and why."""
        kit, route = self._kit, trial.route
        wait = wait_after(claim.failures, WAITS_SECONDS, kit.chance())
        if not await kit.key_trials.fail(claim, code, int(wait * 1_000_000)):
            return 0.0  # somebody else is at it
        say = kit.log.warning if code == UNCHECKED else kit.log.info
        say(
            "key_unproven",
            code=code,
            connector=route.connector,
            subscription=route.subscription,
            why=f"its endpoint does not take {trial.key.fingerprint} alone",
        )
        return wait

    async def _count(self, claim: Claim, trial: Trial) -> float:
        """Count a proof, and end the other keys where there are enough of them."""
        kit, route = self._kit, trial.route
        if not await kit.key_trials.prove(claim, int(APART_SECONDS * 1_000_000)):
            return 0.0  # somebody else is at it
        if claim.proofs + 1 < PROOFS_WANTED:
            return APART_SECONDS
        try:
            change, _ = await kit.registry.change_keys(
                lambda known, now_us: _end_others(trial, known, now_us), base=trial.revision
            )
        except Conflict:
            return APART_SECONDS  # it takes nobody's place any more, or the endpoint may have moved
        for ended in change.turned:
            kit.log.info(
                "key_retired",
                connector=route.connector,
                subscription=route.subscription,
                why=f"{ended.fingerprint}: the endpoint has proven {trial.key.fingerprint}",
            )
        self._policy.hint.set()
        return APART_SECONDS

    def _mint_secret(self) -> bytes:
        return hashlib.sha256(self._kit.mint_challenge().encode()).digest()

    def _now_seconds(self) -> int:
        return self._kit.clock.wall_us() // 1_000_000


def _provable(
    keys: Sequence[SigningKey], kinds: Iterable[KeyKind], now_us: int
) -> Iterable[SigningKey]:
    for kind in kinds:
        found = {key.fingerprint: key for key in keys if key.kind is kind}
        name = provable({name: key.times for name, key in found.items()}, now_us)
        if name is not None:
            yield found[name]


def _end_others(trial: Trial, known: Sequence[StoredKey], now_us: int) -> KeyChange:
    """End the keys beside a proven one, as they are now."""
    proven = next((key for key in known if key.name == trial.name), None)
    peers = peers_of(proven, known) if proven is not None else {}
    times = {name: peer.times for name, peer in peers.items()}
    ended = end_early(times, trial.key.fingerprint, now_us)
    if not ended:
        raise Conflict("nothing signs beside this key any more", code="key_not_retiring")
    entry = Entry(
        kind="key.retired",
        actor="dispatcher",
        about=f"subscription {trial.route.subscription}",
        reason=f"its endpoint has proven {trial.key.fingerprint} {PROOFS_WANTED} times",
        detail={"keys": sorted(peers[name].name for name in ended), "proven": trial.name},
    )
    return KeyChange(
        entry=entry, turned=[replace(peers[name], times=each) for name, each in ended.items()]
    )
