"""The tokens of a letter that is only shown: those that may be seen, and in the place of others
something of the same form.

Given to shaping by `previews`. A ticket is never shown, for whoever bears it may fetch. A token of
a value tells whoever chose the value who it is elsewhere, so it is shown only to those who may see
what events hold. Nothing is minted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dispatcher.stages.shaping.tokens import Tokens

UNMINTED: Final = "vlt_1" + "x" * 26
"""Stands for a random token that is made when a letter with its value is first sent."""
_HEAD: Final = re.compile(r"[a-z]+_(?:[0-9]+_|1(?=[a-z2-7]))?")
_TICKET_HEAD: Final = "tkt_"


@dataclass(frozen=True, slots=True)
class ShownTokens:
    """Answers shaping for a preview. `known` are tokens of the vault, by domain and text."""

    real: Tokens = field(repr=False)
    known: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    is_blind: bool = True

    def pseudonym(self, domain: str, text: str) -> str:
        """Give the pseudonym, or what looks like one."""
        return self._shown(self.real.pseudonym(domain, text))

    def siv(self, domain: str, text: str) -> str:
        """Give the token, or what looks like one."""
        return self._shown(self.real.siv(domain, text))

    def vault(self, domain: str, text: str) -> str | None:
        """Give the token that was minted, or what looks like one."""
        if self.is_blind:
            return UNMINTED
        return self.real.vault(domain, text) or self.known.get((domain, text), UNMINTED)

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Encrypt as for a letter: only the partner can open it."""
        return self.real.encrypt(kid, plaintext)

    def ticket(self, webhook_id: str) -> str:
        """Give what looks like the ticket."""
        return blank(self.real.ticket(webhook_id), len(_TICKET_HEAD))

    def _shown(self, token: str) -> str:
        if not self.is_blind:
            return token
        head = _HEAD.match(token)
        return blank(token, head.end() if head is not None else 0)


def blank(token: str, kept: int) -> str:
    """Give a token with nothing left of it but its kind and its length."""
    return token[:kept] + "x" * (len(token) - kept)
