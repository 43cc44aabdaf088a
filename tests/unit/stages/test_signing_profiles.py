"""Every way of signing, checked by verifiers and vectors that are not ours."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)
from http_message_signatures.algorithms import ED25519, HMAC_SHA256
from standardwebhooks import Webhook

from dispatcher.model.keys import (
    SIGNATURE_TAG,
    CompatSignature,
    CompatStyle,
    KeyKind,
    KeyTimes,
    SigningKey,
    SigningProfile,
)
from dispatcher.model.letter import Departure, Sealed, Shaped, Stopped
from dispatcher.model.verdict import Reason
from dispatcher.stages.sealing.ed25519 import key_set, pair_of
from dispatcher.stages.sealing.message_signature import LIFE_SECONDS
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart, depart_by
from dispatcher.stages.sealing.standard_webhooks import fingerprint, format_public, format_secret
from dispatcher.vault.partner_encryption import encrypt
from tests.unit.stages import builders

VECTORS = {
    vector["kind"]: vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors" / "ed25519.json").read_text())
}
BODY = b'{"id":"msg_1","data":{"name":"M\xc3\xbcller"}}'
COVERED = ['"@method"', '"@target-uri"', '"content-type"', '"content-digest"']
COVERED += ['"webhook-id"', '"webhook-timestamp"']
RFC9421 = [SigningProfile.RFC9421_ED25519, SigningProfile.RFC9421_HMAC]


def the_time() -> int:
    """Now, since receivers refuse what is older than five minutes."""
    return int(datetime.now(UTC).timestamp())


def key(kind: KeyKind, fill: bytes, times: KeyTimes | None = None) -> SigningKey:
    secret = fill * 32
    return SigningKey(fingerprint(kind, secret), secret, kind, times or KeyTimes())


SHARED, OLD_SHARED = key(KeyKind.HMAC, b"n"), key(KeyKind.HMAC, b"o")
PAIR, OLD_PAIR = key(KeyKind.ED25519, b"p"), key(KeyKind.ED25519, b"q")
KEYS = (PAIR, SHARED, OLD_PAIR, OLD_SHARED)


def letter(profile: SigningProfile, body: bytes = BODY, **subscription: Any) -> Sealed:
    admitted = builders.admitted(b'{"id":"1"}', "$.id", signing=profile, **subscription)
    sealed = seal(Shaped(admitted=admitted, plaintext=body, disclosed=()), encrypt)
    assert isinstance(sealed, Sealed)
    return sealed


def headers_of(sealed: Sealed, keys: tuple[SigningKey, ...] = KEYS, **more: Any) -> dict[str, str]:
    departure = depart(sealed, keys, the_time(), **more)
    assert isinstance(departure, Departure)
    return dict(departure.headers)


def verifies_v1a(public: bytes, headers: dict[str, str], body: bytes) -> bool:
    """What Standard Webhooks says of v1a, read by hand: no published library verifies it yet."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for token in headers["webhook-signature"].split(" "):
        version, _, signature = token.partition(",")
        if version == "v1a":
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(
                    base64.b64decode(signature), content
                )
            except WrongSignature:
                continue
            return True
    return False


@dataclass
class Message:
    """A request as the verifier of RFC 9421 takes it."""

    method: str
    url: str
    headers: dict[str, str]


class Known(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> Any:
        shared = {each.fingerprint: each.secret for each in (SHARED, OLD_SHARED)}
        pairs = {pair_of(e.secret).thumbprint: pair_of(e.secret) for e in (PAIR, OLD_PAIR)}
        if key_id in shared:
            return shared[key_id]
        return Ed25519PublicKey.from_public_bytes(pairs[key_id].public)


def verify(profile: SigningProfile, message: Message) -> list[Any]:
    algorithm = ED25519 if profile is SigningProfile.RFC9421_ED25519 else HMAC_SHA256
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Known())
    return list(verifier.verify(message, expect_tag=SIGNATURE_TAG))


def message_of(sealed: Sealed, **more: str) -> Message:
    headers = {"content-type": sealed.content_type, **headers_of(sealed), **more}
    return Message("POST", "https://hooks.acme.example/in", headers)


