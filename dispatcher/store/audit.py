"""The audit log: appended to in the transaction that makes the change, and never edited.

Every store of the control plane writes through `AuditLog.recording`, which commits only what was
noted, so that no change can be made off the record. The head row is locked last and briefly; it
holds the tree's frontier and the newest signed checkpoint, which is handed on once the transaction
is durable. Read whole by `control.auditing`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry, encode_entry
from dispatcher.model.checkpoint import Checkpoint, write_note
from dispatcher.model.errors import SealBroken
from dispatcher.model.merkle import Frontier, grown, leaf_hash, packed, root_hash, unpacked
from dispatcher.store.database import Database
from dispatcher.telemetry.log import logger

_LOCK: Final = """
UPDATE {audit_head} SET size = size + :count WHERE id = 1
RETURNING log, size, frontier, note, {now} AS at_us
"""
_APPEND: Final = "INSERT INTO {audit_log} (seq, entry, seal) VALUES (:seq, :entry, :seal)"
_SIGN: Final = "UPDATE {audit_head} SET frontier = :frontier, note = :note WHERE id = 1"
_HEAD: Final = "SELECT log, size, note FROM {audit_head} WHERE id = 1"
_EXTENT: Final = """
SELECT h.size, (SELECT count(*) FROM {audit_log}) AS rows,
    (SELECT min(seq) FROM {audit_log}) AS lowest
