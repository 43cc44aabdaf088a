"""Texts that match a pattern, for patterns that are a plain row of characters and classes.

Called by `synthetic`. Groups, alternatives and look-arounds are not attempted: then there is none,
and whoever wants events made of the schema writes an example into it.
"""

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ALNUM: Final = string.ascii_lowercase + string.digits
_NAMED: Final = {
    "d": string.digits,
    "w": _ALNUM + "_",
    "s": " ",
    "D": string.ascii_lowercase,
    "W": "-",
    "S": _ALNUM,
}
_ATOM: Final = re.compile(
    r"\[(?P<set>(?:\\.|[^\]\\])+)\]|\\(?P<escape>.)|(?P<any>\.)|(?P<plain>[^\\\[\]().|*+?{}^$])",
    re.DOTALL,
)
_REPEAT: Final = re.compile(r"\{(?P<least>\d+)(?P<comma>,(?P<most>\d*))?\}|(?P<sign>[*+?])")
_RANGE: Final = re.compile(r"(?P<first>\\.|[^\\])(?:-(?P<last>\\.|[^\\]))?", re.DOTALL)
_STRETCH_MAX: Final = 64
_REPEATS_MAX: Final = 10_000
# A linear congruential generator (Knuth's MMIX) over 128 bits: any spread of characters will do.
_FACTOR: Final = 6364136223846793005
_STEP: Final = 1442695040888963407
_STATES: Final = 1 << 128


@dataclass(frozen=True, slots=True)
class _Run:
    """Characters of which one is taken from `least` to `most` times."""

    characters: str
    least: int
    most: int


def texts_of(pattern: str, number: int) -> Iterator[str]:
    """Give texts that match a pattern, short ones first; none where it is not understood."""
    runs = _read(pattern)
    if runs is None:
        return
    for stretch in range(_STRETCH_MAX + 1):
        yield "".join(_spell(runs, number, stretch))


def _spell(runs: list[_Run], number: int, stretch: int) -> Iterator[str]:
    for run in runs:
        for _ in range(min(run.least + stretch, run.most)):
            number = (number * _FACTOR + _STEP) % _STATES
            yield run.characters[(number >> 64) % len(run.characters)]


def _read(pattern: str) -> list[_Run] | None:
    text = pattern.removeprefix("^")
    if text.endswith("$") and not text.endswith("\\$"):
        text = text[:-1]
    runs: list[_Run] = []
    at = 0
    while at < len(text):
        atom = _ATOM.match(text, at)
        characters = _characters(atom) if atom is not None else ""
        if atom is None or not characters:
            return None
        repeat = _REPEAT.match(text, atom.end())
        least, most = (1, 1) if repeat is None else _count(repeat)
        if least > _REPEATS_MAX:
            return None
        runs.append(_Run(characters, least, most))
        at = atom.end() if repeat is None else repeat.end()
    return runs


def _count(repeat: re.Match[str]) -> tuple[int, int]:
    sign = repeat["sign"]
    if sign:
        return {"*": (0, _REPEATS_MAX), "+": (1, _REPEATS_MAX), "?": (0, 1)}[sign]
    least = int(repeat["least"])
    if not repeat["comma"]:
        return least, least
    return least, int(repeat["most"]) if repeat["most"] else _REPEATS_MAX


def _characters(atom: re.Match[str]) -> str:
    if atom["set"]:
        return _set(atom["set"])
    if atom["escape"]:
        return _escaped(atom["escape"])
    return _ALNUM if atom["any"] else atom["plain"]


def _escaped(letter: str) -> str:
    """Give what an escape stands for; an unknown letter may mean anything."""
    return _NAMED.get(letter, "" if letter.isalnum() else letter)


def _set(text: str) -> str:
    is_other = text.startswith("^")
    found: list[str] = []
    for part in _RANGE.finditer(text[is_other:]):
        first = _one(part["first"])
        last = _one(part["last"]) if part["last"] else ""
        if not first or (part["last"] and (len(first) != 1 or len(last) != 1)):
            return ""
        found += map(chr, range(ord(first), ord(last) + 1)) if last else first
    if is_other:
        return "".join(each for each in _ALNUM if each not in found)
    return "".join(found)


def _one(text: str) -> str:
    return _escaped(text[1]) if text.startswith("\\") else text