def test_the_published_v1a_example_is_met():
    vector = VECTORS["v1a"]
    both = base64.b64decode(vector["private"].removeprefix("whsk_"))
    seed, public = both[:32], both[32:]
    assert public == pair_of(seed).public
    content = f"{vector['id']}.{vector['timestamp']}.{vector['body']}".encode()
    signature = base64.b64encode(pair_of(seed).private.sign(content)).decode()
    assert vector["signature"] == f"v1a,{signature}"


def test_the_pair_of_rfc_9421_signs_as_published():
    vector = VECTORS["base"]
    pair = pair_of(base64.urlsafe_b64decode(vector["seed"] + "="))
    assert (
        vector["signature"] == base64.b64encode(pair.private.sign(vector["base"].encode())).decode()
    )


def test_a_pair_and_its_thumbprint_are_as_rfc_8037_publishes_them():
    vector = VECTORS["pair"]
    seed = base64.urlsafe_b64decode(vector["seed"] + "=")
    (jwk,) = key_set([SigningKey("k", seed, KeyKind.ED25519)], 0)["keys"]
    assert (vector["x"], vector["thumbprint"]) == (jwk["x"], jwk["kid"])


def test_v1a_verifies_with_either_key_and_with_no_other():
    sealed = letter(SigningProfile.V1A)
    headers = headers_of(sealed)
    assert all(token.startswith("v1a,") for token in headers["webhook-signature"].split(" "))
    for each in (PAIR, OLD_PAIR):
        assert verifies_v1a(pair_of(each.secret).public, headers, BODY)
    assert not verifies_v1a(pair_of(b"x" * 32).public, headers, BODY)
    assert not verifies_v1a(pair_of(PAIR.secret).public, headers, BODY + b" ")
    assert not verifies_v1a(pair_of(PAIR.secret).public, {**headers, "webhook-id": "msg_2"}, BODY)


def test_both_kinds_stand_in_one_header_symmetric_ones_first():
    sealed = letter(SigningProfile.V1_V1A)
    headers = headers_of(sealed)
    tokens = headers["webhook-signature"].split(" ")
    assert ["v1", "v1", "v1a", "v1a"] == [token.partition(",")[0] for token in tokens]
    assert all(token.count(",") == 1 for token in tokens)
    # The reference library passes over what it does not know.
    for each in (SHARED, OLD_SHARED):
        assert Webhook(format_secret(each.secret)).verify(BODY.decode(), headers)
    assert verifies_v1a(pair_of(PAIR.secret).public, headers, BODY)


@pytest.mark.parametrize("profile", RFC9421)
def test_an_independent_verifier_takes_every_signature_and_sees_what_is_covered(profile):
    message = message_of(letter(profile))
    found = verify(profile, message)
    assert 2 == len(found)
    for each in found:
        covered, params = each.covered_components, each.parameters
        assert COVERED == [name for name in covered if name != '"@signature-params"']
        assert SIGNATURE_TAG == params["tag"]
        assert LIFE_SECONDS == params["expires"] - params["created"]
        assert str(params["created"]) == message.headers["webhook-timestamp"]
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert f"sha-256=:{digest}:" == message.headers["content-digest"]


@pytest.mark.parametrize("profile", RFC9421)
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "msg_another"),
        ("webhook-timestamp", "1"),
        ("content-type", "text/plain"),
        ("content-digest", f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"),
    ],
)
def test_an_altered_header_is_refused_by_an_independent_verifier(profile, header, value):
    with pytest.raises(InvalidSignature):
        verify(profile, message_of(letter(profile), **{header: value}))


@pytest.mark.parametrize("profile", RFC9421)
def test_a_letter_to_one_endpoint_is_none_for_another(profile):
    message = message_of(letter(profile))
    message.url = "https://hooks.acme.example/other"
    with pytest.raises(InvalidSignature):
        verify(profile, message)


@pytest.mark.parametrize("profile", RFC9421)
def test_an_answer_is_signed_with_its_status_in_the_place_of_method_and_target(profile):
    sealed = letter(profile)
    headers = headers_of(sealed, is_answer=True)
    assert '("@status" "content-type"' in headers["signature-input"]
    assert "@method" not in headers["signature-input"]


@pytest.mark.parametrize("profile", list(SigningProfile))
def test_where_a_kind_of_key_is_missing_nothing_departs(profile):
    for missing in profile.kinds:
        kept = tuple(each for each in KEYS if each.kind is not missing)
        assert Stopped(Reason.SIGNING_KEY_MISSING) == depart(letter(profile), kept, the_time())


