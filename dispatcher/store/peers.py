"""Who has been met before, for each host of a connector: what drift is measured against.

Read by the worker when it meets somebody it does not know. The rows are written by `ledger`, in the
transaction that settles the attempt.
"""

from typing import Final

from dispatcher.model.tls import Peer
from dispatcher.store.database import Database

KNOWN_MAX: Final = 1000
_KNOWN: Final = """
SELECT address, issuer, not_after_us, spki FROM {peers}
WHERE connector = :connector AND host = :host ORDER BY first_seen_us DESC LIMIT :limit
"""


class PeerStore:
    """The peers that one outbox database remembers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, connector: str, host: str) -> frozenset[Peer]:
        """Give who was met there, the latest ones where there are very many."""
        async with self._database.look() as connection:
            found = await self._database.execute(
                connection, _KNOWN, connector=connector, host=host, limit=KNOWN_MAX
            )
            return frozenset(Peer(*row) for row in found)
