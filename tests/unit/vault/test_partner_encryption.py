"""What is encrypted to a partner, whole or field by field: only the holder of its key reads it."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwe
from jwcrypto import jwe as judge
from jwcrypto import jwk as judges_key

from dispatcher.model.partner_key import PartnerKey, thumbprint
from dispatcher.vault import partner_encryption
from dispatcher.vault.partner_encryption import encrypt, encrypt_field
from tests.support.opening import (
    PAIRS,
    agree,
    decoded,
    derive,
    header_of,
    open_jwe,
    partner_key,
    unwrap,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "jwe.json").read_text())
ALGORITHMS = ["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"]
KINDS = {"EC": "ECDH-ES+A256KW", "OKP": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}


@pytest.mark.parametrize("kind", PAIRS)
def test_the_partner_opens_what_was_encrypted_to_its_key(kind):
    sealed = encrypt_field(partner_key(PAIRS[kind]), b'"DE89370400440532013000"')
    assert sealed is not None
    opened = jwe.decrypt_compact(sealed, PAIRS[kind], algorithms=ALGORITHMS)
    assert opened.plaintext == b'"DE89370400440532013000"'
    assert opened.headers()["kid"] == "k1"


@pytest.mark.parametrize("kind", PAIRS)
def test_three_readers_of_three_hands_agree_on_a_letter(kind):
    header = {"alg": KINDS[kind], "enc": "A256GCM", "kid": "k1", "typ": "JOSE", "cty": "json"}
    if kind != "RSA":
        header |= {"apu": "bm9ydGg", "apv": "YWNtZXxtc2dfMQ"}
    given, plain = dict(header), b"{}" * 5000
    sealed = encrypt(partner_key(PAIRS[kind]), given, plain)
    assert sealed is not None
    assert header == given, "a header that is passed on would carry one letter's key to the next"
    private = PAIRS[kind].as_dict(private=True)
    token = judge.JWE(algs=ALGORITHMS)
    token.deserialize(sealed, judges_key.JWK(**private))
    theirs = jwe.decrypt_compact(sealed, PAIRS[kind], algorithms=ALGORITHMS)
    assert [plain] * 3 == [token.payload, theirs.plaintext, open_jwe(sealed.encode(), private)]
    said = header_of(sealed.encode())
    said.pop("epk", None)
    assert header == said


@pytest.mark.parametrize("kind", PAIRS)
def test_equal_values_look_different(kind):
    key = partner_key(PAIRS[kind])
    assert encrypt_field(key, b"7") != encrypt_field(key, b"7")


@pytest.mark.parametrize("kind", PAIRS)
def test_no_two_letters_share_a_key_a_nonce_or_an_ephemeral_key(kind):
    private = PAIRS[kind].as_dict(private=True)
    drawn = []
    for _ in range(8):
        sealed = encrypt_field(partner_key(PAIRS[kind]), b"7")
        assert sealed is not None
        header = header_of(sealed.encode())
        _, wrapped, nonce, *_ = sealed.split(".")
        ephemeral = header.get("epk", {"x": wrapped})["x"]
        drawn.append((unwrap(header, decoded(wrapped), private), nonce, ephemeral, wrapped))
    assert [8] * 4 == [len(set(each)) for each in zip(*drawn, strict=True)]


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {**PAIRS["EC"].as_dict(private=False), "y": "A" * 43},
        {**PAIRS["EC"].as_dict(private=False), "kid": 7},
    ],
    ids=["agrees on nothing", "off its curve", "no key of the library's"],
)
def test_a_key_that_is_none_encrypts_nothing(jwk):
    assert encrypt_field(PartnerKey(kid="k1", jwk=json.dumps(jwk)), b"secret") is None


def test_the_wrapping_key_is_derived_as_published():
    agreement = VECTORS["agreement"]
    secret = agree(agreement["header"]["epk"], agreement["private"])
    derived = partner_encryption.derive(secret, "A128GCM", agreement["header"], 16)
    assert decoded(agreement["derived"]) == derived


def test_the_reader_of_these_tests_derives_and_decrypts_as_published():
    agreement, content = VECTORS["agreement"], VECTORS["content"]
    assert decoded(agreement["derived"]) == derive(
        agreement["header"], agreement["private"], "A128GCM", 128
    )
    opened = AESGCM(decoded(content["key"])).decrypt(
        decoded(content["nonce"]),
        decoded(content["ciphertext"]) + decoded(content["tag"]),
        content["protected"].encode(),
    )
    assert content["plaintext"] == opened.decode()


def test_a_thumbprint_is_the_published_one():
    assert VECTORS["thumbprint"]["thumbprint"] == thumbprint(VECTORS["thumbprint"]["jwk"])
