"""Text that a database keeps, a log line shows and a terminal prints as it is."""

import re
from typing import Final

_UNREADABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line separators, what turns the direction of the text around, surrogates."""


def is_readable(text: str) -> bool:
    """True for text on one line without control characters or broken characters."""
    return _UNREADABLE.search(text) is None


def readable(text: str) -> str:
    """Give the text with a question mark for every sign that is not."""
    return _UNREADABLE.sub("?", text)
