"""Revisions as they lie in the registry: numbered, hashed over their parent, written once.

Written by `store.registry`, in the transaction that makes one the active one; read by everybody who
asks what is in force, or what was. A revision must never be edited.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import CHANGES_MAX, Entry, diff_detail
from dispatcher.model.change_set import ChangeSet
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.registry import Registry
from dispatcher.store.changes import Decision
from dispatcher.store.database import Database
from dispatcher.store.documents import decode_registry, encode_registry
from dispatcher.store.signing_keys import StoredKey
from dispatcher.store.token_keys import TokenKeyChange

_ACTIVATE: Final = """
UPDATE {policy} SET epoch = epoch + 1, revision = :number
WHERE id = 1 AND revision = :base RETURNING epoch
"""
_INSERT: Final = """
INSERT INTO {revisions} (number, parent_hash, hash, author, approver, reason, created_us, content)
VALUES (:number, :parent_hash, :hash, :author, :approver, :reason, {now}, :content)
"""
_ACTIVE: Final = """
SELECT p.revision, p.epoch, p.erasures, p.key_changes, r.hash, r.content
FROM {policy} p LEFT JOIN {revisions} r ON r.number = p.revision WHERE p.id = 1
"""
_CONTENT: Final = "SELECT content FROM {revisions} WHERE number = :number"
_HOW: Final = (
    "SELECT number, parent_hash, hash, author, approver, reason, created_us FROM {revisions}"
)
_LIST: Final = f"{_HOW} WHERE number < :before ORDER BY number DESC LIMIT :limit"
_MAKING: Final = f"{_HOW} WHERE number = :number"


@dataclass(frozen=True, slots=True)
class Active:
    """The policy in force: a revision (0 is the empty registry) and the switch epoch.

    `erasures` counts the people erased so far: a worker that remembers tokens from before forgets.
    `key_changes` counts how often keys at rest were destroyed or replaced before their time.
    """

    revision: Revision
    epoch: Epoch
    hash: str
    registry: Registry
    erasures: int = 0
    key_changes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRevision:
    """A revision about to be written over `base`, and what it changes.

    It may be what a change set proposed, with the approval it got, or what its author put in the
    place of one (`instead_of`), which then ends without effect.
    """

    base: Active
    registry: Registry
    diff: DisclosureDiff
    author: str
    approver: str
    reason: str
    approval: Decision | None = None
    instead_of: ChangeSet | None = None


class Made(NamedTuple):
    """A revision as it was written, and the epoch from which it is obeyed."""

    number: Revision
    hash: str
    epoch: Epoch


async def read_active(database: Database, connection: AsyncConnection) -> Active:
    """Read the revision and epoch in force."""
    row = (await database.execute(connection, _ACTIVE)).one()
    registry = decode_registry(row.content) if row.content else Registry()
    return Active(
        Revision(row.revision),
        Epoch(row.epoch),
        row.hash or "",
        registry,
        row.erasures,
        row.key_changes,
    )


async def read_revision(
    database: Database, connection: AsyncConnection, number: Revision
) -> Registry | None:
    """Read what a revision holds; `None` when there is no such revision."""
    found = await database.execute(connection, _CONTENT, number=number)
    content = found.scalar_one_or_none()
    return decode_registry(content) if content is not None else None


async def read_making(
    database: Database, connection: AsyncConnection, number: Revision
) -> dict[str, Any] | None:
    """Read how a revision came about, without its content; `None` when there is no such one."""
    found = await database.execute(connection, _MAKING, number=number)
    row = found.mappings().one_or_none()
    return dict(row) if row is not None else None


async def list_revisions(
    database: Database, connection: AsyncConnection, *, before: int, limit: int
) -> list[dict[str, Any]]:
    """List how revisions came about, the newest first, without their content."""
    found = await database.execute(connection, _LIST, before=before, limit=limit)
    return [dict(row) for row in found.mappings()]


async def write_revision(database: Database, connection: AsyncConnection, new: NewRevision) -> Made:
    """Write a revision and make it the active one, in a transaction of the caller's.

    Raises `Conflict` (`base_moved`) when another became active since `new.base` was read.
    """
    content = encode_registry(new.registry)
    number = Revision(new.base.revision + 1)
    digest = hashlib.sha256(new.base.hash.encode() + b"\n" + content).hexdigest()
    swapped = await database.execute(connection, _ACTIVATE, number=number, base=new.base.revision)
    epoch = swapped.scalar_one_or_none()
    if epoch is None:
        raise Conflict(
            f"revision {new.base.revision} is no longer the active one",
            fix="look at what changed, then apply again",
            code="base_moved",
        )
    await database.execute(
        connection,
        _INSERT,
        number=number,
        parent_hash=new.base.hash,
        hash=digest,
        author=new.author,
        approver=new.approver,
        reason=new.reason,
        content=content.decode(),
    )
    return Made(number, digest, Epoch(epoch))


def activated(
    new: NewRevision, made: Made, keys: Sequence[StoredKey], token_keys: TokenKeyChange
) -> Entry:
    """Say for the record what became active, with which keys; no list is longer than it may be."""
    detail = {
        "hash": made.hash,
        "parent_hash": new.base.hash,
        "author": new.author,
        "change_set": new.approval.change.number if new.approval is not None else None,
        "keys_made": [f"{key.subscription} {key.fingerprint}" for key in keys[:CHANGES_MAX]],
        "token_keys_made": [f"{k.connector} {k.version}" for k in token_keys.made[:CHANGES_MAX]],
        "token_keys_destroyed": list(token_keys.destroyed[:CHANGES_MAX]),
        **diff_detail(new.diff),
    }
    return Entry(
        kind="revision.activated",
        actor=new.approver,
        about=f"revision {made.number}",
        reason=new.reason,
        detail=detail,
    )
