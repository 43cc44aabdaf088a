"""A receiver lets through what is genuine, says why it does not, and keeps its secrets."""

import pickle
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from joserfc.jwk import OctKey, OKPKey
from multidict import CIMultiDict

from dispatcher.receiver.opening import Message, NotGenuine, Receiver, Why
from tests.support.receiving import VECTORS
from tests.vectors import make_receiving

Vector = dict[str, Any]
BY_NAME = {vector["name"]: vector for vector in VECTORS}
CLEAR = BY_NAME["v1"]
ENCRYPTED = BY_NAME["jwe, ECDH on P-256"]
SIGNED = BY_NAME["rfc9421-ed25519"]
SHARED = OctKey.generate_key(256).as_dict(private=True)
FOR_SIGNING = OKPKey.generate_key("Ed25519").as_dict(private=True)


def receiver(vector: Vector, **more: Any) -> Receiver:
    known = ("secrets", "public_keys", "private_keys", "url", "subscriber")
    given = {name: vector[name] for name in known} | {"clock": lambda: vector["now"]} | more
    return Receiver(**given)


def open_vector(vector: Vector, **more: Any) -> Message:
    body = vector["body"].encode()
    return receiver(vector, **more).open(vector["headers"], body, method=vector["method"])


def refusal(call: Callable[[], object]) -> Why:
    with pytest.raises(NotGenuine) as caught:
        call()
    return caught.value.code


GENUINE = [vector for vector in VECTORS if vector["verdict"] == "genuine"]
REFUSED = [vector for vector in VECTORS if vector["verdict"] != "genuine"]


@pytest.mark.parametrize("vector", GENUINE, ids=lambda vector: vector["name"])
def test_what_is_genuine_is_opened(vector: Vector):
    message = open_vector(vector)
    assert message.id == "msg_859bd0731d1bde08742f2a1b21a59e9a"
    assert message.type == "order.paid"
    assert message.timestamp == "2026-11-23T19:48:44.326761Z"
    order = {"id": "o-1", "note": "für Zoë", "total": 18446744073709551617}
    assert message.data == message.envelope["data"] == {"order": order}


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector["name"])
def test_what_is_not_genuine_is_refused_with_its_reason(vector: Vector):
    assert refusal(lambda: open_vector(vector)) == vector["verdict"]


def test_the_vectors_show_every_reason_that_a_sender_can_cause():
    assert set(Why) - {vector["verdict"] for vector in VECTORS} == {Why.ID_WRONG}


@pytest.mark.parametrize("vector", [CLEAR, ENCRYPTED, SIGNED], ids=["v1", "jwe", "rfc9421"])
def test_no_byte_of_the_body_can_be_changed(vector: Vector):
    one, body = receiver(vector), bytearray(vector["body"].encode())
    for place in range(len(body)):
        body[place] ^= 1
        why = refusal(partial(one.open, vector["headers"], bytes(body)))
        assert why in {Why.SIGNATURE_WRONG, Why.DIGEST_WRONG}
        body[place] ^= 1


@pytest.mark.parametrize("vector", [CLEAR, SIGNED], ids=["v1", "rfc9421"])
def test_no_header_that_counts_can_be_missing(vector: Vector):
    for place, (name, _) in enumerate(vector["headers"]):
        headers = [*vector["headers"][:place], *vector["headers"][place + 1 :]]
        if name == "content-type" and vector is CLEAR:
            continue
        assert refusal(partial(receiver(vector).open, headers, vector["body"].encode()))


def test_any_mapping_of_headers_will_do():
    body = CLEAR["body"].encode()
    named = {name.title(): f" {value}" for name, value in CLEAR["headers"]}
    assert receiver(CLEAR).open(named, body).type == "order.paid"
    several = CIMultiDict(map(tuple, CLEAR["headers"]))
    assert receiver(CLEAR).open(several, body).type == "order.paid"
    several.add("WEBHOOK-TIMESTAMP", "1")
    assert refusal(lambda: receiver(CLEAR).open(several, body)) is Why.HEADER_REPEATED


