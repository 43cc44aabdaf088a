"""Switches as they lie in the registry: who stopped what, and when it was let go again.

Read with the policy. Written by `store.registry`, in transactions that move the epoch and note what
was done; a row is never removed.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.errors import NotFound
from dispatcher.model.switch import Switch, Target
from dispatcher.store.audit import Recording
from dispatcher.store.database import Database

_TRIP: Final = """
INSERT INTO {switches} (target, reason, actor, tripped_us)
VALUES (:target, :reason, :actor, {now}) RETURNING id
"""
_RELEASE: Final = """
UPDATE {switches} SET released_us = {now}, released_by = :actor
WHERE target = :target AND released_us IS NULL
"""
_TRIPPED: Final = """
SELECT id, target, reason, actor, tripped_us FROM {switches}
WHERE released_us IS NULL ORDER BY id
"""


async def read_switches(database: Database, connection: AsyncConnection) -> tuple[Switch, ...]:
    """Read the switches that are on, the oldest first."""
    rows = await database.execute(connection, _TRIPPED)
    return tuple(
        Switch(id=r[0], target=Target.parse(r[1]), reason=r[2], actor=r[3], tripped_us=r[4])
        for r in rows
    )


async def trip_switch(
    database: Database,
    recording: Recording,
    target: Target,
    *,
    actor: str,
    reason: str,
    epoch: int,
) -> int:
    """Put a switch on, note it, and give its id. `epoch` is the one that this act moves to."""
    tripped = await database.execute(
        recording.connection, _TRIP, target=str(target), reason=reason, actor=actor
    )
    switch = int(tripped.scalar_one())
    recording.note(_entry("tripped", target, actor, reason, {"switch": switch, "epoch": epoch}))
    return switch


async def release_switches(
    database: Database,
    recording: Recording,
    target: Target,
    *,
    actor: str,
    reason: str,
    epoch: int,
) -> int:
    """Take off the switches on exactly this target, note it, and give how many there were.

    Raises `NotFound` when there is none.
    """
    done = await database.execute(recording.connection, _RELEASE, target=str(target), actor=actor)
    if not done.rowcount:
        raise NotFound(
            f"no switch is on for {target}",
            where=str(target),
            fix="'dispatcher switches' lists those that are on",
            code="switch_unknown",
        )
    detail = {"switches": done.rowcount, "epoch": epoch}
    recording.note(_entry("released", target, actor, reason, detail))
    return done.rowcount


def _entry(verb: str, target: Target, actor: str, reason: str, detail: Mapping[str, int]) -> Entry:
    about = f"switch {target}"
    return Entry(kind=f"switch.{verb}", actor=actor, about=about, reason=reason, detail=detail)
