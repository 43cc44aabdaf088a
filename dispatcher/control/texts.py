"""Text that people leave for each other: it must be one readable line.

Whoever reads a reason does so on a terminal before they agree, so it may not move the cursor there.
"""

from typing import Final

from dispatcher.model.errors import InvalidInput
from dispatcher.model.text import is_readable

CHARACTERS_MAX: Final = 1000


def require_reason(reason: str) -> None:
    """Raise `InvalidInput` unless this reason is one readable line."""
    if is_readable(reason) and len(reason) <= CHARACTERS_MAX:
        return
    raise InvalidInput(
        f"the reason is not one readable line of at most {CHARACTERS_MAX} characters",
        where="--reason",
        fix="write it without line breaks and control characters",
        code="reason_unreadable",
    )
