"""Steps 8 and 10 of the road: the disclosure ledger, and the settlement of deliveries.

A disclosure row is durable before the first byte leaves, and only where the lease still holds; the
outcome is added to the same row afterwards, together with the delivery's next state. Both take many
rows at once: the worker calls them through a group commit. A row holds no value of any field. The
ticket of a thin letter is written with the row that says it leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dispatcher.model.delivery import LIFE_CYCLE, Outcome, State
from dispatcher.model.ids import Epoch, ScopeId
from dispatcher.model.letter import Sealed, Settlement
from dispatcher.model.scope import Field, content_hash
from dispatcher.model.ticket import hash_ticket
from dispatcher.model.tls import Met
from dispatcher.store.arrays import execute_rows, over_rows, unnest
from dispatcher.store.database import Database
from dispatcher.store.outbox import ScopeMemory

_COLUMNS: Final = (
    ("delivery_id", "bigint"),
    ("token", "text"),
    ("attempt", "integer"),
    ("event_seq", "bigint"),
    ("webhook_id", "text"),
    ("tenant", "text"),
    ("connector", "text"),
    ("subscription", "text"),
    ("endpoint", "text"),
    ("purpose", "text"),
    ("legal_basis", "text"),
    ("agreement", "text"),
    ("country", "text"),
    ("subjects", "text"),
    ("scope_id", "text"),
    ("field_set", "text"),
    ("body_sha256", "text"),
    ("body_bytes", "integer"),
    ("key_ids", "text"),
    ("revision", "bigint"),
    ("epoch", "bigint"),
)
NAMES: Final = tuple(name for name, _ in _COLUMNS)
"""What a row begins with; `token` is the lease it is written under, and not kept."""
KEPT: Final = tuple(name for name in NAMES if name != "token")
"""The columns of a row as it begins."""
_WRITTEN: Final = ", ".join(KEPT)
_DISCLOSE: Final = over_rows(
    f"""
INSERT INTO {{disclosures}} ({_WRITTEN}, worker, begun_us)
SELECT {", ".join(f"u.{name}" for name in KEPT)}, :worker, {{now}}
FROM {{rows}} CROSS JOIN {{deliveries}} d WHERE d.id = u.delivery_id AND d.lease_token = u.token
ON CONFLICT DO NOTHING RETURNING delivery_id
""",
    *_COLUMNS,
)

_SETTLED: Final = (
    "state = {s}state, due_us = CASE WHEN {s}state = 'waiting' THEN {now} + {s}delay_us END, "
    "lease_token = NULL, leased_until_us = NULL, attempt = {s}attempt, failures = {s}failures, "
    "scope_id = COALESCE({s}scope_id, {d}scope_id), status = {s}status, code = {s}code, "
    "settled_us = {now}, judged_epoch = {s}epoch"
)
_SETTLING: Final = (
    ("id", "bigint"),
    ("token", "text"),
    ("attempt", "integer"),
    ("state", "text"),
    ("delay_us", "bigint"),
    ("failures", "integer"),
    ("scope_id", "text"),
    ("outcome", "text"),
    ("status", "integer"),
    ("code", "text"),
    ("epoch", "bigint"),
    ("peer", "text"),
    ("location_host", "text"),
)
_SETTLE_NAMES: Final = tuple(name for name, _ in _SETTLING)
_SETTLE_POSTGRESQL: Final = f"""
WITH s AS MATERIALIZED (
    SELECT * FROM {unnest(*(kind for _, kind in _SETTLING))} AS s({", ".join(_SETTLE_NAMES)})
), completed AS (
    UPDATE {{disclosures}} AS x
    SET outcome = s.outcome, status = s.status, code = s.code, ended_us = {{now}}, peer = s.peer,
        location_host = s.location_host
    FROM s WHERE s.outcome IS NOT NULL AND x.delivery_id = s.id AND x.attempt = s.attempt
        AND x.outcome IS NULL
)
UPDATE {{deliveries}} AS d SET {_SETTLED.format(s="s.", d="d.", now="{now}")}
FROM s WHERE d.id = s.id AND d.lease_token = s.token
"""
_COMPLETE_SQLITE: Final = """
UPDATE {disclosures}
SET outcome = :outcome, status = :status, code = :code, ended_us = {now}, peer = :peer,
    location_host = :location_host
