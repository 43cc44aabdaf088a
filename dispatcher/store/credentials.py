"""Credentials of subscriptions as they lie in the registry: sealed, and bound to where they go.

Written by `control.credentials`, read with the policy. A destroyed one leaves its row, so that its
subscription waits for another. Nothing here opens a value.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.credential import Credential
from dispatcher.model.errors import Conflict, NotFound
from dispatcher.model.ids import Epoch
from dispatcher.store.audit import AuditLog, Recording
from dispatcher.store.database import Database
from dispatcher.store.epoch import announce, bump_epoch

_READ: Final = """
SELECT id, subscription, header, destination, sealed, entered_by, entered_us, approved_by,
    approved_us, destroyed_us
FROM {credentials} ORDER BY subscription, header, entered_us DESC
"""
_DROP_PENDING: Final = """
DELETE FROM {credentials}
WHERE subscription = :subscription AND header = :header AND approved_us IS NULL
"""
_ENTER: Final = """
INSERT INTO {credentials} (id, subscription, header, destination, sealed, entered_by, entered_us)
VALUES (:id, :subscription, :header, :destination, :sealed, :entered_by, {now})
"""
_APPROVE: Final = """
UPDATE {credentials} SET approved_by = :by, approved_us = {now}
WHERE id = :id AND approved_us IS NULL
"""
_DROP_OTHERS: Final = """
DELETE FROM {credentials}
WHERE subscription = :subscription AND header = :header AND id <> :id
"""
_REMOVE: Final = """
DELETE FROM {credentials} WHERE subscription = :subscription AND header = :header
"""
_DESTROY: Final = """
UPDATE {credentials} SET sealed = NULL, destroyed_us = {now}
WHERE subscription = :subscription AND destroyed_us IS NULL
RETURNING header
"""


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A credential, and its value as it lies in the database; destroyed ones have none."""

    credential: Credential
    sealed: bytes | None = field(repr=False)


async def read_credentials(
    database: Database, connection: AsyncConnection
) -> tuple[StoredCredential, ...]:
    """Read every credential, the newest of a header first."""
    return tuple(_stored(row) for row in await database.execute(connection, _READ))


async def destroy_credentials(
    database: Database, connection: AsyncConnection, subscriptions: Iterable[str]
) -> tuple[str, ...]:
    """Destroy the values that these subscriptions have, in a transaction of the caller's.

    Gives what they were: SUBSCRIPTION/HEADER.
    """
    found: set[str] = set()
    for name in subscriptions:
        rows = await database.execute(connection, _DESTROY, subscription=name)
        found.update(f"{name}/{row.header}" for row in rows)
    return tuple(sorted(found))


class CredentialStore:
    """The credentials of one registry."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def all(self) -> tuple[StoredCredential, ...]:
        """Read every credential, the newest of a header first."""
        async with self._database.look() as connection:
            return await read_credentials(self._database, connection)

    async def enter(self, new: StoredCredential, *, entry: Entry, is_approved: bool) -> Epoch:
        """Write a credential, which waits for an approval unless it has one."""
        held = new.credential
        async with self._audit.recording() as recording:
            terms = {"subscription": held.subscription, "header": held.header}
            await self._run(recording, _DROP_PENDING, **terms)
            await self._run(
                recording,
                _ENTER,
                **terms,
                id=held.id,
                destination=held.destination,
                sealed=new.sealed,
                entered_by=held.entered_by,
            )
            if is_approved:
                await self._approve(recording, held, held.entered_by)
            return await self._done(recording, entry)

    async def approve(self, held: Credential, *, by: str, entry: Entry) -> Epoch:
        """Put a credential in the place of others of its header. Raises `Conflict`."""
        async with self._audit.recording() as recording:
            await self._approve(recording, held, by)
            return await self._done(recording, entry)

    async def remove(self, subscription: str, header: str, *, entry: Entry) -> Epoch:
        """Forget a header altogether. Raises `NotFound`."""
        async with self._audit.recording() as recording:
            done = await self._run(recording, _REMOVE, subscription=subscription, header=header)
            if not done:
                raise NotFound(
                    f"{subscription} has no stored header {header[:100]!r}",
                    where="NAME",
                    fix="'dispatcher keys headers' lists them",
                    code="credential_unknown",
                )
            return await self._done(recording, entry)

    async def _approve(self, recording: Recording, held: Credential, by: str) -> None:
        if not await self._run(recording, _APPROVE, id=held.id, by=by):
            raise Conflict(
                "it was replaced or approved meanwhile",
                where="ID",
                fix="'dispatcher keys headers' lists what waits",
                code="credential_decided",
            )
        terms = {"subscription": held.subscription, "header": held.header}
        await self._run(recording, _DROP_OTHERS, **terms, id=held.id)

    async def _run(self, recording: Recording, sql: str, **terms: object) -> int:
        return (await self._database.execute(recording.connection, sql, **terms)).rowcount

    async def _done(self, recording: Recording, entry: Entry) -> Epoch:
        bumped = await bump_epoch(self._database, recording.connection)
        recording.note(replace(entry, detail={**entry.detail, "epoch": bumped.epoch}))
        await announce(self._database, recording.connection)
        return Epoch(bumped.epoch)


def _stored(row: Any) -> StoredCredential:
    held = Credential(
        id=row.id,
        subscription=row.subscription,
        header=row.header,
        destination=row.destination,
        entered_by=row.entered_by,
        entered_us=row.entered_us,
        approved_by=row.approved_by,
        approved_us=row.approved_us,
        destroyed_us=row.destroyed_us,
    )
    return StoredCredential(held, None if row.sealed is None else bytes(row.sealed))
