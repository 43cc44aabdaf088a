"""Credentials a partner fetches by: what is wrong with them, and what a change of them does."""

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dispatcher.control.documents import read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.caller import Caller, CallerKind
from dispatcher.model.disclosure import Direction
from dispatcher.model.paper import ConnectorState
from dispatcher.stages.revising.caller_faults import CALLERS_LIMIT
from dispatcher.stages.revising.caller_keys import fingerprint_of, without_revoked
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from tests.support.certificates import pem_of, pin_of
from tests.support.signing import pem_of_key
from tests.unit.stages import builders

KEY = pem_of_key(Ed25519PrivateKey.generate())
AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("client.acme.example")
NO_CA = LEAF.private_key_pem.bytes().decode()
END = "-----END PUBLIC KEY-----"
SIGNER = Caller(kid="acme-key", kind=CallerKind.SIGNATURE, key=KEY)
CLIENT = Caller(
    kid="acme-mtls", kind=CallerKind.CERTIFICATE, pin=pin_of(LEAF), ca=pem_of(AUTHORITY)
)


def held(*callers, **more):
    partner = builders.connector(callers=callers, **more)
    return builders.registry(connectors=(partner,))


def places(*callers):
    return [fault.where for fault in find_faults(held(*callers))]


def said(old, new):
    found = diff(old, new, builders.TODAY, frozenset()).changes
    return [(str(c.direction), c.where, c.what) for c in found if c.aspect != "terms"]


@pytest.mark.parametrize("curve", [None, SECP256R1()])
def test_keys_of_both_kinds_and_certificates_are_sound(curve):
    key = Ed25519PrivateKey.generate() if curve is None else generate_private_key(curve)
    assert places(replace(SIGNER, key=pem_of_key(key)), CLIENT) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ed25519",
        KEY + KEY,
        KEY.replace("PUBLIC", "PRIVATE"),
        pem_of_key(generate_private_key(SECP384R1())),
        pem_of_key(generate_rsa(65537, 2048)),
        KEY.replace("MCow", "AAAA"),
        f"é{KEY}",
    ],
)
def test_what_no_signature_is_verified_with_is_a_fault(key):
    assert "connector 'acme': callers 'acme-key': key" in places(replace(SIGNER, key=key))


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"kid": "A key"}, "connector 'acme': callers 'A key': kid"),
        ({"pin": "sha256/x"}, "connector 'acme': callers 'acme-mtls': pin"),
        ({"ca": ""}, "connector 'acme': callers 'acme-mtls': ca"),
        (
            {"ca": LEAF.private_key_pem.bytes().decode()},
            "connector 'acme': callers 'acme-mtls': ca",
        ),
        ({"key": KEY}, "connector 'acme': callers 'acme-mtls'"),
        ({"kind": CallerKind.SIGNATURE, "key": KEY}, "connector 'acme': callers 'acme-mtls'"),
    ],
)
def test_a_credential_that_does_not_hold_together_is_a_fault(changed, key):
    assert places(replace(CLIENT, **changed)) == [key]


def test_a_key_id_names_one_credential_of_all_connectors():
    brook = builders.connector("brook", callers=(SIGNER,))
    both = replace(held(SIGNER), connectors=(*held(SIGNER).connectors, brook))
    assert ["callers 'acme-key': kid"] == [fault.where for fault in find_faults(both)]


def test_there_is_an_end_to_how_many_there_are():
    many = [replace(SIGNER, kid=f"key-{number}") for number in range(CALLERS_LIMIT + 1)]
    assert places(*many) == ["connector 'acme': callers"]


@pytest.mark.parametrize("key", ["ticket_seconds", "ticket_uses"])
@pytest.mark.parametrize("value", [-1, 10**6])
def test_a_ticket_that_counts_for_ever_or_never_is_a_fault(key, value):
    wanted = builders.subscription(**{key: value})
    found = find_faults(builders.registry(subscriptions=(wanted,)))
    assert [fault.where for fault in found] == [f"subscription 'acme-orders': {key}"]


