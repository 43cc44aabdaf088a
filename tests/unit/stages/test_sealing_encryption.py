"""Letters encrypted whole: what is outside, what is inside, and the look at the bytes."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from joserfc import jwe

from dispatcher.model.classification import Sensitivity
from dispatcher.model.ids import WebhookId
from dispatcher.model.keys import SigningKey
from dispatcher.model.letter import Departure, Sealed, Shaped, Stopped
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Encryption, Policy, Style, WireFormat
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.rehearsal import rehearse
from dispatcher.stages.revising.connector_faults import TENANT_BYTES_MAX
from dispatcher.stages.sealing.encryption import check_body
from dispatcher.stages.sealing.encryption import header_of as header_of_letter
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart
from dispatcher.stages.shaping.shape import shape
from dispatcher.vault.partner_encryption import encrypt
from tests.support.opening import OTHER, PAIRS, header_of, open_jwe, partner_key
from tests.unit.stages import builders

RESTRICTED = builders.record(
    id=builders.leaf(), iban=builders.leaf(category="other", level="restricted")
)
PAYLOAD = b'{"id":"o1","iban":"DE89370400440532013000"}'
KEY = SigningKey("k", b"k" * 32)
WEBHOOK_ID = WebhookId("msg_1")


def shaped(
    *keys: PartnerKey,
    encryption: Encryption = Encryption.JWE,
    grants: tuple[str, ...] = ("$.id", "$.iban"),
    policy: Policy | None = None,
    **more: Any,
) -> Shaped:
    """Shape one letter of a subscription that says how it is encrypted."""
    held = builders.registry(
        event_types=(builders.event_type(schema=RESTRICTED),),
        connectors=(builders.connector(keys=keys, clearance=Sensitivity.RESTRICTED),),
        subscriptions=(
            builders.subscription(encryption=encryption, scope={"order.paid": grants}, **more),
        ),
        policy=policy or Policy(),
    )
    snapshot = builders.snapshot(held)
    scope = snapshot.routes["acme-orders"].scopes["order.paid"]
    admitted = rehearse(
        builders.event(PAYLOAD), "acme-orders", WEBHOOK_ID, scope, snapshot
    ).admitted
    assert admitted is not None
    letter = shape(admitted, builders.TOKENS)
    assert isinstance(letter, Shaped)
    return letter


def sealed(*keys: PartnerKey, **more: Any) -> Sealed:
    letter = seal(shaped(*keys, **more), encrypt)
    assert isinstance(letter, Sealed)
    return letter


def private_of(kind: str) -> dict[str, Any]:
    return PAIRS[kind].as_dict(private=True)


@pytest.mark.parametrize("kind", PAIRS)
def test_only_the_partner_reads_an_encrypted_letter(kind):
    letter = sealed(partner_key(PAIRS[kind]))
    assert b"DE89" not in letter.body
    assert letter.content_type == "application/jose"
    assert letter.shaped.plaintext == open_jwe(letter.body, private_of(kind))
    assert json.loads(letter.shaped.plaintext) == {
        "id": WEBHOOK_ID,
        "type": "order.paid",
        "timestamp": json.loads(letter.shaped.plaintext)["timestamp"],
        "subscriber": "acme-orders",
        "data": json.loads(PAYLOAD),
    }
    assert isinstance(depart(letter, (KEY,), 1), Departure)


@pytest.mark.parametrize("kind", ["EC", "OKP"])
def test_another_key_does_not_open_it_and_a_flipped_byte_spoils_it(kind):
    body = sealed(partner_key(PAIRS[kind])).body
    other = OTHER if kind == "EC" else type(PAIRS["OKP"]).generate_key("X25519")
    with pytest.raises(InvalidUnwrap):
        open_jwe(body, other.as_dict(private=True))
    place = len(body) - 30
    flipped = body[:place] + (b"A" if body[place : place + 1] != b"A" else b"B") + body[place + 1 :]
    with pytest.raises(InvalidTag):
        open_jwe(flipped, private_of(kind))


def test_the_outside_names_key_sender_and_letter_but_not_what_happened():
    letter = sealed(partner_key(PAIRS["EC"], "2026-11"))
    header = header_of(letter.body)
    ephemeral = header.pop("epk")
    assert {"kty", "crv", "x", "y"} == ephemeral.keys()
    assert header == {
        "alg": "ECDH-ES+A256KW",
        "enc": "A256GCM",
        "kid": "2026-11",
        "typ": "JOSE",
        "cty": "json",
        "apu": _coded("north"),
        "apv": _coded(f"acme-orders|{WEBHOOK_ID}"),
    }
    assert "order.paid" not in base64.urlsafe_b64decode(letter.body.split(b".")[0] + b"==").decode()


@pytest.mark.parametrize("tenant", ["", "n", "nö", "north"])
def test_the_outside_names_the_tenant_where_there_is_one(tenant):
    letter = shaped(partner_key(PAIRS["EC"]))
    cleared = letter.admitted.cleared
    event = replace(cleared.leased.event, tenant=tenant)
    cleared = replace(cleared, leased=replace(cleared.leased, event=event))
    given = header_of_letter(cleared, partner_key(PAIRS["EC"]), "application/json")
    assert given.get("apu") == (_coded(tenant) if tenant else None)


def test_the_longest_names_fit_into_what_libraries_read_of_the_outside():
    key = partner_key(PAIRS["EC"], "k" * 128)
    cleared = shaped(key).admitted.cleared
    event = replace(cleared.leased.event, tenant="t" * TENANT_BYTES_MAX)
    leased = replace(cleared.leased, event=event, webhook_id=WebhookId(f"msg_{'m' * 32}"))
    cleared = replace(cleared, leased=leased, route=replace(cleared.route, subscription="s" * 64))
    letter = encrypt(key, header_of_letter(cleared, key, "application/cloudevents+json"), b"{}")
    assert letter is not None
    assert len(letter.partition(".")[0]) <= 1024
    jwe.decrypt_compact(letter, PAIRS["EC"], algorithms=["ECDH-ES+A256KW", "A256GCM"])


def test_every_letter_has_an_ephemeral_key_and_a_header_of_its_own():
    first, second = (sealed(partner_key(PAIRS["EC"])) for _ in range(2))
    assert header_of(first.body)["epk"] != header_of(second.body)["epk"]
    assert first.shaped.plaintext == second.shaped.plaintext


def test_a_cloud_event_says_in_the_outside_how_its_inside_is_laid_out():
    letter = sealed(partner_key(PAIRS["EC"]), format=WireFormat.CLOUDEVENTS)
    assert "cloudevents+json" == header_of(letter.body)["cty"]
    inside = json.loads(open_jwe(letter.body, private_of("EC")))
    assert ("acme-orders", "order.paid") == (inside["subscriber"], inside["type"])


def test_the_first_key_is_used_or_the_one_that_is_named_and_never_another():
    keys = (partner_key(PAIRS["EC"], "new"), partner_key(OTHER, "old"))
    assert "new" == header_of(sealed(*keys).body)["kid"]
    named = sealed(*keys, encryption_kid="old")
    assert "old" == header_of(named.body)["kid"]
    assert open_jwe(named.body, OTHER.as_dict(private=True))
    refused = seal(shaped(keys[0], encryption_kid="gone"), encrypt)
    assert isinstance(refused, Refusal)
    assert (Reason.ENCRYPTION_KEY_MISSING,) == refused.reasons


def test_a_key_to_which_nothing_can_be_encrypted_sends_nothing():
    zero = PartnerKey(kid="z", jwk=json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43}))
    refused = seal(shaped(zero), encrypt)
    assert isinstance(refused, Refusal)
    assert ((Reason.ENCRYPTION_KEY_MISSING,), False) == (refused.reasons, refused.is_hold)


def test_a_restricted_field_does_not_leave_in_clear():
    refused = seal(shaped(encryption=Encryption.NONE), encrypt)
    assert isinstance(refused, Refusal)
    assert ((Reason.ENCRYPTION_REQUIRED,), False) == (refused.reasons, refused.is_hold)
    assert "$.iban" in refused.detail
    assert "DE89" not in repr(refused)


@pytest.mark.parametrize(
    ("grants", "more"),
    [
        (("$.id",), {}),
        (("$.id", "$.iban mask(last=4)"), {}),
        (("$.id", "$.iban encrypt(k1)"), {}),
        (("$.id", "$.iban"), {"policy": Policy(encrypt_from="never")}),
        (("$.id", "$.iban"), {"style": Style.THIN}),
    ],
)
def test_what_tells_less_or_is_encrypted_by_itself_may_leave_in_clear(grants, more):
    letter = sealed(partner_key(PAIRS["EC"]), encryption=Encryption.NONE, grants=grants, **more)
    assert letter.shaped.plaintext is letter.body
    assert check_body(letter) is None


def test_a_lower_floor_asks_for_encryption_of_everything():
    policy = Policy(encrypt_from="public")
    refused = seal(shaped(encryption=Encryption.NONE, grants=("$.id",), policy=policy), encrypt)
    assert isinstance(refused, Refusal)


def _coded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _reheaded(letter: Sealed, **changed: Any) -> bytes:
    header = {**header_of(letter.body), **changed}
    header = {name: value for name, value in header.items() if value is not None}
    return b".".join([_coded(json.dumps(header)).encode(), *letter.body.split(b".")[1:]])


def _parts(letter: Sealed, place: int, part: bytes) -> bytes:
    parts = letter.body.split(b".")
    return b".".join([*parts[:place], part, *parts[place + 1 :]])


def _clear(letter: Sealed) -> bytes:
    return letter.shaped.plaintext


CORRUPT = {
    "clear": _clear,
    "clear in five parts": lambda letter: b'{"a":"b"}.x.' + b"A" * 16 + b".x." + b"A" * 22,
    "empty": lambda letter: b"",
    "four parts": lambda letter: letter.body.rpartition(b".")[0],
    "another key": lambda letter: _reheaded(letter, kid="k2"),
    "no key": lambda letter: _reheaded(letter, kid=None),
    "a weaker algorithm": lambda letter: _reheaded(letter, alg="RSA-OAEP"),
    "no algorithm": lambda letter: _reheaded(letter, alg="none"),
    "another content cipher": lambda letter: _reheaded(letter, enc="A128GCM"),
    "compressed": lambda letter: _reheaded(letter, zip="DEF"),
    "another letter": lambda letter: _reheaded(letter, apv=_coded("acme-orders|msg_other")),
    "another tenant": lambda letter: _reheaded(letter, apu=_coded("south")),
    "bound to nothing": lambda letter: _reheaded(letter, apv=None),
    "no ephemeral key": lambda letter: _reheaded(letter, epk=None),
    "its private half too": lambda letter: _reheaded(
        letter, epk={**header_of(letter.body)["epk"], "d": "x"}
    ),
    "a header more": lambda letter: _reheaded(letter, type="order.paid"),
    "a header that is none": lambda letter: _parts(letter, 0, b"W10"),
    "a header that is no JSON": lambda letter: _parts(letter, 0, b"bm9uZQ"),
    "a header that is no text": lambda letter: _parts(letter, 0, b"A"),
    "no header": lambda letter: _parts(letter, 0, b""),
    "the plaintext as wrapped key": lambda letter: _parts(
        letter, 1, letter.shaped.plaintext.replace(b".", b"")
    ),
    "no wrapped key": lambda letter: _parts(letter, 1, b""),
    "the plaintext as ciphertext": lambda letter: _parts(letter, 3, letter.shaped.plaintext),
    "a shorter ciphertext": lambda letter: _parts(letter, 3, letter.body.split(b".")[3][:-4]),
    "no tag": lambda letter: _parts(letter, 4, b""),
}


@pytest.mark.parametrize("how", CORRUPT)
def test_bytes_that_are_not_that_jwe_are_not_signed(how):
    letter = sealed(partner_key(PAIRS["EC"]))
    spoilt = replace(letter, body=CORRUPT[how](letter))
    assert Stopped(Reason.ENCRYPTION_BROKEN) == depart(spoilt, (KEY,), 1)


def test_a_body_of_another_type_is_not_signed():
    letter = replace(sealed(partner_key(PAIRS["EC"])), content_type="application/json")
    assert Stopped(Reason.ENCRYPTION_BROKEN) == depart(letter, (KEY,), 1)


def test_a_letter_that_got_past_the_seal_in_clear_is_not_signed():
    letter = shaped(encryption=Encryption.NONE)
    past = Sealed(
        shaped=letter, body=letter.plaintext, body_sha256=b"", content_type=letter.content_type
    )
    assert Stopped(Reason.ENCRYPTION_REQUIRED) == depart(past, (KEY,), 1)
