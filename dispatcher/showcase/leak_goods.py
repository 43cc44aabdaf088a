"""What the leak guard is measured on: texts labelled by hand, and families made with a seed.

Used by `bench leakguard` and by its test. The labelled texts are the file that the tests keep; the
wheel carries it beside this module. Everything is made up or published for tests.
"""

import base64
import string
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.leak import Detector
from dispatcher.model.path import parse_path
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.checksums import (
    IBAN_LENGTHS,
    is_bsn,
    is_card,
    is_dni,
    is_iban,
    is_luhn,
    is_pesel,
    is_steuer_id,
)

_CAPITALS: Final = string.ascii_uppercase
_HEX: Final = "0123456789abcdef"
_SIGNS: Final = string.ascii_letters + string.digits
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One text in one field, and what it truly holds that the field's class does not declare."""

    text: str
    finds: frozenset[Detector]
    path: str = "$.note"
    category: Category = Category.OTHER

    @property
    def scope(self) -> Scope:
        """The scope of that one field."""
        return Scope.of((field_of(self.path, self.category),))


class _Corpus(msgspec.Struct):
    about: str
    cases: tuple[Case, ...]


def field_of(path: str, category: Category = Category.OTHER) -> Field:
    """Make a granted field."""
    return Field(parse_path(path), "pass", "string", category, Sensitivity.INTERNAL)


def labelled() -> tuple[Case, ...]:
    """Read the texts labelled by hand."""
    checkout = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "leaks.json"
    file = checkout if checkout.is_file() else Path(__file__).with_name("leaks.json")
    return msgspec.json.decode(file.read_bytes(), type=_Corpus).cases


def _some(chance: Random, signs: str, count: int) -> str:
    return "".join(chance.choices(signs, k=count))


def _digits(chance: Random, count: int) -> str:
    return _some(chance, string.digits, count)


def _true(confirm: Callable[[str], bool], draw: Callable[[], str]) -> str:
    """Draw until the sum is right."""
    return next(text for text in iter(draw, None) if confirm(text))


def _moment(chance: Random) -> datetime:
    return _BEGAN + timedelta(microseconds=chance.randrange(365 * 86_400 * 10**6))


_HARMLESS: Final[dict[str, Callable[[Random], str]]] = {
    "16 digits": lambda chance: _digits(chance, 16),
    "18 digits": lambda chance: _digits(chance, 18),
    "4-4-4-4 digits": lambda chance: "-".join(_digits(chance, 4) for _ in range(4)),
    "3-2-4 digits": lambda chance: "-".join(_digits(chance, count) for count in (3, 2, 4)),
    "milliseconds": lambda chance: str(int(_moment(chance).timestamp() * 1000)),
    "microseconds": lambda chance: str(int(_moment(chance).timestamp() * 10**6)),
    "date and time": lambda chance: _moment(chance).isoformat(),
    "IMEI": lambda chance: _true(is_luhn, lambda: "35" + _digits(chance, 13)),
    "EAN-13": lambda chance: "400" + _digits(chance, 10),
    "UUID": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "SHA-256": lambda chance: _some(chance, _HEX, 64),
    "MD5": lambda chance: _some(chance, _HEX, 32),
    "ULID": lambda chance: "01" + _some(chance, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24),
    "21 letters and digits": lambda chance: _some(chance, _SIGNS + "_-", 21),
    "tracking 1Z": lambda chance: "1Z" + _some(chance, _CAPITALS + string.digits, 16),
    "tracking, country": lambda chance: f"{_some(chance, _CAPITALS, 2)}{_digits(chance, 9)}DE",
    "like an IBAN": lambda chance: f"DE{_digits(chance, 20)}",
    "product code": lambda chance: f"{_some(chance, _CAPITALS, 3)}-{_digits(chance, 5)}-B",
    "price": lambda chance: f"{chance.randrange(10**7) / 100:.2f}",
}


def harmless(chance: Random, count: int) -> Iterator[tuple[str, list[str]]]:
    """Give families of harmless ids."""
    for name, draw in _HARMLESS.items():
        yield name, [draw(chance) for _ in range(count)]


def _grouped(chance: Random, text: str, sizes: tuple[int, ...]) -> str:
    by = chance.choice((" ", "-", "\N{NO-BREAK SPACE}"))
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return by.join(parts)


def _card(chance: Random) -> str:
    start = chance.choice(("4", "51", "55", "2221", "6011", "3530"))
    number = _true(is_card, lambda: start + _digits(chance, 16 - len(start)))
    ways = (_grouped(chance, number, (4, 4, 4, 4)), f"card {number}", f"Visa/MC: {number}", number)
    return chance.choice(ways)


def _iban(chance: Random) -> str:
    country = chance.choice(sorted(IBAN_LENGTHS))
    body = _digits(chance, IBAN_LENGTHS[country] - 4)
    known = next(text for sum_ in range(2, 99) if is_iban(text := f"{country}{sum_:02d}{body}"))
    return chance.choice((known, known.lower(), _grouped(chance, known, (4,) * 9).strip(" -\xa0")))


