"""The final body, its hash and its signature."""

import base64
import hashlib
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from dispatcher.model.ids import WebhookId
from dispatcher.model.keys import KeyKind, SigningKey
from dispatcher.model.letter import Admitted, Departure, Sealed, Shaped, Stopped
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.sealing.ed25519 import public_half
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart
from dispatcher.stages.sealing.standard_webhooks import fingerprint, format_secret
from dispatcher.vault.partner_encryption import encrypt
from tests.unit.stages import builders

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "signatures.json").read_text())
OLD, NEW = SigningKey("old", b"o" * 32), SigningKey("new", b"n" * 32)


def sealed(body: bytes = b'{"id":"msg_1"}', webhook_id: str = "msg_1") -> Sealed:
    policy = builders.snapshot()
    cleared = preflight(
        builders.leased(webhook_id=WebhookId(webhook_id)), policy, builders.cleared().scope
    )
    admitted = Admitted(cleared=cleared, addresses=("8.8.8.8",))  # type: ignore[arg-type]
    letter = seal(Shaped(admitted=admitted, plaintext=body, disclosed=()), encrypt)
    assert isinstance(letter, Sealed)
    return letter


def the_time() -> int:
    """Now, since receivers refuse what is older than five minutes."""
    return int(datetime.now(UTC).timestamp())


def headers_of(letter: Sealed, *keys: SigningKey, now: int | None = None) -> dict[str, str]:
    departure = depart(letter, keys, the_time() if now is None else now)
    assert isinstance(departure, Departure)
    return dict(departure.headers)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["note"])
def test_published_signatures_are_met(vector):
    key = SigningKey("known", base64.b64decode(vector["secret"].removeprefix("whsec_")))
    letter = sealed(vector["body"].encode(), vector["id"])
    assert {
        "webhook-id": vector["id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": vector["signature"],
    } == headers_of(letter, key, now=vector["timestamp"])


@pytest.mark.parametrize("key", [OLD, NEW])
def test_while_keys_overlap_a_receiver_with_either_verifies(key):
    letter = sealed()
    receiver = Webhook(format_secret(key.secret))
    assert {"id": "msg_1"} == receiver.verify(letter.body.decode(), headers_of(letter, NEW, OLD))


def test_each_token_holds_exactly_one_comma_and_the_first_key_comes_first():
    both = headers_of(sealed(), NEW, OLD)["webhook-signature"].split(" ")
    assert [1, 1] == [token.count(",") for token in both]
    assert headers_of(sealed(), NEW)["webhook-signature"] == both[0]


def test_without_a_key_nothing_departs():
    assert Stopped(Reason.SIGNING_KEY_MISSING) == depart(sealed(), (), the_time())


def test_the_body_is_the_plaintext_itself_and_the_hash_is_of_the_body():
    letter = sealed()
    assert letter.shaped.plaintext is letter.body
    assert hashlib.sha256(letter.body).digest() == letter.body_sha256
    assert "application/json" == letter.content_type


def test_a_secret_is_named_by_eight_hex_digits():
    assert 8 == len(fingerprint(KeyKind.HMAC, NEW.secret))
    assert fingerprint(KeyKind.HMAC, OLD.secret) != fingerprint(KeyKind.HMAC, NEW.secret)
    public = hashlib.sha256(public_half(NEW.secret)).hexdigest()[:8]
    assert public == fingerprint(KeyKind.ED25519, NEW.secret)
    assert public != fingerprint(KeyKind.HMAC, NEW.secret)


def test_a_signing_key_shows_no_secret_and_cannot_be_pickled():
    assert "nnnn" not in repr(NEW)
    with pytest.raises(TypeError):
        pickle.dumps(NEW)
