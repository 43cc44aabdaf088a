"""Lanes open and close with the keys there are, also where nothing but time has passed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.model.credential import Credential
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.errors import KeyUnavailable
from dispatcher.model.keys import KeyKind, KeyTimes
from dispatcher.model.letter import Departure, Stopped
from dispatcher.model.verdict import Reason
from dispatcher.stages.sealing.stored_headers import with_credentials
from dispatcher.store.credentials import StoredCredential
from dispatcher.store.registry import PolicyNow
from dispatcher.store.signing_keys import StoredKey
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.places import credential_place, signing_key_place
from dispatcher.vault.sealer import Place, Vault
from dispatcher.worker.kit import WorkerSettings
from dispatcher.worker.policy import PolicyWatch
from tests.support.records import KEYRING
from tests.support.vaults import StandingKeys, standing_vault
from tests.unit.stages import builders

VAULT = standing_vault()
NOW = builders.us_of(builders.TODAY)
PLACE = "https://hooks.acme.example:443/in"


class World:
    """A registry with these keys, and a clock."""

    def __init__(self, *keys: StoredKey) -> None:
        self.keys = keys
        self.epoch = 1
        self.key_changes = 0
        self.now_us = NOW
        self.readings = 0
        self.said: list[Any] = []
        self.credentials: tuple[StoredCredential, ...] = ()

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
            registry=held, revision=1, epoch=self.epoch, erasures=0, key_changes=self.key_changes
        )
        proofs = builders.proofs_of(held)
        return PolicyNow(active, (), self.keys, proofs, (), {}, self.credentials, {})


def watch(world: World) -> PolicyWatch:
    log = SimpleNamespace(
        info=lambda *_a, **_k: None,
        warning=lambda line, **terms: world.said.append((line, terms)),
        error=lambda *_a, **_k: None,
    )
    kit: Any = SimpleNamespace(
        id="w", host="h", pid=1, clock=world, workers=world, registry=world, log=log,
        settings=WorkerSettings(), metrics=Metrics(CollectorRegistry()),
        resolver=SimpleNamespace(forget=lambda: None), vault=VAULT,
        identities=SimpleNamespace(certificates=(), show=lambda _shown: None),
    )  # fmt: skip
    return PolicyWatch(kit)


def key(name: str, **times: int) -> StoredKey:
    sealed = VAULT.seal(b"s" * 32, signing_key_place("acme", "acme-orders", KeyKind.HMAC, name))
    return StoredKey("acme-orders", name, sealed, KeyKind.HMAC, "", KeyTimes(**times), "acme")


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
    moved = replace(key("new"), subscription="acme-refunds")
    posing = replace(key("new"), kind=KeyKind.ED25519)  # the partner has a shared secret, too
    for world in (World(), World(gone), World(broken), World(moved), World(posing)):
        policy = watch(world)
        await policy.start()
        assert reasons(policy) == (Reason.SIGNING_KEY_MISSING,)
        assert policy.keys == {}


class Kept(Vault):
    """A vault whose provider is away until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__(KEYRING, StandingKeys(KEYRING))
        self.is_away, self.forgotten = True, 0

    async def fetch(self, *blobs: bytes) -> None:
        if self.is_away:
            raise KeyUnavailable("away")

    def open(self, blob: bytes, place: Place) -> bytes:
        if self.is_away:
            raise KeyUnavailable("away")
        return super().open(blob, place)

    def forget(self) -> None:
        self.forgotten += 1


async def test_while_the_key_provider_is_away_lanes_wait_and_open_by_themselves_afterwards():
    world = World(key("one", created_us=1))
    policy, vault = watch(world), Kept()
    policy._kit.vault = vault
    policy._kit.report = lambda line, error: None
    await policy.start()
    assert reasons(policy) == (Reason.SIGNING_KEY_MISSING,)
    assert policy._lacks_keys() is False  # not at once
    vault.is_away = False
    world.now_us += 1_000_000
    assert policy._lacks_keys()
    await policy._reload()
    assert reasons(policy) == ()
    # What was opened stays so, though the provider goes away again.
    vault.is_away = True
    await policy._reload()
    assert reasons(policy) == ()
    assert not policy._lacks_keys()


