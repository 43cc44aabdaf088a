"""Sealing to the intake: anybody may close, a worker alone can open, and only where it lies."""

import pickle
from dataclasses import replace

import pytest

from dispatcher.model.errors import KeyUnavailable, SealBroken
from dispatcher.model.keys import KeyKind
from dispatcher.vault import intake
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.intake import IntakeKey
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.places import (
    credential_place,
    payload_place,
    reply_place,
    signing_key_place,
    token_key_place,
)
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault, seal_for_workers
from tests.support.records import KEYRING
from tests.support.vaults import MemoryEpochs

PLACE = payload_place("acme", "evt_1")


def worker(epochs: MemoryEpochs) -> Vault:
    return Vault(KEYRING, EpochKeys(epochs, KeyProviders(LocalProvider(KEYRING)), boot=lambda: 0.0))


async def offered(epochs: MemoryEpochs) -> IntakeKey:
    vault = worker(epochs)
    await vault.ready("")
    return vault.intake_key()


async def test_what_a_producer_seals_a_worker_opens_at_its_place_alone():
    epochs = MemoryEpochs()
    blob = seal_for_workers(await offered(epochs), b"very private", PLACE)
    assert b"private" not in blob
    vault = worker(epochs)
    with pytest.raises(KeyUnavailable):
        vault.open(blob, PLACE)
    assert await vault.open_soon(blob, PLACE) == b"very private"
    for other in (
        replace(PLACE, tenant="bolt"),
        replace(PLACE, row="evt_2"),
        replace(PLACE, column="subjects"),
        replace(PLACE, table="deliveries"),
    ):
        with pytest.raises(SealBroken):
            vault.open(blob, other)


async def test_a_blob_altered_or_cut_anywhere_does_not_open():
    epochs = MemoryEpochs()
    blob = seal_for_workers(await offered(epochs), b"very private", PLACE)
    vault = worker(epochs)
    await vault.fetch(blob)
    for at in range(len(blob)):
        for bad in (blob[:at] + bytes([blob[at] ^ 0x41]) + blob[at + 1 :], blob[:at]):
            with pytest.raises((SealBroken, KeyUnavailable)):
                vault.open(bad, PLACE)
    start = len(blob) - len(b"very private") - 24 - 16 - 32
    for point in (bytes(32), b"\1" + bytes(31)):  # agree on nothing
        with pytest.raises(SealBroken):
            vault.open(blob[:start] + point + blob[start + 32 :], PLACE)


async def test_no_two_blobs_are_alike_and_a_secret_seals_only_so_many(monkeypatch):
    monkeypatch.setattr(intake, "SESSION_SEALS", 2)
    epochs = MemoryEpochs()
    key = await offered(epochs)
    blobs = [seal_for_workers(key, b"x", PLACE) for _ in range(5)]
    assert len(set(blobs)) == 5
    start = 2 + len(key.id)
    agreed = [blob[start : start + 32] for blob in blobs]
    assert agreed[0] == agreed[1] != agreed[2] == agreed[3] != agreed[4]
    vault = worker(epochs)
    for blob in blobs:
        assert await vault.open_soon(blob, PLACE) == b"x"


async def test_what_was_sealed_to_the_last_key_opens_after_the_next_is_offered():
    epochs = MemoryEpochs()
    old = await offered(epochs)
    blob = seal_for_workers(old, b"private", PLACE)
    epochs.now_us += 604_800_000_000
    assert (await offered(epochs)) != old
    assert await worker(epochs).open_soon(blob, PLACE) == b"private"


async def test_a_tenants_key_opens_no_intake_and_the_public_half_opens_nothing():
    epochs = MemoryEpochs()
    vault = worker(epochs)
    await vault.ready("", "acme")
    key = vault.intake_key()
    own = vault.seal(b"private", PLACE)
    name = own[2:15].decode()
    forged = seal_for_workers(IntakeKey(name, key.public), b"private", PLACE)
    with pytest.raises(SealBroken):
        vault.open(forged, PLACE)
    sealed = seal_for_workers(key, b"private", PLACE)
    assert key.public not in sealed
    with pytest.raises(ValueError, match="32 bytes"):
        seal_for_workers(IntakeKey(key.id, b"short"), b"private", PLACE)


@pytest.mark.parametrize(
    "place",
    [
        signing_key_place("acme", "acme-orders", KeyKind.HMAC, "1f0c9a27"),
        credential_place("acme", "https://hooks.acme.example/in", "5d0b11c2"),
        token_key_place("acme", 1),
        reply_place("ann", "k1"),
    ],
)
async def test_nobody_plants_a_secret_by_sealing_it_to_the_intake(place):
    epochs = MemoryEpochs()
    planted = seal_for_workers(await offered(epochs), b"known to whoever planted it", place)
    vault = worker(epochs)
    with pytest.raises(SealBroken):
        await vault.open_soon(planted, place)
    assert await vault.open_soon(await vault.seal_soon(b"ours", place), place) == b"ours"


async def test_an_opener_shows_no_key():
    vault = worker(MemoryEpochs())
    await vault.ready("")
    opener = vault._keys.sealing("").intake
    assert repr(opener) == f"IntakeOpener({vault.intake_key().id!r})"
    with pytest.raises(TypeError):
        pickle.dumps(opener)
