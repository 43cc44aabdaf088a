"""Find cards, account numbers, telephone numbers and national ids in plain text.

Called by `detectors`. A run of digits is tried from each of its groups to each, so a number is
found beside others too. Digits next to letters are part of something else and are left alone; so
is a UUID. A checksum has the last word wherever there is one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dispatcher.model.leak import Confidence
from dispatcher.stages.shaping.checksums import (
    IBAN_LENGTHS,
    ISSUER_SIGNS,
    is_bsn,
    is_card,
    is_codice_fiscale,
    is_dni,
    is_iban,
    is_nino,
    is_nir,
    is_pesel,
    is_ssn,
    is_steuer_id,
)

Span = tuple[int, int]

_RUN: Final = re.compile(r"[0-9]+(?:[\s.\-]{1,2}[0-9]+)*")
_LONG: Final = re.compile(rf"[{ISSUER_SIGNS}](?<![0-9A-Za-z].)[0-9\s.\-]{{11,}}")
_DIALLED: Final = re.compile(r"(\+ ?)?\(?[0-9]+(?:[\s.\-/()]{1,2}[0-9]+)*")
_GROUP: Final = re.compile(r"[0-9]+")
_UUID: Final = re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ .\-][0-9]{1,2})*")
_IBAN_HEAD: Final = re.compile(r"(?i)(?<![0-9a-z])([a-z]{2})[0-9]{2}(?=[ .\-]?[0-9a-z])")
_BETWEEN: Final = re.compile(r"[\s.\-/]")
_CARD_LAYOUTS: Final = frozenset({(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (8, 8)})
_CARD_LEAST, _CARD_MOST = 12, 19
_BARCODE: Final = 13
_PAIR: Final = 2
_PHONE_LEAST, _PHONE_MOST = 8, 15
_LOCAL_LEAST: Final = 7


@dataclass(frozen=True, slots=True)
class NationalId:
    """How one country's number is written, and the sum that confirms it."""

    pattern: re.Pattern[str]
    confirm: Callable[[str], bool]


def _id(pattern: str, confirm: Callable[[str], bool]) -> NationalId:
    around = r"(?i)(?<![0-9a-z])(?<![0-9][\-.])(?:" + pattern + r")(?![0-9a-z]|[\-.][0-9])"
    return NationalId(re.compile(around), confirm)


US_SSN: Final = _id(r"\d{3}[ .\-]?\d{2}[ .\-]?\d{4}", is_ssn)
UK_NINO: Final = _id(r"[a-z]{2}(?:[ .\-]?\d{2}){3}[ .\-]?[a-d]", is_nino)
DE_STEUER_ID: Final = _id(r"\d(?:[ .\-/]?\d){10}", is_steuer_id)
FR_NIR: Final = _id(
    r"[1-478][ .\-]?\d{2}[ .\-]?\d{2}[ .\-]?(?:\d{2}|2[ab])(?:[ .\-]?\d{3}){2}[ .\-]?\d{2}", is_nir
)
NL_BSN: Final = _id(r"\d(?:[ .\-]?\d){8}", is_bsn)
ES_DNI: Final = _id(r"(?:\d{2}\.?\d{3}\.?\d{3}|[xyz][ .\-]?\d{7})[ .\-]?[a-z]", is_dni)
IT_CODICE_FISCALE: Final = _id(
    r"[a-z]{3} ?[a-z]{3} ?[0-9l-np-v]{2}[a-ehlmprst][0-9l-np-v]{2} ?[a-z][0-9l-np-v]{3}[a-z]",
    is_codice_fiscale,
)
PL_PESEL: Final = _id(r"\d(?:[ .\-]?\d){10}", is_pesel)


