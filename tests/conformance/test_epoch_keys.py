"""Keys of tenants and epochs in a registry: one for each, and gone when they are destroyed."""

import asyncio
import time
from dataclasses import replace

import pytest

from dispatcher.model.audit import Entry
from dispatcher.model.errors import KeyDestroyed, KeyUnavailable
from dispatcher.store.database import Database
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.registry import RegistryStore
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from tests.support.letters import change, rows
from tests.support.records import KEYRING, audit_of

WEEK_US = 604_800_000_000
PLACE = payload_place("north", "evt_1")
ENTRY = Entry(kind="vault.test", actor="ann", about="vault", reason="a test")


def store_of(database: Database) -> EpochKeyStore:
    return EpochKeyStore(database, audit_of(database))


def vault_of(database: Database, period_us: int = WEEK_US) -> Vault:
    keys = EpochKeys(
        store_of(database),
        KeyProviders(LocalProvider(KEYRING)),
        boot=time.monotonic,
        period_us=period_us,
    )
    return Vault(KEYRING, keys)


async def test_many_workers_that_need_a_key_at_once_end_with_one(database: Database):
    vaults = [vault_of(database) for _ in range(8)]
    await asyncio.gather(*(vault.ready("north", "") for vault in vaults))
    blobs = [vault.seal(b"private", PLACE) for vault in vaults]
    assert {blob[:15] for blob in blobs} == {blobs[0][:15]}
    for blob in blobs:
        assert await vault_of(database).open_soon(blob, PLACE) == b"private"
    assert len(await store_of(database).all()) == 2


async def test_what_lies_in_the_registry_opens_nothing_without_the_keyring(database: Database):
    blob = await vault_of(database).seal_soon(b"private", PLACE)
    (key,) = await store_of(database).all()
    assert key.wrapped is not None
    assert key.id.encode() in blob
    assert len(key.wrapped) == 24 + 32 + 16
    assert key.kek == "local:k1"
    assert key.begins_us % WEEK_US == 0
    assert key.ends_us - key.begins_us == WEEK_US


async def test_an_epoch_that_is_ended_early_is_followed_by_another(database: Database):
    vault, store = vault_of(database), store_of(database)
    registry = RegistryStore(database, audit_of(database))
    old = await vault.seal_soon(b"private", PLACE)
    await vault.ready("south")
    before = await registry.active()
    assert await store.end("north", ENTRY) == (1, before.epoch + 1)
    assert (await registry.active()).key_changes == before.key_changes + 1
    vault.forget()
    new = await vault.seal_soon(b"private", PLACE)
    assert new[:15] != old[:15]
    assert await vault.open_soon(old, PLACE) == b"private"
    first, second, other = await store.all()
    assert first.ends_us == second.begins_us
    assert second.ends_us == other.ends_us
    assert await store.end(None, ENTRY) == (2, before.epoch + 2)
    (entry, _) = await rows(
        database, "SELECT entry FROM {audit_log} WHERE entry LIKE '%vault.test%' ORDER BY seq"
    )
    assert '"epochs":1' in entry["entry"]


async def test_a_destroyed_key_opens_nothing_and_is_never_made_again(database: Database):
    vault, store = vault_of(database), store_of(database)
    blob = await vault.seal_soon(b"private", PLACE)
    assert (await store.destroy(await store.all(), ENTRY))[0] == []  # its time is not over
    await store.end("north", ENTRY)
    (key,) = await store.all()
    gone, _ = await store.destroy([key], ENTRY)
    assert gone == [key.id]
    assert (await store.destroy([key], ENTRY))[0] == []
    assert vault.open(blob, PLACE) == b"private"  # at hand still, until the worker is told
    vault.forget()
    with pytest.raises(KeyDestroyed):
        await vault.open_soon(blob, PLACE)
    left = await store.find(key.id)
    assert left is not None
    assert left.wrapped is None
    assert left.destroyed_us is not None


async def test_a_key_that_moved_meanwhile_is_not_wrapped_over(database: Database):
    vault, store = vault_of(database), store_of(database)
    await vault.ready("north")
    (key,) = await store.all()
    assert not await store.rewrap(replace(key, wrapped=b"other"), b"new", "local:k9")
    assert await store.rewrap(key, b"new", "local:k9")
    (key,) = await store.all()
    assert (key.wrapped, key.kek) == (b"new", "local:k9")


async def test_the_next_period_has_a_key_of_its_own(database: Database):
    vault = vault_of(database)
    await vault.ready("north")
    sql = "UPDATE {epoch_keys} SET begins_us = begins_us - :p, ends_us = ends_us - :p"
    await change(database, sql, p=WEEK_US)
    vault.forget()
    with pytest.raises(KeyUnavailable):
        vault.seal(b"private", PLACE)
    await vault.ready("north")
    old, new = await store_of(database).all()
    assert (old.ends_us, new.begins_us) == (new.begins_us, old.begins_us + WEEK_US)
