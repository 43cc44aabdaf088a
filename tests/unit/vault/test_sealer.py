"""Sealing at rest: a record opens at its own place, under its own key, unaltered, or not at all."""

import asyncio
import pickle
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.errors import KeyDestroyed, KeyMissing, KeyUnavailable, SealBroken
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Place, Vault
from tests.support.vaults import MemoryEpochs, standing_vault

PLACE = Place("events", "payload", "acme", "41")
OLD = Keyring("k1", MappingProxyType({"k1": b"1" * 32}))
NEW = Keyring("k2", MappingProxyType({"k1": b"1" * 32, "k2": b"2" * 32}))
TEXT = st.text(max_size=20)


def real_vault(epochs: MemoryEpochs | None = None) -> tuple[MemoryEpochs, Vault]:
    """A vault whose keys lie wrapped, as in a registry."""
    epochs = epochs or MemoryEpochs()
    keys = EpochKeys(epochs, KeyProviders(LocalProvider(OLD)), boot=lambda: 0.0)
    return epochs, Vault(OLD, keys)


PLACES = st.builds(Place, TEXT, TEXT, TEXT, TEXT)


@given(plaintext=st.binary(max_size=2000), place=PLACES)
def test_what_was_sealed_opens_at_its_place(plaintext: bytes, place: Place) -> None:
    vault = standing_vault(NEW)
    assert vault.open(vault.seal(plaintext, place), place) == plaintext


@given(place=PLACES, other=PLACES)
def test_a_blob_opens_at_no_other_place(place: Place, other: Place) -> None:
    vault = standing_vault(NEW)
    blob = vault.seal(b"secret", place)
    if place != other:
        with pytest.raises(SealBroken):
            vault.open(blob, other)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, table="deliveries"),
        replace(PLACE, column="subject"),
        replace(PLACE, tenant="bolt"),
        replace(PLACE, row="42"),
        Place("eventsp", "ayload", "acme", "41"),
        Place("events", "payload", "acme4", "1"),
    ],
)
def test_a_blob_moved_elsewhere_does_not_open(other: Place) -> None:
    vault = standing_vault(NEW)
    with pytest.raises(SealBroken) as raised:
        vault.open(vault.seal(b"secret", PLACE), other)
    assert "secret" not in str(raised.value)


def test_a_blob_altered_or_cut_anywhere_does_not_open() -> None:
    vault = standing_vault(NEW)
    blob = vault.seal(b"secret", PLACE)
    for at in range(len(blob)):
        with pytest.raises((SealBroken, KeyMissing)):
            vault.open(blob[:at] + bytes([blob[at] ^ 0x55]) + blob[at + 1 :], PLACE)
        with pytest.raises(SealBroken):
            vault.open(blob[:at], PLACE)
    with pytest.raises(SealBroken):
        vault.open(blob + b"\0", PLACE)


async def test_a_blob_says_its_format_and_its_key() -> None:
    epochs, vault = real_vault()
    await vault.ready("acme")
    blob = vault.seal(b"secret", PLACE)
    (key_id,) = epochs.keys
    assert blob[:15] == b"\x01\x0d" + key_id.encode()
    assert len(blob) == 15 + 24 + len(b"secret") + 16


def test_the_same_record_sealed_twice_looks_different() -> None:
    vault = standing_vault(NEW)
    assert vault.seal(b"secret", PLACE) != vault.seal(b"secret", PLACE)


async def test_a_blob_whose_key_is_not_at_hand_says_so_and_opens_once_it_is() -> None:
    epochs, vault = real_vault()
    blob = await vault.seal_soon(b"secret", PLACE)
    other = real_vault(epochs)[1]
    with pytest.raises(KeyUnavailable):
        other.open(blob, PLACE)
    assert await other.open_soon(blob, PLACE) == b"secret"
    assert other.open(blob, PLACE) == b"secret"


async def test_a_blob_of_a_key_that_nobody_knows_says_which() -> None:
    _, vault = real_vault()
    blob = standing_vault().seal(b"secret", PLACE)
    with pytest.raises(KeyMissing, match=blob[2:15].decode()):
        await vault.open_soon(blob, PLACE)


async def test_what_a_destroyed_key_sealed_is_gone_for_good() -> None:
    epochs, vault = real_vault()
    blob = await vault.seal_soon(b"secret", PLACE)
    epochs.destroy(*epochs.keys)
    vault.forget()
    with pytest.raises(KeyDestroyed):
        await vault.open_soon(blob, PLACE)
    with pytest.raises(KeyDestroyed):
        vault.open(blob, PLACE)


def test_a_record_that_is_none_keeps_no_other_from_being_fetched() -> None:
    _, vault = real_vault()
    asyncio.run(vault.fetch(b"", b"\x09nothing"))


def test_another_key_under_the_same_name_does_not_open() -> None:
    forged = Keyring("k1", MappingProxyType({"k1": b"9" * 32}))
    with pytest.raises(SealBroken):
        standing_vault(forged).open(standing_vault(OLD).seal(b"secret", PLACE), PLACE)


def test_a_pseudonym_is_stable_and_belongs_to_one_tenant() -> None:
    vault = standing_vault(NEW)
    name = vault.pseudonym("acme", "user-1")
    assert name.startswith("sub_")
    assert len(name) == 4 + 32
    assert name == standing_vault(NEW).pseudonym("acme", "user-1")
    assert name != vault.pseudonym("acme", "user-2")
    assert name != vault.pseudonym("bolt", "user-1")
    assert "user-1" not in name


def test_rotating_the_primary_key_renames_nobody() -> None:
    old, new = standing_vault(OLD), standing_vault(NEW)
    assert old.pseudonym("acme", "user-1") == new.pseudonym("acme", "user-1")


def test_a_vault_shows_its_keys_to_nobody() -> None:
    vault = standing_vault(OLD)
    vault.seal(b"secret", PLACE)
    assert repr(vault) == "Vault(EpochKeys(at_hand=0))"
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(vault)


def test_a_token_of_ownership_is_always_the_same_for_one_connector_and_host_alone() -> None:
    token = standing_vault(OLD).ownership_token("acme", "hooks.acme.example")
    assert token == standing_vault(NEW).ownership_token("acme", "hooks.acme.example")
    others = [
        ("brook", "hooks.acme.example"),
        ("acme", "acme.example"),
        ("acm", "ehooks.acme.example"),
    ]
    assert token not in {standing_vault(OLD).ownership_token(*each) for each in others}
    other_root = Keyring("k2", MappingProxyType({"k2": b"2" * 32}))
    assert token != standing_vault(other_root).ownership_token("acme", "hooks.acme.example")
    assert len(bytes.fromhex(token)) == 20
