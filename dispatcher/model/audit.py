"""What goes on the record: one entry, and the exact bytes it is kept as.

An entry is made by whatever changes or reads something, and written in the same transaction. It
names people, objects, fields and classes, and never holds a payload value; of a token only the id
is kept, of a URL only scheme, host and port, for the rest is or may be a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dispatcher.model.disclosure import DisclosureDiff

CHANGES_MAX: Final = 100
"""Single changes written out in one entry; the whole is what the revision's hash names."""

_TOKEN: Final = re.compile(rb"(dsp_[0-9a-f]{12})_[0-9a-fA-F]+")
_URL: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)([^\s/?#]*)([/?#]\S*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that somebody did, or looked at. `kind` is `noun.verb`, `about` the object."""

    kind: str
    actor: str
    about: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def encode_entry(entry: Entry, at_us: int) -> bytes:
    """Give the bytes that are kept and hashed: JSON, keys sorted, without blanks."""
    document = {
        "kind": entry.kind,
        "actor": entry.actor,
        "about": _without_secrets(entry.about),
        "reason": _without_secrets(entry.reason),
        "detail": entry.detail,
        "at_us": at_us,
    }
    return _TOKEN.sub(rb"\1_...", msgspec.json.encode(document, order="sorted"))


def diff_detail(diff: DisclosureDiff) -> dict[str, Any]:
    """Give a diff as an entry has it: the first changes in words, and how many there are."""
    return {
        "direction": diff.direction.value,
        "changes_count": len(diff.changes),
        "changes": [
            _without_secrets(f"{each.direction} {each.aspect} {each.where}: {each.what}")
            for each in diff.changes[:CHANGES_MAX]
        ],
    }


def _without_secrets(text: str) -> str:
    return _URL.sub(_origin, text)


def _origin(found: re.Match[str]) -> str:
    place = found[2].rpartition("@")[2]
    return f"{found[1]}{place}{'/...' if found[3] not in (None, '/') else ''}"
