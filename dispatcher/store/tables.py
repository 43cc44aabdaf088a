"""The schema of both planes, once: names, columns, indexes.

On PostgreSQL every table lives in schema `dispatcher`; on SQLite, which has no schemas, its name is
prefixed. Times are microseconds since the epoch, UTC (`*_us`). Used by every module of this room
and by the test that compares it with the migrations.

The shape follows what changes: `events` is wide and never changes on the road; `deliveries` is
narrow and hot; `disclosures` is the ledger, inserted before the bytes and completed once. An event
enters with one `deliveries` row in the intake lane; fan-out turns that row into its first delivery,
so the happy path writes four rows in all.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from dispatcher.store.catalogue_tables import make_catalogue
from dispatcher.store.control_tables import (
    make_audit,
    make_credentials,
    make_epoch_keys,
    make_key_trials,
    make_partner_keys,
    make_people,
    make_proofs,
    make_revoked_identities,
    make_signing_keys,
    make_token_keys,
)
from dispatcher.store.outbox_tables import (
    make_findings,
    make_purges,
    make_tickets,
    make_triage,
    make_vault,
    make_windows,
)

SCHEMA: Final = "dispatcher"
REGISTRY_TABLES: Final = (
    "revisions",
    "policy",
    "switches",
    "workers",
    "signing_keys",
    "credentials",
    "key_trials",
    "revoked_identities",
    "principals",
    "tokens",
    "change_sets",
    "audit_log",
    "audit_head",
    "replies",
    "proofs",
    "challenges",
    "token_keys",
    "token_reads",
    "epoch_keys",
    "partner_key_sets",
    "partner_keys",
)
OUTBOX_TABLES: Final = (
    "events",
    "deliveries",
    "disclosures",
    "findings",
    "tickets",
    "shown_signatures",
    "peers",
    "field_sets",
    "scopes",
    "catalogue",
    "producers",
    "publication",
    "triage",
    "vault_tokens",
    "vault_subjects",
    "windows",
    "window_members",
    "purges",
)

EVENT_PARTS: Final = {
    "payloads": "payload IS NOT NULL",
    "named": "payload IS NULL AND subjects <> ''",
    "bare": "payload IS NULL AND subjects = ''",
}
"""What may be left of an event, and how its row shows it."""

_KEY = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only for a column of exactly this type."""


def table_name(name: str, dialect: str) -> str:
    """Give a table's name without its schema."""
    return f"{SCHEMA}_{name}" if dialect == "sqlite" else name


def schema_name(dialect: str) -> str | None:
    """Give the schema the tables live in, if the dialect has schemas."""
    return None if dialect == "sqlite" else SCHEMA


@lru_cache(maxsize=1024)
def render(sql: str, dialect: str) -> str:
    """Put qualified table names and the dialect's clock into a statement.

    `{events}` becomes `dispatcher.events` or `dispatcher_events`. `{now}` is the database server's
    own clock on PostgreSQL, so that hosts need not agree on the time; on SQLite, where there is one
    host, it is the parameter `:now`. `{session}` is the role that logged in, whatever it has been
    set to since; `{owner}` the one that owns the outbox, dispatcher's own. SQLite knows no roles.
    """
    prefix = f"{SCHEMA}_" if dialect == "sqlite" else f"{SCHEMA}."
    names = {name: prefix + name for name in (*REGISTRY_TABLES, *OUTBOX_TABLES)}
    if dialect == "sqlite":
        return sql.format(now=":now", session="NULL", owner="NULL", **names)
    return sql.format(now=_POSTGRESQL_NOW, session=_SESSION, owner=_OWNER, **names)


# Not `clock_timestamp()`: an index cannot be searched for a value that changes within a statement.
_POSTGRESQL_NOW: Final = "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint)"
# A name is collated otherwise than a text, and no index of texts would serve it.
_SESSION: Final = 'CAST(session_user AS text) COLLATE "default"'
_OWNER: Final = f"""(SELECT CAST(pg_catalog.pg_get_userbyid(relowner) AS text)
    FROM pg_catalog.pg_class WHERE oid = CAST('{SCHEMA}.events' AS regclass))"""


