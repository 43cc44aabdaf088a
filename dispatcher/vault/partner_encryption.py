"""Encrypts to a partner's key: a compact JWE (RFC 7516) that only its holder can open.

Called by `tokens` for the action `encrypt`, and by whoever seals a letter. The keys were checked
when the registry was judged or their set was found, and are read here once. A content key is drawn
for every call, and reaches the partner by `ECDH-ES+A256KW` from an ephemeral key of the same call,
or by `RSA-OAEP-256` (RFC 7518). It never says what it encrypts, and never falls back to another
key. Composed here of whole primitives, for half of what a library takes: decision 0007.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from dispatcher.model import base64url
from dispatcher.model.partner_key import CONTENT_ALGORITHM, PartnerKey, describe, read_jwk

KEYS_CACHED_MAX: Final = 4096
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16

_Public = EllipticCurvePublicKey | X25519PublicKey | RSAPublicKey


def encrypt_field(key: PartnerKey, plaintext: bytes) -> str | None:
    """Encrypt a single value to a key, or give nothing where that cannot be done with it.

    Every call takes fresh randomness, so equal values look different.
    """
    algorithm, _ = describe(key)
    header = {"alg": algorithm, "enc": CONTENT_ALGORITHM, "kid": key.kid}
    return encrypt(key, header, plaintext)


def encrypt(key: PartnerKey, header: Mapping[str, str], plaintext: bytes) -> str | None:
    """Encrypt under this protected header, or give nothing where the key cannot do it.

    What is sent has the ephemeral key in it too; `apu` and `apv` enter the agreement.
    """
    content_key, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)
    try:
        protected, wrapped = _wrap(_import(key.jwk), header, content_key)
    except (JoseError, ValueError):  # a point of small order, for one, shows only here
        return None
    first = base64url.encode(msgspec.json.encode(protected))
    sealed = AESGCM(content_key).encrypt(nonce, plaintext, first.encode())
    parts = (wrapped, nonce, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    return ".".join((first, *map(base64url.encode, parts)))


def derive(secret: bytes, algorithm: str, header: Mapping[str, str], key_bytes: int) -> bytes:
    """Derive a key for an algorithm from an agreed secret: Concat KDF, RFC 7518, 4.6.2."""
    parties = (base64url.decode(header.get(name, "")) for name in ("apu", "apv"))
    info = b"".join(len(each).to_bytes(4, "big") + each for each in (algorithm.encode(), *parties))
    bits = (key_bytes * 8).to_bytes(4, "big")
    return ConcatKDFHash(SHA256(), key_bytes, info + bits).derive(secret)


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _import(jwk: str) -> _Public:
    public = import_key(read_jwk(jwk)).public_key
    if isinstance(public, _Public):
        return public
    raise ValueError("nothing is encrypted to keys of this kind")


def _wrap(
    public: _Public, header: Mapping[str, str], content_key: bytes
) -> tuple[Mapping[str, Any], bytes]:
    """Give the header to send, and the content key as the partner gets it."""
    if isinstance(public, RSAPublicKey):
        return header, public.encrypt(content_key, OAEP(MGF1(SHA256()), SHA256(), None))
    ephemeral, secret = _agree(public)
    wrapping_key = derive(secret, header["alg"], header, _KEY_BYTES)
    return {**header, "epk": ephemeral}, aes_key_wrap(wrapping_key, content_key)


def _agree(public: EllipticCurvePublicKey | X25519PublicKey) -> tuple[dict[str, str], bytes]:
    """Draw an ephemeral key: give its public JWK, and the secret it shares with the partner."""
    if isinstance(public, X25519PublicKey):
        mine = X25519PrivateKey.generate()
        x = base64url.encode(mine.public_key().public_bytes_raw())
        return {"kty": "OKP", "crv": "X25519", "x": x}, mine.exchange(public)
    own = generate_private_key(SECP256R1())
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    x, y = map(base64url.encode, (point[1:33], point[33:]))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}, own.exchange(ECDH(), public)