def test_somebody_more_who_may_fetch_widens_and_one_less_narrows():
    here = "connector acme"
    assert ("widens", here, "acme-key may fetch by signature") in said(held(), held(SIGNER))
    assert ("narrows", here, "acme-key may fetch by signature") in said(held(SIGNER), held())
    assert ("widens", here, f"acme-mtls may fetch by certificate {CLIENT.pin}") in said(
        held(SIGNER), held(SIGNER, CLIENT)
    )


def test_another_key_under_the_same_name_widens():
    other = replace(SIGNER, key=pem_of_key(Ed25519PrivateKey.generate()))
    assert ("widens", "connector acme", "acme-key may fetch by signature") in said(
        held(SIGNER), held(other)
    )


def test_a_partner_that_becomes_active_may_fetch_from_then_on():
    draft = held(SIGNER, state=ConnectorState.DRAFT)
    assert ("widens", "connector acme", "acme-key may fetch by signature") in said(
        draft, held(SIGNER)
    )
    assert builders.snapshot(draft).callers.by_kid == {}


@pytest.mark.parametrize("key", ["ticket_seconds", "ticket_uses"])
def test_a_ticket_that_counts_for_longer_or_more_widens(key):
    few, many = (
        builders.registry(subscriptions=(builders.subscription(**{key: value}),))
        for value in (2, 3)
    )
    assert diff(few, many, builders.TODAY, frozenset()).direction is Direction.WIDENS
    assert diff(many, few, builders.TODAY, frozenset()).direction is Direction.NARROWS


def test_credentials_are_exported_as_they_were_applied(tmp_path):
    export_registry(held(SIGNER, CLIENT), tmp_path / "files")
    (partner,) = read_registry([tmp_path / "files"]).connectors
    assert partner.callers == (SIGNER, CLIENT)


# One public key is one, however it is listed.


def print_of(key=KEY, **more):
    return fingerprint_of(replace(SIGNER, key=key, **more))


def test_a_public_key_has_one_fingerprint_under_every_name_as_a_signature_and_as_a_pin():
    pair = generate_private_key(SECP256R1())
    spki = pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = sha256(spki).digest()
    pin = f"sha256/{b64encode(digest).decode()}"
    found = {
        print_of(pem_of_key(pair)),
        print_of(pem_of_key(pair), kid="other"),
        fingerprint_of(replace(CLIENT, pin=pin)),
        fingerprint_of(replace(CLIENT, pin=pin, ca="another")),
    }
    assert found == {digest.hex()[:16]}
    assert print_of() not in found


def test_a_public_key_has_one_fingerprint_in_every_spelling():
    pair = generate_private_key(SECP256R1())
    point = pair.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    short = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    spelled = "\n".join(("-----BEGIN PUBLIC KEY-----", b64encode(short).decode(), END, ""))
    assert print_of(spelled) == print_of(pem_of_key(pair))
    assert print_of(pem_of_key(pair) + "\n") == print_of(pem_of_key(pair))


@pytest.mark.parametrize("key", ["", "ed25519", "é", KEY.replace("MCow", "AAAA")])
def test_what_is_no_key_has_no_fingerprint_and_is_never_revoked(key):
    assert print_of(key) == ""
    assert fingerprint_of(replace(CLIENT, pin=f"sha256/{key}")) == ""


def test_whoever_shows_a_revoked_key_is_not_known_any_more_and_others_are():
    brook = builders.connector("brook", callers=(replace(CLIENT, kid="brook-mtls"),))
    both = builders.registry(connectors=(*held(SIGNER, CLIENT).connectors, brook))
    known = builders.snapshot(without_revoked(both, {print_of()})).callers
    assert (set(known.by_kid), len(known.by_pin[CLIENT.pin])) == (set(), 2)
    known = builders.snapshot(without_revoked(both, {fingerprint_of(CLIENT)})).callers
    assert (set(known.by_kid), known.by_pin, known.authorities) == ({"acme-key"}, {}, frozenset())
    assert without_revoked(both, {}) is both
