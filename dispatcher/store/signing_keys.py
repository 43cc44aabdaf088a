"""Signing keys as they lie in the registry: sealed, with the times that say when each one signs.

Read with the policy they belong to, and written in the transaction that makes a revision active. A
revoked key leaves its row without its secret, so that the ledger's key ids stay explained.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.keys import KeyKind, KeyTimes
from dispatcher.store.database import Database

_READ: Final = """
SELECT subscription, fingerprint, kind, sealed, public, created_us, active_us, until_us, revoked_us
FROM {signing_keys} ORDER BY created_us DESC, fingerprint
"""
_ADD: Final = """
INSERT INTO {signing_keys} (subscription, fingerprint, kind, sealed, public, created_us, active_us)
VALUES (:subscription, :fingerprint, :kind, :sealed, :public, {now}, 0)
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as it lies in the database.

    `sealed` is empty once it is revoked; `public` is the public half of an Ed25519 key, in base64.
    """

    subscription: str
    fingerprint: str
    sealed: bytes | None = field(repr=False)
    kind: KeyKind = KeyKind.HMAC
    public: str = ""
    times: KeyTimes = field(default=KeyTimes())


async def read_signing_keys(
    database: Database, connection: AsyncConnection
) -> tuple[StoredKey, ...]:
    """Read every signing key, the newest first."""
    return tuple(_key(row) for row in await database.execute(connection, _READ))


async def add_signing_keys(
    database: Database, connection: AsyncConnection, keys: Iterable[StoredKey]
) -> None:
    """Write keys that sign from now on, in a transaction of the caller's."""
    rows = [
        {
            "subscription": key.subscription,
            "fingerprint": key.fingerprint,
            "kind": key.kind.value,
            "sealed": key.sealed,
            "public": key.public,
        }
        for key in keys
    ]
    await database.execute_many(connection, _ADD, rows)


def _key(row: Any) -> StoredKey:
    return StoredKey(
        subscription=row.subscription,
        fingerprint=row.fingerprint,
        sealed=None if row.sealed is None else bytes(row.sealed),
        kind=KeyKind(row.kind),
        public=row.public,
        times=KeyTimes(row.created_us, row.active_us, row.until_us, row.revoked_us),
    )
