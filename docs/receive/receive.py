"""Receive webhooks in Python: verify `v1` and `v1a`, open what is encrypted.

    pip install cryptography joserfc

Copy `receive` and what stands above it. Run the file to try it on test vectors:

    python receive.py vectors.json
"""

import base64
import hashlib
import hmac
import json
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jwe, jwk
from joserfc.errors import JoseError

TOLERANCE_SECONDS = 300


class NotGenuine(Exception):
    """Answer 400, and do nothing else. The text is the reason."""


@dataclass
class Known:
    """What you were told, and your own private keys by their `kid`."""

    secrets: list[str] = field(default_factory=list)  # whsec_…
    public_keys: list[str] = field(default_factory=list)  # whpk_…
    private_keys: dict[str, jwk.Key] = field(default_factory=dict)
    subscriber: str = ""  # the name of your subscription


def receive(known: Known, headers: dict[str, str], body: bytes, now: float) -> dict:
    """Give the envelope. `headers` have names in lower case; `body` is what came, byte for byte."""
    webhook_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
    if webhook_id is None or timestamp is None:
        raise NotGenuine("header_missing")
    if not re.fullmatch("[0-9]{1,15}", timestamp):
        raise NotGenuine("timestamp_wrong")
    if int(timestamp) < now - TOLERANCE_SECONDS:
        raise NotGenuine("timestamp_old")
    if int(timestamp) > now + TOLERANCE_SECONDS:
        raise NotGenuine("timestamp_future")
    if "webhook-signature" not in headers:
        raise NotGenuine("signature_missing")
    content = f"{webhook_id}.{timestamp}.".encode() + body
    check_signature(known, headers["webhook-signature"], content)

    is_encrypted = headers.get("content-type", "").startswith("application/jose")
    envelope = read(decrypt(known, body) if is_encrypted else body)
    if envelope["id"] != webhook_id:
        raise NotGenuine("id_mismatch")
    if is_encrypted and envelope.get("subscriber") != known.subscriber:
        raise NotGenuine("subscriber_mismatch")
    return envelope


def check_signature(known: Known, header: str, content: bytes) -> None:
    """One good signature is enough: during a rotation there are several."""
    reason = "signature_unknown"
    for token in header.split(" "):
        version, _, encoded = token.partition(",")
        keys = {"v1": known.secrets, "v1a": known.public_keys}.get(version)
        if not keys:
            continue
        reason = "signature_wrong"
        try:
            signature = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        is_signer = is_signer_v1 if version == "v1" else is_signer_v1a
        if any(is_signer(key, signature, content) for key in keys):
            return
    raise NotGenuine(reason)


def is_signer_v1(secret: str, signature: bytes, content: bytes) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return hmac.compare_digest(hmac.digest(key, content, hashlib.sha256), signature)


def is_signer_v1a(public_key: str, signature: bytes, content: bytes) -> bool:
    raw = base64.b64decode(public_key.removeprefix("whpk_"))
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def decrypt(known: Known, body: bytes) -> bytes:
    registry = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"])
    registry.max_ciphertext_length = 64 << 20  # 64 KiB, if not said
    try:
        key = known.private_keys.get(jwe.extract_compact(body, registry).headers()["kid"])
    except Exception:
        raise NotGenuine("encryption_wrong") from None
    if key is None:
        raise NotGenuine("key_unknown")
    try:
        return jwe.decrypt_compact(body, key, registry=registry).plaintext
    except Exception:
        raise NotGenuine("encryption_wrong") from None


def read(plaintext: bytes) -> dict:
    try:
        envelope = json.loads(plaintext)
    except ValueError:
        envelope = None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("id"), str):
        raise NotGenuine("body_wrong")
    return envelope


def read_private_key(pem: str) -> jwk.Key:
    for kind in ("EC", "OKP", "RSA"):
        with suppress(JoseError):
            return jwk.import_key(pem, kind)
    raise ValueError("neither EC, nor OKP, nor RSA")


if __name__ == "__main__":
    for vector in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        keys = {kid: read_private_key(pem) for kid, pem in vector["private_keys"].items()}
        told = Known(vector["secrets"], vector["public_keys"], keys, vector["subscriber"])
        named = {name.lower(): value for name, value in vector["headers"]}
        try:
            opened = receive(told, named, vector["body"].encode(), vector["now"])
            print("genuine", opened["id"], opened["type"], opened["data"]["order"]["note"])
        except NotGenuine as refused:
            print(refused)
