"""What is signed and yet not as agreed, to the second and to the letter, is not taken."""

import hashlib
import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import import_key

from dispatcher.receiver.opening import Message, NotGenuine, Receiver, Why
from tests.vectors.make_receiving import (
    COVERED,
    ED,
    ED_FOREIGN,
    ENVELOPE,
    ID,
    KEYID,
    NEW,
    NOW,
    P256,
    RSA,
    URL,
    b64,
    ecdh,
    fixed,
    pem,
    point,
    raw_public,
    rfc9421,
    standard,
    url64,
    v1,
    whpk,
    whsec,
)

SHA256, SHA512 = (
    b64(digest(ENVELOPE.encode()).digest()) for digest in (hashlib.sha256, hashlib.sha512)
)
OURS = [whpk(ED)]
FOR_US: dict[str, Any] = {"secrets": [whsec(NEW)]}


def by_secret(
    body: str = ENVELOPE, *, at: int = NOW, media: str = "application/json", **known: Any
) -> Message:
    headers = standard(v1(NEW, body, at=at), at=at, media=media)
    return Receiver(**FOR_US, clock=lambda: NOW, **known).open(headers, body.encode())


def by_http(key: Any = ED, *, now: float = NOW, public_keys: Any = OURS, **more: Any) -> Message:
    receiver = Receiver(**FOR_US, public_keys=public_keys, url=URL, clock=lambda: now)
    return receiver.open(rfc9421(key, ENVELOPE, **more), ENVELOPE.encode())


def told(call: Callable[[], Message]) -> Why | None:
    try:
        call()
    except NotGenuine as refused:
        return refused.code
    return None


@pytest.mark.parametrize(
    ("apart", "why"),
    [
        (-301, Why.TIMESTAMP_OLD),
        (-300, None),
        (-299, None),
        (299, None),
        (300, None),
        (301, Why.TIMESTAMP_FUTURE),
    ],
)
def test_a_letter_is_taken_up_to_three_hundred_seconds_from_now(apart: int, why: Why | None):
    assert told(lambda: by_secret(at=NOW + apart)) is why
    assert told(lambda: by_http(at=NOW + apart)) is why
    # Its own clock of RFC 9421, beside the webhook-timestamp.
    assert told(lambda: by_http(created=NOW + apart, lifetime=900)) is why


@pytest.mark.parametrize(("at", "why"), [(f"{NOW:015}", None), (f"{NOW:016}", Why.TIMESTAMP_WRONG)])
def test_a_timestamp_has_so_many_digits_at_most(at: Any, why: Why | None):
    assert told(lambda: by_secret(at=at)) is why


@pytest.mark.parametrize(("late", "why"), [(0, None), (0.5, Why.TIMESTAMP_OLD)])
def test_a_signature_counts_through_the_second_in_which_it_expires(late: float, why: Why | None):
    assert told(lambda: by_http(lifetime=10, now=NOW + 10 + late)) is why


@pytest.mark.parametrize("name", COVERED)
def test_a_signature_covers_every_part_of_a_letter(name: str):
    without = tuple(each for each in COVERED if each != name)
    assert told(lambda: by_http(covered=without)) is Why.SIGNATURE_INCOMPLETE


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"2026-11"', '"2026,11"', None),
        (f"created={NOW};", "", Why.SIGNATURE_INCOMPLETE),
        (f"expires={NOW + 300};", "", Why.SIGNATURE_INCOMPLETE),
        (f"created={NOW}", 'created="now"', Why.SIGNATURE_INCOMPLETE),
        (f"created={NOW}", f"created={NOW:016}", Why.SIGNATURE_INCOMPLETE),
        (';tag="dispatcher"', "", Why.SIGNATURE_MISSING),
        ('"webhook-id"', '"webhook-id";req', Why.SIGNATURE_MISSING),
        ('"webhook-id"', '"Webhook-Id"', Why.SIGNATURE_MISSING),
        ('"ed25519"', '"ecdsa-p256-sha256"', Why.KEY_UNKNOWN),
    ],
)
def test_what_a_signature_says_of_itself_is_read_strictly(old: str, new: str, why: Why | None):
    assert told(lambda: by_http(edit=lambda terms: terms.replace(old, new))) is why


