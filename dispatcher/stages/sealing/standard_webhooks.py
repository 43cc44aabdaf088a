"""Standard Webhooks: `v1` is HMAC-SHA256 and `v1a` Ed25519, over id, timestamp and the exact body.

Called by `signature` in the instant before the first byte; the text forms are used by key commands
and by receivers. A secret never appears in an error or a repr. A token of the header holds exactly
one comma, for that is where receivers split it.
"""

import base64
import binascii
import hashlib
from functools import lru_cache
from typing import Final

from dispatcher.model.keys import KeyKind, SigningKey
from dispatcher.model.mac import Mac
from dispatcher.stages.sealing.ed25519 import pair_of, public_half

KEYS_CACHED_MAX: Final = 4096
_SHARED_PREFIX: Final = "whsec_"
_PUBLIC_PREFIX: Final = "whpk_"


def sign_tokens(keys: tuple[SigningKey, ...], content: bytes) -> str:
    """Give the value of `webhook-signature`: a token for each key, in the order given."""
    return " ".join([_sign(key, content) for key in keys])


def _sign(key: SigningKey, content: bytes) -> str:
    if key.kind is KeyKind.HMAC:
        version, signature = "v1,", _mac_of(key.secret).code(content)
    else:
        version, signature = "v1a,", pair_of(key.secret).private.sign(content)
    return version + binascii.b2a_base64(signature, newline=False).decode()


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _mac_of(secret: bytes) -> Mac:
    return Mac(secret)


def format_secret(secret: bytes) -> str:
    """Write a shared secret as partners receive it."""
    return _SHARED_PREFIX + base64.b64encode(secret).decode()


def format_public(public: bytes) -> str:
    """Write a public key as partners receive it."""
    return _PUBLIC_PREFIX + base64.b64encode(public).decode()


def fingerprint(kind: KeyKind, secret: bytes) -> str:
    """Name a key by 8 hex digits of a hash: of the shared secret, or of the public half."""
    named = secret if kind is KeyKind.HMAC else public_half(secret)
    return hashlib.sha256(named).hexdigest()[:8]
