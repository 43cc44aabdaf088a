"""Tokens of one tenant's values for one partner: made, and, where their kind allows it, opened.

Every key hangs on two secrets, the keyring's root and the partner's own, which lies sealed in the
registry and is destroyed when the partner is retired; then nothing of this can be done again, also
with a copy of the outbox. Keys differ by tenant, partner, version, domain and use, so two partners
cannot join their copies. A `Recipient` answers shaping's questions (`stages.shaping.tokens`), but
for vault tokens, which take a memory: the worker's. It keeps no value, and shows no key.
"""

import base64
import binascii
import os
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from dispatcher.model.errors import SealBroken
from dispatcher.model.mac import Mac
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.token import TokenKey, TokenKind, canonical
from dispatcher.vault.deriving import derive, prefixed
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.partner_encryption import encrypt_field
from dispatcher.vault.xaes import KEY_BYTES, NONCE_BYTES, TAG_BYTES, Xaes

CODE_BYTES: Final = 16
SIV_KEY_BYTES: Final = 64
TICKET_BYTES: Final = 24
TICKET_PREFIX: Final = "tkt_"
_FORMAT: Final = b"\x01"
_PURPOSE: Final = "dispatcher token v1"
_SIGNS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = tuple(first + second for first in _SIGNS for second in _SIGNS)
_SHIFTS: Final = tuple(range(120, -1, -10))


class TokenKeys:
    """Derives the keys of every recipient from one keyring and the recipient's own secret."""

    def __init__(self, keyring: Keyring) -> None:
        self._root = keyring.key(keyring.root)

    def recipient(
        self, tenant: str, key: TokenKey, partner_keys: tuple[PartnerKey, ...] = ()
    ) -> "Recipient":
        """Give what makes and opens the tokens of a tenant's values for the partner of this key.

        `partner_keys` are the partner's own, for fields that only they shall read.
        """
        return Recipient(self._root, tenant, key, partner_keys)

    def __repr__(self) -> str:
        return "TokenKeys()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("token keys cannot be pickled")


class Recipient:
    """Makes and opens the tokens of one tenant's values for one partner and version of its key.

    `text` is a written value (`model.token`); what is one spelling of it to people has one token.
    """

    def __init__(
        self, root: bytes, tenant: str, key: TokenKey, partner_keys: tuple[PartnerKey, ...]
    ) -> None:
        self._root = root
        self._secret = key.secret
        self._whose = (tenant, key.connector, str(key.version))
        self._heads = {kind: f"{kind}_{key.version}_" for kind in TokenKind}
        self._pseudonym_head = self._heads[TokenKind.PSEUDONYM]
        self._partner_keys = {each.kid: each for each in partner_keys}
        self._codes: dict[tuple[str, str], Mac] = {}
        self._sivs: dict[str, AESSIV] = {}
        self._rows: dict[str, Xaes] = {}

    def pseudonym(self, domain: str, text: str) -> str:
        """Give a token that nobody can turn back."""
        return self._pseudonym_head + _spell(self._code("pseudonym", domain, text)[:CODE_BYTES])

    def siv(self, domain: str, text: str) -> str:
        """Give a token that this company alone can turn back, and needs no memory for."""
        plain = canonical(domain, text).encode()
        closed = self._siv(domain).encrypt(plain, [self._bind(domain)])
        code = base64.b32encode(closed).decode().rstrip("=").lower()
        return self._heads[TokenKind.SIV] + code

    def open_siv(self, domain: str, token: str) -> str | None:
        """Open a siv token; `None` where it is not of this tenant, partner, version and domain."""
        head = self._heads[TokenKind.SIV]
        code = token.removeprefix(head)
        if code == token:
            return None
        try:
            closed = base64.b32decode(code.upper() + "=" * (-len(code) % 8))
            text = self._siv(domain).decrypt(closed, [self._bind(domain)]).decode()
        except (InvalidTag, binascii.Error, ValueError):
            return None
        # The last sign has bits that mean nothing: one token has one spelling.
        return text if self.siv(domain, text) == token else None

    def vault(self, domain: str, text: str) -> str | None:  # noqa: ARG002
        """Give the random token of a value: none, for there is no memory here."""
        return None

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Encrypt to a key of the recipient, or `None` where it has none of this name."""
        key = self._partner_keys.get(kid)
        return None if key is None else encrypt_field(key, plaintext)

    def ticket(self, webhook_id: str) -> str:
        """Give the ticket by which what a thin letter names is fetched."""
        code = self._code("ticket", "", f"s{webhook_id}")[:TICKET_BYTES]
        return TICKET_PREFIX + base64.urlsafe_b64encode(code).decode()

    def blind(self, domain: str, text: str) -> bytes:
        """Give by what the vault finds a value again, without knowing it."""
        return self._code("blind", domain, text)

    def draw(self) -> str:
        """Draw a vault token: 128 random bits that mean nothing."""
        return self._heads[TokenKind.VAULT] + _spell(os.urandom(CODE_BYTES))

    def seal(self, domain: str, token: str, text: str) -> bytes:
        """Close what a vault token stands for, bound to that token."""
        nonce = os.urandom(NONCE_BYTES)
        plain = canonical(domain, text).encode()
        return _FORMAT + nonce + self._row(domain).seal(nonce, plain, self._bind(domain, token))

    def open(self, domain: str, token: str, sealed: bytes) -> str:
        """Give what a vault token stands for. Raises `SealBroken` where it is not that token's."""
        nonce, closed = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] == _FORMAT and len(closed) >= TAG_BYTES:
            try:
                return self._row(domain).open(nonce, closed, self._bind(domain, token)).decode()
            except InvalidTag:
                pass
        raise SealBroken(
            "a row of the vault does not open: it was altered or moved, or the key is another",
            where="vault_tokens",
            fix="see whether the keyring is the one this database was written with",
        )

    def _code(self, use: str, domain: str, text: str) -> bytes:
        mac = self._codes.get((use, domain))
        if mac is None:
            mac = self._codes[use, domain] = Mac(self._derive(use, domain))
        return mac.code(canonical(domain, text).encode())

    def _siv(self, domain: str) -> AESSIV:
        cipher = self._sivs.get(domain)
        if cipher is None:
            cipher = self._sivs[domain] = AESSIV(self._derive("siv", domain, SIV_KEY_BYTES))
        return cipher

    def _row(self, domain: str) -> Xaes:
        cipher = self._rows.get(domain)
        if cipher is None:
            cipher = self._rows[domain] = Xaes(self._derive("vault", domain))
        return cipher

    def _derive(self, use: str, domain: str, length: int = KEY_BYTES) -> bytes:
        purpose = (_PURPOSE, use, *self._whose, domain)
        return derive(self._root, *purpose, salt=self._secret, length=length)

    def _bind(self, domain: str, *more: str) -> bytes:
        return b"".join(map(prefixed, (*self._whose, domain, *more)))

    def __repr__(self) -> str:
        return "Recipient()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("token keys cannot be pickled")


def _spell(code: bytes) -> str:
    """Write 128 bits in base32 of small letters, twice as fast as the library does."""
    number = int.from_bytes(code, "big") << 2
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