def test_a_secret_makes_one_kind_of_signature():
    assert told(lambda: by_http(NEW, alg="hmac-sha512")) is Why.KEY_UNKNOWN


def test_of_several_public_keys_one_is_enough():
    assert by_http(public_keys=[whpk(ED_FOREIGN), whpk(ED)])


def test_the_method_is_signed_too():
    headers, body = rfc9421(ED, ENVELOPE), ENVELOPE.encode()
    receiver = Receiver(public_keys=OURS, url=URL, clock=lambda: NOW)
    assert receiver.open(headers, body)
    assert told(lambda: receiver.open(headers, body, method="PUT")) is Why.SIGNATURE_WRONG


JWK = {"kty": "OKP", "crv": "Ed25519", "x": url64(raw_public(ED))}


@pytest.mark.parametrize("kid", [None, 7, KEYID])
def test_a_key_without_a_name_is_asked_about_every_signature(kid: object):
    assert by_http(public_keys=[{**JWK, "kid": kid}])


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        ({"public_keys": [JWK | {"kty": "EC"}]}, ValueError, "a JWK of the sender has kty OKP"),
        ({"public_keys": [JWK | {"crv": "X25519"}]}, ValueError, "a JWK of the sender has kty OKP"),
        ({"public_keys": [JWK | {"x": None}]}, ValueError, "a JWK of the sender has kty OKP"),
        ({"public_keys": JWK}, TypeError, "as a list"),
        ({"public_keys": whpk(ED)}, TypeError, "as a list"),
        ({"secrets": [whsec(NEW[:23])]}, ValueError, "24 to 64 bytes"),
        ({"secrets": [whsec(NEW * 2 + b"!")]}, ValueError, "24 to 64 bytes"),
        (FOR_US | {"private_keys": {"k": point(P256.public_key())}}, ValueError, "a public one"),
        ({"secrets": [whsec(NEW).replace("_", "_ ")]}, ValueError, "not standard base64"),
    ],
)
def test_a_key_that_is_none_is_refused_with_what_is_wrong(
    given: dict[str, Any], kind: type[Exception], why: str
):
    with pytest.raises(kind, match=why):
        Receiver(**given)


@pytest.mark.parametrize("secret", [NEW[:24], NEW * 2])
def test_a_secret_has_from_24_to_64_bytes(secret: bytes):
    assert Receiver(secrets=[whsec(secret)])


def test_a_signature_is_plain_base64():
    headers = standard(v1(NEW, ENVELOPE).replace(",", ",!"))
    receiver = Receiver(**FOR_US, clock=lambda: NOW)
    assert told(lambda: receiver.open(headers, ENVELOPE.encode())) is Why.SIGNATURE_WRONG


@pytest.mark.parametrize("signature", ["sig=:A:", "sig=:AAAA:;more"])
def test_a_signature_that_is_no_bytes_is_none(signature: str):
    headers = dict(rfc9421(ED, ENVELOPE)) | {"signature": signature}
    receiver = Receiver(public_keys=OURS, url=URL, clock=lambda: NOW)
    assert told(lambda: receiver.open(headers, ENVELOPE.encode()))


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        (f"sha-512=:{SHA512}:, sha-256=:{SHA256}:", None),
        (f"unixsum=1, sha-256=:{SHA256}:", None),
        (f"sha-512=:{SHA256}:", Why.DIGEST_WRONG),
        (f"sha-256=:{SHA256}:;more", Why.DIGEST_WRONG),
        ("sha-256=:A:", Why.DIGEST_WRONG),
    ],
)
def test_the_digest_that_counts_is_the_sha_256_of_the_body(digest: str, why: Why | None):
    assert told(lambda: by_http(digest=digest)) is why


