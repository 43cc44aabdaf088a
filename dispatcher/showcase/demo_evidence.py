"""Everything that was observed in the demonstration, put on the table for the checks.

Read from the partners' inboxes, the shops' notes, the files and, with a plain SQLite connection of
its own, the database. Nothing here judges, and nothing asks the house for its opinion.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dispatcher.showcase.demo_events import find_marks
from dispatcher.showcase.demo_terms import Terms
from dispatcher.showcase.demo_world import BUSINESS_TABLES, Told
from dispatcher.showcase.inbox import Received

_LEDGER: Final = """
SELECT x.delivery_id AS delivery, x.attempt, x.webhook_id, x.subscription, e.id AS event,
       x.begun_us, x.body_sha256, x.outcome, x.code, f.fields
FROM dispatcher_disclosures x
JOIN dispatcher_events e ON e.seq = x.event_seq
LEFT JOIN dispatcher_field_sets f ON f.id = x.field_set
ORDER BY x.begun_us, x.delivery_id, x.attempt
"""
_DELIVERIES: Final = """
SELECT d.id AS delivery, e.id AS event, d.subscription, d.webhook_id, d.state, d.code, d.failures
FROM dispatcher_deliveries d JOIN dispatcher_events e ON e.seq = d.event_seq ORDER BY d.id
"""
_EVENTS: Final = "SELECT id FROM dispatcher_events"
_UNSETTLED: Final = """
SELECT count(*) FROM dispatcher_deliveries d
WHERE (d.state IN ('waiting', 'leased') AND NOT (d.lane IN ({lanes})))
   OR (d.state = 'parked' AND d.judged_epoch < (SELECT epoch FROM dispatcher_policy))
"""
_NOT_FINAL: Final = """
SELECT id FROM dispatcher_deliveries
WHERE state IN ('waiting', 'leased') AND subscription IN ({subscriptions})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One attempt, as the disclosure ledger has it."""

    delivery: int
    attempt: int
    webhook_id: str
    subscription: str
    event: str
    begun_us: int
    body_sha256: str
    outcome: str | None
    code: str | None
    fields: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One event for one subscription, and where it stands."""

    delivery: int
    event: str
    subscription: str | None
    webhook_id: str | None
    state: str
    code: str | None
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldStory:
    """One connector held in mid-flight: when it was confirmed, when released, what waited then."""

    connector: str
    tripped_us: int
    confirmed_us: int
    confirmed_ms: float
    released_us: int
    waiting: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the checks look at."""

    committed: tuple[Told, ...] = field(repr=False)
    rolled_back: tuple[Told, ...] = field(repr=False)
    transactions: int
    terms: Mapping[str, Terms]
    secrets: Mapping[str, str] = field(repr=False)
    received: tuple[Received, ...] = field(repr=False)
    events: tuple[str, ...] = field(repr=False)
    business_rows: int
    ledger: tuple[LedgerRow, ...] = field(repr=False)
    deliveries: tuple[DeliveryRow, ...] = field(repr=False)
    closed: Mapping[str, str]
    hold: HoldStory
    trap: tuple[str, int]
    trap_connections: int
    peers: tuple[tuple[str, int], ...] = field(repr=False)
    names_asked: tuple[str, ...]
    inboxes: frozenset[tuple[str, int]]
    readable_marks: int


@dataclass(frozen=True, slots=True)
class Book:
    """What the database says at the end."""

    events: tuple[str, ...]
    business_rows: int
    ledger: tuple[LedgerRow, ...]
    deliveries: tuple[DeliveryRow, ...]


def read_book(database: Path) -> Book:
    """Read the final state of the database."""
    with closing(_open(database)) as connection:
        business = sum(
            int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
            for table in BUSINESS_TABLES
        )
        return Book(
            events=tuple(row["id"] for row in connection.execute(_EVENTS)),
            business_rows=business,
            ledger=tuple(LedgerRow(**row) for row in _rows(connection, _LEDGER)),
            deliveries=tuple(DeliveryRow(**row) for row in _rows(connection, _DELIVERIES)),
        )


def count_unsettled(database: Path, closed_lanes: frozenset[str]) -> int:
    """Count what is still on its way; whatever waits in a closed lane is not."""
    lanes = tuple(sorted(closed_lanes))
    sql = _UNSETTLED.format(lanes=_marks(lanes))
    with closing(_open(database)) as connection:
        return int(connection.execute(sql, lanes).fetchone()[0])


def find_waiting(database: Path, subscriptions: frozenset[str]) -> frozenset[int]:
    """Give the deliveries of these subscriptions that are not yet at an end."""
    names = tuple(sorted(subscriptions))
    sql = _NOT_FINAL.format(subscriptions=_marks(names))
    with closing(_open(database)) as connection:
        return frozenset(row[0] for row in connection.execute(sql, names))


def count_readable_marks(files: Iterator[Path]) -> int:
    """Count planted marks that can be read in the files themselves."""
    return sum(len(find_marks(file.read_bytes())) for file in files if file.is_file())


def _open(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
    connection.row_factory = sqlite3.Row
    return connection


def _rows(connection: sqlite3.Connection, sql: str) -> Iterator[dict[str, Any]]:
    return (dict(row) for row in connection.execute(sql))


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
