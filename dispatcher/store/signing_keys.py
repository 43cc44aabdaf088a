"""Signing keys as they lie in the registry: sealed, with the times that say when each one signs.

Read with the policy they belong to, and written in the transaction that makes a revision active, or
that a change of keys is. Of a key that ended the secret is destroyed, an hour later, and the row
stays, so that the ledger's key ids stay explained.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.keys import KeyKind, KeyTimes
from dispatcher.model.registry import Registry
from dispatcher.model.switch import Target
from dispatcher.store.database import Database

_READ: Final = """
SELECT subscription, fingerprint, kind, sealed, public, created_us, active_us, until_us, revoked_us,
    connector
FROM {signing_keys} ORDER BY created_us DESC, fingerprint
"""
_ADD: Final = """
INSERT INTO {signing_keys}
    (subscription, fingerprint, kind, sealed, public, created_us, active_us, connector)
VALUES (:subscription, :fingerprint, :kind, :sealed, :public, {now}, :active_us, :connector)
"""
_TURN: Final = """
UPDATE {signing_keys} SET until_us = :until_us, revoked_us = :revoked_us,
    sealed = CASE WHEN CAST(:is_destroyed AS boolean) THEN NULL ELSE sealed END
WHERE subscription = :subscription AND fingerprint = :fingerprint
"""
_ENDED: Final = """
SELECT 1 FROM {signing_keys} WHERE sealed IS NOT NULL AND until_us <= {now} - :ago_us LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as it lies in the database.

    `sealed` is empty once it is destroyed; `public` is that of an Ed25519 key, in base64. It is
    known to the partner of `connector`, and counts for no other.
    """

    subscription: str
    fingerprint: str
    sealed: bytes | None = field(repr=False)
    kind: KeyKind = KeyKind.HMAC
    public: str = ""
    times: KeyTimes = field(default=KeyTimes())
    connector: str = ""

    @property
    def name(self) -> str:
        """What it is called among the keys of all subscriptions."""
        return f"{self.subscription}/{self.fingerprint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """One act on keys, and how it is put on the record.

    Nobody tries one that is `made` before `tried_from_us`, where that is said. Of those `turned`
    the times are written, and the secret is destroyed of those that come without it. The stored
    headers of `stripped` subscriptions are destroyed, and named in `headers` when it is done;
    certificates and public keys are revoked by the fingerprints in `identities`, and `hold` is
    stopped, in the same act.
    """

    entry: Entry
    made: Sequence[StoredKey] = ()
    tried_from_us: int | None = None
    turned: Sequence[StoredKey] = ()
    stripped: Sequence[str] = ()
    headers: Sequence[str] = ()
    identities: Sequence[str] = ()
    hold: Target | None = None


def peers_of(key: StoredKey, known: Iterable[StoredKey]) -> dict[str, StoredKey]:
    """Give the keys of the same subscription, partner and kind, by fingerprint."""
    kin = (key.subscription, key.connector, key.kind)
    return {
        each.fingerprint: each
        for each in known
        if (each.subscription, each.connector, each.kind) == kin
    }


def keys_in_use(keys: Iterable[StoredKey], registry: Registry) -> tuple[StoredKey, ...]:
    """Give the keys of subscriptions there are, whose partner still is the one that knows them."""
    whose = {each.name: each.connector for each in registry.subscriptions}
    return tuple(each for each in keys if whose.get(each.subscription) == each.connector)


async def read_signing_keys(
    database: Database, connection: AsyncConnection
) -> tuple[StoredKey, ...]:
    """Read every signing key, the newest first."""
    return tuple(_key(row) for row in await database.execute(connection, _READ))


async def add_signing_keys(
    database: Database, connection: AsyncConnection, keys: Iterable[StoredKey]
) -> None:
    """Write new keys, in a transaction of the caller's."""
    rows = [
        {
            "subscription": key.subscription,
            "fingerprint": key.fingerprint,
            "kind": key.kind.value,
            "sealed": key.sealed,
            "public": key.public,
            "active_us": key.times.active_us,
            "connector": key.connector,
        }
        for key in keys
    ]
    await database.execute_many(connection, _ADD, rows)


async def turn_signing_keys(
    database: Database, connection: AsyncConnection, keys: Iterable[StoredKey]
) -> None:
    """Write until when keys sign, and destroy what they do not bear any more."""
    rows = [
        {
            "subscription": key.subscription,
            "fingerprint": key.fingerprint,
            "until_us": key.times.until_us,
            "revoked_us": key.times.revoked_us,
            "is_destroyed": key.sealed is None,
        }
        for key in keys
    ]
    await database.execute_many(connection, _TURN, rows)


async def is_secret_left(database: Database, connection: AsyncConnection, ago_us: int) -> bool:
    """True while the secret is there of a key that ended so long ago."""
    return (await database.execute(connection, _ENDED, ago_us=ago_us)).first() is not None


def _key(row: Any) -> StoredKey:
    return StoredKey(
        subscription=row.subscription,
        fingerprint=row.fingerprint,
        sealed=None if row.sealed is None else bytes(row.sealed),
        kind=KeyKind(row.kind),
        public=row.public,
        times=KeyTimes(row.created_us, row.active_us, row.until_us, row.revoked_us),
        connector=row.connector,
    )
