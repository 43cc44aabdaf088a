"""Standard Webhooks `v1`: HMAC-SHA256 over id, timestamp and the exact body.

`depart` is called by the transport in the instant before the first byte, so the timestamp is that
of the attempt; the text forms are used by key commands and by receivers. A secret never appears in
an error or a repr.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from dispatcher.model.keys import KeyKind, SigningKey, live_keys
from dispatcher.model.letter import Departure, Sealed, Stopped
from dispatcher.model.verdict import Reason

_PREFIX: Final = "whsec_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64


def depart(sealed: Sealed, keys: tuple[SigningKey, ...], now_seconds: int) -> Departure | Stopped:
    """Make the headers of this attempt: one signature for each live key, in the order given."""
    live = live_keys(keys, now_seconds * 1_000_000)
    signing = [key for key in live if key.kind is KeyKind.HMAC]
    if not signing:
        return Stopped(Reason.SIGNING_KEY_MISSING)
    webhook_id = sealed.leased.webhook_id
    content = f"{webhook_id}.{now_seconds}.".encode() + sealed.body
    return Departure(
        (
            ("webhook-id", webhook_id),
            ("webhook-timestamp", str(now_seconds)),
            ("webhook-signature", " ".join(sign(key.secret, content) for key in signing)),
        )
    )


def sign(secret: bytes, content: bytes) -> str:
    """Sign prepared content with one secret; the result is one token of the header."""
    return "v1," + base64.b64encode(hmac.digest(secret, content, "sha256")).decode()


def format_secret(secret: bytes) -> str:
    """Write a secret as partners receive it."""
    return _PREFIX + base64.b64encode(secret).decode()


def parse_secret(text: str) -> bytes:
    """Read a `whsec_` secret; `ValueError` says what is wrong without repeating it."""
    if not text.startswith(_PREFIX):
        raise ValueError(f"a signing secret starts with {_PREFIX!r}")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the signing secret is not standard base64") from None
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError(f"a signing secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return secret


def fingerprint(secret: bytes) -> str:
    """Name a secret by 8 hex digits of its hash."""
    return hashlib.sha256(secret).hexdigest()[:8]
