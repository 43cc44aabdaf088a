"""Asks partners for one thing or another beside the road: each place in its own time, few at once.

What is asked, and what an answer means, is an `Asker`'s to say (`worker.prover`,
`worker.key_fetcher`). Whatever an asker would be stopped by is looked at before it begins. It must
never ask one place twice at a time, nor let one partner's fault end the asking of others.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from dispatcher.model.ids import Epoch
from dispatcher.model.letter import Stopped
from dispatcher.model.snapshot import Snapshot
from dispatcher.worker.kit import Kit, rest
from dispatcher.worker.policy import PolicyWatch

AT_ONCE_MAX: Final = 16
"""How many places an asker is at, at once."""

Key = TypeVar("Key")
Place = TypeVar("Place")


class Asker(Protocol[Key, Place]):
    """What is asked of places, and what is made of their answers.

    `fault` is the log line of what went wrong on our side; the place is left alone for
    `again_seconds` then. Where `asks_anew`, another policy is a reason to ask before that is over.
    """

    fault: str
    again_seconds: float
    asks_anew: bool

    def places(self, snapshot: Snapshot) -> Iterable[tuple[Key, Place]]:
        """Give what there is to ask, under the name by which one place is told from another."""

    def check(self, place: Place) -> Stopped | None:
        """Say why a place may not be asked now, or nothing if it may."""

    async def ask(self, key: Key, place: Place) -> float:
        """Ask, and give for how many seconds this place is to be left alone.

        When cancelled, it leaves the place to whoever comes next.
        """


class Rounds(Generic[Key, Place]):
    """Goes round the places of one asker. One instance serves the whole worker."""

    def __init__(self, kit: Kit, policy: PolicyWatch, asker: Asker[Key, Place]) -> None:
        self._kit = kit
        self._policy = policy
        self._asker = asker
        self._epoch = Epoch(-1)
        self._due: dict[Key, float] = {}
        self._tries: dict[Key, asyncio.Task[None]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Go round until told to stop; tries under way are given back then."""
        try:
            while not stopping.is_set():
                self._turn()
                await rest(stopping, self._kit.settings.policy_poll_seconds)
        finally:
            for task in self._tries.values():
                task.cancel()
            await asyncio.gather(*self._tries.values(), return_exceptions=True)

    def _turn(self) -> None:
        """Begin a try at every place that may be asked and whose time has come."""
        snapshot, now = self._policy.snapshot, self._kit.clock.boot()
        if snapshot.epoch != self._epoch:
            # Somebody may have wished for a try, and what forbade one may be gone.
            self._epoch = snapshot.epoch
            kept = {} if self._asker.asks_anew else self._due
            self._due = {key: due for key, due in kept.items() if due > now}
        for key, place in self._asker.places(snapshot):
            if len(self._tries) >= AT_ONCE_MAX:
                return
            is_idle = key not in self._tries and self._due.get(key, 0.0) <= now
            if is_idle and self._asker.check(place) is None:
                task = asyncio.create_task(self._try(key, place))
                self._tries[key] = task
                task.add_done_callback(partial(self._forget, key))

    def _forget(self, key: Key, _task: asyncio.Task[None]) -> None:
        del self._tries[key]

    async def _try(self, key: Key, place: Place) -> None:
        wait = self._asker.again_seconds
        try:
            wait = await self._asker.ask(key, place)
        except Exception as error:  # noqa: BLE001 - one partner's fault must not end the others
            self._kit.report(self._asker.fault, error)
        self._due[key] = self._kit.clock.boot() + wait


def wait_after(failures: int, waits: Sequence[float], chance: float) -> float:
    """Give how many seconds to wait after one more failure, give or take a half.

    `failures` came before it in a row; the last of `waits` counts for ever. `chance` is below 1.
    """
    return waits[min(failures, len(waits) - 1)] * (0.5 + chance)
