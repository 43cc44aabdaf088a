"""What our own side signs is genuine for a partner who holds any of the keys, until it is gone."""

import json
from typing import Any

import pytest

from dispatcher.model.keys import KeyKind, KeyTimes, SigningKey, SigningProfile
from dispatcher.model.letter import Departure, Sealed, Shaped
from dispatcher.model.registry import Encryption, WireFormat
from dispatcher.receiver.opening import NotGenuine, Receiver, Why
from dispatcher.stages.sealing.ed25519 import key_set, public_half
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart
from dispatcher.stages.sealing.standard_webhooks import format_public, format_secret
from dispatcher.stages.shaping.shape import shape
from dispatcher.vault.partner_encryption import encrypt
from tests.support.node import judge
from tests.support.opening import PAIRS, partner_key
from tests.unit.stages import builders

NOW = 1795463361
URL = "https://hooks.acme.example/in"
RETIRING = KeyTimes(until_us=(NOW + 60) * 1_000_000)
NEW = (SigningKey("new", b"n" * 32), SigningKey("new", b"p" * 32, KeyKind.ED25519))
OLD = (
    SigningKey("old", b"o" * 32, KeyKind.HMAC, RETIRING),
    SigningKey("old", b"q" * 32, KeyKind.ED25519, RETIRING),
)
PROFILES = list(SigningProfile)


def letter(profile: SigningProfile) -> Sealed:
    admitted = builders.admitted(b'{"id":"1"}', "$.id", signing=profile)
    webhook_id = admitted.cleared.leased.webhook_id
    body = f'{{"id":"{webhook_id}","type":"order.paid","timestamp":"2026-11-23T19:48:44Z"}}'
    sealed = seal(Shaped(admitted=admitted, plaintext=body.encode(), disclosed=()), encrypt)
    assert isinstance(sealed, Sealed)
    return sealed


def sent(sealed: Sealed, now: int, **more: bool) -> dict[str, str]:
    departure = depart(sealed, NEW + OLD, now, **more)
    assert isinstance(departure, Departure)
    return {"content-type": sealed.content_type, **dict(departure.headers)}


def knowing(shared: SigningKey, pair: SigningKey, now: int, **more: Any) -> Receiver:
    return Receiver(
        secrets=[format_secret(shared.secret)],
        public_keys=[format_public(public_half(pair.secret))],
        clock=lambda: now,
        **more,
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("keys", [NEW, OLD], ids=["new", "old"])
def test_during_a_rotation_a_receiver_with_either_key_takes_it(
    profile: SigningProfile, keys: tuple[SigningKey, SigningKey]
):
    sealed = letter(profile)
    receiver = knowing(*keys, NOW, url=URL)
    assert receiver.open(sent(sealed, NOW), sealed.body).type == "order.paid"


@pytest.mark.parametrize("profile", PROFILES)
def test_after_a_rotation_only_the_new_key_verifies(profile: SigningProfile):
    sealed, later = letter(profile), NOW + 60
    headers = sent(sealed, later)
    assert knowing(*NEW, later, url=URL).open(headers, sealed.body)
    with pytest.raises(NotGenuine) as caught:
        knowing(*OLD, later, url=URL).open(headers, sealed.body)
    assert caught.value.code is Why.SIGNATURE_WRONG


@pytest.mark.parametrize("profile", PROFILES)
def test_the_answer_to_a_fetch_is_taken_as_such(profile: SigningProfile):
    sealed = letter(profile)
    headers = sent(sealed, NOW, is_answer=True)
    assert knowing(*NEW, NOW).open(headers, sealed.body, status=200).type == "order.paid"


def test_the_published_set_of_keys_will_do():
    published = key_set(NEW + OLD, NOW * 1_000_000)["keys"]
    receiver = Receiver(public_keys=published, url=URL, clock=lambda: NOW)
    for profile in (SigningProfile.V1A, SigningProfile.RFC9421_ED25519):
        sealed = letter(profile)
        assert receiver.open(sent(sealed, NOW), sealed.body)


@pytest.mark.parametrize("profile", [SigningProfile.RFC9421_ED25519, SigningProfile.RFC9421_HMAC])
def test_what_was_sent_to_another_endpoint_is_refused(profile: SigningProfile):
    sealed = letter(profile)
    receiver = knowing(*NEW, NOW, url="https://hooks.acme.example/other")
    with pytest.raises(NotGenuine) as caught:
        receiver.open(sent(sealed, NOW), sealed.body)
    assert caught.value.code is Why.SIGNATURE_WRONG


def encrypted(kind: str, **more: Any) -> Sealed:
    admitted = builders.admitted(
        b'{"id":"o-1"}',
        "$.id",
        schema=builders.record(id=builders.leaf()),
        keys=(partner_key(PAIRS[kind]),),
        encryption=Encryption.JWE,
        **more,
    )
    shaped = shape(admitted, builders.TOKENS)
    assert isinstance(shaped, Shaped)
    sealed = seal(shaped, encrypt)
    assert isinstance(sealed, Sealed)
    return sealed


@pytest.mark.parametrize("layout", list(WireFormat))
@pytest.mark.parametrize("kind", PAIRS)
def test_an_encrypted_letter_is_opened_with_the_private_key(kind: str, layout: WireFormat):
    sealed = encrypted(kind, format=layout)
    known = {
        "private_keys": {"k1": PAIRS[kind].as_dict(private=True)},
        "subscriber": "acme-orders",
    }
    message = knowing(*NEW, NOW, **known).open(sent(sealed, NOW), sealed.body)
    assert (message.type, message.data) == ("order.paid", {"id": "o-1"})


@pytest.mark.node
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", PAIRS)
def test_libraries_in_node_verify_and_open_an_encrypted_letter(kind: str):
    sealed = encrypted(kind, signing=SigningProfile.V1)
    letter = {
        "headers": sent(sealed, NOW),
        "body": sealed.body.decode(),
        "now": NOW,
        "secrets": [format_secret(NEW[0].secret)],
        "private_keys": {"k1": PAIRS[kind].as_pem(private=True).decode()},
    }
    by_v1, by_svix, opened = judge(
        [letter | {"profile": profile} for profile in ("standardwebhooks", "svix", "jwe")]
    )
    assert (by_v1, by_svix) == ({"verified": True}, {"verified": True})
    assert json.loads(opened["plaintext"])["subscriber"] == "acme-orders"
    spoilt = letter | {"body": letter["body"][:-8] + letter["body"][-8:][::-1], "profile": "jwe"}
    assert [False] == [answer["verified"] for answer in judge([spoilt])]