def blot(text: str, spans: Iterable[Span]) -> str:
    """Make pieces of a text unreadable, given in order; each place stays where it is."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], "x" * (end - max(start, at))]  # one may begin in another
        at = max(start, at, end)
    return "".join((*parts, text[at:]))


def without_uuids(text: str) -> str:
    """Blot out every UUID."""
    return _UUID.sub(lambda found: "x" * len(found[0]), text)


def may_hold_card(text: str) -> bool:
    """False where `find_cards` would find nothing: a cheap look at many texts at once."""
    for run in _LONG.findall(text):
        digits = _BETWEEN.sub("", run)
        # Of digits in groups, any may be the first of a card.
        if len(digits) >= _CARD_LEAST and (digits not in run or is_card(digits)):
            return True
    return False


def find_cards(text: str) -> Iterator[tuple[Span, Confidence | None]]:
    """Give each card number and what speaks for it: its groups, or only that it stands alone.

    Nothing speaks by itself for what is a piece of a longer run of digits.
    """
    for run in _RUN.finditer(text):
        if run.end() - run.start() < _CARD_LEAST:
            continue
        groups = _groups(text, run.span())
        at = 0
        while at < len(groups):
            last = _find_card(text, groups, at)
            if last is None:
                at += 1
                continue
            span = groups[at][0], groups[last][1]
            yield span, _judge_card(text, groups, at, last)
            at = last + 1


def _find_card(text: str, groups: list[Span], first: int) -> int | None:
    """Give the last group of the longest card that begins at a group.

    One or two digits begin a card only where the whole run begins, so that a long run of them is
    not tried at each.
    """
    start, end = groups[first]
    if text[start] not in ISSUER_SIGNS or (first and end - start <= _PAIR):
        return None
    found, digits = None, ""
    for last in range(first, len(groups)):
        digits += text[slice(*groups[last])]
        if len(digits) > _CARD_MOST:
            break
        if len(digits) >= _CARD_LEAST and is_card(digits):
            found = last
    return found


def _judge_card(text: str, groups: list[Span], first: int, last: int) -> Confidence | None:
    lengths = tuple(end - start for start, end in groups[first : last + 1])
    start, end = groups[first][0], groups[last][1]
    is_piece = text[start - 1 : start] in ("-", ".") or _goes_on(text, end)
    if not is_piece and (lengths in _CARD_LAYOUTS or set(lengths) in ({1}, {2})):
        return Confidence.HIGH
    is_alone = first == 0 and last == len(groups) - 1
    # Thirteen digits that begin with 4 are far more often a barcode than the card of long ago.
    return Confidence.LOW if is_alone and sum(lengths) > _BARCODE else None


def _goes_on(text: str, end: int) -> bool:
    return text[end : end + 1] in ("-", ".") and text[end + 1 : end + 2].isalnum()


def find_ibans(text: str) -> Iterator[Span]:
    """Give each account number: as many signs as its country has, and a sum that is right."""
    for head in _IBAN_HEAD.finditer(text):
        length = IBAN_LENGTHS.get(head[1].upper())
        end = head.start()
        found = ""
        while length and len(found) < length and end < len(text):
            if text[end].isalnum():
                found += text[end]
            elif not _BETWEEN.match(text, end) or not text[end - 1].isalnum():
                break
            end += 1
        if length == len(found) and not text[end : end + 1].isalnum() and is_iban(found.upper()):
            yield head.start(), end


def find_phones(text: str, *, is_hinted: bool) -> Iterator[Span]:
    """Give each telephone number: with a plus and a country, or, where hinted, in any way."""
    for run in _DIALLED.finditer(text):
        is_whole = run[1] is not None
        if (not is_whole and not is_hinted) or _MOMENT.match(run[0]):
            continue
        groups = _groups(text, run.span())
        if is_whole and not is_hinted and _is_decimal(text, groups):
            continue
        last = _find_phone(groups, _PHONE_LEAST if is_whole else _LOCAL_LEAST)
        if last is not None and not text[run.start() - 1 : run.start()].isalnum():
            yield run.start(), last


def _find_phone(groups: list[Span], least: int) -> int | None:
    """Give the end of as many groups as a number has at most."""
    count, found = 0, None
    for start, end in groups:
        count += end - start
        if count > _PHONE_MOST:
            break
        if count >= least:
            found = end
    return found


def _is_decimal(text: str, groups: list[Span]) -> bool:
    """True for one point between two groups: a coordinate, a difference."""
    return len(groups) == 2 and text[groups[0][1] : groups[1][0]] == "."


def find_ids(text: str, kind: NationalId) -> Iterator[Span]:
    """Give each national id of one country."""
    for found in kind.pattern.finditer(text):
        if kind.confirm(_BETWEEN.sub("", found[0]).upper()):
            yield found.span()


def _groups(text: str, run: Span) -> list[Span]:
    """Give the groups of a run of digits, without those that a letter or a plus touches."""
    groups = [found.span() for found in _GROUP.finditer(text, *run)]
    if text[run[1] : run[1] + 1].isalnum():
        groups.pop()
    if groups and (text[run[0] - 1 : run[0]].isalnum() or text[run[0] - 1 : run[0]] == "+"):
        del groups[0]
    return groups
