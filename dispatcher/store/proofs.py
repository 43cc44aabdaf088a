"""Proofs of ownership, and the asking for them: whose turn it is, when next, what came of it.

Workers share one row for each endpoint that is asked: a try is claimed for a time, like a delivery,
so that two do not ask one endpoint at once and a killed one blocks nobody. A proof bumps the
policy's epoch and is put on the record in the same transaction. Called by `worker.prover` and by
`control.proofs`.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import LeaseToken, Revision, WorkerId
from dispatcher.model.proof import Proof, ProofKey, ProofMethod, Unproven
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.epoch import announce, bump_epoch

_CLAIM: Final = """
INSERT INTO {challenges} AS c
    (connector, endpoint, asked_us, ended_us, due_us, failures, holder, echo, dns)
VALUES (:connector, :endpoint, 0, 0, {now} + CAST(:lease_us AS bigint), 0, :token, '', '')
ON CONFLICT (connector, endpoint) DO UPDATE SET
    holder = CASE WHEN c.due_us <= {now} THEN excluded.holder ELSE c.holder END,
    due_us = CASE WHEN c.due_us <= {now} THEN excluded.due_us ELSE c.due_us END
RETURNING holder, failures, due_us - {now} AS wait_us
"""
_FAILED: Final = """
UPDATE {challenges} SET holder = '', ended_us = {now}, due_us = {now} + CAST(:wait_us AS bigint),
    failures = failures + 1, echo = :echo, dns = :dns
WHERE connector = :connector AND endpoint = :endpoint AND holder = :token
"""
_GIVE_BACK: Final = """
UPDATE {challenges} SET holder = '', due_us = {now}
WHERE connector = :connector AND endpoint = :endpoint AND holder = :token
"""
# A worker that has not read the proof yet must not ask again meanwhile.
_WON: Final = """
UPDATE {challenges} SET holder = '', ended_us = {now}, due_us = {now} + 60000000, failures = 0,
    echo = '', dns = ''
WHERE connector = :connector AND endpoint = :endpoint AND holder = :token
"""
_RECORD: Final = """
INSERT INTO {proofs} (connector, endpoint, method, proven_us, proven_by, revision)
VALUES (:connector, :endpoint, :method, {now}, :worker, :revision)
ON CONFLICT (connector, endpoint) DO UPDATE SET method = excluded.method,
    proven_us = excluded.proven_us, proven_by = excluded.proven_by, revision = excluded.revision
"""
# Whoever is at it may have begun before the partner mended something: what they find is dropped.
_ASK: Final = """
INSERT INTO {challenges} AS c
    (connector, endpoint, asked_us, ended_us, due_us, failures, holder, echo, dns)
VALUES (:connector, :endpoint, {now}, 0, {now}, 0, '', '', '')
ON CONFLICT (connector, endpoint) DO UPDATE SET asked_us = excluded.asked_us,
    due_us = excluded.due_us, failures = 0, holder = ''
"""
_ASKING: Final = """
SELECT asked_us, ended_us, echo, dns FROM {challenges}
WHERE connector = :connector AND endpoint = :endpoint
"""
_READ: Final = """
SELECT connector, endpoint, method, proven_us, proven_by, revision FROM {proofs}
"""
_NOT_TRIED: Final = Unproven("", "")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask one endpoint, for a time; or, where it is not ours, how long to wait."""

    key: ProofKey
    token: LeaseToken
    is_ours: bool
    failures: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Asking:
    """How the asking goes: when somebody last wished for it, when a try last ended, and how."""

    asked_us: int = 0
    ended_us: int = 0
    found: Unproven = _NOT_TRIED

    @property
    def is_answered(self) -> bool:
        """True once a try has ended since the last wish."""
        return self.ended_us >= self.asked_us and bool(self.ended_us)


class ProofStore:
    """The proofs in one registry database."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def claim(self, key: ProofKey, token: LeaseToken, lease_us: int) -> Claim:
        """Take the next try where it is due."""
        async with self._database.single() as connection:
            found = await self._database.execute(
                connection, _CLAIM, **_place(key), token=token, lease_us=lease_us
            )
            row = found.one()
        is_ours = row.holder == token
        return Claim(key, token, is_ours, row.failures, max(row.wait_us, 0) / 1_000_000)

    async def give_back(self, claim: Claim) -> None:
        """End a try of which nothing came by our own choice: the next one is due at once."""
        await self._update(_GIVE_BACK, claim)

    async def fail(self, claim: Claim, found: Unproven, wait_us: int) -> bool:
        """End a try that won nothing, and say when the next is due; false where it was not ours."""
        return await self._update(_FAILED, claim, wait_us=wait_us, echo=found.echo, dns=found.dns)

    async def record(self, claim: Claim, method: ProofMethod, worker: WorkerId) -> None:
        """Write down that an endpoint is proven, for every worker to obey.

        Raises `Conflict` where the claim is no longer ours: somebody else is at it.
        """
        async with self._audit.recording() as recording:
            connection = recording.connection
            place = _place(claim.key)
            won = await self._database.execute(connection, _WON, **place, token=claim.token)
            if not won.rowcount:
                raise Conflict("somebody else asks this endpoint by now", code="claim_lost")
            bumped = await bump_epoch(self._database, connection)
            await self._database.execute(
                connection,
                _RECORD,
                **place,
                method=method.value,
                worker=worker,
                revision=bumped.revision,
            )
            detail = {
                "method": method.value,
                "worker": worker,
                "revision": bumped.revision,
                "epoch": bumped.epoch,
            }
            recording.note(_entry("proven", claim.key, "dispatcher", detail))
            await announce(self._database, connection)

    async def ask(self, key: ProofKey, *, actor: str) -> None:
        """Wish for a try now; every worker hears of it. A wish that waits already is enough."""
        before = await self.asking(key)
        if before.asked_us and not before.is_answered:
            return  # or whoever wishes often enough would keep all workers reading policy anew
        async with self._audit.recording() as recording:
            connection = recording.connection
            await self._database.execute(connection, _ASK, **_place(key))
            epoch = (await bump_epoch(self._database, connection)).epoch
            recording.note(_entry("proof_asked", key, actor, {"epoch": epoch}))
            await announce(self._database, connection)

    async def asking(self, key: ProofKey) -> Asking:
        """Read how the asking for one endpoint goes."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _ASKING, **_place(key))
            row = found.one_or_none()
        if row is None:
            return Asking()
        return Asking(row.asked_us, row.ended_us, Unproven(row.echo, row.dns))

    async def _update(self, sql: str, claim: Claim, **terms: object) -> bool:
        async with self._database.single() as connection:
            place = _place(claim.key)
            done = await self._database.execute(
                connection, sql, **place, token=claim.token, **terms
            )
            return bool(done.rowcount)


async def read_proofs(database: Database, connection: AsyncConnection) -> tuple[Proof, ...]:
    """Read every proof on the record, whether it still counts or not."""
    return tuple(
        Proof(
            connector=row.connector,
            place=row.endpoint,
            method=ProofMethod(row.method),
            proven_us=row.proven_us,
            proven_by=row.proven_by,
            revision=Revision(row.revision),
        )
        for row in await database.execute(connection, _READ)
    )


def _place(key: ProofKey) -> dict[str, str]:
    return {"connector": key[0], "endpoint": key[1]}


def _entry(verb: str, key: ProofKey, actor: str, detail: dict[str, object]) -> Entry:
    about = f"endpoint of {key[0]} at {key[1]}"
    return Entry(kind=f"endpoint.{verb}", actor=actor, about=about, detail=detail)