@pytest.mark.parametrize("profile", list(SigningProfile))
def test_a_key_that_does_not_sign_now_signs_nothing(profile):
    now_us = the_time() * 1_000_000
    ended = [
        key(kind, b"e", times)
        for kind in KeyKind
        for times in (
            KeyTimes(until_us=now_us - 1),
            KeyTimes(revoked_us=now_us - 1),
            KeyTimes(active_us=now_us + 60_000_000),
        )
    ]
    without, beside = (letter(profile) for _ in range(2))
    assert Stopped(Reason.SIGNING_KEY_MISSING) == depart(without, tuple(ended), the_time())
    now = the_time()
    assert depart(beside, (*ended, *KEYS), now) == depart(beside, KEYS, now)


def test_the_older_style_with_a_time_is_made_with_the_text_of_every_shared_secret():
    compat = CompatSignature(header="X-Acme-Signature", style=CompatStyle.T_V1)
    headers = headers_of(letter(SigningProfile.V1, compat_signature=compat))
    seconds = headers["webhook-timestamp"]
    content = f"{seconds}.".encode() + BODY
    codes = [
        hmac.new(format_secret(each.secret).encode(), content, "sha256").hexdigest()
        for each in (SHARED, OLD_SHARED)
    ]
    assert f"t={seconds},v1={codes[0]},v1={codes[1]}" == headers["X-Acme-Signature"]
    assert Webhook(format_secret(SHARED.secret)).verify(BODY.decode(), headers)


def test_the_older_style_over_the_body_alone_is_made_with_the_newest_key():
    compat = CompatSignature(header="X-Hub-Signature-256", style=CompatStyle.SHA256)
    headers = headers_of(letter(SigningProfile.V1_V1A, compat_signature=compat))
    code = hmac.new(format_secret(SHARED.secret).encode(), BODY, "sha256").hexdigest()
    assert f"sha256={code}" == headers["X-Hub-Signature-256"]


def test_the_key_set_holds_what_verifies_now_and_soon_and_nothing_private():
    now_us = 1_000_000
    keys = [
        key(KeyKind.ED25519, b"1", KeyTimes(active_us=now_us + 1)),
        key(KeyKind.ED25519, b"2"),
        key(KeyKind.ED25519, b"3", KeyTimes(until_us=now_us + 1)),
        key(KeyKind.ED25519, b"4", KeyTimes(until_us=now_us)),
        key(KeyKind.ED25519, b"5", KeyTimes(revoked_us=1)),
        SHARED,
    ]
    published = key_set(keys, now_us)["keys"]
    wanted = {pair_of(each.secret).thumbprint for each in keys[:3]}
    assert wanted == {each["kid"] for each in published}
    said = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
    assert [said] * 3 == [
        {n: v for n, v in each.items() if n not in {"x", "kid"}} for each in published
    ]


def test_a_pair_shows_no_seed():
    assert "private" not in repr(pair_of(PAIR.secret))
    assert format_public(pair_of(PAIR.secret).public).startswith("whpk_")


@pytest.mark.parametrize("tried", [SHARED, PAIR], ids=["shared", "pair"])
def test_a_trial_bears_the_signature_of_the_tried_key_alone(tried: SigningKey):
    compat = CompatSignature(header="x-acme-signature", style=CompatStyle.SHA256)
    sealed = letter(SigningProfile.V1_V1A, compat_signature=compat)
    departure = depart_by((tried,), sealed, the_time())
    assert isinstance(departure, Departure)
    headers = dict(departure.headers)
    is_shared = tried is SHARED
    assert departure.signed_by == (tried.fingerprint,)
    assert headers["webhook-signature"].count(",") == 1
    assert headers["webhook-signature"].startswith("v1," if is_shared else "v1a,")
    # The older style is for shared secrets: a pair has nothing to put there.
    assert ("x-acme-signature" in headers) is is_shared
    if is_shared:
        Webhook(format_secret(tried.secret)).verify(sealed.body, headers)
    else:
        assert verifies_v1a(pair_of(tried.secret).public, headers, sealed.body)


def test_no_trial_leaves_without_a_key():
    sealed = letter(SigningProfile.V1)
    assert depart_by((), sealed, the_time()) == Stopped(Reason.SIGNING_KEY_MISSING)