FROM {audit_head} h WHERE h.id = 1
"""
_ROWS: Final = """
SELECT seq, entry, seal FROM {audit_log} WHERE seq >= @1 ORDER BY seq LIMIT @2
"""
# What is hashed to a leaf, put together where the rows are, which is faster than doing it here. A
# seal of another length could hide bytes moved from one column to the other.
_LEAVES_POSTGRESQL: Final = """
SELECT '\\x00'::bytea || convert_to(entry, 'UTF8') || seal FROM {audit_log}
WHERE seq >= @1 AND seq < @2 AND length(seal) = 32 ORDER BY seq
"""
_LEAVES_SQLITE: Final = """
SELECT CAST(x'00' || CAST(entry AS BLOB) || seal AS BLOB) FROM {audit_log}
WHERE seq >= @1 AND seq < @2 AND length(seal) = 32 ORDER BY seq
"""
_LIST: Final = r"""
SELECT seq, entry FROM {audit_log} WHERE seq >= 0 AND seq < :before
  AND (CAST(:actor AS text) IS NULL OR entry LIKE :actor ESCAPE '\')
  AND (CAST(:kind AS text) IS NULL OR entry LIKE :kind ESCAPE '\')
  AND (CAST(:about AS text) IS NULL OR entry LIKE :about ESCAPE '\')
ORDER BY seq DESC LIMIT :limit
"""


class Keys(Protocol):
    """What seals entries and signs checkpoints; no role of the database has these keys."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 key that checkpoints are checked with."""
        ...

    def seal(self, place: int, entry: bytes) -> bytes:
        """Give the seal of an entry at its place."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Sign a checkpoint."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends: its name, its size, and the newest checkpoint (empty before any)."""

    log: str
    size: int
    note: str


@dataclass(frozen=True, slots=True)
class Extent:
    """The size a log says it has, how many rows there are, and the lowest of their places."""

    size: int
    rows: int
    lowest: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it lies in the database: its place, and its document."""

    seq: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recording:
    """A transaction that commits only with a note of what it did."""

    connection: AsyncConnection
    entries: list[Entry] = field(default_factory=list)

    def note(self, entry: Entry) -> None:
        """Put something on the record."""
        self.entries.append(entry)


async def _keep_nowhere(_note: str) -> None:
    return


class AuditLog:
    """The log of one registry. `keep` is given each new checkpoint, once it is durable."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        keep: Callable[[str], Awaitable[None]] = _keep_nowhere,
    ) -> None:
        self.database = database
        self.public_key = keys.public_key
        self._keys = keys
        self._keep = keep

    def seals(self, place: int, entries: Sequence[bytes]) -> list[bytes]:
        """Give the seals that entries must have from a place on."""
        seal = self._keys.seal
        return [seal(at, entry) for at, entry in enumerate(entries, start=place)]

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[Recording]:
        """Open a transaction for a change. What the block notes is committed with it, or nothing.

        Raises `RuntimeError` when the block changed something and noted nothing: a fault of ours.
        """
        async with self.database.begin() as connection:
            recording = Recording(connection)
            yield recording
            if not recording.entries:
                raise RuntimeError("nothing was put on the record")
            note = await self._append(connection, recording.entries)
        if note:
            await self._keep(note)

    async def record(self, entry: Entry) -> None:
        """Put on the record what changes nothing: somebody looked at something.

        Its checkpoint is kept with that of the next change, for people look often.
        """
        async with self.database.begin() as connection:
            await self._append(connection, [entry])

    async def head(self) -> Head:
        """Read where the log ends."""
        async with self.database.look() as connection:
            row = (await self.database.execute(connection, _HEAD)).one_or_none()
        if row is None:
            raise _headless()
        return Head(row.log, row.size, row.note)

    async def newest(
        self, *, before: int, limit: int, actor: str | None, kind: str | None, about: str | None
    ) -> list[StoredEntry]:
        """Read the newest entries below a place, those that match where something is given.

        The filters look into the very bytes that are sealed; `kind` and `about` match beginnings.
        """
        filters = {
            "actor": _pattern('{{"about":"%","actor":{}","at_us":%', actor),
            "kind": _pattern('%}},"kind":{}%', kind),
            "about": _pattern('{{"about":{}%', about),
        }
        async with self.database.look() as connection:
            found = await self.database.execute(
                connection, _LIST, before=before, limit=limit, **filters
            )
            return [StoredEntry(row.seq, msgspec.json.decode(row.entry)) for row in found]

    async def extent(self) -> Extent:
        """Read in one view how long the log says it is, and what rows there are."""
        async with self.database.look() as connection:
            row = (await self.database.execute(connection, _EXTENT)).one_or_none()
        if row is None:
            raise _headless()
        return Extent(row.size, row.rows, row.lowest or 0)

    async def leaves(self, first: int, count: int) -> list[bytes]:
        """Hash the entries at so many places from one on; fewer when some are missing."""
        sql = _LEAVES_SQLITE if self.database.is_sqlite else _LEAVES_POSTGRESQL
        rows = await self.database.bulk(sql, first, first + count)
        return [sha256(row[0]).digest() for row in rows]

    async def rows(self, first: int, count: int) -> list[tuple[int, str, bytes]]:
        """Read whole rows from a place on, in order: place, entry, seal."""
        return await self.database.bulk(_ROWS, first, count)

    async def _append(self, connection: AsyncConnection, entries: list[Entry]) -> str:
        locked = await self.database.execute(connection, _LOCK, count=len(entries))
        head = locked.one_or_none()
        if head is None:
            raise _headless()
        first = head.size - len(entries)
        texts = [encode_entry(entry, head.at_us) for entry in entries]
        seals = self.seals(first, texts)
        leaves = [leaf_hash(text + seal) for text, seal in zip(texts, seals, strict=True)]
        rows = [
            {"seq": seq, "entry": text.decode(), "seal": seal}
            for seq, (text, seal) in enumerate(zip(texts, seals, strict=True), start=first)
        ]
        await self.database.execute_many(connection, _APPEND, rows)
        before = unpacked(bytes(head.frontier))
        if head.note != self._signed(head.log, first, before):
            # Whatever was put there is not signed over, nor mended: `verify` must find it. The
            # change goes on, for a stop must work whatever was done to the log.
            logger().error("audit_head_broken", fix="run 'dispatcher audit verify'")
            return ""
        frontier = grown(before, first, leaves)
        note = self._signed(head.log, head.size, frontier)
        await self.database.execute(connection, _SIGN, frontier=packed(frontier), note=note)
        return note

    def _signed(self, log: str, size: int, frontier: Frontier) -> str:
        """Give the checkpoint of a tree; Ed25519 signs the same text always the same."""
        if not size:
            return ""
        checkpoint = Checkpoint(log, size, root_hash(frontier))
        signature = self._keys.sign(checkpoint.text.encode())
        return write_note(checkpoint, self.public_key, signature)


def _headless() -> SealBroken:
    return SealBroken(
        "the audit log has lost the row that says where it ends, so nothing can be changed",
        where="audit_head",
        fix="find out who removed it, and restore the registry database from its backup",
        code="audit_log_broken",
    )


def _pattern(place: str, value: str | None) -> str | None:
    """Give the LIKE pattern of a value's beginning at its place among an entry's sorted keys."""
    if value is None:
        return None
    text = msgspec.json.encode(value).decode()[:-1]
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return place.format(text)
