"""Opens a compact JWE (RFC 7516) that was encrypted to a key of ours.

Called by `opening` once the signature over it has proven right: who may use our private keys is the
sender alone. It takes the algorithms that were agreed and no other, whatever the letter claims.
"""

import base64
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dispatcher.receiver.keys import Jwk
from dispatcher.receiver.refusals import NotGenuine, Why

ENCRYPTED_TYPE: Final = "application/jose"
ALGORITHMS: Final = ["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"]
CIPHERTEXT_BYTES_MAX: Final = 64 << 20
_TYPES: Final[tuple[tuple[type[object], str], ...]] = (
    (EllipticCurvePrivateKey, "EC"),
    (X25519PrivateKey, "OKP"),
    (RSAPrivateKey, "RSA"),
)
PrivateKey = str | bytes | Jwk


class Opener:
    """Holds a partner's private keys by their names."""

    __slots__ = ("_decrypt", "_keys")

    def __init__(self, private_keys: Mapping[str, PrivateKey]) -> None:
        # Most receive nothing encrypted, and need the package no more than its import's time.
        from joserfc import jwe, jwk

        registry: Any = jwe.JWERegistry(algorithms=ALGORITHMS)
        registry.max_ciphertext_length = CIPHERTEXT_BYTES_MAX
        self._keys = {kid: _import(jwk, key) for kid, key in private_keys.items()}
        self._decrypt: Callable[[bytes, Any], Any] = partial(jwe.decrypt_compact, registry=registry)

    def open(self, body: bytes) -> bytes:
        """Give the plaintext."""
        try:
            kid = _kid(body)
        except (ValueError, RecursionError):
            raise NotGenuine(Why.ENCRYPTION_WRONG) from None
        if kid not in self._keys:
            raise NotGenuine(Why.KEY_UNKNOWN)
        try:
            plaintext = self._decrypt(body, self._keys[kid]).plaintext
        except Exception:  # noqa: BLE001 - whatever the library stumbles over cannot be opened
            raise NotGenuine(Why.ENCRYPTION_WRONG) from None
        return bytes(plaintext or b"")

    def __reduce__(self) -> NoReturn:
        raise TypeError("private keys cannot be pickled")


def _kid(body: bytes) -> str:
    first = body.partition(b".")[0]
    header = json.loads(base64.urlsafe_b64decode(first + b"=" * (-len(first) % 4)))
    kid = header.get("kid") if isinstance(header, dict) else None
    if not isinstance(kid, str):
        raise ValueError("no kid")
    return kid


def _import(jwk: Any, key: PrivateKey) -> Any:
    try:
        if isinstance(key, Mapping):
            found = jwk.import_key(dict(key))
        else:
            pem = key.encode() if isinstance(key, str) else key
            loaded = load_pem_private_key(pem, None)
            [name] = [name for kind, name in _TYPES if isinstance(loaded, kind)]
            found = jwk.import_key(pem, name)
    except Exception:  # noqa: BLE001 - an error of the library could repeat what it read
        raise ValueError("a private key cannot be read") from None
    if not found.is_private:
        raise ValueError("a private key is a public one")
    # The library takes a shared secret for a private key, too, and a key that only signs.
    if not isinstance(getattr(found, "private_key", None), tuple(kind for kind, _ in _TYPES)):
        raise ValueError("a private key is none of EC, X25519 and RSA")
    return found
