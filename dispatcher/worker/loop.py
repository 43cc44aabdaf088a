"""One worker's life: start, turn, drain.

Called by `app`. Starts by reading policy, then runs the relay, the leaser, upkeep, purging, the
prover, the key trials, the key fetcher and the policy watch side by side until it is told to stop.
A drain stops claiming, gives back what has not begun, finishes what is in flight within its time,
and leaves the list of workers. A database that goes away stops nothing for good: every loop tries
again, and sending stops with the policy lease.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from dispatcher.model.errors import DispatcherError, StoreUnavailable
from dispatcher.store.groupcommit import GroupCommit
from dispatcher.store.ledger import Settled
from dispatcher.worker.challenging import Challenger
from dispatcher.worker.courier import Courier
from dispatcher.worker.desk import Desk
from dispatcher.worker.key_fetcher import KeyFetcher
from dispatcher.worker.key_trials import KeyTrials
from dispatcher.worker.kit import Kit, Step, rest
from dispatcher.worker.leaser import Leaser
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.prover import Prover
from dispatcher.worker.purging import Purging
from dispatcher.worker.relay import Relay
from dispatcher.worker.rounds import Rounds
from dispatcher.worker.tokens import TokenDesk
from dispatcher.worker.triage import Triage
from dispatcher.worker.upkeep import Upkeep

TURN_SECONDS: Final = 5.0
"""How long a drain waits for a turn under way."""


class Worker:
    """The data plane of one process."""

    def __init__(self, kit: Kit) -> None:
        settings = kit.settings
        self._kit = kit
        self.policy = PolicyWatch(kit)
        self._disclosures = GroupCommit(
            kit.ledger.disclose,
            rows_max=settings.commit_rows_max,
            gather_seconds=settings.commit_gather_seconds,
        )
        self._settlements = GroupCommit(
            self._settle_durably,
            rows_max=settings.commit_rows_max,
            gather_seconds=settings.commit_gather_seconds,
        )
        tokens = TokenDesk(kit, self.policy)
        self.courier = Courier(kit, self.policy, tokens, self._disclosures, self._settlements)
        self.desk = Desk(kit, self.courier)
        triage = Triage(kit)
        self._relay = Relay(kit, self.policy, self.desk, triage)
        self._leaser = Leaser(kit, self.policy, self.desk)
        self._upkeep = Upkeep(kit, self.policy, triage)
        self._purging = Purging(kit, self.policy)
        challenger = Challenger(kit, self.policy, tokens)
        self._proving = Rounds(kit, self.policy, Prover(kit, self.policy, challenger))
        self._trying = Rounds(kit, self.policy, KeyTrials(kit, self.policy, challenger))
        self._fetching = Rounds(kit, self.policy, KeyFetcher(kit, self.policy))
        self._bell = asyncio.Event()
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain."""
        kit = self._kit
        await self.policy.start()
        kit.log.info("worker_started", worker=kit.id)
        policy_loop, *loops = _start(
            self.policy.run(self._leaving),
            self._upkeep.run(self._stopping),
            self._purging.run(self._stopping),
            self._proving.run(self._stopping),
            self._trying.run(self._stopping),
            self._fetching.run(self._stopping),
            self._pace(self._relay.turn, self._bell),
            self._pace(self._leaser.turn, asyncio.Event()),
        )
        # These may end by themselves, where there is nothing to listen to.
        listeners = _start(
            kit.listen_policy(self.policy.hint.set), kit.listen_outbox(self._bell.set)
        )
        stopping = asyncio.create_task(stop.wait())
        try:
            # None of the loops ends by itself, unless by a fault of ours: then nothing goes on.
            await asyncio.wait([stopping, policy_loop, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._drain(policy_loop, loops, listeners)

    async def _drain(
        self,
        policy_loop: asyncio.Task[None],
        loops: Sequence[asyncio.Task[None]],
        listeners: Sequence[asyncio.Task[None]],
    ) -> None:
        kit = self._kit
        failed = [
            each
            for each in (policy_loop, *loops, *listeners)
            if each.done() and not each.cancelled() and each.exception()
        ]
        # A turn under way is finished: cut off in its commit, its rows would wait out their lease.
        self._stopping.set()
        self._bell.set()
        await asyncio.wait(loops, timeout=TURN_SECONDS)
        await _cancel([*loops, *listeners])
        self.desk.give_back()
        abandoned = await self.desk.finish(kit.settings.drain_seconds)
        await self._settlements.drain()
        self._leaving.set()
        self.policy.hint.set()
        await asyncio.wait([policy_loop], timeout=TURN_SECONDS)
        await _cancel([policy_loop])
        try:
            await self.policy.leave()
        except DispatcherError as error:
            kit.log.warning("leave_failed", reason=error.reason, why=error.why)
        kit.log.info("worker_stopped", worker=kit.id, count=abandoned)
        for loop in failed:
            loop.result()

    async def _pace(self, turn: Callable[[], Awaitable[int]], bell: asyncio.Event) -> None:
        """Turn without pause while there is plenty, soon when there was something, else seldom."""
        settings = self._kit.settings
        pause = settings.poll_busy_seconds
        plenty = max(1, settings.claim_batch_max // 2)
        while not self._stopping.is_set():
            try:
                found = await turn()
            except Exception as error:  # noqa: BLE001 - one bad batch must not end the worker
                self._kit.report("turn_failed", error)
                found = 0
            self._kit.metrics.in_flight.set(self.desk.carried)
            if found >= plenty and self.desk.carried < settings.queued_max:
                await asyncio.sleep(0)
                continue
            pause = (
                settings.poll_busy_seconds if found else min(2 * pause, settings.poll_idle_seconds)
            )
            bell.clear()
            if await rest(bell, pause):
                # What woke us is seldom alone: a few milliseconds make one batch of many.
                await asyncio.sleep(settings.commit_gather_seconds)

    async def _settle_durably(self, settled: Sequence[Settled]) -> Sequence[None]:
        """Record settlements, trying again while the leases last: the rows are ours alone."""
        trying = AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailable),
            stop=stop_after_delay(self._kit.settings.lease_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            reraise=True,
        )
        try:
            done: Sequence[None] = await trying(self._kit.ledger.settle, settled)
        except Exception as error:
            # The leases run out, the attempts become "unknown", and partners may see duplicates.
            self._kit.report("settlements_lost", error)
            self._kit.metrics.settlements_lost.inc(len(settled))
            raise
        self._kit.step(Step.SETTLED)
        return done


def _start(*loops: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(each) for each in loops]


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
