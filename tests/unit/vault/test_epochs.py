"""Keys at hand: asked for once, kept for a time and no longer, and gone when they are destroyed."""

import asyncio
import pickle
from dataclasses import replace

import pytest

from dispatcher.model.errors import (
    ConfigInvalid,
    DispatcherError,
    KeyDestroyed,
    KeyMissing,
    KeyUnavailable,
    SealBroken,
    StoreUnavailable,
)
from dispatcher.vault.epochs import ASK_AGAIN_SECONDS, EpochKeys
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.provider import KeyProviders
from tests.support.records import KEYRING
from tests.support.vaults import Fickle, MemoryEpochs

DAY_US = 86_400_000_000


class Desk:
    """Keys at hand with a clock that is moved by hand, over a registry that several may share."""

    def __init__(self, epochs: MemoryEpochs | None = None, cache_seconds: float = 900.0) -> None:
        self.now = 100.0
        self.epochs = epochs or MemoryEpochs()
        self.provider = Fickle(LocalProvider(KEYRING))
        self.keys = EpochKeys(
            self.epochs,
            KeyProviders(self.provider),
            boot=lambda: self.now,
            cache_seconds=cache_seconds,
            period_us=DAY_US,
        )

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        self.epochs.now_us += int(seconds * 1_000_000)


async def test_a_key_is_made_once_and_asked_for_once_however_many_want_it() -> None:
    desk = Desk()
    await asyncio.gather(*(desk.keys.ready("acme") for _ in range(50)))
    assert desk.keys.sealing("acme").tenant == "acme"
    assert len(desk.epochs.keys) == 1
    assert desk.provider.asked == ["generate", "unwrap"]
    await desk.keys.ready("acme")
    assert len(desk.provider.asked) == 2


async def test_two_workers_that_make_a_key_at_once_end_with_one() -> None:
    one = Desk()
    two = Desk(one.epochs)
    await asyncio.gather(one.keys.ready("acme"), two.keys.ready("acme"))
    assert len(one.epochs.keys) == 1
    assert one.keys.sealing("acme").id == two.keys.sealing("acme").id


async def test_each_tenant_and_each_period_has_a_key_of_its_own() -> None:
    desk = Desk()
    await desk.keys.ready("acme", "bolt", "")
    names = {desk.keys.sealing(tenant).id for tenant in ("acme", "bolt", "")}
    assert len(names) == 3
    old = desk.keys.sealing("acme").id
    desk.pass_seconds(86_400)
    with pytest.raises(KeyUnavailable):
        desk.keys.sealing("acme")
    await desk.keys.ready("acme")
    assert desk.keys.sealing("acme").id != old
    await desk.keys.fetch(old)
    assert desk.keys.opening(old).id == old


async def test_a_key_seals_no_longer_than_its_period_though_it_is_kept_longer() -> None:
    desk = Desk(cache_seconds=10 * 86_400)
    desk.pass_seconds(86_400 - 11)
    await desk.keys.ready("acme")
    old = desk.keys.sealing("acme").id
    desk.pass_seconds(11)
    with pytest.raises(KeyUnavailable):
        desk.keys.sealing("acme")
    assert desk.keys.opening(old)


async def test_once_the_time_is_over_nothing_opens_while_the_provider_is_away() -> None:
    desk = Desk(cache_seconds=900)
    await desk.keys.ready("acme")
    name = desk.keys.sealing("acme").id
    desk.provider.away = True
    desk.pass_seconds(899)
    assert desk.keys.opening(name)
    desk.pass_seconds(1)
    for late in (desk.keys.opening, lambda _: desk.keys.sealing("acme")):
        with pytest.raises(KeyUnavailable):
            late(name)
    with pytest.raises(KeyUnavailable):
        await desk.keys.fetch(name)
    desk.provider.away = False
    desk.pass_seconds(ASK_AGAIN_SECONDS)
    await desk.keys.fetch(name)
    assert desk.keys.opening(name)


