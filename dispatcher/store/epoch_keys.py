"""The keys of tenants and epochs, as they lie in the registry: wrapped, or destroyed.

Read and added to by `vault.epochs`, on whichever process needs a key first; changed by `control`
alone, and on the record. What lies here opens nothing without the key provider. An epoch is the
period of the database's own clock that now lies in, or what is left of one that was ended early.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.epoch_key import EpochKey
from dispatcher.model.ids import Epoch
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.epoch import announce

_COLUMNS: Final = "id, tenant, begins_us, ends_us, wrapped, kek, destroyed_us"
_IS_CURRENT: Final = "begins_us <= {now} AND ends_us > {now} AND destroyed_us IS NULL"
_CURRENT: Final = f"""
SELECT {_COLUMNS}, ends_us - {{now}} FROM {{epoch_keys}}
WHERE tenant = :tenant AND {_IS_CURRENT} ORDER BY begins_us DESC LIMIT 1
"""
_START: Final = "{now} - {now} % CAST(:period_us AS bigint)"
# Two who add at once count from the same instant, and the second adds nothing.
_ADD: Final = f"""
INSERT INTO {{epoch_keys}} (id, tenant, begins_us, ends_us, wrapped, kek, created_us)
SELECT :id, CAST(:tenant AS text), COALESCE(
    (SELECT max(ends_us) FROM {{epoch_keys}}
     WHERE tenant = CAST(:tenant AS text) AND ends_us <= {{now}} AND ends_us > {_START}), {_START}),
    {_START} + CAST(:period_us AS bigint), :wrapped, :kek, {{now}}
WHERE true
ON CONFLICT (tenant, begins_us) DO NOTHING
"""
_FIND: Final = f"SELECT {_COLUMNS} FROM {{epoch_keys}} WHERE id = :id"
_LIST: Final = f"SELECT {_COLUMNS} FROM {{epoch_keys}} ORDER BY tenant, begins_us, id"
_END: Final = f"""
UPDATE {{epoch_keys}} SET ends_us = {{now}}
WHERE {_IS_CURRENT} AND (CAST(:tenant AS text) IS NULL OR tenant = CAST(:tenant AS text))
"""
_REWRAP: Final = """
UPDATE {epoch_keys} SET wrapped = :wrapped, kek = :kek
WHERE id = :id AND wrapped = :was AND destroyed_us IS NULL
"""
_DESTROY: Final = """
UPDATE {epoch_keys} SET wrapped = NULL, destroyed_us = {now}
WHERE tenant = :tenant AND id = :id AND ends_us <= {now} AND destroyed_us IS NULL
"""
_CHANGES: Final = "SELECT key_changes FROM {policy} WHERE id = 1"
_BUMP: Final = """
UPDATE {policy} SET epoch = epoch + 1, key_changes = key_changes + 1 WHERE id = 1 RETURNING epoch
"""


class EpochKeyStore:
    """The epoch keys of one registry."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def current(self, tenant: str) -> tuple[EpochKey, int] | None:
        """Give the key that seals a tenant's records now, and for how many microseconds more."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _CURRENT, tenant=tenant)
            row = found.one_or_none()
        return None if row is None else (_key(row), row[7])

    async def add(self, key: EpochKey, period_us: int) -> None:
        """Keep a new key for the epoch that is now, unless the tenant has one for it."""
        given = {"id": key.id, "tenant": key.tenant, "wrapped": key.wrapped, "kek": key.kek}
        async with self._database.single() as connection:
            await self._database.execute(connection, _ADD, period_us=period_us, **given)

    async def find(self, key_id: str) -> EpochKey | None:
        """Give a key by its name."""
        async with self._database.look() as connection:
            row = (await self._database.execute(connection, _FIND, id=key_id)).one_or_none()
        return None if row is None else _key(row)

    async def all(self) -> list[EpochKey]:
        """Give every key there ever was, by tenant and time."""
        async with self._database.look() as connection:
            return [_key(row) for row in await self._database.execute(connection, _LIST)]

    async def changes(self) -> int:
        """Count how often keys were destroyed, or ended before their time."""
        async with self._database.look() as connection:
            count: int = (await self._database.execute(connection, _CHANGES)).scalar_one()
        return count

    async def rewrap(self, key: EpochKey, wrapped: bytes, kek: str) -> bool:
        """Put a newly wrapped key in the place of what `key` holds; `False` if it moved."""
        given = {"id": key.id, "was": key.wrapped, "wrapped": wrapped, "kek": kek}
        async with self._database.single() as connection:
            done = await self._database.execute(connection, _REWRAP, **given)
            return done.rowcount == 1

    async def end(self, tenant: str | None, entry: Entry) -> tuple[int, Epoch]:
        """End the epochs that are now, of one tenant or of all; give how many, and the epoch.

        From that switch epoch on nobody seals under the old keys.
        """
        async with self._audit.recording() as recording:
            connection = recording.connection
            done = await self._database.execute(connection, _END, tenant=tenant)
            epoch = await self._bump(connection)
            detail = {**entry.detail, "epochs": done.rowcount, "epoch": epoch}
            recording.note(replace(entry, detail=detail))
        return done.rowcount, epoch

    async def destroy(self, keys: Sequence[EpochKey], entry: Entry) -> tuple[list[str], Epoch]:
        """Destroy keys whose time is over; give which, and the epoch from which none is in use."""
        gone = []
        async with self._audit.recording() as recording:
            connection = recording.connection
            for key in keys:
                done = await self._database.execute(
                    connection, _DESTROY, tenant=key.tenant, id=key.id
                )
                gone += [key.id] if done.rowcount else []
            epoch = await self._bump(connection)
            detail = {**entry.detail, "keys": gone, "epoch": epoch}
            recording.note(replace(entry, detail=detail))
        return gone, epoch

    async def _bump(self, connection: AsyncConnection) -> Epoch:
        epoch = (await self._database.execute(connection, _BUMP)).scalar_one()
        await announce(self._database, connection)
        return Epoch(epoch)


def _key(row: Any) -> EpochKey:
    return EpochKey(
        id=row[0],
        tenant=row[1],
        begins_us=row[2],
        ends_us=row[3],
        wrapped=bytes(row[4]) if row[4] is not None else None,
        kek=row[5],
        destroyed_us=row[6],
    )