def envelope(**changed: Any) -> str:
    """An envelope with other members; `None` leaves one out."""
    found = {"id": ID, "type": "order.paid", "timestamp": "2026-11-23T19:48:44Z"} | changed
    return json.dumps({name: value for name, value in found.items() if value is not None})


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[" * 100_000,
        envelope(id=None),
        envelope(type=None),
        envelope(timestamp=None),
        envelope(id=7),
        envelope(type=["order.paid"]),
        envelope(timestamp=1795463361),
        envelope(specversion="1.0"),
    ],
    ids=range(9),
)
def test_what_is_signed_and_no_envelope_is_refused_as_such(body: str):
    assert told(lambda: by_secret(body)) is Why.BODY_WRONG


def test_a_cloudevent_says_its_time_under_another_name():
    body = envelope(specversion="1.0", time="2026-11-23T20:00:00Z", timestamp=None)
    assert by_secret(body).timestamp == "2026-11-23T20:00:00Z"


@pytest.mark.parametrize(
    ("said", "subjects"),
    [
        ({"subject": "u1"}, ("u1",)),
        ({"subjects": ["u1", "u2"]}, ("u1", "u2")),
        ({"subjects": "u1"}, ()),
        ({"subject": 7}, ()),
        ({}, ()),
    ],
)
def test_whom_a_letter_is_about_is_a_list_of_names(said: dict[str, Any], subjects: tuple[str, ...]):
    assert by_secret(envelope(**said)).subjects == subjects


PEM = pem(P256)
P256_JWK = point(P256.public_key()) | {"d": url64(fixed("p256"))}
JWE = {"private_keys": {"p256-1": PEM}, "subscriber": "acme-orders"}


@pytest.mark.parametrize("key", [PEM.encode(), MappingProxyType(P256_JWK)], ids=["pem", "jwk"])
def test_a_private_key_may_be_bytes_or_any_mapping(key: Any):
    known = JWE | {"private_keys": {"p256-1": key}}
    assert by_secret(ecdh("p256-1"), media="application/jose", **known).type == "order.paid"


@pytest.mark.parametrize("media", ["application/jose; v=1", "application/jose ;v=1"])
def test_an_encrypted_letter_may_have_parameters_behind_its_type(media: str):
    assert by_secret(ecdh("p256-1"), media=media, **JWE).type == "order.paid"


@pytest.mark.parametrize(
    ("alg", "enc"),
    [
        ("ECDH-ES", "A256GCM"),
        ("ECDH-ES+A256KW", "A256CBC-HS512"),
        ("ECDH-ES+A128KW", "A256GCM"),
        ("RSA-OAEP", "A256GCM"),
    ],
)
def test_no_letter_is_opened_by_an_algorithm_that_was_not_agreed(alg: str, enc: str):
    text, kind = (pem(RSA), "RSA") if alg == "RSA-OAEP" else (PEM, "EC")
    header = {"alg": alg, "enc": enc, "kid": "k"}
    body = jwe.encrypt_compact(header, ENVELOPE, import_key(text, kind), algorithms=[alg, enc])
    known = {"private_keys": {"k": text}}
    assert told(lambda: by_secret(body, media="application/jose", **known)) is Why.ENCRYPTION_WRONG


@pytest.mark.parametrize("header", ["[1]", '{"kid":7}', '{"kid":["p256-1"]}', "[" * 100_000])
def test_an_encrypted_letter_names_its_key_by_a_text(header: str):
    body = f"{url64(header.encode())}.a.b.c.d"
    assert told(lambda: by_secret(body, media="application/jose", **JWE)) is Why.ENCRYPTION_WRONG


def test_an_encrypted_letter_with_nothing_in_it_is_no_envelope():
    nothing = ecdh("p256-1", "")
    assert told(lambda: by_secret(nothing, media="application/jose", **JWE)) is Why.BODY_WRONG