async def test_keys_at_rest_are_forgotten_once_for_each_time_that_they_change():
    world = World(key("one", created_us=1))
    policy, vault = watch(world), Kept()
    policy._kit.vault, vault.is_away = vault, False
    await policy.start()
    assert vault.forgotten == 0
    world.key_changes = 1
    for _ in range(3):
        await policy._reload()
    assert vault.forgotten == 1


async def test_an_active_key_that_has_signed_for_long_is_reminded_of_once_a_day():
    day_us = 86_400_000_000
    world = World(
        key("old", created_us=NOW - 100 * day_us, until_us=NOW + 9 * day_us),
        key("new", created_us=NOW - 89 * day_us),
    )
    policy = watch(world)
    metrics = policy._kit.metrics
    for days, expected in ((0, []), (1, [90]), (1, [90]), (2, [90, 91])):
        world.now_us, world.epoch = NOW + days * day_us, world.epoch + 1
        await policy._read()
        ages = [int(terms["why"].split()[4]) for line, terms in world.said if "key" in line]
        assert ages == expected
    assert b'key_age_days{subscription="acme-orders"} 91.0' in metrics.render()
    world.keys, world.epoch = (key("newest", created_us=world.now_us),), world.epoch + 1
    await policy._read()
    assert b"key_age_days{" not in metrics.render()


def stored(header: str, value: bytes, place: str = PLACE, **more: Any) -> StoredCredential:
    given: dict[str, Any] = {"approved_by": "bea", "approved_us": 2, "destroyed_us": None}
    held = Credential(
        id=header,
        subscription="acme-orders",
        header=header,
        destination=place,
        entered_by="pat",
        entered_us=1,
        **given | more,
    )
    return StoredCredential(held, VAULT.seal(value, credential_place("acme", place, header)))


async def test_a_stored_header_goes_where_it_is_bound_to_and_nowhere_else():
    world = World(key("k", created_us=1))
    world.credentials = (
        stored("authorization", b"Bearer x"),
        stored("x-late", b"v", approved_by=None, approved_us=None),
    )
    policy = watch(world)
    await policy.start()
    assert reasons(policy) == ()
    route = policy.snapshot.routes["acme-orders"]
    bare = Departure((("webhook-id", "m"),))
    sent = with_credentials(bare, policy.credentials, route)
    assert sent == Departure((("webhook-id", "m"), ("authorization", "Bearer x")))
    assert "Bearer" not in repr(sent)
    for url in ("https://evil.example/in", "https://hooks.acme.example/other"):
        elsewhere = replace(route, endpoint=parse_endpoint(url))
        assert with_credentials(bare, policy.credentials, elsewhere) == bare
    stop = Stopped(Reason.SIGNING_KEY_MISSING)
    assert with_credentials(stop, policy.credentials, route) is stop


async def test_lanes_close_while_a_header_is_for_elsewhere_was_destroyed_or_does_not_open():
    moved = stored("authorization", b"x")
    moved = replace(moved, credential=replace(moved.credential, destination="https://evil:443/in"))
    forged = stored("authorization", b"x", place="https://evil.example:443/in")
    forged = replace(forged, credential=replace(forged.credential, destination=PLACE))
    gone = stored("authorization", b"x", destroyed_us=3)
    for each in (moved, forged, gone, replace(gone, sealed=None)):
        world = World(key("k", created_us=1))
        world.credentials = (each,)
        policy = watch(world)
        await policy.start()
        assert reasons(policy) == (Reason.CREDENTIALS_UNBOUND,)
        assert ("acme-orders", PLACE) not in policy.credentials
