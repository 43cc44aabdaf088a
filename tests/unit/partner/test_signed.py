"""Whose signature is on a request: all of it must be covered, just now, by a key that is listed."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatcher.model.caller import Caller, CallerKind, Callers, Known
from dispatcher.partner.callers import find_callers
from dispatcher.partner.signed import SIGNED_SECONDS_MAX, Message, Signed, find_signer
from tests.support.signing import COVERED, Key, pem_of_key, sign_get

URL = "https://events.north.example/v1/refs/msg_1"
NOW = 1_800_000_000
ED25519 = Ed25519PrivateKey.generate()
P256 = generate_private_key(SECP256R1())
OTHER = Ed25519PrivateKey.generate()


def known(kid: str, key: Key) -> Known:
    return Known("acme", Caller(kid=kid, kind=CallerKind.SIGNATURE, key=pem_of_key(key)))


CALLERS = Callers({"ed": known("ed", ED25519), "ec": known("ec", P256)})


def find(headers: dict[str, str], *, url: str = URL, method: str = "GET") -> Signed | None:
    return find_signer(Message(method, url, headers), CALLERS, NOW)


def signed(key: Key = ED25519, **changed: Any) -> dict[str, str]:
    return sign_get(URL, "tkt_1", key, **({"kid": "ed", "created": NOW} | changed))


@pytest.mark.parametrize(("kid", "key"), [("ed", ED25519), ("ec", P256)])
@pytest.mark.parametrize("covered", [COVERED, ("@method", "@authority", "@path", "authorization")])
def test_a_request_that_is_signed_whole_is_its_signers(kid: str, key: Key, covered: Any):
    found = find(signed(key, kid=kid, covered=covered))
    assert found is not None
    assert found.known == CALLERS.by_kid[kid]


@pytest.mark.parametrize("left_out", ["@method", "@target-uri", "authorization"])
def test_a_signature_that_leaves_something_out_is_none(left_out: str):
    assert find(signed(covered=[each for each in COVERED if each != left_out])) is None


def test_the_host_alone_does_not_say_what_is_asked_for():
    assert find(signed(covered=("@method", "@authority", "authorization"))) is None


@pytest.mark.parametrize("off", [-SIGNED_SECONDS_MAX, 0, SIGNED_SECONDS_MAX])
def test_a_signature_may_be_a_minute_off(off: int):
    assert find(signed(created=NOW + off)) is not None


@pytest.mark.parametrize("off", [-SIGNED_SECONDS_MAX - 1, SIGNED_SECONDS_MAX + 1])
def test_a_signature_further_off_is_none(off: int):
    assert find(signed(created=NOW + off)) is None


@pytest.mark.parametrize("more", [f";expires={NOW - 1}", ';alg="hmac-sha256"', ";unheard=1"])
def test_a_signature_that_says_itself_it_does_not_hold_is_none(more: str):
    assert find(signed(more=more)) is None


def test_a_signature_without_its_time_is_none():
    headers = signed()
    headers["signature-input"] = headers["signature-input"].replace(f";created={NOW}", "")
    assert find(headers) is None


def test_another_key_under_a_listed_name_is_none():
    assert find(signed(OTHER)) is None
    assert find(signed(P256)) is None


def test_a_key_that_nobody_lists_is_none():
    assert find(signed(OTHER, kid="other")) is None


def test_a_signature_for_another_place_or_ticket_is_none():
    assert find(signed(), url=URL.replace("north", "south")) is None
    assert find(signed(), url=f"{URL}0") is None
    assert find(signed() | {"authorization": "Bearer tkt_2"}) is None
    assert find(signed(), method="HEAD") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": ""},
        {"signature": "sig=:AAAA:"},
        {"signature-input": "sig=("},
        {"signature-input": "sig=()", "signature": "sig=::"},
        {"signature-input": "x=1, " * 400},
    ],
)
def test_what_is_no_signature_is_none(changed: dict[str, str]):
    assert find(signed() | changed) is None


def test_two_signatures_are_none():
    one, two = signed(), signed(more=';nonce="n-2"')
    both = {
        name: f"{one[name]}, {two[name].replace('sig=', 'sig2=', 1)}"
        for name in ("signature", "signature-input")
    }
    assert find(one | both) is None


def test_the_same_signature_has_the_same_name_and_another_has_another():
    first, again, other = find(signed()), find(signed()), find(signed(more=';nonce="n-2"'))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.signature_id == again.signature_id != other.signature_id


def test_two_p256_signatures_of_one_text_have_one_name():
    names = {find(signed(P256, kid="ec")).signature_id for _ in range(3)}  # type: ignore[union-attr]
    assert len(names) == 1


def test_a_bad_signature_is_not_made_up_for_by_a_certificate():
    certified = Known("acme", Caller(kid="crt", kind=CallerKind.CERTIFICATE, pin="sha256/p"))
    callers = Callers({}, {"sha256/p": (certified,)})
    assert find_callers(URL, {}, "sha256/p", callers, NOW) is not None
    assert find_callers(URL, {}, "", callers, NOW) is None
    assert find_callers(URL, {}, "sha256/q", callers, NOW) is None
    for name in ("signature", "signature-input"):
        assert find_callers(URL, {name: "sig=()"}, "sha256/p", callers, NOW) is None