WHERE delivery_id = :id AND attempt = :attempt AND outcome IS NULL
"""
_SETTLE_SQLITE: Final = f"""
UPDATE {{deliveries}} SET {_SETTLED.format(s=":", d="", now="{now}")}
WHERE id = :id AND lease_token = :token
"""
_KNOWN_FIELDS: Final = """
INSERT INTO {field_sets} (id, fields) VALUES (:id, :fields) ON CONFLICT DO NOTHING
"""
_MEET: Final = """
INSERT INTO {peers} (id, connector, host, address, issuer, not_after_us, spki, first_seen_us)
VALUES (:id, :connector, :host, :address, :issuer, :not_after_us, :spki, {now})
ON CONFLICT DO NOTHING
"""
_ISSUE: Final = """
INSERT INTO {tickets} AS t (webhook_id, delivery_id, event_seq, sha256, tenant, connector,
    subscription, scope_id, issued_us, expires_us, uses_max, reads)
VALUES (:webhook_id, :delivery_id, :event_seq, :sha256, :tenant, :connector, :subscription,
    :scope_id, {now}, {now} + :lasts_us, :uses_max, 0)
ON CONFLICT (webhook_id) DO UPDATE SET delivery_id = excluded.delivery_id,
    event_seq = excluded.event_seq, sha256 = excluded.sha256, scope_id = excluded.scope_id,
    issued_us = excluded.issued_us, expires_us = excluded.expires_us,
    uses_max = excluded.uses_max,
    reads = CASE WHEN t.delivery_id = excluded.delivery_id THEN t.reads ELSE 0 END
