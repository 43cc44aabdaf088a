"""Worker heartbeats: the one statement that reads the policy epoch and says "I am alive".

Because reading and saying are one statement, a worker's policy lease began no later than its row's
`seen_us`. `hold` relies on that: it waits until every worker confirmed the epoch, or fences those
whose lease has run out. A fence is a row update, so it waits for a heartbeat in flight and a later
heartbeat sees it; a fenced worker must read again before it may send.
"""

from dataclasses import dataclass
from typing import Final

from dispatcher.model.ids import Epoch, Revision, WorkerId
from dispatcher.store.database import Database

_REGISTER: Final = """
INSERT INTO {workers} (id, host, pid, started_us, seen_us, lease_us, confirmed_epoch, revision,
                       in_flight, is_fenced)
VALUES (:id, :host, :pid, {now}, {now}, :lease_us, 0, 0, 0, false)
ON CONFLICT (id) DO UPDATE SET seen_us = {now}, confirmed_epoch = 0, is_fenced = false
"""
_BEAT: Final = """
UPDATE {workers}
SET seen_us = CASE WHEN is_fenced THEN seen_us ELSE {now} END,
    confirmed_epoch = :confirmed, revision = :revision, in_flight = :in_flight
WHERE id = :id
RETURNING (SELECT epoch FROM {policy} WHERE {policy}.id = 1),
          (SELECT revision FROM {policy} WHERE {policy}.id = 1), is_fenced
"""
_LEAVE: Final = "DELETE FROM {workers} WHERE id = :id"
_ALL: Final = """
SELECT id, host, pid, {now} - seen_us AS silent_us, lease_us, confirmed_epoch, in_flight, is_fenced
FROM {workers} ORDER BY id
"""
_FENCE: Final = """
UPDATE {workers} SET is_fenced = true WHERE NOT is_fenced AND seen_us + lease_us < {now}
"""
_FORGET: Final = "DELETE FROM {workers} WHERE seen_us < {now} - :silent_us"


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat brought back. A fenced reading may not be obeyed: read again."""

    epoch: Epoch
    revision: Revision
    is_fenced: bool


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker as the registry sees it."""

    id: WorkerId
    host: str
    pid: int
    silent_us: int
    lease_us: int
    confirmed_epoch: Epoch
    in_flight: int
    is_fenced: bool


class WorkerStore:
    """The rows of the workers that serve this registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, worker: WorkerId, *, host: str, pid: int, lease_us: int) -> None:
        """Enter the list, having confirmed nothing yet."""
        async with self._database.single() as connection:
            await self._database.execute(
                connection, _REGISTER, id=worker, host=host, pid=pid, lease_us=lease_us
            )

    async def beat(
        self, worker: WorkerId, *, confirmed: Epoch, revision: Revision, in_flight: int
    ) -> Beat | None:
        """Read the epoch and report; `None` when the row is gone and must be entered again."""
        async with self._database.single() as connection:
            found = await self._database.execute(
                connection,
                _BEAT,
                id=worker,
                confirmed=confirmed,
                revision=revision,
                in_flight=in_flight,
            )
            row = found.one_or_none()
        return Beat(Epoch(row[0]), Revision(row[1]), bool(row[2])) if row else None

    async def leave(self, worker: WorkerId) -> None:
        """Leave the list after a clean stop."""
        async with self._database.single() as connection:
            await self._database.execute(connection, _LEAVE, id=worker)

    async def all(self) -> list[WorkerRow]:
        """Read every row, without fencing anyone."""
        async with self._database.look() as connection:
            rows = await self._database.execute(connection, _ALL)
            return [WorkerRow(*row) for row in rows]

    async def fence_silent(self) -> list[WorkerRow]:
        """Fence every worker whose policy lease has run out, and read all rows afterwards."""
        async with self._database.begin() as connection:
            await self._database.execute(connection, _FENCE)
        return await self.all()

    async def forget_silent(self, silent_us: int) -> None:
        """Remove rows of workers long gone; one that wakes after all enters the list afresh."""
        async with self._database.single() as connection:
            await self._database.execute(connection, _FORGET, silent_us=silent_us)
