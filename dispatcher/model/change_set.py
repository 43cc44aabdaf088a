"""A proposed next revision, waiting for a second person: what it would change, and how it ended.

Made by `control.changes`, kept by `store.changes`. Its content never changes under one `hash`: an
approval names the hash it is for, so an edit voids it.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.ids import Revision


class ChangeState(StrEnum):
    """How far a change set has come; the last two are final."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """One change set. `base` is the revision it was judged against; its content is kept apart."""

    number: int
    state: ChangeState
    base: Revision
    hash: str
    diff: DisclosureDiff
    author: str
    reason: str
    proposed_us: int
    decided_by: str | None = None
    decided_us: int | None = None
    decision: str | None = None
    revision: Revision | None = None


def change_hash(base_hash: str, content: bytes, reason: str) -> str:
    """Name what is approved: the content, the revision it replaces, and the reason given."""
    text = b"\n".join((base_hash.encode(), content, reason.encode()))
    return hashlib.sha256(text).hexdigest()
