"""Write text plainly, so that no dress of a digit or a letter slips past the leak guard.

Called by the guard for text that is not plain ASCII already. Digits of every script, full-width and
styled letters, dashes and blanks of every kind become their plain sign; accents, and what cannot
be seen, vanish. What has no plain sign stays as `?`. It never makes text of more than one sign out
of nothing: each sign is written by itself, so that its place is known.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

UNSEEN: Final = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
"""Signs of ASCII that nobody sees; a tab and the end of a line are blanks."""

_UNSEEN: Final = re.compile(UNSEEN.decode())
_KEPT_MAX: Final = 0x10000


class _Plain(dict[int, str]):
    """How each sign is written, found out once; those beyond the first plane every time."""

    def __missing__(self, code: int) -> str:
        plain = _fold_sign(chr(code))
        if code < _KEPT_MAX:
            self[code] = plain
        return plain


def _fold_sign(sign: str) -> str:
    kind = unicodedata.category(sign)
    if kind in ("Cf", "Cc", "Mn", "Me"):
        return "" if sign not in "\t\n\r" else sign
    if kind == "Nd":
        return str(unicodedata.decimal(sign))
    if kind == "Pd" or sign == "\N{MINUS SIGN}":
        return "-"
    if kind[0] == "Z":
        return " "
    parts = unicodedata.normalize("NFKD", sign)
    return "".join(each if each.isascii() else "?" for each in parts if not _is_mark(each))


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign) == "Mn"


_PLAIN: Final = _Plain()


def is_plain(text: str) -> bool:
    """True where folding would change nothing."""
    return text.isascii() and _UNSEEN.search(text) is None


def fold(text: str) -> str:
    """Write text in ASCII."""
    return text if is_plain(text) else text.translate(_PLAIN)


def write_number(number: float) -> str:
    """Write a number; a whole one has no point, however JSON spells it."""
    return str(int(number) if number == int(number) else number)


def unfold(text: str, spots: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Find pieces of the folded text in the text itself, in one walk; the spots are in order."""
    if is_plain(text):
        yield from spots
        return
    starts = list(accumulate((len(_PLAIN[ord(sign)]) for sign in text), initial=0))
    for start, end in spots:
        # Signs that cannot be seen are nowhere in the folded text; those at an end are left out.
        yield bisect_right(starts, start) - 1, bisect_left(starts, end)