def _jwt(chance: Random) -> str:
    parts = (b'{"typ":"JWT","alg":"RS256"}', b'{"sub":"%d"}' % chance.randrange(10**9))
    head, body = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.{_some(chance, _SIGNS + '-_', 86)}"


def _key(chance: Random) -> str:
    return chance.choice(
        (
            f"sk_live_{_some(chance, _SIGNS, 24)}",
            f"ghp_{_some(chance, _SIGNS, 36)}",
            f"AKIA{_some(chance, _CAPITALS + '234567', 16)}",
            f"whsec_{_some(chance, _SIGNS, 32)}",
            f"xoxb-{_digits(chance, 12)}-{_some(chance, _SIGNS, 24)}",
        )
    )


def _phone(chance: Random) -> str:
    return chance.choice(
        (
            f"+1 202-555-01{_digits(chance, 2)}",
            f"+44 7700 900{_digits(chance, 3)}",
            f"+493023125{_digits(chance, 3)}",
            f"tel. 01632 960{_digits(chance, 3)}",
            f"mobile: (202) 555-01{_digits(chance, 2)}",
        )
    )


def _dni(chance: Random) -> str:
    return _true(is_dni, lambda: _digits(chance, 8) + chance.choice(_CAPITALS))


_SENSITIVE: Final[dict[Detector, Callable[[Random], str]]] = {
    Detector.CARD: _card,
    Detector.IBAN: _iban,
    Detector.JWT: _jwt,
    Detector.API_KEY: _key,
    Detector.PHONE: _phone,
    Detector.EMAIL: lambda chance: (
        f"{_some(chance, _SIGNS + '._', 6)}{_some(chance, _SIGNS, 2)}"
        f"@{_some(chance, _SIGNS, 5)}.example.{chance.choice(('com', 'org', 'co.uk'))}"
    ),
    Detector.US_SSN: lambda chance: f"SSN 2{_digits(chance, 2)}-{chance.randrange(10, 100)}-1234",
    Detector.DE_STEUER_ID: lambda chance: (
        "Steuer-ID " + _true(is_steuer_id, lambda: _digits(chance, 11))
    ),
    Detector.NL_BSN: lambda chance: f"BSN {_true(is_bsn, lambda: _digits(chance, 9))}",
    Detector.ES_DNI: lambda chance: f"DNI: {_dni(chance)}",
    Detector.PL_PESEL: lambda chance: f"pesel={_true(is_pesel, lambda: _digits(chance, 11))}",
}
_SENTENCES: Final = (
    "{}",
    "Please use {} from now on.",
    "order 4711, {}",
    "Kundin schrieb: {} (2026-11-02)",
    '{{"x":"{}"}}',
    "a\n{}\nb",
)


def sensitive(chance: Random, count: int) -> Iterator[Case]:
    """Give texts that hold what they should not, so many for each detector that has a family."""
    for detector, draw in _SENSITIVE.items():
        for _ in range(count):
            text = chance.choice(_SENTENCES).format(draw(chance))
            yield Case(text=text, finds=frozenset({detector}))


_LETTER: Final[Mapping[str, tuple[str, Category]]] = {
    "$.order.id": ("ord_8f3a2b1c9d", Category.OTHER),
    "$.order.placed_at": ("2026-11-02T10:00:00.123456Z", Category.OTHER),
    "$.order.state": ("shipped", Category.OTHER),
    "$.total.currency": ("EUR", Category.OTHER),
    "$.total.amount": ("49.99", Category.OTHER),
    "$.customer.name": ("Ada Lovelace", Category.PII),
    "$.customer.email": ("ada@example.com", Category.CONTACT),
    "$.address.city": ("Berlin", Category.PII),
    "$.address.postcode": ("10117", Category.PII),
    "$.address.country": ("DE", Category.PII),
    "$.trace.id": ("7d444840-9dc0-11d1-b245-5ffdce74fad2", Category.OTHER),
    "$.parcel.code": ("1Z999AA10123456784", Category.OTHER),
    "$.parcel.carrier": ("parcel-post", Category.OTHER),
    "$.digest": ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c", Category.OTHER),
}


def clean_letter(size: int, note: str = "") -> tuple[Scope, list[str], list[int]]:
    """Make 15 leaves of so many bytes in which there is nothing to find, but for the note given."""
    held = {path: text for path, (text, _) in _LETTER.items()}
    filler = "left with the neighbour on the second floor, as agreed; "
    left = size - sum(map(len, held.values())) - len(note)
    held["$.delivery.note"] = note + (filler * (left // len(filler) + 1))[:left]
    classes = {path: category for path, (_, category) in _LETTER.items()}
    scope = Scope.of(tuple(field_of(path, classes.get(path, Category.OTHER)) for path in held))
    paths = [parse_path(path) for path in held]
    places = [next(at for at, f in enumerate(scope.fields) if f.path == path) for path in paths]
    return scope, list(held.values()), places
