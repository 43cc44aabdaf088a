"""Counts what the road costs the database, and checks that what was measured really happened.

Round trips come from the driver: asyncpg counts every exchange of its protocol that ends with
"ready for query", so a statement, its preparation, BEGIN, COMMIT and a reset each count as one.
Row writes come from PostgreSQL's own statistics. Used by `bench road` alone.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import event, text

from dispatcher.showcase.receiver import Tally
from dispatcher.store.database import Database
from dispatcher.store.tables import OUTBOX_TABLES, REGISTRY_TABLES, render

_LOOKS_MAX: Final = 500
_LOOK_SECONDS: Final = 0.02
_WRITES: Final = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables
WHERE schemaname = 'dispatcher'
"""
_OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_STATES: Final = "SELECT state, count(*) FROM {deliveries} GROUP BY state ORDER BY state"
_LEDGER: Final = "SELECT count(*) FROM {disclosures} WHERE outcome = 'delivered' AND attempt = 1"
_LEDGER_ALL: Final = "SELECT count(*) FROM {disclosures}"


class TripCount:
    """The round trips of every connection a database opens from now on."""

    def __init__(self, database: Database) -> None:
        self._connections: list[Any] = []
        # Before the dialect's own listener, so that what it asks of a new connection counts too.
        event.listen(database.engine.sync_engine, "connect", self._remember, insert=True)

    @property
    def trips(self) -> int:
        """How many there were so far."""
        return sum(protocol.queries_count for protocol in self._connections)

    def _remember(self, connection: Any, _record: object) -> None:
        protocol = getattr(connection.driver_connection, "_protocol", None)
        if protocol is not None:  # SQLite makes no trips
            self._connections.append(protocol)


@dataclass(frozen=True, slots=True)
class RowWrites:
    """Rows inserted, updated and deleted: on the deliveries' road, and by heartbeats."""

    road: int
    heartbeats: int

    def since(self, before: "RowWrites") -> "RowWrites":
        """Give what was written in between."""
        return RowWrites(self.road - before.road, self.heartbeats - before.heartbeats)


async def read_row_writes(database: Database) -> RowWrites:
    """Read the statistics once nobody else is connected: a server process writes its share into
    them at the latest when it ends."""
    for _ in range(_LOOKS_MAX):
        if not await _scalar(database, _OTHERS):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    async with database.single() as connection:
        found = (await connection.execute(text(_WRITES))).all()
    rows = {row[0]: row[1] for row in found}
    known = {name: rows.get(name, 0) for name in (*OUTBOX_TABLES, *REGISTRY_TABLES)}
    return RowWrites(road=sum(known[name] for name in OUTBOX_TABLES), heartbeats=known["workers"])


async def find_discrepancies(database: Database, events: int, total: int, got: Tally) -> list[str]:
    """Say in what the round is not what it claims: this round's events, and all there ever were."""
    found = []
    if got.distinct != events:
        found.append(f"{got.distinct} distinct webhook-ids arrived of {events} events")
    async with database.single() as connection:
        rows = await connection.execute(text(render(_STATES, database.dialect)))
        states = {row[0]: row[1] for row in rows}
    if states != {"delivered": total}:
        found.append(f"deliveries are {states}, not {total} delivered")
    for name, sql in (("rows", _LEDGER_ALL), ("first attempts delivered", _LEDGER)):
        rows = await _scalar(database, render(sql, database.dialect))
        if rows != total:
            found.append(f"the ledger has {rows} {name}, not {total}")
    return found


async def _scalar(database: Database, sql: str) -> Any:
    async with database.single() as connection:
        return (await connection.execute(text(sql))).scalar()
