"""The sums by which a number shows that it is more than digits. Pure arithmetic on plain text.

Called by `detectors` and `guessing` for candidates rid of separators and in upper case. Each says
True or False about any text and never raises.
"""

from datetime import date
from typing import Final

_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_PESEL_WEIGHTS: Final = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
_BSN_WEIGHTS: Final = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_CODICE_ODD: Final = (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip
"""What a sign counts at an odd place: A to Z, and a digit as the letter of its number."""

_FOREIGN: Final = str.maketrans("XYZ", "012")
_LENGTHS: Final = {
    # Issuer ranges: first digits from, to (of equal length), and how long such a number is.
    ("4", "4"): (13, 16, 19),
    ("51", "55"): (16,),
    ("2221", "2720"): (16,),
    ("34", "34"): (15,),
    ("37", "37"): (15,),
    ("300", "305"): (14, 16, 17, 18, 19),
    ("3095", "3095"): (14, 16, 17, 18, 19),
    ("36", "36"): (14, 16, 17, 18, 19),
    ("38", "39"): (14, 16, 17, 18, 19),
    ("3528", "3589"): (16, 17, 18, 19),
    ("2200", "2204"): (16, 17, 18, 19),
    ("6011", "6011"): (16, 17, 18, 19),
    ("62", "62"): (16, 17, 18, 19),
    ("644", "649"): (16, 17, 18, 19),
    ("65", "65"): (16, 17, 18, 19),
    ("81", "82"): (16,),
    ("5018", "5020"): (12, 13, 14, 15, 16, 17, 18, 19),
    ("5038", "5038"): (12, 13, 14, 15, 16, 17, 18, 19),
    ("5893", "5893"): (12, 13, 14, 15, 16, 17, 18, 19),
    ("6304", "6304"): (12, 13, 14, 15, 16, 17, 18, 19),
    ("6759", "6763"): (12, 13, 14, 15, 16, 17, 18, 19),
}
_ISSUERS: Final = {
    sign: [(*ends, lengths) for ends, lengths in _LENGTHS.items() if ends[0][0] == sign]
    for sign in {least[0] for least, _ in _LENGTHS}
}
ISSUER_SIGNS: Final = "".join(_ISSUERS)
"""The first digits of all issuers' numbers."""

_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
"""Twice a digit, and the digits of that together."""

_IBAN_COUNTRIES: Final = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS: Final = {
    country: length
    for length, countries in _IBAN_COUNTRIES.items()
    for country in countries.split()
}
"""How long an account number of each country is, after the registry of SWIFT (ISO 13616)."""


def card_lengths() -> dict[str, set[int]]:
    """Give how long the numbers are that begin with these one or two digits."""
    lengths: dict[str, set[int]] = {}
    for (least, most), known in _LENGTHS.items():
        for head in range(int(least), int(most) + 1):
            lengths.setdefault(str(head)[:2], set()).update(known)
    return lengths


def is_luhn(digits: str) -> bool:
    """ISO/IEC 7812: cards."""
    signs = digits.encode()
    total = sum(signs[-1::-2]) + sum(signs[-2::-2].translate(_DOUBLED))
    return (total - ord("0") * len(signs)) % 10 == 0


def is_card(digits: str) -> bool:
    """True for a number that an issuer could have given out: first digits, length and sum."""
    return is_luhn(digits) and any(
        len(digits) in lengths and least <= digits[: len(least)] <= most
        for least, most, lengths in _ISSUERS.get(digits[:1], ())
    )


def is_iban(text: str) -> bool:
    """ISO 13616: the country's length, and 1 modulo 97."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def is_ssn(digits: str) -> bool:
    """A number the United States could have given out; there is no sum."""
    return (
        digits[:3] not in ("000", "666")
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
    )


def is_nino(text: str) -> bool:
    """A number the United Kingdom could have given out; there is no sum."""
    return (
        text[0] not in "DFIQUV"
        and text[1] not in "DFIOQUV"
        and text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
    )


def is_steuer_id(digits: str) -> bool:
    """Germany: ISO/IEC 7064 mod 11,10; of the first ten digits one alone comes again, or twice."""
    again = 10 - len(set(digits[:10]))
    most = max(map(digits[:10].count, digits[:10]))
    if digits[0] == "0" or most not in (2, 3) or again != most - 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(digits[10])


def is_nir(text: str) -> bool:
    """France: 97 less the rest of the first thirteen modulo 97; Corsica counts as 19 and 18."""
    body = text[:13].replace("2A", "19").replace("2B", "18")
    return body.isdigit() and 97 - int(body) % 97 == int(text[13:])


def is_bsn(digits: str) -> bool:
    """Netherlands: the test of eleven."""
    total = sum(int(digit) * by for digit, by in zip(digits, _BSN_WEIGHTS, strict=True))
    return total % 11 == 0 and int(digits) > 0


def is_dni(text: str) -> bool:
    """Spain: the letter of the rest modulo 23; a foreigner's first letter is a digit."""
    digits = text[:-1].translate(_FOREIGN)
    return digits.isdigit() and _DNI_LETTERS[int(digits) % 23] == text[-1]


def is_codice_fiscale(text: str) -> bool:
    """Italy: two tables of values, for odd and even places, modulo 26."""
    total = 0
    for at, sign in enumerate(text[:15]):
        value = int(sign) if sign.isdigit() else ord(sign) - ord("A")
        total += value if at % 2 else _CODICE_ODD[value]
    return chr(ord("A") + total % 26) == text[15]


def is_pesel(digits: str) -> bool:
    """Poland: weights modulo 10, over a day of birth whose month also tells the century."""
    month = int(digits[2:4])
    century = (1900, 2000, 2100, 2200, 1800)[month // 20]
    try:
        date(century + int(digits[:2]), month % 20, int(digits[4:6]))
    except ValueError:
        return False
    total = sum(int(digit) * by for digit, by in zip(digits, _PESEL_WEIGHTS, strict=True))
    return total % 10 == 0
