"""Change sets that wait for a second person, and how each ended.

Written by `control.changes` alone. A decision is taken once: every statement that ends a change set
asks that it is still proposed, under the hash that was read.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dispatcher.model.audit import Entry, diff_detail
from dispatcher.model.change_set import ChangeSet, ChangeState
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Revision
from dispatcher.model.registry import Registry
from dispatcher.store.audit import AuditLog, Recording
from dispatcher.store.database import Database
from dispatcher.store.documents import decode_registry, encode_registry

_COLUMNS: Final = """number, state, base, hash, diff, author, reason, proposed_us, decided_by,
    decided_us, decision, revision"""
_PROPOSE: Final = """
INSERT INTO {change_sets} (state, base, hash, content, diff, author, reason, proposed_us)
VALUES ('proposed', :base, :hash, :content, :diff, :author, :reason, {now}) RETURNING number
"""
_AMEND: Final = """
UPDATE {change_sets} SET base = :base, hash = :hash, content = :content, diff = :diff,
    author = :author, reason = :reason, proposed_us = {now}
WHERE number = :number AND state = 'proposed'
"""
_REJECT: Final = """
UPDATE {change_sets} SET state = 'rejected', decided_by = :by, decided_us = {now},
    decision = :decision
WHERE number = :number AND hash = :hash AND state = 'proposed'
"""
_ACTIVATE: Final = """
UPDATE {change_sets} SET state = 'active', decided_by = :by, decided_us = {now},
    decision = :decision, revision = :revision
WHERE number = :number AND hash = :hash AND state = 'proposed'
"""
_GET: Final = f"SELECT {_COLUMNS} FROM {{change_sets}} WHERE number = :number"
_CONTENT: Final = "SELECT content FROM {change_sets} WHERE number = :number AND hash = :hash"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM {{change_sets}}
WHERE number < :before AND (CAST(:state AS text) IS NULL OR state = :state)
ORDER BY number DESC LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """Somebody's yes or no to a change set, as it was when they read it.

    `is_independent` is false for those whom the author added, or whose token the author issued.
    """

    change: ChangeSet
    by: str
    why: str
    is_independent: bool = True


class ChangeStore:
    """The change sets of one registry."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def propose(self, change: ChangeSet, registry: Registry) -> int:
        """File a change set; give its number. That of `change` is not used."""
        async with self._audit.recording() as recording:
            filed = await self._database.execute(
                recording.connection, _PROPOSE, **_row(change, registry)
            )
            number: int = filed.scalar_one()
            recording.note(_filed("proposed", number, change))
            return number

    async def amend(self, change: ChangeSet, registry: Registry) -> None:
        """Put other content into a change set that is still proposed."""
        async with self._audit.recording() as recording:
            done = await self._database.execute(
                recording.connection, _AMEND, number=change.number, **_row(change, registry)
            )
            if not done.rowcount:
                raise _decided(change.number)
            recording.note(_filed("amended", change.number, change))

    async def reject(self, change: ChangeSet, *, by: str, decision: str) -> None:
        """End a change set without effect."""
        async with self._audit.recording() as recording:
            await note_rejected(self._database, recording, Decision(change, by, decision))

    async def get(self, number: int) -> ChangeSet | None:
        """Read one change set."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _GET, number=number)
            row = found.one_or_none()
            return _change_set(row) if row is not None else None

    async def content(self, change: ChangeSet) -> Registry:
        """Read the registry a change set proposes; `Conflict` when it was edited meanwhile."""
        async with self._database.look() as connection:
            found = await self._database.execute(
                connection, _CONTENT, number=change.number, hash=change.hash
            )
            text = found.scalar_one_or_none()
        if text is None:
            raise _decided(change.number)
        return decode_registry(text)

    async def list(
        self, state: ChangeState | None = None, *, before: int = 2**62, limit: int = 100
    ) -> tuple[ChangeSet, ...]:
        """Read the newest change sets below a number, those of one state if one is given."""
        async with self._database.look() as connection:
            found = await self._database.execute(
                connection, _LIST, state=state, before=before, limit=limit
            )
            return tuple(map(_change_set, found.all()))


async def note_active(
    database: Database, recording: Recording, approval: Decision, revision: Revision
) -> None:
    """Note, in the transaction that activates the revision, which change set became it."""
    await _decide(database, recording, _ACTIVATE, approval, revision=revision)
    recording.note(_decided_entry("approved", approval))


async def note_rejected(database: Database, recording: Recording, rejection: Decision) -> None:
    """End a change set without effect, in a transaction that may do more."""
    await _decide(database, recording, _REJECT, rejection)
    recording.note(_decided_entry("rejected", rejection))


async def _decide(
    database: Database, recording: Recording, sql: str, decision: Decision, **more: int
) -> None:
    done = await database.execute(
        recording.connection,
        sql,
        number=decision.change.number,
        hash=decision.change.hash,
        by=decision.by,
        decision=decision.why,
        **more,
    )
    if not done.rowcount:
        raise _decided(decision.change.number)


def _filed(verb: str, number: int, change: ChangeSet) -> Entry:
    return Entry(
        kind=f"change_set.{verb}",
        actor=change.author,
        about=f"change set {number}",
        reason=change.reason,
        detail={"base": change.base, "hash": change.hash, **diff_detail(change.diff)},
    )


def _decided_entry(verb: str, decision: Decision) -> Entry:
    change = decision.change
    return Entry(
        kind=f"change_set.{verb}",
        actor=decision.by,
        about=f"change set {change.number}",
        reason=decision.why,
        detail={
            "author": change.author,
            "hash": change.hash,
            "independent": decision.is_independent,
        },
    )


def _decided(number: int) -> Conflict:
    return Conflict(
        f"change set {number} was decided or edited meanwhile",
        where=f"change set {number}",
        fix=f"look at it again: dispatcher changes {number}",
        code="change_set_moved",
    )


def _row(change: ChangeSet, registry: Registry) -> dict[str, Any]:
    return {
        "base": change.base,
        "hash": change.hash,
        "content": encode_registry(registry).decode(),
        "diff": msgspec.json.encode(change.diff).decode(),
        "author": change.author,
        "reason": change.reason,
    }


def _change_set(row: Any) -> ChangeSet:
    return ChangeSet(
        number=row.number,
        state=ChangeState(row.state),
        base=Revision(row.base),
        hash=row.hash,
        diff=msgspec.json.decode(row.diff, type=DisclosureDiff),
        author=row.author,
        reason=row.reason,
        proposed_us=row.proposed_us,
        decided_by=row.decided_by,
        decided_us=row.decided_us,
        decision=row.decision,
        revision=Revision(row.revision) if row.revision is not None else None,
    )
