"""Stops and starts: trip a switch and wait until every live worker has confirmed it; release it.

Called by `hold` and `release`. A stop is recorded first and confirmed afterwards, so that nothing
can undo it while we wait.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from dispatcher.control.confirming import Confirmed, confirmed, count_confirmed
from dispatcher.control.means import Means
from dispatcher.control.texts import require_reason
from dispatcher.model.switch import Target
from dispatcher.stages.revising.compiling import count_lanes
from dispatcher.store.registry import RegistryStore
from dispatcher.store.workers import WorkerStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Confirmed):
    """A confirmed stop.

    `lanes` counts what the target matches in the active revision: none may be a misspelt name.
    """

    switch: int
    target: Target
    lanes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchControl:
    """Trips and releases switches of one registry."""

    registry: RegistryStore
    workers: WorkerStore
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            workers=means.workers,
            wall_us=means.wall_us,
        )

    async def hold(self, target: Target, *, reason: str, actor: str, wait_seconds: float) -> Held:
        """Stop everything that matches `target`, and return once no worker can still begin.

        Raises `InvalidInput` for an unreadable reason, before anything is written, and
        `NotConfirmed` when workers have not answered in time: the switch stays on.
        """
        require_reason(reason)
        began_us = self.wall_us()
        switch, epoch = await self.registry.trip(target, reason=reason, actor=actor)
        rows = await confirmed(self.workers, epoch, wait_seconds, done="the switch is on")
        confirmed_us = self.wall_us()
        active = await self.registry.active()
        return Held(
            switch=switch,
            target=target,
            lanes=count_lanes(active.registry, target),
            **count_confirmed(rows, epoch, began_us=began_us, confirmed_us=confirmed_us),
        )

    async def release(self, target: Target, *, reason: str, actor: str) -> int:
        """Take off the switches on exactly this target; give how many there were.

        Raises `NotFound` when none is on.
        """
        require_reason(reason)
        return await self.registry.release(target, actor=actor, reason=reason)
