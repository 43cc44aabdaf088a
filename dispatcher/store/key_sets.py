"""The sets of keys that partners publish, as they were last found: read with the policy.

Called by `RegistryStore.policy_now`, in its own view of the database. Written by `partner_keys`.
"""

from collections import defaultdict
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.key_set import FoundKey, KeySetNow, SeenKey
from dispatcher.store.database import Database

_SETS: Final = "SELECT connector, url, good_us FROM {partner_key_sets} WHERE good_us > 0"
_KEYS: Final = """
SELECT connector, thumbprint, kid, jwk, is_for_encryption, first_seen_us FROM {partner_keys}
WHERE place IS NOT NULL AND exposed_us IS NULL ORDER BY connector, place
"""
_EXPOSED: Final = "SELECT connector, thumbprint FROM {partner_keys} WHERE exposed_us IS NOT NULL"


async def read_key_sets(database: Database, connection: AsyncConnection) -> dict[str, KeySetNow]:
    """Read every set, by connector, without keys whose private half was ever published."""
    keys: dict[str, list[SeenKey]] = defaultdict(list)
    exposed: dict[str, set[str]] = defaultdict(set)
    for row in await database.execute(connection, _KEYS):
        keys[row.connector].append(SeenKey(found_key(row), row.first_seen_us))
    for row in await database.execute(connection, _EXPOSED):
        exposed[row.connector].add(row.thumbprint)
    return {
        row.connector: KeySetNow(
            row.connector,
            row.url,
            row.good_us,
            tuple(keys[row.connector]),
            frozenset(exposed[row.connector]),
        )
        for row in await database.execute(connection, _SETS)
    }


def found_key(row: Any) -> FoundKey:
    """Read one key from its row."""
    return FoundKey(row.kid, row.thumbprint, row.jwk, bool(row.is_for_encryption))
