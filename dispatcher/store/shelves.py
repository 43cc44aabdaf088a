"""What each rule of retention is about, in SQL: where its rows lie, how old they are, how they go.

Read by `store.retention`. An event passes through three stages, and its row shows which: with its
payload; without it, but with its keys (and whom it is about, where no seal took that in); bare.
Only what is bare is deleted, with all that refers to it, so no number is ever used again while
something names it. What belongs to an event that may still be sent is never touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dispatcher.model.retention import Store
from dispatcher.store.arrays import over_rows
from dispatcher.store.tables import EVENT_PARTS

MOVING: Final = """(EXISTS (
    SELECT 1 FROM {deliveries} d
    WHERE d.event_seq = e.seq AND d.state IN ('waiting', 'leased', 'parked'))
  OR EXISTS (
    SELECT 1 FROM {window_members} m JOIN {deliveries} d ON d.window_id = m.window_id
    WHERE m.event_seq = e.seq AND d.state IN ('waiting', 'leased', 'parked')))"""
"""An event is moving while a delivery of it may still be sent, or the letter of its window."""

_SETTLED: Final = """(
    SELECT d.settled_us, d.state FROM {deliveries} d WHERE d.event_seq = e.seq
    UNION ALL
    SELECT d.settled_us, d.state FROM {window_members} m
    JOIN {deliveries} d ON d.window_id = m.window_id WHERE m.event_seq = e.seq) s"""
_RESTED: Final = f"COALESCE((SELECT max(s.settled_us) FROM {_SETTLED}), e.enqueued_us)"
_DEAD: Final = f"EXISTS (SELECT 1 FROM {_SETTLED} WHERE s.state = 'dead')"
# A partner may have read of an event after its last letter.
_LATELY_READ: Final = """EXISTS (
    SELECT 1 FROM {deliveries} d JOIN {disclosures} x ON x.delivery_id = d.id
    WHERE d.event_seq = e.seq AND x.begun_us >= {now} - :kept_us)"""
# The letter of a window is filed under the first event of it, and is the others' too.
_CARRIES_OTHERS: Final = """EXISTS (
    SELECT 1 FROM {deliveries} d JOIN {window_members} m ON m.window_id = d.window_id
    JOIN {events} o ON o.seq = m.event_seq
    WHERE d.event_seq = e.seq AND (o.payload IS NOT NULL OR o.subjects <> ''))"""

Statement = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One store: rows of `source` that `where` picks, locked as `row`, known by `key`.

    `seen` is never later than `aged`, by which rows are judged; rows are walked in its order.
    `takes` remove what has the keys `k`, each a name to count under and a statement.
    """

    source: str
    row: str
    key: str
    first_key: int | str = 0
    seen: str
    aged: str
    where: str = "true"
    is_about_events: bool = True
    takes: tuple[tuple[str, Statement], ...]


def _take(name: str, sql: str, kind: str = "bigint") -> tuple[str, Statement]:
    return name, over_rows(sql.replace("{keys}", "(SELECT k FROM {rows})"), ("k", kind))


def _of_events(where: str, *takes: tuple[str, Statement], aged: str = _RESTED) -> Shelf:
    return Shelf(
        source="{events} e",
        row="e",
        key="e.seq",
        seen="e.enqueued_us",
        aged=aged,
        where=where,
        takes=takes,
    )


# What was found at rest may have been sent anew before it was locked.
_DROP: Final = _take(
    "payloads",
    f"UPDATE {{events}} AS e SET payload = NULL "
    f"WHERE e.seq IN {{keys}} AND NOT {MOVING} RETURNING seq",
)
_CLEAR: Final = _take(
    "envelopes",
    "UPDATE {events} SET subjects = '', ordering_key = NULL, idempotency_key = NULL, "
    "payload_digest = NULL, traceparent = NULL WHERE seq IN {keys}",
)
_THEIRS: Final = "FROM {deliveries} d WHERE d.event_seq IN {keys}"
_DELETE: Final = (
    _take("findings", f"DELETE FROM {{findings}} WHERE delivery_id IN (SELECT d.id {_THEIRS})"),
    _take(
        "tickets", f"DELETE FROM {{tickets}} WHERE webhook_id IN (SELECT d.webhook_id {_THEIRS})"
    ),
    _take(
        "disclosures", f"DELETE FROM {{disclosures}} WHERE delivery_id IN (SELECT d.id {_THEIRS})"
    ),
    _take(
        "window_members",
        f"DELETE FROM {{window_members}} WHERE window_id IN (SELECT d.window_id {_THEIRS})",
    ),
    _take("window_members", "DELETE FROM {window_members} WHERE event_seq IN {keys}"),
    _take("windows", f"DELETE FROM {{windows}} WHERE id IN (SELECT d.window_id {_THEIRS})"),
    _take("deliveries", "DELETE FROM {deliveries} WHERE event_seq IN {keys}"),
    _take("events", "DELETE FROM {events} WHERE seq IN {keys}"),
)


def _part(name: str) -> str:
    return " AND ".join(f"e.{each}" for each in EVENT_PARTS[name].split(" AND "))


SHELVES: Final[Mapping[Store, Shelf]] = {
    Store.PAYLOADS: _of_events(f"{_part('payloads')} AND NOT {_DEAD}", _DROP),
    Store.DEAD_PAYLOADS: _of_events(f"{_part('payloads')} AND {_DEAD}", _DROP),
    Store.ENVELOPES: _of_events(_part("named"), _CLEAR),
    Store.FINDINGS: Shelf(
        source="{findings} f JOIN {events} e ON e.seq = f.event_seq",
        row="f",
        key="f.id",
        seen="f.found_us",
        aged="f.found_us",
        takes=(_take("findings", "DELETE FROM {findings} WHERE id IN {keys}"),),
    ),
    # As long as a payload is there a retry may renew its ticket, and the reads it had must count.
    Store.TICKETS: Shelf(
        source="{tickets} t JOIN {events} e ON e.seq = t.event_seq",
        row="t",
        key="t.webhook_id",
        first_key="",
        seen="t.expires_us",
        aged="t.expires_us",
        where="e.payload IS NULL",
        takes=(_take("tickets", "DELETE FROM {tickets} WHERE webhook_id IN {keys}", "text"),),
    ),
    Store.LEDGER: _of_events(
        f"{_part('bare')} AND NOT {_LATELY_READ} AND NOT {_CARRIES_OTHERS}", *_DELETE
    ),
    Store.TRIAGE: Shelf(
        source="{triage} t",
        row="t",
        key="t.event_type || ' ' || t.path",
        first_key="",
        seen="t.last_seen_us",
        aged="t.last_seen_us",
        is_about_events=False,
        takes=(
            _take(
                "triage", "DELETE FROM {triage} WHERE event_type || ' ' || path IN {keys}", "text"
            ),
        ),
    ),
    Store.PURGES: Shelf(
        source="{purges} p",
        row="p",
        key="p.id",
        seen="p.at_us",
        aged="p.at_us",
        is_about_events=False,
        takes=(_take("purges", "DELETE FROM {purges} WHERE id IN {keys}"),),
    ),
}
