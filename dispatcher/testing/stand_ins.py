"""Tokens for tests: of the right form and with the right joins, made with no key.

Given to shaping by `partners`. As on the wire, the same value is the same token inside one partner
and domain, and another one elsewhere. They are not what a partner is sent, and protect nothing.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from dispatcher.model.token import TokenKind

_BYTES: Final = 16
_SIV_BYTES: Final = 32
"""A siv token is longer than the others, for its value is in it."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """Stand for the tokens of one tenant and connector; `kids` are the keys the partner gave."""

    tenant: str
    connector: str
    kids: frozenset[str]

    def pseudonym(self, domain: str, text: str) -> str:
        """Give what looks like a pseudonym."""
        return f"{TokenKind.PSEUDONYM}_1_{self._code('pseudonym', domain, text)}"

    def siv(self, domain: str, text: str) -> str:
        """Give what looks like a token that can be turned back without a memory."""
        return f"{TokenKind.SIV}_1_{self._code('siv', domain, text, length=_SIV_BYTES)}"

    def vault(self, domain: str, text: str) -> str:
        """Give what looks like a token of the vault: nothing has to be minted here."""
        return f"{TokenKind.VAULT}_1_{self._code('vault', domain, text)}"

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Give what stands for a text encrypted to a key, where the partner has this one."""
        if kid not in self.kids:
            return None
        return f"encrypted.to.{kid}.{self._code('encrypt', kid, plaintext.decode())}"

    def ticket(self, webhook_id: str) -> str:
        """Give what looks like a ticket."""
        return f"tkt_{self._code('ticket', '', webhook_id)}"

    def _code(self, *about: str, length: int = _BYTES) -> str:
        parts = (self.tenant, self.connector, *about)
        text = "".join(f"{len(each)}:{each}" for each in parts)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return base64.b32encode(digest[:length]).decode().rstrip("=").lower()
