"""A partner's public key: whole letters, or single fields, are encrypted to it.

Checked when a registry is judged, or when it is found in the partner's own set: a public key of a
kind that is strong and widely read, and nothing else in it. The text is a JWK (RFC 7517).
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal

import msgspec

from dispatcher.model import base64url
from dispatcher.model.paper import STRICT
from dispatcher.model.schema import read_json

CONTENT_ALGORITHM: Final = "A256GCM"
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
RSA_EXPONENT_BITS_MAX: Final = 32
"""Beyond these a partner's key would cost every letter milliseconds, and others' letters too."""
_MEMBERS: Final = {"EC": {"x", "y"}, "OKP": {"x"}, "RSA": {"n", "e"}}
PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JWK that nobody but its owner may know."""
_CURVES: Final = {"EC": "P-256", "OKP": "X25519"}
_ALGORITHMS: Final = {"EC": "ECDH-ES+A256KW", "OKP": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}
_RSA_BITS_MAX: Final = {"n": RSA_BITS_MAX, "e": RSA_EXPONENT_BITS_MAX}
_POINT_BYTES: Final = 32
_PRIMES: Final = {"EC": 2**256 - 2**224 + 2**192 + 2**96 - 1, "OKP": 2**255 - 19}
"""What coordinates are counted by: each is written in one way, below it."""
_SAID: Final = frozenset({"kty", "crv", "use", "alg", "kid", "key_ops"})
_OPERATIONS: Final = frozenset({"deriveKey", "deriveBits", "wrapKey", "encrypt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerKey:
    """One key: the name that grants call it by, and the JWK as text."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    kid: str
    jwk: str


def read_jwk(text: str) -> dict[str, Any]:
    """Read a public key for encryption; `ValueError` says why it is none, and quotes nothing.

    P-256, X25519, or RSA of 2048 bits and more. Its numbers are given as RFC 7518 writes them, so
    that one key has one thumbprint, however it came.
    """
    jwk = read_json(text.encode())
    if not isinstance(jwk, dict):
        raise ValueError("a JWK is a JSON object")
    if not PRIVATE.isdisjoint(jwk):
        raise ValueError("it holds a private key: take it back, and ask for a new one")
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise ValueError("its kty is none of EC, OKP and RSA")
    if kind in _CURVES and jwk.get("crv") != _CURVES[kind]:
        raise ValueError(f"its crv is not {_CURVES[kind]}")
    if jwk.get("use", "enc") != "enc":
        raise ValueError("its use is not enc")
    if jwk.get("alg", algorithm_of(jwk)) != algorithm_of(jwk):
        raise ValueError(f"its alg is not {algorithm_of(jwk)}")
    operations = jwk.get("key_ops", [])
    if not isinstance(operations, list) or not _OPERATIONS.issuperset(map(str, operations)):
        raise ValueError("its key_ops are not those of encryption")
    if jwk.keys() - _SAID - _MEMBERS[kind]:
        raise ValueError("it has members that a public key has not")
    for name in _MEMBERS[kind]:
        jwk[name] = _rewrite(kind, name, _read_octets(jwk.get(name)))
    return jwk


def algorithm_of(jwk: dict[str, Any]) -> str:
    """Give the one key-management algorithm (RFC 7518) that a key of this kind is used with."""
    return _ALGORITHMS[jwk["kty"]]


def without_more(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is read of a published key: whatever else its owner says about it stays out."""
    named = _SAID | _MEMBERS.get(str(jwk.get("kty")), set())
    return {name: value for name, value in jwk.items() if name in named}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Name a key by its content (RFC 7638, SHA-256): the same wherever it lies, under any kid."""
    names = {"kty", *_MEMBERS[jwk["kty"]], *({"crv"} if jwk["kty"] in _CURVES else ())}
    digest = hashlib.sha256(msgspec.json.encode({name: jwk[name] for name in sorted(names)}))
    return base64url.encode(digest.digest())


@lru_cache(maxsize=4096)
def describe(key: PartnerKey) -> tuple[str, str]:
    """Give the algorithm that a key is used with, and its thumbprint."""
    jwk = read_jwk(key.jwk)
    return algorithm_of(jwk), thumbprint(jwk)


def _rewrite(kind: str, name: str, octets: bytes) -> str:
    """Write a number of a key in the one way there is."""
    if kind == "OKP" and len(octets) != _POINT_BYTES:
        raise ValueError(f"its {name} has not {_POINT_BYTES} bytes")
    order: Literal["little", "big"] = "little" if kind == "OKP" else "big"
    number = int.from_bytes(octets, order)
    if kind in _PRIMES:
        if number >= _PRIMES[kind]:
            raise ValueError("it is no point of its curve")
        return base64url.encode(number.to_bytes(_POINT_BYTES, order))
    if name == "n" and number.bit_length() < RSA_BITS_MIN:
        raise ValueError(f"it has fewer than {RSA_BITS_MIN} bits")
    if number.bit_length() > _RSA_BITS_MAX[name]:
        raise ValueError(f"its {name} has more than {_RSA_BITS_MAX[name]} bits")
    if not number % 2:
        raise ValueError(f"its {name} is even")
    return base64url.encode(number.to_bytes(-(-number.bit_length() // 8), order))


def _read_octets(text: object) -> bytes:
    try:
        if isinstance(text, str):
            padded = text.encode() + b"=" * (-len(text) % 4)
            return base64.b64decode(padded, b"-_", validate=True)
    except (binascii.Error, ValueError):
        pass
    raise ValueError("a member of it is not base64url")
