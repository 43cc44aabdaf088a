"""Tokens that stand for a value with one partner: how they are written, and what they stand for.

    tok_1_<26 signs>   a pseudonym: the same value gives the same one, and nobody can turn it back
    siv_1_<signs>      a value closed by a key: whoever has the key can open it
    vlt_1_<26 signs>   chance alone: a row of the vault says what it stands for, until it is erased

Between the underscores is the version of the partner's key. Made by `vault.tokens`, read by
`control.detokenising`. A value is written canonically first, so that what is one thing to people
has one token; a text and a number never have the same.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn

VERSION_MAX: Final = 9999
FOLDED_DOMAIN: Final = "email"
"""The one domain in which capitals and small letters are the same."""

TokenValue = str | int | float | bool

_TOKEN: Final = re.compile(
    r"(?:(?P<fixed>tok|vlt)_(?P<v>[1-9][0-9]{0,3})_[a-z2-7]{26}"
    r"|siv_(?P<w>[1-9][0-9]{0,3})_[a-z2-7]{28,200000})\Z"
)


class TokenKind(StrEnum):
    """How a token came about, by the word it begins with."""

    PSEUDONYM = "tok"
    SIV = "siv"
    VAULT = "vlt"


@dataclass(frozen=True, slots=True)
class PartnerToken:
    """A token as a partner has it. Its text is in no repr, for a siv token is its value, closed."""

    kind: TokenKind
    version: int
    text: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Name the token for the record, without giving it to whoever reads the record."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The secret that all tokens of one partner and one version hang on, and nothing else does."""

    connector: str
    version: int
    secret: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token key cannot be pickled")


def parse_token(text: str) -> PartnerToken | None:
    """Read a token; `None` for what is none."""
    found = _TOKEN.match(text)
    if found is None:
        return None
    version = found["v"] or found["w"]
    return PartnerToken(TokenKind(text[:3]), int(version), text)


def write_value(value: object) -> str:
    """Write a scalar with a mark of its type before it, as tokens are made from it."""
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, bool):
        return "btrue" if value else "bfalse"
    # JSON does not tell 7.0 from 7.
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return f"n{whole!r}"


def read_value(text: str) -> TokenValue:
    """Give the scalar that `write_value` wrote."""
    mark, written = text[:1], text[1:]
    if mark == "s":
        return written
    if mark == "b":
        return written == "true"
    return float(written) if set(written) & set(".e") else int(written)


def canonical(domain: str, text: str) -> str:
    """Give the one spelling of a written value: composed (NFC), without blanks at its ends.

    In the domain `email` capitals count as small letters.
    """
    if text[:1] != "s":
        return text
    spelled = text[1:] if text.isascii() else unicodedata.normalize("NFC", text[1:])
    spelled = spelled.strip()
    if domain == FOLDED_DOMAIN:
        spelled = unicodedata.normalize("NFC", spelled.casefold())
    return f"s{spelled}"
