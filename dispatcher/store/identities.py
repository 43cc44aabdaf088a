"""Client certificates and partners' public keys that were revoked, by fingerprint: for good.

Read with the policy, written in the transaction that revokes them. There is no way back.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.database import Database

_READ: Final = "SELECT fingerprint, revoked_us FROM {revoked_identities}"
_REVOKE: Final = """
INSERT INTO {revoked_identities} (fingerprint, revoked_us) VALUES (:fingerprint, {now})
ON CONFLICT (fingerprint) DO NOTHING
"""


async def read_revoked_identities(
    database: Database, connection: AsyncConnection
) -> Mapping[str, int]:
    """Read which were revoked, and when."""
    found = await database.execute(connection, _READ)
    return {row.fingerprint: row.revoked_us for row in found}


async def revoke_identities(
    database: Database, connection: AsyncConnection, fingerprints: Iterable[str]
) -> None:
    """Revoke these, in a transaction of the caller's; one that was before keeps its time."""
    rows = [{"fingerprint": each} for each in fingerprints]
    await database.execute_many(connection, _REVOKE, rows)
