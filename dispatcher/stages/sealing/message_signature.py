"""HTTP message signatures (RFC 9421) with a content digest (RFC 9530), in one fixed profile.

    "@method" "@target-uri" "content-type" "content-digest" "webhook-id" "webhook-timestamp"

Called by `signature` in the instant before the first byte. `@target-uri` binds a letter to its own
endpoint, so it cannot be played to another; an answer to a fetch has a status in the place of both.
The set of components never varies, so the text that is signed is written straight, and nothing is
parsed; every value in it was checked by whoever made it, and the wire checks each line once more.
"""

import base64
import hashlib
import hmac
from typing import Final

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.keys import SIGNATURE_TAG, KeyKind, SigningKey
from dispatcher.stages.sealing.ed25519 import pair_of

LIFE_SECONDS: Final = 300
"""How long after it was made a signature counts: as long as Standard Webhooks' tolerance."""
_REQUEST: Final = '"@method" "@target-uri"'
_ANSWER: Final = '"@status"'
_FIELDS: Final = '"content-type" "content-digest" "webhook-id" "webhook-timestamp"'


def sign_message(
    keys: tuple[SigningKey, ...],
    endpoint: Endpoint | None,
    content_type: str,
    body: bytes,
    webhook_id: str,
    now_seconds: int,
) -> tuple[tuple[str, str], ...]:
    """Give the three headers that sign a letter to an endpoint, or an answer where there is none.

    One signature for each key, `sig1` the newest.
    """
    digest = f"sha-256=:{_encode(hashlib.sha256(body).digest())}:"
    if endpoint is None:
        covered, place = _ANSWER, '"@status": 200\n'
    else:
        target = f"{endpoint.scheme}://{endpoint.authority}{endpoint.target}"
        covered, place = _REQUEST, f'"@method": POST\n"@target-uri": {target}\n'
    lines = (
        f'{place}"content-type": {content_type}\n"content-digest": {digest}\n'
        f'"webhook-id": {webhook_id}\n"webhook-timestamp": {now_seconds}\n"@signature-params": '
    )
    inputs, signatures = [], []
    for number, key in enumerate(keys, start=1):
        key_id, algorithm = _named(key)
        inputs.append(
            f"({covered} {_FIELDS});created={now_seconds};expires={now_seconds + LIFE_SECONDS}"
            f';keyid="{key_id}";alg="{algorithm}";tag="{SIGNATURE_TAG}"'
        )
        signatures.append(f"sig{number}=:{_encode(_sign(key, (lines + inputs[-1]).encode()))}:")
    listed = (f"sig{number}={params}" for number, params in enumerate(inputs, start=1))
    return (
        ("content-digest", digest),
        ("signature-input", ", ".join(listed)),
        ("signature", ", ".join(signatures)),
    )


def _named(key: SigningKey) -> tuple[str, str]:
    if key.kind is KeyKind.ED25519:
        return pair_of(key.secret).thumbprint, "ed25519"
    return key.fingerprint, "hmac-sha256"


def _sign(key: SigningKey, base: bytes) -> bytes:
    if key.kind is KeyKind.ED25519:
        return pair_of(key.secret).private.sign(base)
    return hmac.digest(key.secret, base, "sha256")


def _encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