"""
PEERS_CACHED_MAX: Final = 65536


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What the ledger is to say before a letter leaves. `subjects` are pseudonyms."""

    sealed: Sealed
    subjects: tuple[str, ...]
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A settlement, the epoch it was judged under, and who was met on the way."""

    settlement: Settlement
    epoch: Epoch
    met: Met | None = None


class LedgerStore:
    """The ledger and the final states of one outbox database."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self.worker = worker
        self._names: dict[tuple[Field, ...], str] = {}
        self._field_sets: set[str] = set()
        self._scopes = ScopeMemory(database)
        self._scope_ids: set[ScopeId] = set()
        self._peers: set[str] = set()

    async def disclose(self, disclosures: Sequence[Disclosure]) -> list[bool]:
        """Write disclosure rows durably; `False` where the lease no longer holds.

        A ticket is issued in the same transaction, or renewed: the reads it had still count, but
        for those of an earlier delivery that this one is a replay of.
        """
        await self.remember(disclosures)
        rows = [self.row(disclosure) for disclosure in disclosures]
        has_tickets = any(disclosure.sealed.shaped.ticket for disclosure in disclosures)
        opened = self._database.begin() if has_tickets else self._database.single()
        async with opened as connection:
            result = await execute_rows(
                self._database, connection, *_DISCLOSE, rows, worker=self.worker
            )
            written = {row[0] for row in result}
            issued = [
                _ticket_row(disclosure.sealed)
                for disclosure in disclosures
                if disclosure.sealed.shaped.ticket and disclosure.sealed.leased.id in written
            ]
            issued.sort(key=lambda row: row["webhook_id"])  # two workers never wait for each other
            await self._database.execute_many(connection, _ISSUE, issued)
        return [disclosure.sealed.leased.id in written for disclosure in disclosures]

    async def settle(self, settled: Sequence[Settled]) -> list[None]:
        """Complete ledger rows and move deliveries on, where their lease still holds.

        Somebody who is met for the first time is written beside it, in the same transaction.
        """
        rows = [_settlement_row(each) for each in settled]
        met = {each.met.id: each.met for each in settled if each.met is not None}
        new = [met[name] for name in sorted(met.keys() - self._peers)]
        async with self._database.begin() if new else self._database.single() as connection:
            await self._database.execute_many(connection, _MEET, [_peer_row(each) for each in new])
            if self._database.is_sqlite:
                named = [dict(zip(_SETTLE_NAMES, row, strict=True)) for row in rows]
                begun = [row for row in named if row["outcome"] is not None]
                await self._database.execute_many(connection, _COMPLETE_SQLITE, begun)
                await self._database.execute_many(connection, _SETTLE_SQLITE, named)
            else:
                await execute_rows(self._database, connection, _SETTLE_POSTGRESQL, "", rows)
        if len(self._peers) > PEERS_CACHED_MAX:
            self._peers.clear()
        self._peers |= met.keys()
        return [None] * len(rows)

    async def remember(self, disclosures: Sequence[Disclosure]) -> None:
        """Write the field sets and scopes these rows name, where they are new to this worker."""
        named = {self._name(d.sealed): d.sealed.shaped.disclosed for d in disclosures}
        new = {name: fields for name, fields in named.items() if name not in self._field_sets}
        scopes = {d.sealed.cleared.scope.id: d.sealed.cleared.scope for d in disclosures}
        if not new and scopes.keys() <= self._scope_ids:
            return
        rows = [
            {"id": name, "fields": msgspec.json.encode([f.line for f in fields]).decode()}
            for name, fields in sorted(new.items())
        ]
        async with self._database.begin() as connection:
            await self._database.execute_many(connection, _KNOWN_FIELDS, rows)
            written = await self._scopes.remember(connection, scopes.values())
        self._scopes.confirm(written)
        self._field_sets |= new.keys()
        self._scope_ids |= scopes.keys()

    def _name(self, sealed: Sealed) -> str:
        """Name the set of fields disclosed by the hash of its content, as scopes are named too."""
        disclosed, scope = sealed.shaped.disclosed, sealed.cleared.scope
        if disclosed is scope.fields:
            return scope.id
        name = self._names.get(disclosed)
        if name is None:
            name = self._names[disclosed] = content_hash(field.line for field in disclosed)
        return name

    def row(self, disclosure: Disclosure) -> tuple[Any, ...]:
        """Give the row of a disclosure as it begins, as `NAMES` has it."""
        sealed = disclosure.sealed
        cleared, leased = sealed.cleared, sealed.leased
        route, event = cleared.route, leased.event
        return (
            leased.id,
            leased.token,
            leased.attempt,
            event.seq,
            leased.webhook_id,
            event.tenant,
            route.connector,
            route.subscription,
            route.endpoint.origin,
            route.purpose,
            route.legal_basis,
            route.agreement,
            route.country,
            msgspec.json.encode(disclosure.subjects).decode(),
            cleared.scope.id,
            self._name(sealed),
            sealed.body_sha256.hex(),
            len(sealed.body),
            ",".join(disclosure.key_ids),
            cleared.revision,
            cleared.epoch,
        )


def _ticket_row(sealed: Sealed) -> dict[str, Any]:
    cleared = sealed.cleared
    leased, route = cleared.leased, cleared.route
    return {
        "webhook_id": leased.webhook_id,
        "delivery_id": leased.id,
        "event_seq": leased.event.seq,
        "sha256": hash_ticket(sealed.shaped.ticket),
        "tenant": leased.event.tenant,
        "connector": route.connector,
        "subscription": route.subscription,
        "scope_id": cleared.scope.id,
        "lasts_us": route.ticket_seconds * 1_000_000,
        "uses_max": route.ticket_uses,
    }


def _peer_row(met: Met) -> dict[str, Any]:
    peer = met.peer
    return {
        "id": met.id,
        "connector": met.connector,
        "host": met.host,
        "address": peer.address,
        "issuer": peer.issuer,
        "not_after_us": peer.not_after_us,
        "spki": peer.spki,
    }


def _settlement_row(settled: Settled) -> tuple[Any, ...]:
    settlement = settled.settlement
    outcome: Outcome | None = settlement.outcome
    return (
        settlement.id,
        settlement.token,
        # Without a ledger row the attempt's number was not used.
        settlement.attempt if outcome is not None else settlement.attempt - 1,
        LIFE_CYCLE[State.LEASED, settlement.move].value,
        settlement.delay_us,
        settlement.failures,
        settlement.scope,
        outcome.value if outcome is not None else None,
        settlement.status,
        settlement.code or None,
        settled.epoch,
        settled.met.id if settled.met is not None else None,
        settlement.location_host or None,
    )
