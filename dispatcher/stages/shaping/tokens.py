"""What shaping asks of whoever has keys: the tokens that stand for one tenant's values.

`vault.tokens` answers for one recipient, `worker.tokens` for one letter; a preview and a producer's
tests have answers of their own. Shaping holds no key and rolls no dice: a token that must be random
and remembered is minted by the worker before the letter is shaped.
"""

from dataclasses import dataclass, field
from typing import Protocol


class Tokens(Protocol):
    """Makes the tokens of one tenant's values for one recipient.

    `text` is a value as `model.token` writes it; the same value gives the same token.
    """

    def pseudonym(self, domain: str, text: str) -> str:
        """Give a token that nobody can turn back."""

    def siv(self, domain: str, text: str) -> str:
        """Give a token that this company alone can turn back, and needs no memory for."""

    def vault(self, domain: str, text: str) -> str | None:
        """Give the random token of a value, or `None` where it was not minted yet."""

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Encrypt to a key of the recipient, or `None` where it has none of this name."""

    def ticket(self, webhook_id: str) -> str:
        """Give the ticket by which what a thin letter names is fetched."""


@dataclass(frozen=True, slots=True)
class TokensWanted:
    """Pairs of domain and text whose tokens must be minted first. Values never reach a repr."""

    values: frozenset[tuple[str, str]] = field(repr=False)