@pytest.mark.parametrize("webhook_id", ["", "a.1", 'a"', "a\nb", "a\n", "ä", "x" * 65])
def test_an_id_that_could_blur_what_was_signed_is_refused(webhook_id: str):
    headers = dict(CLEAR["headers"]) | {"webhook-id": webhook_id}
    assert refusal(lambda: receiver(CLEAR).open(headers, b"{}")) is Why.ID_WRONG


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-signature", ""),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,ä"),
        ("webhook-signature", "v1,\udcff"),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "1" * 5000),
        ("webhook-timestamp", "１７９５４６３３６１"),
        ("signature", "sig=:ä:"),
        ("signature", "sig"),
        ("signature-input", 'sig=("@method"' + '"' * 999),
        ("signature-input", "sig=();created=" + "9" * 5000),
        ("content-type", "\udcff"),
        ("content-digest", "\udcff"),
        ("content-digest", ""),
    ],
)
def test_a_header_that_is_no_text_of_ours_is_refused(name: str, value: str):
    for vector in (CLEAR, SIGNED):
        headers = dict(vector["headers"])
        if name in headers and (vector is SIGNED or name != "content-type"):
            sent = headers | {name: value}
            assert refusal(partial(receiver(vector).open, sent, vector["body"].encode()))


@pytest.mark.parametrize(("before", "is_taken"), [(15, True), (16, False)])
def test_only_so_many_signatures_are_looked_at(before: int, is_taken: bool):
    good = dict(CLEAR["headers"])["webhook-signature"]
    headers = dict(CLEAR["headers"]) | {"webhook-signature": "v1,AAAA " * before + good}
    sent = partial(receiver(CLEAR).open, headers, CLEAR["body"].encode())
    assert sent() if is_taken else refusal(sent) is Why.SIGNATURE_WRONG


@pytest.mark.parametrize(("before", "is_taken"), [(15, True), (16, False)])
def test_only_so_many_http_signatures_are_looked_at(before: int, is_taken: bool):
    headers = dict(SIGNED["headers"])
    others = [f's{number}=("@method");created=1;tag="another"' for number in range(before)]
    headers["signature-input"] = ", ".join([*others, headers["signature-input"]])
    headers["signature"] = ",".join(
        [*(f"s{n}=:AA==:" for n in range(before)), headers["signature"]]
    )
    sent = partial(receiver(SIGNED).open, headers, SIGNED["body"].encode())
    assert sent() if is_taken else refusal(sent) is Why.SIGNATURE_MISSING


def test_a_large_letter_is_opened_too():
    large = make_receiving.TO_SUBSCRIBER.replace("o-1", "o" * 200_000)
    body = make_receiving.ecdh("p256-1", large)
    signature = make_receiving.v1(make_receiving.NEW, body)
    headers = make_receiving.standard(signature, media="application/jose")
    message = receiver(ENCRYPTED).open(headers, body.encode())
    assert message.data["order"]["id"] == "o" * 200_000


def test_another_tolerance_can_be_asked_for():
    late = CLEAR | {"now": CLEAR["now"] + 30}
    assert open_vector(late, tolerance_seconds=30)
    assert refusal(lambda: open_vector(late, tolerance_seconds=29)) is Why.TIMESTAMP_OLD


def test_a_key_of_a_published_set_is_asked_by_its_name():
    x = "C3yRNGeiGuT2CpcpB9rhDMTUr5ZYKwX-DLCgM6rIRWI"
    known = [{"kty": "OKP", "crv": "Ed25519", "kid": "2026-10", "use": "sig", "x": x}]
    assert refusal(lambda: open_vector(SIGNED, public_keys=known)) is Why.KEY_UNKNOWN
    known[0]["kid"] = "2026-11"
    assert refusal(lambda: open_vector(SIGNED, public_keys=known)) is Why.SIGNATURE_WRONG


def test_without_its_own_url_no_signature_that_names_one_is_taken():
    assert refusal(lambda: open_vector(SIGNED, url=None)) is Why.SIGNATURE_UNKNOWN


