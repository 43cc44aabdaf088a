"""Answers that were given, kept so that the same request is answered the same again.

Used by the API for requests that bear an idempotency key. A row is written before the work begins
and completed with the sealed answer, so that work is never done twice: where a process died
between, nobody knows whether it was done, and that is what the second request is told.
"""

from dataclasses import dataclass, field
from typing import Final

from dispatcher.store.database import Database

_CLAIM: Final = """
INSERT INTO {replies} (principal, key, fingerprint, begun_us)
VALUES (:principal, :key, :fingerprint, {now}) ON CONFLICT DO NOTHING RETURNING key
"""
_FIND: Final = """
SELECT fingerprint, sealed FROM {replies} WHERE principal = :principal AND key = :key
"""
_COMPLETE: Final = """
UPDATE {replies} SET sealed = :sealed WHERE principal = :principal AND key = :key
"""
_GIVE_BACK: Final = """
DELETE FROM {replies} WHERE principal = :principal AND key = :key AND sealed IS NULL
"""
_FORGET: Final = "DELETE FROM {replies} WHERE begun_us < {now} - :kept_us"


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What is known of a request: its fingerprint, and the sealed answer if there is one yet."""

    fingerprint: str
    sealed: bytes | None = field(repr=False)


class ReplyStore:
    """The answers kept for one registry's API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, principal: str, key: str, fingerprint: str) -> StoredReply | None:
        """Take a key for a request; `None` when it is ours now, else what it was used for."""
        while True:
            async with self._database.begin() as connection:
                mine = await self._database.execute(
                    connection, _CLAIM, principal=principal, key=key, fingerprint=fingerprint
                )
                if mine.scalar_one_or_none() is not None:
                    return None
                found = await self._database.execute(
                    connection, _FIND, principal=principal, key=key
                )
                row = found.one_or_none()
            # Gone again: whoever had it gave it back between the two statements.
            if row is not None:
                return StoredReply(row.fingerprint, row.sealed and bytes(row.sealed))

    async def complete(self, principal: str, key: str, sealed: bytes) -> None:
        """Keep the answer that was given."""
        async with self._database.begin() as connection:
            await self._database.execute(
                connection, _COMPLETE, principal=principal, key=key, sealed=sealed
            )

    async def give_back(self, principal: str, key: str) -> None:
        """Let a key be used again: the request was refused, so nothing was done."""
        async with self._database.begin() as connection:
            await self._database.execute(connection, _GIVE_BACK, principal=principal, key=key)

    async def forget(self, kept_us: int) -> None:
        """Drop what is older than so many microseconds."""
        async with self._database.begin() as connection:
            await self._database.execute(connection, _FORGET, kept_us=kept_us)
