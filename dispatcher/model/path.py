"""Paths to the leaves of a JSON document: a small, closed subset of RFC 9535.

`$.customer.email`, `$['odd key']`, `$.lines[*].sku`, `$.rates[*]`. There is no `..`, filter, slice,
index or union, so what a path can reveal is known before any document is seen. `@subject` is not in
the document: it is the person the envelope names. Used by the registry (grants), by
`stages.shaping` and by everyone who prints a field.
"""

import re
from typing import Final, NewType

Steps = tuple[str | None, ...]
"""A path on its way: what a walk has gone through so far."""

Path = NewType("Path", Steps)
"""Steps from the root: a member name, or `None` for "each element" (`[*]`)."""

SUBJECT: Final = Path(("", "subject"))
"""The envelope's subject. No path into a document has an empty first step."""

_STEP: Final = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\['(?P<quoted>[^'\\\x00-\x1f]+)'\]|(?P<each>\[\*\])"
)
_QUOTABLE: Final = re.compile(r"[^'\\\x00-\x1f]+\Z")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def is_nameable(name: str) -> bool:
    """True for a member's name that a path can be written with."""
    return _QUOTABLE.match(name) is not None


def parse_path(text: str) -> Path:
    """Read a path; `ValueError` names the first thing that is not in the grammar."""
    if text == format_path(SUBJECT):
        return SUBJECT
    if not text.startswith("$"):
        raise ValueError(f"a path starts with '$.', as in '$.order.id': {text!r}")
    steps: list[str | None] = []
    at = 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(f"not understood at character {at + 1} of {text!r}")
        steps.append(None if step["each"] else step["name"] or step["quoted"])
        at = step.end()
    if not steps or steps[0] is None:
        raise ValueError(f"a path names at least one member: {text!r}")
    return Path(tuple(steps))


def path_length(text: str) -> int:
    """Say how many characters at the beginning of a text are a path, as far as one can tell."""
    subject = format_path(SUBJECT)
    if text.startswith(subject):
        return len(subject)
    at = 1
    while (step := _STEP.match(text, at)) is not None:
        at = step.end()
    return at


def format_path(path: Path) -> str:
    """Write a path in its one normal form."""
    if path == SUBJECT:
        return "@subject"
    parts = ["$"]
    for step in path:
        if step is None:
            parts.append("[*]")
        elif _PLAIN.match(step):
            parts.append(f".{step}")
        else:
            parts.append(f"['{step}']")
    return "".join(parts)