def test_an_answer_is_not_taken_for_a_request_nor_a_request_for_an_answer():
    body = SIGNED["body"].encode()
    why = refusal(lambda: receiver(SIGNED).open(SIGNED["headers"], body, status=200))
    assert why is Why.SIGNATURE_INCOMPLETE


def test_the_caller_is_asked_whether_a_genuine_letter_was_dealt_with_before():
    asked: list[str] = []
    open_vector(CLEAR, seen=lambda webhook_id: asked.append(webhook_id) or False)
    assert asked == [dict(CLEAR["headers"])["webhook-id"]]
    assert open_vector(CLEAR, seen=lambda _: True).is_repeat
    forged = BY_NAME["a flipped byte"]
    refusal(lambda: open_vector(forged, seen=lambda _: pytest.fail("asked of a forgery")))


def test_whom_a_letter_is_meant_for_counts_only_where_it_is_known():
    stray = BY_NAME["jwe meant for another subscription"]
    assert open_vector(stray, subscriber=None).envelope["subscriber"] == "acme-stock"


def test_nothing_encrypted_is_opened_without_a_private_key():
    assert refusal(lambda: open_vector(ENCRYPTED, private_keys=None)) is Why.KEY_UNKNOWN


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"secrets": ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
        {"secrets": ["whsec_c2hvcnQ="]},
        {"secrets": ["whsec_!c2hvcnQ"]},
        {"secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {"public_keys": ["whpk_c2hvcnQ="]},
        {"public_keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": "AA"}]},
        {
            "secrets": CLEAR["secrets"],
            "private_keys": {"k": "-----BEGIN PRIVATE KEY-----\nc2hvcnQ="},
        },
        {"secrets": CLEAR["secrets"], "private_keys": {"k": {"kty": "oct", "k": "c2hvcnQ"}}},
        {"secrets": CLEAR["secrets"], "private_keys": {"k": SHARED}},
        {"secrets": CLEAR["secrets"], "private_keys": {"k": FOR_SIGNING}},
        {"secrets": CLEAR["secrets"], "private_keys": {"k": {"kty": "EC", "d": "c2hvcnQ"}}},
        {
            "secrets": CLEAR["secrets"],
            "private_keys": {"k": make_receiving.point(make_receiving.P256.public_key())},
        },
    ],
)
def test_a_key_that_is_none_is_refused_at_once_and_not_repeated(given: dict[str, Any]):
    with pytest.raises((ValueError, TypeError)) as caught:
        Receiver(**given)
    assert "hvcnQ" not in str(caught.value)
    assert "MfKQ" not in str(caught.value)


def test_secrets_are_in_no_repr_no_pickle_and_no_traceback():
    vector = BY_NAME["jwe, a flipped byte under a fresh signature"]
    one = receiver(vector)
    private = [line for line in vector["private_keys"]["p256-1"].splitlines() if "---" not in line]
    hidden = [vector["secrets"][0].removeprefix("whsec_"), *private]
    shown = [repr(one), str(one)]
    try:
        one.open(vector["headers"], vector["body"].encode())
    except NotGenuine as refused:
        # The first frame is this test's own, which knows what it gave.
        refused.__traceback__ = refused.__traceback__.tb_next
        frames = traceback.TracebackException.from_exception(refused, capture_locals=True)
        shown += [
            "".join(frames.format()),
            repr(refused),
            repr(pickle.loads(pickle.dumps(refused))),
        ]
    assert len(shown) == 5
    parts = [getattr(one, name) for name in Receiver.__slots__]
    shown.append(repr(parts))
    assert [text for text in shown for secret in hidden if secret in text] == []
    for kept in (one, one._secrets[0], one._opener):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(kept)


def test_a_message_shows_nothing_of_what_it_says():
    assert "o-1" not in repr(open_vector(CLEAR))


def test_the_vectors_are_those_that_their_script_makes():
    assert make_receiving.make() == make_receiving.FILE.read_text(encoding="utf-8")