def _table(metadata: MetaData, dialect: str, name: str, *columns: Column[Any]) -> Table[Any]:
    # Room on each page lets the lease and the settlement of a row stay on that page.
    options: dict[str, Any] = {}
    if name == "deliveries":
        options["postgresql_with"] = {"fillfactor": "60"}
    return Table(
        table_name(name, dialect), metadata, *columns, schema=schema_name(dialect), **options
    )


def _index(
    table: Table[Any], name: str, *columns: str, where: str = "", unique: bool = False
) -> None:
    clause = text(where) if where else None
    Index(
        f"{table.name}_{name}",
        *(table.c[column] for column in columns),
        unique=unique,
        postgresql_where=clause,
        sqlite_where=clause,
    )


@lru_cache(maxsize=2)
def registry_metadata(dialect: str) -> MetaData:
    """Give the registry plane's tables: what may flow, what is stopped, who is at work."""
    metadata = MetaData()
    _table(
        metadata,
        dialect,
        "revisions",
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("parent_hash", Text, nullable=False),
        Column("hash", Text, nullable=False, unique=True),
        *_texts("author", "approver", "reason"),
        Column("created_us", BigInteger, nullable=False),
        Column("content", Text, nullable=False),
    )
    _table(
        metadata,
        dialect,
        "policy",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("revision", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("erasures", BigInteger, nullable=False, server_default=text("0")),
        Column("key_changes", BigInteger, nullable=False, server_default=text("0")),
    )
    _table(
        metadata,
        dialect,
        "switches",
        Column("id", _KEY, primary_key=True),
        Column("target", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("tripped_us", BigInteger, nullable=False),
        Column("released_us", BigInteger),
        Column("released_by", Text),
    )
    _table(
        metadata,
        dialect,
        "workers",
        Column("id", Text, primary_key=True),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("started_us", BigInteger, nullable=False),
        Column("seen_us", BigInteger, nullable=False),
        Column("lease_us", BigInteger, nullable=False),
        Column("confirmed_epoch", BigInteger, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("in_flight", Integer, nullable=False),
        Column("is_fenced", Boolean, nullable=False),
    )
    make = partial(_table, metadata, dialect)
    make_people(make)
    _change_sets(metadata, dialect)
    make_audit(make)
    make_proofs(make)
    make_signing_keys(make)
    make_credentials(make)
    make_key_trials(make)
    make_revoked_identities(make)
    make_token_keys(make)
    make_epoch_keys(make, _index)
    make_partner_keys(make)
    return metadata


@lru_cache(maxsize=2)
def outbox_metadata(dialect: str) -> MetaData:
    """Give the outbox plane's tables: events, deliveries, the ledger, and the catalogue's copy."""
    metadata = MetaData()
    _events(metadata, dialect)
    _deliveries(metadata, dialect)
    _disclosures(metadata, dialect)
    for name in ("field_sets", "scopes"):
        _table(
            metadata,
            dialect,
            name,
            Column("id", Text, primary_key=True),
            Column("fields", Text, nullable=False),
        )
    make = partial(_table, metadata, dialect)
    make_catalogue(make)
    make_findings(make, _index, _KEY)
    make_purges(make, _KEY)
    make_tickets(make, _index)
    make_triage(make)
    make_vault(make, _index)
    make_windows(make, _index, _KEY)
    return metadata


def _change_sets(metadata: MetaData, dialect: str) -> None:
    _table(
        metadata,
        dialect,
        "change_sets",
        Column("number", _KEY, primary_key=True),
        Column("state", Text, nullable=False),
        Column("base", BigInteger, nullable=False),
        *_texts("hash", "content", "diff", "author", "reason"),
        Column("proposed_us", BigInteger, nullable=False),
        Column("decided_by", Text),
        Column("decided_us", BigInteger),
        Column("decision", Text),
        Column("revision", BigInteger),
    )


def _events(metadata: MetaData, dialect: str) -> None:
    events = _table(
        metadata,
        dialect,
        "events",
        Column("seq", _KEY, primary_key=True),
        Column("id", Text, nullable=False, unique=True),
        *_texts("tenant", "type", "producer", "subjects"),
        Column("payload", LargeBinary),
        Column("is_sealed", Boolean, nullable=False),
        Column("idempotency_key", Text),
        Column("payload_digest", Text),
        Column("ordering_key", Text),
        Column("traceparent", Text),
        Column("occurred_us", BigInteger, nullable=False),
        Column("enqueued_us", BigInteger, nullable=False),
        Column("written_by", Text),
    )
    _index(
        events,
        "idempotency",
        "tenant",
        "producer",
        "idempotency_key",
        where="idempotency_key IS NOT NULL",
        unique=True,
    )
    # Each event is in one of these, by what is left of it: see `store.retention`.
    for name, where in EVENT_PARTS.items():
        _index(events, name, "enqueued_us", "seq", where=where)


def _deliveries(metadata: MetaData, dialect: str) -> None:
    deliveries = _table(
        metadata,
        dialect,
        "deliveries",
        Column("id", _KEY, primary_key=True),
        Column("event_seq", BigInteger, nullable=False),
        Column("lane", Text, nullable=False),
        Column("subscription", Text),
        Column("webhook_id", Text),
        Column("scope_id", Text),
        Column("state", Text, nullable=False),
        Column("due_us", BigInteger),
        Column("lease_token", Text),
        Column("leased_until_us", BigInteger),
        Column("attempt", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("status", Integer),
        Column("code", Text),
        Column("settled_us", BigInteger),
        Column("judged_epoch", BigInteger),
        Column("replay_of", BigInteger),
        Column("window_id", BigInteger),
    )
    _index(deliveries, "due", "lane", "due_us", "id", where="due_us IS NOT NULL")
    _index(deliveries, "leases", "leased_until_us", where="leased_until_us IS NOT NULL")
    _index(deliveries, "parked", "judged_epoch", where="state = 'parked'")
    _index(deliveries, "dead", "subscription", "settled_us", where="state = 'dead'")
    _index(deliveries, "event", "event_seq")
    _index(deliveries, "window", "window_id", where="window_id IS NOT NULL")


def _disclosures(metadata: MetaData, dialect: str) -> None:
    disclosures = _table(
        metadata,
        dialect,
        "disclosures",
        Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
        Column("attempt", Integer, primary_key=True, autoincrement=False),
        Column("event_seq", BigInteger, nullable=False),
        *_texts("webhook_id", "tenant", "connector", "subscription", "endpoint", "purpose"),
        *_texts("agreement", "subjects", "scope_id", "field_set", "body_sha256"),
        Column("body_bytes", Integer, nullable=False),
        Column("key_ids", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("worker", Text, nullable=False),
        Column("begun_us", BigInteger, nullable=False),
        Column("ended_us", BigInteger),
        Column("outcome", Text),
        Column("status", Integer),
        Column("code", Text),
        Column("legal_basis", Text, nullable=False, server_default=text("''")),
        Column("country", Text, nullable=False, server_default=text("''")),
        Column("peer", Text),
        Column("location_host", Text),
        Column("caller", Text),
        Column("caller_address", Text),
    )
    _index(disclosures, "reads", "begun_us", where="attempt < 0 AND outcome IS NULL")
    peers = _table(
        metadata,
        dialect,
        "peers",
        Column("id", Text, primary_key=True),
        *_texts("connector", "host", "address", "issuer"),
        Column("not_after_us", BigInteger, nullable=False),
        Column("spki", Text, nullable=False),
        Column("first_seen_us", BigInteger, nullable=False),
    )
    _index(peers, "host", "connector", "host")


def _texts(*names: str) -> Iterator[Column[Any]]:
    return (Column(name, Text, nullable=False) for name in names)
