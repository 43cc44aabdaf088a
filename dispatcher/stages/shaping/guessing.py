"""Guess the class of a leaf from its name and from what its sample values look like.

Called by `inferring`. It leans to the graver class and never proposes less than confidential: to
call a field harmless is for a person. It says why in words that quote no value.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.stages.shaping.checksums import is_iban, is_luhn

_SAID: Final[Mapping[Category, str]] = {
    Category.CREDENTIAL: (
        "password passwd passphrase passcode pwd pin otp token jwt bearer authorization cookie "
        "session apikey credential auth"
    ),
    Category.SECRET: "secret private privatekey salt hmac seed cvv cvc",
    Category.GOVERNMENT_ID: (
        "ssn passport nino nin tin taxid itin licence license bsn cpf curp nif nie pesel dni "
        "aadhaar"
    ),
    Category.HEALTH: (
        "health diagnosis diagnoses allergy allergies blood medication patient medical disability "
        "symptom icd treatment prescription disease pregnancy"
    ),
    Category.FINANCIAL: (
        "iban bic swift card pan account bank salary income wage credit debit tax balance price "
        "amount total payment invoice"
    ),
    Category.CONTACT: (
        "email mail phone mobile cell tel telephone fax address street city zip zipcode postcode "
        "postal contact"
    ),
    Category.PII: (
        "name firstname lastname fullname surname forename nickname username login birth birthday "
        "birthdate born dob gender sex age nationality ethnicity religion ip useragent device lat "
        "lon lng latitude longitude location photo avatar person user customer employee subject "
        "recipient"
    ),
}
"""What a word in a name says, the gravest category first."""
_WORDS: Final = {category: frozenset(words.split()) for category, words in _SAID.items()}
_PAIRS: Final[Mapping[tuple[str, str], Category]] = {
    ("api", "key"): Category.CREDENTIAL,
    ("access", "key"): Category.CREDENTIAL,
    ("private", "key"): Category.SECRET,
    ("national", "id"): Category.GOVERNMENT_ID,
    ("tax", "id"): Category.GOVERNMENT_ID,
    ("user", "agent"): Category.PII,
}
_GRAVEST: Final = tuple(_WORDS)
_RESTRICTED: Final = frozenset(
    {Category.CREDENTIAL, Category.SECRET, Category.GOVERNMENT_ID, Category.HEALTH}
)
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SHAPES: Final[tuple[tuple[str, Category, re.Pattern[str]], ...]] = (
    (
        "key or token",
        Category.CREDENTIAL,
        re.compile(
            r"-----BEGIN|eyJ[\w-]{5,}\.[\w-]+\.|(?:sk|rk|pk)_(?:live|test)_|gh[opusr]_\w{10}"
            r"|github_pat_|AKIA[0-9A-Z]{12}|whsec_|xox[abprs]-|glpat-|AIza[\w-]{20}|Bearer "
        ),
    ),
    ("social security number", Category.GOVERNMENT_ID, re.compile(r"\d{3}-\d{2}-\d{4}\Z")),
    ("e-mail address", Category.CONTACT, re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}\.[^\s@]{2,63}")),
    ("telephone number", Category.CONTACT, re.compile(r"(?:\+|00)[1-9][\d ()./-]{6,20}\Z")),
)
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}\Z")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?\Z")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


@dataclass(frozen=True, slots=True)
class Guess:
    """A class, and why, without a value."""

    category: Category
    sensitivity: Sensitivity
    why: str


def guess(names: Iterable[str], values: Iterable[str]) -> Guess:
    """Guess the class of a leaf: `names` lead to it from the root, `values` are samples."""
    hints = [(category, f"the name says so ({word})") for word, category in _named(tuple(names))]
    shapes = sorted({shape for value in values for shape in recognise(value)})
    hints += [(_CATEGORIES[shape], f"values look like: {shape}") for shape in shapes]
    personal = [hint for hint in hints if hint[0] in _GRAVEST]
    if not personal:
        seen = [why for _, why in hints]
        why = "; ".join((*seen, "nothing personal recognised: confidential until it is looked at"))
        return Guess(Category.OTHER, Sensitivity.CONFIDENTIAL, why)
    category, why = min(personal, key=lambda hint: _GRAVEST.index(hint[0]))
    is_grave = category in _RESTRICTED or "card number" in shapes
    sensitivity = Sensitivity.RESTRICTED if is_grave else Sensitivity.CONFIDENTIAL
    return Guess(category, sensitivity, f"{category}: {why}")


def recognise(value: str) -> frozenset[str]:
    """Name every shape that a value has."""
    found = {shape for shape, _, pattern in _SHAPES if pattern.match(value)}
    plain = value.replace(" ", "").replace("-", "")
    if plain.isascii() and plain.isdigit() and 13 <= len(plain) <= 19 and is_luhn(plain):
        found.add("card number")
    if _IBAN.match(plain) and is_iban(plain):
        found.add("IBAN")
    if _is_address(value):
        found.add("IP address")
    if _DATE.match(value):
        found.add("date")
    if _UUID.match(value):
        found.add("UUID")
    return frozenset(found)


_CATEGORIES: Final[Mapping[str, Category]] = {
    **{shape: category for shape, category, _ in _SHAPES},
    "card number": Category.FINANCIAL,
    "IBAN": Category.FINANCIAL,
    "IP address": Category.PII,
    "date": Category.OTHER,
    "UUID": Category.OTHER,
}


def _named(names: tuple[str, ...]) -> Iterable[tuple[str, Category]]:
    """Give the words of the nearest name that says anything, each with what it says."""
    for name in reversed(names):
        parts = [part.lower() for part in _PART.findall(name)]
        words = [*parts, "".join(parts)]
        found = [
            (word, category)
            for word in words
            for category, known in _WORDS.items()
            if word in known or word.removesuffix("s") in known
        ]
        pairs = pairwise(parts)
        found += [(" ".join(pair), _PAIRS[pair]) for pair in pairs if pair in _PAIRS]
        if found:
            return found
    return []


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
