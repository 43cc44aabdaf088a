"""The tokens of a letter that is only shown: those that may be seen, and in the place of others
something of the same form.

Given to shaping by `previews`. A ticket is never shown, for whoever bears it may fetch. A token of
a value tells whoever chose the value who it is elsewhere, so it is shown only to those who may see
what events hold. Nothing is minted.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from dispatcher.model.token import TokenKind
from dispatcher.vault.tokens import Recipient

_HEAD: Final = re.compile(r"[a-z]+_(?:[0-9]+_)?")
_TICKET_HEAD: Final = "tkt_"
_CODE: Final = "x" * 26

Blind = tuple[str, str]
"""A domain, and the keyed hash by which the vault finds a value."""


class ShownTokens:
    """Answers shaping for a preview.

    `real` gives what makes the partner's tokens, and is asked only where a token is needed. `known`
    are tokens of the vault; `wanted` are the values it should be asked about.
    """

    def __init__(
        self,
        real: Callable[[], Recipient],
        version: int,
        *,
        is_blind: bool,
        known: Mapping[Blind, str] | None = None,
    ) -> None:
        self._real = real
        self._unminted = f"{TokenKind.VAULT}_{version}_{_CODE}"
        self._is_blind = is_blind
        self._known = known or {}
        self.wanted: set[Blind] = set()

    def pseudonym(self, domain: str, text: str) -> str:
        """Give the pseudonym, or what looks like one."""
        return self._shown(self._real().pseudonym(domain, text))

    def siv(self, domain: str, text: str) -> str:
        """Give the token, or what looks like one."""
        return self._shown(self._real().siv(domain, text))

    def vault(self, domain: str, text: str) -> str:
        """Give the token that was minted, or what looks like one."""
        blind = domain, self._real().blind(domain, text).hex()
        if self._is_blind:
            return self._unminted
        self.wanted.add(blind)
        return self._known.get(blind, self._unminted)

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Encrypt as for a letter: only the partner can open it."""
        return self._real().encrypt(kid, plaintext)

    def ticket(self, webhook_id: str) -> str:
        """Give what looks like the ticket."""
        return blank(self._real().ticket(webhook_id), len(_TICKET_HEAD))

    def _shown(self, token: str) -> str:
        if not self._is_blind:
            return token
        head = _HEAD.match(token)
        return blank(token, head.end() if head is not None else 0)


def blank(token: str, kept: int) -> str:
    """Give a token with nothing left of it but its kind and its length."""
    return token[:kept] + "x" * (len(token) - kept)
