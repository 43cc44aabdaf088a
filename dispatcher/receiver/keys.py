"""The keys a partner was told: secrets it shares with the sender, and the sender's public keys.

Read once, when a `Receiver` is made; asked by the two ways of signing beside it. A secret is in no
repr, no pickle and no error.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Jwk = Mapping[str, object]

SHARED_PREFIX: Final = "whsec_"
PUBLIC_PREFIX: Final = "whpk_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64


class Secret:
    """A secret shared with the sender."""

    __slots__ = ("_secret",)

    def __init__(self, text: str) -> None:
        self._secret = _decode(text, SHARED_PREFIX)
        if not SECRET_BYTES_MIN <= len(self._secret) <= SECRET_BYTES_MAX:
            raise ValueError(f"a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")

    def is_signer(self, signature: bytes, content: bytes) -> bool:
        """Whether this is the HMAC-SHA256 of the content, found out in constant time."""
        return hmac.compare_digest(hmac.digest(self._secret, content, "sha256"), signature)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key of the sender; `kid` is its name, where one was told."""

    key: Ed25519PublicKey
    kid: str | None = None

    def is_signer(self, signature: bytes, content: bytes) -> bool:
        """Whether the sender signed the content with it."""
        try:
            self.key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def read_secrets(texts: Iterable[str]) -> tuple[Secret, ...]:
    """Read `whsec_` secrets; `ValueError` says what is wrong without repeating one."""
    if isinstance(texts, str):
        raise TypeError("secrets are given as a list")
    return tuple(Secret(text) for text in texts)


def read_public_keys(keys: Iterable[str | Jwk]) -> tuple[PublicKey, ...]:
    """Read `whpk_` keys, or the JWKs of a published set."""
    if isinstance(keys, str | Mapping):
        raise TypeError("public keys are given as a list")
    return tuple(_read_public_key(key) for key in keys)


def _read_public_key(key: str | Jwk) -> PublicKey:
    if isinstance(key, str):
        return PublicKey(Ed25519PublicKey.from_public_bytes(_decode(key, PUBLIC_PREFIX)))
    kid, x = key.get("kid"), key.get("x")
    if (key.get("kty"), key.get("crv")) != ("OKP", "Ed25519") or not isinstance(x, str):
        raise ValueError("a JWK of the sender has kty OKP and crv Ed25519")
    raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
    return PublicKey(Ed25519PublicKey.from_public_bytes(raw), kid if isinstance(kid, str) else None)


def _decode(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise ValueError(f"a key of this kind starts with {prefix!r}")
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:
        raise ValueError(f"what follows {prefix!r} is not standard base64") from None
