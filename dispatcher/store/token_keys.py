"""The keys that partners' tokens hang on, as they lie in the registry; and who turned tokens back.

Written by `RegistryStore.activate` in the transaction that makes a revision active, so that a
partner is never without its key, and a retired one's is gone the moment it is retired. A destroyed
key leaves its row, for the version must not be used again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database

READ_WINDOW_US: Final = 3_600_000_000
_READ: Final = "SELECT connector, version, sealed FROM {token_keys} ORDER BY connector, version"
_ADD: Final = """
INSERT INTO {token_keys} (connector, version, sealed, created_us)
VALUES (:connector, :version, :sealed, {now})
"""
_DESTROY: Final = """
UPDATE {token_keys} SET sealed = NULL, destroyed_us = {now}
WHERE connector = :connector AND sealed IS NOT NULL
"""
_COUNT: Final = """
INSERT INTO {token_reads} AS r (principal, window_us, count) VALUES (:principal, {now}, 1)
ON CONFLICT (principal) DO UPDATE SET
    count = CASE WHEN r.window_us > {now} - :window_us THEN r.count + 1 ELSE 1 END,
    window_us = CASE WHEN r.window_us > {now} - :window_us THEN r.window_us ELSE {now} END
RETURNING count
"""


@dataclass(frozen=True, slots=True)
class StoredTokenKey:
    """A token key as it lies in the database; nothing of a destroyed one but that it was."""

    connector: str
    version: int
    sealed: bytes | None = field(repr=False)

    @property
    def is_destroyed(self) -> bool:
        """True once its partner is retired."""
        return self.sealed is None


@dataclass(frozen=True, slots=True)
class TokenKeyChange:
    """What becomes of token keys with a revision: those made, and whose are destroyed."""

    made: Sequence[StoredTokenKey] = ()
    destroyed: Sequence[str] = ()


async def read_token_keys(
    database: Database, connection: AsyncConnection
) -> tuple[StoredTokenKey, ...]:
    """Read every token key, by partner and version."""
    found = await database.execute(connection, _READ)
    return tuple(StoredTokenKey(k[0], k[1], k[2] and bytes(k[2])) for k in found)


async def change_token_keys(
    database: Database, connection: AsyncConnection, change: TokenKeyChange
) -> None:
    """Write the new keys and destroy the others, in a transaction of the caller's."""
    rows = [
        {"connector": k.connector, "version": k.version, "sealed": k.sealed} for k in change.made
    ]
    await database.execute_many(connection, _ADD, rows)
    gone = [{"connector": name} for name in change.destroyed]
    await database.execute_many(connection, _DESTROY, gone)


class TokenReads:
    """How often each principal turned a token back, and the record of each time."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def note(self, entry: Entry, refused: Entry, *, per_hour: int) -> bool:
        """Put a read on the record; `False`, and the refusal on the record, beyond the limit.

        Durable once this returns, so that the value may be shown then.
        """
        async with self._audit.recording() as recording:
            counted = await self._database.execute(
                recording.connection, _COUNT, principal=entry.actor, window_us=READ_WINDOW_US
            )
            is_within: bool = counted.scalar_one() <= per_hour
            recording.note(entry if is_within else refused)
        return is_within
