"""What a check of `doctor` comes to: all is well, well but to be seen to, or wrong.

Written by the checks, shown by the command. No finding holds a secret.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NAMES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Remark:
    """What nothing fails of today, but somebody should see to: its stable code, and how."""

    code: str
    said: str
    fix: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, or what is wrong; with a code there is something to put right."""

    check: str
    is_ok: bool
    said: str
    fix: str = ""
    code: str = ""

    @property
    def is_warning(self) -> bool:
        """True where the check did not fail and left a remark."""
        return self.is_ok and bool(self.code)


def list_names(names: Iterable[str]) -> str:
    """Write names in one line, the first of them where there are many."""
    first = sorted(names)
    return f"{', '.join(first[:_NAMES_MAX])}{' ...' if len(first) > _NAMES_MAX else ''}"