async def test_a_provider_that_failed_is_left_alone_for_a_moment() -> None:
    desk = Desk()
    desk.provider.away = True
    for _ in range(20):
        with pytest.raises(KeyUnavailable):
            await desk.keys.ready("acme")
    assert desk.provider.asked == ["generate"]
    desk.provider.away = False
    with pytest.raises(KeyUnavailable):
        await desk.keys.ready("acme")
    desk.pass_seconds(ASK_AGAIN_SECONDS)
    await desk.keys.ready("acme")


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ConfigInvalid("mode 0644")])
async def test_a_key_may_be_had_later_whatever_is_away(error: DispatcherError) -> None:
    desk = Desk()
    await desk.keys.ready("acme")
    name = desk.keys.sealing("acme").id
    desk.keys.forget()
    find, desk.epochs.find = desk.epochs.find, Raising(error)  # type: ignore[method-assign]
    with pytest.raises(KeyUnavailable, match=error.why):
        await desk.keys.fetch(name)
    desk.epochs.find = find  # type: ignore[method-assign]
    desk.pass_seconds(ASK_AGAIN_SECONDS)
    await desk.keys.fetch(name)


async def test_who_reads_no_policy_forgets_a_destroyed_key_when_it_looks_and_else_keeps_all():
    desk = Desk()
    await desk.keys.renew()
    await desk.keys.ready("acme", "bolt", "")
    name, own = desk.keys.sealing("acme").id, desk.keys.sealing("").id
    await desk.keys.renew()
    assert desk.keys.opening(name)
    desk.epochs.destroy(name)
    await desk.keys.renew()
    for forgotten in ("acme", "bolt", ""):
        with pytest.raises(KeyUnavailable):
            desk.keys.sealing(forgotten)
    assert desk.keys.opening(own), "the registry's keys end, but are never destroyed"
    with pytest.raises(KeyDestroyed):
        await desk.keys.fetch(name)


async def test_where_nobody_can_say_what_was_destroyed_a_key_counts_as_not_to_be_had():
    desk = Desk()
    desk.epochs.changes = Raising(StoreUnavailable("away"))  # type: ignore[method-assign]
    with pytest.raises(KeyUnavailable, match="away"):
        await desk.keys.renew()


class Raising:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def __call__(self, *_given: object) -> None:
        raise self.error


async def test_a_key_that_was_destroyed_is_gone_once_it_is_forgotten_also_while_it_is_fetched():
    desk = Desk()
    await desk.keys.ready("acme")
    name = desk.keys.sealing("acme").id
    slow, begun, go_on = desk.provider.inner.unwrap, asyncio.Event(), asyncio.Event()

    async def unwrap(*given):
        begun.set()
        await go_on.wait()
        return await slow(*given)

    desk.pass_seconds(900)
    desk.provider.inner.unwrap = unwrap  # type: ignore[method-assign]
    fetching = asyncio.create_task(desk.keys.fetch(name))
    await begun.wait()
    desk.epochs.destroy(name)
    desk.keys.forget()
    go_on.set()
    with pytest.raises(KeyUnavailable):
        await fetching
    desk.pass_seconds(ASK_AGAIN_SECONDS)
    for _ in range(2):
        with pytest.raises(KeyDestroyed):
            await desk.keys.fetch(name)
    with pytest.raises(KeyDestroyed):
        desk.keys.opening(name)


async def test_a_wrapped_key_that_was_moved_to_another_tenant_or_name_does_not_open() -> None:
    desk = Desk()
    await desk.keys.ready("acme")
    (key,) = desk.epochs.keys.values()
    desk.epochs.keys["e1"] = replace(key, id="e1")
    desk.epochs.keys["e2"] = replace(key, tenant="bolt")
    desk.epochs.keys["e2"] = replace(desk.epochs.keys["e2"], id="e2")
    desk.epochs.keys["e3"] = replace(key, id="e3", wrapped=b"short")
    for name in ("e1", "e2", "e3"):
        with pytest.raises(SealBroken):
            await desk.keys.fetch(name)
    with pytest.raises(KeyMissing):
        await desk.keys.fetch("e4")


async def test_one_key_that_cannot_be_had_keeps_no_other_away() -> None:
    desk = Desk()
    await desk.keys.ready("acme")
    name = desk.keys.sealing("acme").id
    desk.keys.forget()
    with pytest.raises(KeyMissing):
        await desk.keys.fetch("e4", name)
    assert desk.keys.opening(name)


async def test_keys_at_hand_are_shown_to_nobody() -> None:
    desk = Desk()
    await desk.keys.ready("acme")
    assert repr(desk.keys) == "EpochKeys(at_hand=1)"
    with pytest.raises(TypeError):
        pickle.dumps(desk.keys)
    assert "Xaes(<key>)" in repr(desk.keys.sealing("acme"))
    (key,) = desk.epochs.keys.values()
    assert "wrapped" not in repr(key)
