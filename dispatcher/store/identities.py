"""Client certificates that were revoked, by fingerprint: for good, there is no way back.

Written by `control.identities`, read with the policy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Epoch
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.epoch import announce, bump_epoch

_READ: Final = "SELECT fingerprint, revoked_us FROM {revoked_identities}"
_REVOKE: Final = """
INSERT INTO {revoked_identities} (fingerprint, revoked_us) VALUES (:fingerprint, {now})
ON CONFLICT (fingerprint) DO NOTHING
"""


async def read_revoked_identities(
    database: Database, connection: AsyncConnection
) -> Mapping[str, int]:
    """Read which client certificates were revoked, and when."""
    found = await database.execute(connection, _READ)
    return {row.fingerprint: row.revoked_us for row in found}


class IdentityStore:
    """The revoked client certificates of one registry."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def revoked(self) -> Mapping[str, int]:
        """Read which were revoked, and when."""
        async with self._database.look() as connection:
            return await read_revoked_identities(self._database, connection)

    async def revoke(self, fingerprint: str, entry: Entry) -> Epoch:
        """Revoke one for good; give the epoch that workers must confirm.

        Raises `Conflict` (`identity_revoked`) where it was before.
        """
        async with self._audit.recording() as recording:
            connection = recording.connection
            epoch = (await bump_epoch(self._database, connection)).epoch
            done = await self._database.execute(connection, _REVOKE, fingerprint=fingerprint)
            if not done.rowcount:
                raise Conflict(
                    f"the client certificate {fingerprint} is revoked already",
                    where="--identity",
                    fix="'dispatcher keys list --ended' says since when",
                    code="identity_revoked",
                )
            recording.note(replace(entry, detail={**entry.detail, "epoch": epoch}))
            await announce(self._database, connection)
        return Epoch(epoch)
