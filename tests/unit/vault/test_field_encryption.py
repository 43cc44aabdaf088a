"""Fields encrypted one by one: only the holder of the partner's key reads them."""

import json

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey, RSAKey

from dispatcher.model.partner_key import PartnerKey
from dispatcher.vault.field_encryption import encrypt_field

PAIRS = {
    "EC": ECKey.generate_key("P-256"),
    "OKP": OKPKey.generate_key("X25519"),
    "RSA": RSAKey.generate_key(2048),
}
ALGORITHMS = ["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"]


def key_of(pair, kid: str = "k1") -> PartnerKey:
    return PartnerKey(kid=kid, jwk=json.dumps(pair.as_dict(private=False)))


@pytest.mark.parametrize("kind", PAIRS)
def test_the_partner_opens_what_was_encrypted_to_its_key(kind):
    sealed = encrypt_field(key_of(PAIRS[kind]), b'"DE89370400440532013000"')
    assert sealed is not None
    opened = jwe.decrypt_compact(sealed, PAIRS[kind], algorithms=ALGORITHMS)
    assert opened.plaintext == b'"DE89370400440532013000"'
    assert opened.headers()["kid"] == "k1"


@pytest.mark.parametrize("kind", PAIRS)
def test_equal_values_look_different(kind):
    key = key_of(PAIRS[kind])
    assert encrypt_field(key, b"7") != encrypt_field(key, b"7")


def test_a_key_that_agrees_on_nothing_encrypts_nothing():
    zero = json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43})
    assert encrypt_field(PartnerKey(kid="k1", jwk=zero), b"secret") is None
