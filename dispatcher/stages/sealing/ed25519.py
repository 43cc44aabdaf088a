"""Ed25519 key pairs, read from their seeds once, and their public halves as JWKs (RFC 8037).

Used by both ways of signing with such keys, and by whoever publishes them. A JWK is named by its
thumbprint (RFC 7638), which tells nothing of whose letters it signs: the set of all of them is
read by every partner.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatcher.model import base64url
from dispatcher.model.keys import KeyKind, KeyState, SigningKey

PAIRS_CACHED_MAX: Final = 4096
_SHOWN: Final = frozenset({KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING})


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key ready to sign, its public half, and the thumbprint of that."""

    private: Ed25519PrivateKey = field(repr=False)
    public: bytes
    thumbprint: str


@lru_cache(maxsize=PAIRS_CACHED_MAX)
def pair_of(seed: bytes) -> Pair:
    """Read the pair of a seed of 32 bytes."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    # The members a thumbprint is made of, in the order RFC 7638 wants them.
    members = f'"crv":"Ed25519","kty":"OKP","x":"{base64url.encode(public)}"'
    thumbprint = hashlib.sha256(f"{{{members}}}".encode()).digest()
    return Pair(private, public, base64url.encode(thumbprint))


def public_half(seed: bytes) -> bytes:
    """Give the public half of the pair of a seed."""
    return pair_of(seed).public


def key_set(keys: Iterable[SigningKey], now_us: int) -> dict[str, list[dict[str, str]]]:
    """Give the JWK Set (RFC 7517) of what verifies letters now, and of what soon will."""
    pairs = [
        pair_of(key.secret)
        for key in keys
        if key.kind is KeyKind.ED25519 and key.times.state(now_us) in _SHOWN
    ]
    return {"keys": [_jwk(pair) for pair in sorted(pairs, key=lambda pair: pair.thumbprint)]}


def _jwk(pair: Pair) -> dict[str, str]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64url.encode(pair.public),
        "kid": pair.thumbprint,
        "use": "sig",
        "alg": "EdDSA",
    }
