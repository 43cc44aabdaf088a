"""The policy lease while the policy moves faster than it can be read."""

import asyncio
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.model.registry import Registry
from dispatcher.store.registry import PolicyNow
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.kit import WorkerSettings
from dispatcher.worker.policy import PolicyWatch

LEASE = 2.0


class World:
    """A registry that somebody changes between any two readings; each takes its time."""

    def __init__(self) -> None:
        self.epoch = 0
        self.now = 100.0
        self.confirmed: list[int] = []
        self.began: list[float] = []

    def boot(self) -> float:
        return self.now

    def wall_us(self) -> int:
        return 1_800_000_000_000_000

    async def register(self, *_given: Any, **_terms: Any) -> None:
        return

    async def beat(self, _id: str, *, confirmed: int, **_terms: Any) -> Any:
        self.began.append(self.now)
        self.confirmed.append(confirmed)
        self.epoch += 1
        self.now += 0.01
        return SimpleNamespace(epoch=self.epoch, is_fenced=False)

    async def policy_now(self) -> Any:
        self.epoch += 1
        self.now += 0.15
        active = SimpleNamespace(
            registry=Registry(), revision=1, epoch=self.epoch, erasures=0, key_changes=0
        )
        return PolicyNow(active, (), (), (), (), {}, (), {})


def watch(world: World) -> PolicyWatch:
    log = SimpleNamespace(info=lambda *_a, **_k: None, warning=lambda *_a, **_k: None)
    kit: Any = SimpleNamespace(
        id="w", host="h", pid=1, clock=world, workers=world, registry=world, log=log,
        settings=WorkerSettings(policy_lease_seconds=LEASE), metrics=Metrics(CollectorRegistry()),
        resolver=SimpleNamespace(forget=lambda: None), vault=None,
        identities=SimpleNamespace(certificates=(), show=lambda _shown: None),
    )  # fmt: skip
    return PolicyWatch(kit)


def test_a_lease_runs_from_the_heartbeat_before_the_policy_that_is_obeyed_though_it_moves_on():
    world = World()
    policy = watch(world)
    asyncio.run(policy.start())
    # Never further than a lease after the last heartbeat: that is what a hold counts on.
    assert policy.lease_ends == world.began[-1] + LEASE
    assert policy.snapshot.epoch > world.confirmed[-1]
    assert policy.lease_ends > world.now
