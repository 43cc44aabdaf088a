"""Lanes open and close with the keys there are, also where nothing but time has passed."""

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.model.keys import KeyKind, KeyTimes
from dispatcher.model.verdict import Reason
from dispatcher.store.signing_keys import StoredKey
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.places import signing_key_place
from dispatcher.worker.kit import WorkerSettings
from dispatcher.worker.policy import PolicyWatch
from tests.support.vaults import standing_vault
from tests.unit.stages import builders

VAULT = standing_vault()
NOW = builders.us_of(builders.TODAY)
LANE = "acme-orders/order.paid"


class World:
    """A registry with these keys, and a clock."""

    def __init__(self, *keys: StoredKey) -> None:
        self.keys = keys
        self.epoch = 1
        self.now_us = NOW
        self.readings = 0

    def boot(self) -> float:
        return self.now_us / 1_000_000

    def wall_us(self) -> int:
        return self.now_us

    async def register(self, *_given: Any, **_terms: Any) -> None:
        return

    async def beat(self, _id: str, **_terms: Any) -> Any:
        return SimpleNamespace(epoch=self.epoch, is_fenced=False)

    async def policy_now(self) -> Any:
        self.readings += 1
        held = builders.registry()
        active = SimpleNamespace(
            registry=held, revision=1, epoch=self.epoch, erasures=0, key_changes=0
        )
        return active, (), self.keys, builders.proofs_of(held), (), {}


def watch(world: World) -> PolicyWatch:
    log = SimpleNamespace(
        info=lambda *_a, **_k: None,
        warning=lambda *_a, **_k: None,
        error=lambda *_a, **_k: None,
    )
    kit: Any = SimpleNamespace(
        id="w", host="h", pid=1, clock=world, workers=world, registry=world, log=log,
        settings=WorkerSettings(), metrics=Metrics(CollectorRegistry()),
        resolver=SimpleNamespace(forget=lambda: None), vault=VAULT,
    )  # fmt: skip
    return PolicyWatch(kit)


def key(name: str, **times: int) -> StoredKey:
    sealed = VAULT.seal(b"s" * 32, signing_key_place("acme-orders", name))
    return StoredKey("acme-orders", name, sealed, KeyKind.HMAC, "", KeyTimes(**times))


def reasons(policy: PolicyWatch) -> tuple[Reason, ...]:
    refusals = policy.snapshot.closed.values()
    return tuple(reason for refusal in refusals for reason in refusal.reasons)


async def test_a_lane_closes_as_the_last_key_ends_and_opens_as_the_next_begins():
    world = World(key("old", created_us=1, until_us=NOW + 50), key("new", active_us=NOW + 90))
    policy = watch(world)
    await policy.start()
    assert reasons(policy) == ()
    for later, expected in ((49, ()), (50, (Reason.SIGNING_KEY_MISSING,)), (90, ())):
        world.now_us = NOW + later
        await policy._read()
        assert reasons(policy) == expected, later
    assert world.readings == 3, "it reads again only when a key's time has come"


async def test_a_lane_is_closed_whose_key_is_revoked_or_cannot_be_opened():
    gone = StoredKey("acme-orders", "f1", None, times=KeyTimes(created_us=1, revoked_us=2))
    broken = StoredKey("acme-orders", "f1", b"no seal", times=KeyTimes(created_us=1))
    for world in (World(), World(gone), World(broken)):
        policy = watch(world)
        await policy.start()
        assert reasons(policy) == (Reason.SIGNING_KEY_MISSING,)
        assert policy.keys == {}
