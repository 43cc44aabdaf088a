"""Sealing at rest: a record opens at its own place, under its own key, unaltered, or not at all."""

import pickle
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.errors import KeyMissing, SealBroken
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.sealer import Place, Vault

PLACE = Place("events", "payload", "acme", "41")
OLD = Keyring("k1", MappingProxyType({"k1": b"1" * 32}))
NEW = Keyring("k2", MappingProxyType({"k1": b"1" * 32, "k2": b"2" * 32}))
TEXT = st.text(max_size=20)
PLACES = st.builds(Place, TEXT, TEXT, TEXT, TEXT)


@given(plaintext=st.binary(max_size=2000), place=PLACES)
def test_what_was_sealed_opens_at_its_place(plaintext: bytes, place: Place) -> None:
    vault = Vault(NEW)
    assert vault.open(vault.seal(plaintext, place), place) == plaintext


@given(place=PLACES, other=PLACES)
def test_a_blob_opens_at_no_other_place(place: Place, other: Place) -> None:
    vault = Vault(NEW)
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
    vault = Vault(NEW)
    with pytest.raises(SealBroken) as raised:
        vault.open(vault.seal(b"secret", PLACE), other)
    assert "secret" not in str(raised.value)


def test_a_blob_altered_or_cut_anywhere_does_not_open() -> None:
    vault = Vault(NEW)
    blob = vault.seal(b"secret", PLACE)
    for at in range(len(blob)):
        with pytest.raises((SealBroken, KeyMissing)):
            vault.open(blob[:at] + bytes([blob[at] ^ 0x55]) + blob[at + 1 :], PLACE)
        with pytest.raises(SealBroken):
            vault.open(blob[:at], PLACE)
    with pytest.raises(SealBroken):
        vault.open(blob + b"\0", PLACE)


def test_a_blob_says_its_format_and_its_key() -> None:
    blob = Vault(NEW).seal(b"secret", PLACE)
    assert blob[:4] == b"\x01\x02k2"
    assert len(blob) == 4 + 24 + len(b"secret") + 16


def test_the_same_record_sealed_twice_looks_different() -> None:
    vault = Vault(NEW)
    assert vault.seal(b"secret", PLACE) != vault.seal(b"secret", PLACE)


def test_old_blobs_open_after_a_new_key_became_primary() -> None:
    old = Vault(OLD).seal(b"secret", PLACE)
    vault = Vault(NEW)
    assert vault.open(old, PLACE) == b"secret"
    assert vault.seal(b"secret", PLACE)[2:4] == b"k2"


def test_a_blob_of_a_key_that_is_gone_says_which() -> None:
    with pytest.raises(KeyMissing, match="k2"):
        Vault(OLD).open(Vault(NEW).seal(b"secret", PLACE), PLACE)


def test_another_key_under_the_same_name_does_not_open() -> None:
    forged = Keyring("k1", MappingProxyType({"k1": b"9" * 32}))
    with pytest.raises(SealBroken):
        Vault(forged).open(Vault(OLD).seal(b"secret", PLACE), PLACE)


def test_a_pseudonym_is_stable_and_belongs_to_one_tenant() -> None:
    vault = Vault(NEW)
    name = vault.pseudonym("acme", "user-1")
    assert name.startswith("sub_")
    assert len(name) == 4 + 32
    assert name == Vault(NEW).pseudonym("acme", "user-1")
    assert name != vault.pseudonym("acme", "user-2")
    assert name != vault.pseudonym("bolt", "user-1")
    assert "user-1" not in name


def test_rotating_the_primary_key_renames_nobody() -> None:
    assert Vault(OLD).pseudonym("acme", "user-1") == Vault(NEW).pseudonym("acme", "user-1")


def test_a_vault_shows_its_keys_to_nobody() -> None:
    vault = Vault(OLD)
    vault.seal(b"secret", PLACE)
    assert repr(vault) == "Vault(primary='k1')"
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(vault)


def test_a_token_of_ownership_is_always_the_same_for_one_connector_and_host_alone() -> None:
    token = Vault(OLD).ownership_token("acme", "hooks.acme.example")
    assert token == Vault(NEW).ownership_token("acme", "hooks.acme.example")
    others = [
        ("brook", "hooks.acme.example"),
        ("acme", "acme.example"),
        ("acm", "ehooks.acme.example"),
    ]
    assert token not in {Vault(OLD).ownership_token(*each) for each in others}
    other_root = Keyring("k2", MappingProxyType({"k2": b"2" * 32}))
    assert token != Vault(other_root).ownership_token("acme", "hooks.acme.example")
    assert len(bytes.fromhex(token)) == 20
