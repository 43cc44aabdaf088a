"""Waits until every live worker obeys an epoch, or has lost the right to send.

Called by whoever stops, revokes, erases or shreds, once that is recorded. A worker counts when it
confirmed the epoch, or when its policy lease has run out and it was fenced: it must read the policy
again before it may send.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dispatcher.model.errors import NotConfirmed
from dispatcher.model.ids import Epoch
from dispatcher.store.workers import WorkerRow, WorkerStore

POLL_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What all workers obey. `confirmed_us` is wall time; `in_flight` was on the wire then."""

    epoch: Epoch
    confirmed_us: int
    confirmed_ms: float
    workers_confirmed: int
    workers_fenced: int
    in_flight: int


async def confirmed(
    workers: WorkerStore, epoch: Epoch, wait_seconds: float, *, done: str, code: str = ""
) -> list[WorkerRow]:
    """Give the workers once all have stopped obeying anything older.

    Raises `NotConfirmed`, which says what is `done` all the same, when some have not in time.
    """
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while True:
        rows = await workers.all()
        late = [row for row in rows if not _obeys(row, epoch)]
        if late and any(row.silent_us > row.lease_us for row in late):
            rows = await workers.fence_silent()
            late = [row for row in rows if not _obeys(row, epoch)]
        if not late:
            return rows
        if asyncio.get_running_loop().time() > deadline:
            raise NotConfirmed(
                f"{done}, but {len(late)} of {len(rows)} workers have not confirmed",
                where=", ".join(row.id for row in late),
                fix="they stop by themselves when their policy lease runs out; look at them",
                code=code,
            )
        await asyncio.sleep(POLL_SECONDS)


def count_confirmed(
    rows: Sequence[WorkerRow], epoch: Epoch, *, began_us: int, confirmed_us: int
) -> dict[str, Any]:
    """Say what these workers have confirmed: the fields of `Confirmed`."""
    return {
        "epoch": epoch,
        "confirmed_us": confirmed_us,
        "confirmed_ms": round((confirmed_us - began_us) / 1000, 1),
        "workers_confirmed": sum(row.confirmed_epoch >= epoch for row in rows),
        "workers_fenced": sum(row.confirmed_epoch < epoch for row in rows),
        "in_flight": sum(row.in_flight for row in rows if row.confirmed_epoch >= epoch),
    }


def _obeys(row: WorkerRow, epoch: Epoch) -> bool:
    return row.is_fenced or row.confirmed_epoch >= epoch
