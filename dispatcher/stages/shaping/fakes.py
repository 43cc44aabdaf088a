"""Values that stand for real ones and cannot be taken for them.

Called by `synthetic` and `masking`. Each is drawn from ranges that are nobody's: names under
example.com (RFC 2606), addresses for documentation (RFC 5737, RFC 3849), telephone numbers kept for
drama (Ofcom), account and card numbers that are published for tests. What is drawn is a number made
of a seed, so the same seed gives the same values on every machine; there are no dice here.
"""

import hmac
import re
from collections.abc import Mapping
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from dispatcher.model.classification import Category


class Kind(Enum):
    """What a text looks like."""

    EMAIL = auto()
    PHONE = auto()
    IPV4 = auto()
    IPV6 = auto()
    UUID = auto()
    DATE = auto()
    DATE_TIME = auto()
    TIME = auto()
    URI = auto()
    HOSTNAME = auto()
    IBAN = auto()
    CARD = auto()
    TEXT = auto()


_FORMATS: Final = {
    "email": Kind.EMAIL,
    "idn-email": Kind.EMAIL,
    "ipv4": Kind.IPV4,
    "ipv6": Kind.IPV6,
    "uuid": Kind.UUID,
    "date": Kind.DATE,
    "date-time": Kind.DATE_TIME,
    "time": Kind.TIME,
    "uri": Kind.URI,
    "uri-reference": Kind.URI,
    "iri": Kind.URI,
    "hostname": Kind.HOSTNAME,
    "idn-hostname": Kind.HOSTNAME,
}
_WORDS: Final = (
    (Kind.EMAIL, re.compile(r"e?-?mail"), (Category.CONTACT, Category.PII)),
    (Kind.PHONE, re.compile(r"phone|mobile|msisdn|fax|\btel\b"), (Category.CONTACT, Category.PII)),
    (Kind.IBAN, re.compile(r"iban"), (Category.FINANCIAL,)),
    (Kind.CARD, re.compile(r"card|\bpan\b"), (Category.FINANCIAL,)),
)
_LOOKS: Final = (
    (Kind.EMAIL, re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")),
    (Kind.DATE, re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)),
    (Kind.DATE_TIME, re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}", re.ASCII)),
    (Kind.UUID, re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")),
    (Kind.IPV4, re.compile(r"\d{1,3}(?:\.\d{1,3}){3}\Z", re.ASCII)),
    (Kind.URI, re.compile(r"https?://", re.IGNORECASE)),
)
_LOOK_CHARACTERS_MAX: Final = 320
_IBANS: Final = (
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "NL91ABNA0417164300",
)
_CARDS: Final = ("4111111111111111", "4242424242424242", "5555555555554444", "378282246310005")
_IPV4_NETWORKS: Final = tuple(
    int(IPv4Address(first)) for first in ("192.0.2.0", "198.51.100.0", "203.0.113.0")
)
_IPV6_NETWORK: Final = int(IPv6Address("2001:db8::"))


def draw(seed: str, *about: str) -> int:
    """Give a large number: always the same for the same seed and the same things it is about."""
    text = "".join(f"{len(each)}:{each}" for each in about)
    return int.from_bytes(hmac.digest(_bytes(seed), _bytes(text), "sha256"))


def kind_of(node: Mapping[str, Any], name: str, category: Category | None) -> Kind:
    """Say what a leaf's text looks like: by its format, else by its class and name together."""
    said = node.get("format")
    if isinstance(said, str) and said in _FORMATS:
        return _FORMATS[said]
    plain = re.sub(r"[_-]+|(?<=[a-z])(?=[A-Z])", " ", name).lower()
    found = (kind for kind, word, of in _WORDS if category in of and word.search(plain))
    return next(found, Kind.TEXT)


def kind_by_look(text: str) -> Kind:
    """Say what a text looks like by itself; nothing that long looks like anything."""
    if len(text) > _LOOK_CHARACTERS_MAX:
        return Kind.TEXT
    return next((kind for kind, look in _LOOKS if look.match(text)), Kind.TEXT)


def fake_text(kind: Kind, number: int) -> str:  # noqa: C901, PLR0911 - one case for each kind
    """Give the text of this kind that a number stands for."""
    code = f"{number % 16**12:012x}"
    match kind:
        case Kind.EMAIL:
            return f"person-{code}@example.com"
        case Kind.PHONE:
            return f"+447700900{number % 1000:03d}"
        case Kind.IPV4:
            first = _IPV4_NETWORKS[number % len(_IPV4_NETWORKS)]
            return str(IPv4Address(first + number // len(_IPV4_NETWORKS) % 256))
        case Kind.IPV6:
            return str(IPv6Address(_IPV6_NETWORK + number % 2**96))
        case Kind.UUID:
            return f"00000000-0000-4000-8000-{code}"
        case Kind.DATE:
            return _date(number)
        case Kind.DATE_TIME:
            return f"{_date(number)}T00:00:00Z"
        case Kind.TIME:
            return "00:00:00Z"
        case Kind.URI:
            return f"https://example.com/{code}"
        case Kind.HOSTNAME:
            return f"host-{code}.example.com"
        case Kind.IBAN:
            return _IBANS[number % len(_IBANS)]
        case Kind.CARD:
            return _CARDS[number % len(_CARDS)]
        case Kind.TEXT:
            return f"synthetic-{code}"


def _date(number: int) -> str:
    year, month, day = number % 30, number // 30 % 12, number // 360 % 28
    return f"{1970 + year}-{month + 1:02d}-{day + 1:02d}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
