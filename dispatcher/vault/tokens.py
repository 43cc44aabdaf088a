"""Tokens that stand for values: the same inside one tenant, partner and domain, unlike elsewhere.

`recipient` is called by the courier for each letter; what it gives answers shaping's questions
(`stages.shaping.tokens`). Every key is derived from the keyring's root for one tenant and one
connector, so two partners cannot join their copies. A token says its kind and the version of its
key; no value and no key reaches a repr.
"""

import base64
import hmac
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dispatcher.model.partner_key import PartnerKey
from dispatcher.vault.field_encryption import encrypt_field
from dispatcher.vault.keyring import Keyring

VERSION: Final = 1
PSEUDONYM_PREFIX: Final = f"tok_{VERSION}"
SIV_PREFIX: Final = f"siv_{VERSION}"
TICKET_PREFIX: Final = "tkt_"
RECIPIENTS_CACHED_MAX: Final = 4096
_PSEUDONYM_BYTES: Final = 16
_TICKET_BYTES: Final = 24
_KEY_BYTES: Final = 32
_SIV_KEY_BYTES: Final = 64


class TokenKeys:
    """Derives the keys of every recipient from one keyring."""

    def __init__(self, keyring: Keyring) -> None:
        root = keyring.key(keyring.root)

        def make(tenant: str, connector: str, keys: tuple[PartnerKey, ...] = ()) -> "Recipient":
            return Recipient(root, tenant, connector, keys)

        self.recipient = lru_cache(maxsize=RECIPIENTS_CACHED_MAX)(make)


class Recipient:
    """Makes the tokens of one tenant's values for one connector."""

    def __init__(
        self, root: bytes, tenant: str, connector: str, keys: tuple[PartnerKey, ...]
    ) -> None:
        self._about = _prefixed("dispatcher tokens v1") + _prefixed(tenant) + _prefixed(connector)
        self._root = root
        self._partner_keys = {key.kid: key for key in keys}
        self._keys: dict[tuple[str, str], bytes] = {}

    def pseudonym(self, domain: str, text: str) -> str:
        """Give a token that nobody can turn back."""
        code = hmac.digest(self._key("pseudonym", domain, _KEY_BYTES), _bytes(text), "sha256")
        return PSEUDONYM_PREFIX + _written(code[:_PSEUDONYM_BYTES])

    def siv(self, domain: str, text: str) -> str:
        """Give a token that this company alone can turn back."""
        cipher = AESSIV(self._key("siv", domain, _SIV_KEY_BYTES))
        return SIV_PREFIX + _written(cipher.encrypt(_bytes(text), [self._about, domain.encode()]))

    def vault(self, domain: str, text: str) -> str | None:  # noqa: ARG002
        """Give the random token of a value, or `None` where it was not minted yet."""
        return None

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Encrypt to a key of the recipient, or `None` where it has none of this name."""
        key = self._partner_keys.get(kid)
        return None if key is None else encrypt_field(key, plaintext)

    def ticket(self, webhook_id: str) -> str:
        """Give the ticket by which what a thin letter names is fetched."""
        key = self._key("ticket", "", _KEY_BYTES)
        code = hmac.digest(key, webhook_id.encode(), "sha256")[:_TICKET_BYTES]
        return TICKET_PREFIX + base64.urlsafe_b64encode(code).decode()

    def _key(self, use: str, domain: str, length: int) -> bytes:
        key = self._keys.get((use, domain))
        if key is None:
            info = self._about + _prefixed(use) + _prefixed(domain)
            derived = HKDF(algorithm=SHA256(), length=length, salt=None, info=info)
            key = self._keys[use, domain] = derived.derive(self._root)
        return key

    def __repr__(self) -> str:
        return "Recipient()"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _written(code: bytes) -> str:
    return base64.b32encode(code).decode().rstrip("=").lower()


def _prefixed(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded
