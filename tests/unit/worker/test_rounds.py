"""How places are asked beside the road: each in its own time, a few at once, and never twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.model.letter import Stopped
from dispatcher.model.verdict import Reason
from dispatcher.worker.rounds import AT_ONCE_MAX, Rounds, wait_after

POLL_SECONDS = 0.001


class Asker:
    """Asks as it is told to: names that `hang` never answer, `broken` ones are a fault of ours."""

    fault = "asker_failed"
    again_seconds = 60.0
    asks_anew = True

    def __init__(self, *names: str, hang: Sequence[str] = (), broken: Sequence[str] = ()) -> None:
        self.names, self.hang, self.broken = names, hang, broken
        self.forbidden: set[str] = set()
        self.asked: list[str] = []
        self.given_back: list[str] = []

    def places(self, _snapshot: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in self.names]

    def check(self, name: str) -> Stopped | None:
        return Stopped(Reason.POLICY_CHANGED) if name in self.forbidden else None

    async def ask(self, key: str, _name: str) -> float:
        self.asked.append(key)
        if key in self.broken:
            raise RuntimeError("a fault of ours")
        try:
            await asyncio.sleep(3600 if key in self.hang else 0)
        except asyncio.CancelledError:
            self.given_back.append(key)
            raise
        return 10.0


@asynccontextmanager
async def going_round(asker: Asker) -> AsyncIterator[Any]:
    """Give a world whose `now` and `epoch` can be moved, and its `pass_time`, many polls long."""

    async def pass_time() -> None:
        await asyncio.sleep(20 * POLL_SECONDS)

    world: Any = SimpleNamespace(now=100.0, said=[], pass_time=pass_time)
    world.snapshot = SimpleNamespace(epoch=1)
    kit: Any = SimpleNamespace(
        settings=SimpleNamespace(policy_poll_seconds=POLL_SECONDS),
        clock=SimpleNamespace(boot=lambda: world.now),
        report=lambda line, _error: world.said.append(line),
    )
    stopping = asyncio.Event()
    task = asyncio.create_task(Rounds(kit, world, asker).run(stopping))
    try:
        await pass_time()
        yield world
    finally:
        stopping.set()
        await task


async def test_a_place_is_asked_again_when_its_time_has_come_and_not_before():
    asker = Asker("a", "b")
    async with going_round(asker) as world:
        assert asker.asked == ["a", "b"]
        world.now += 9.9
        await world.pass_time()
        assert asker.asked == ["a", "b"]
        world.now += 0.1
        await world.pass_time()
        assert asker.asked == ["a", "b", "a", "b"]


async def test_a_new_policy_is_reason_to_ask_at_once_but_never_twice_at_a_time():
    asker = Asker("quick", "slow", hang=["slow"])
    async with going_round(asker) as world:
        world.snapshot = SimpleNamespace(epoch=2)
        await world.pass_time()
        assert asker.asked == ["quick", "slow", "quick"]


async def test_where_nobody_can_wish_for_a_try_a_new_policy_is_no_reason_to_ask():
    asker = Asker("a", "bad", broken=["bad"])
    asker.asks_anew = False
    async with going_round(asker) as world:
        for epoch in range(2, 6):
            world.snapshot = SimpleNamespace(epoch=epoch)
            world.now += 2.0
            await world.pass_time()
        assert asker.asked == ["a", "bad"]
        world.now += 2.0
        await world.pass_time()
        assert asker.asked == ["a", "bad", "a"]


async def test_what_may_not_be_asked_is_not_and_takes_no_place_of_others():
    asker = Asker("a", "b")
    asker.forbidden.add("a")
    async with going_round(asker) as world:
        assert asker.asked == ["b"]
        asker.forbidden.clear()
        await world.pass_time()
        assert asker.asked == ["b", "a"]


async def test_several_ways_to_one_place_are_one_asking():
    asker = Asker("a", "a")
    async with going_round(asker):
        assert asker.asked == ["a"]


async def test_only_a_few_are_asked_at_once_and_all_are_given_back_at_the_end():
    names = [f"n{number}" for number in range(AT_ONCE_MAX + 1)]
    asker = Asker(*names, hang=names)
    async with going_round(asker):
        assert asker.asked == names[:AT_ONCE_MAX]
    assert asker.given_back == names[:AT_ONCE_MAX]


async def test_a_fault_of_ours_at_one_place_ends_nothing_and_rests_that_place():
    asker = Asker("bad", "good", broken=["bad"])
    async with going_round(asker) as world:
        world.now += 10.0
        await world.pass_time()
        assert asker.asked == ["bad", "good", "good"]
        world.now += 50.0
        await world.pass_time()
        assert world.said == ["asker_failed", "asker_failed"]


@pytest.mark.parametrize(
    ("failures", "chance", "seconds"), [(0, 0.5, 5.0), (1, 0.0, 15.0), (7, 1.0, 45.0)]
)
def test_each_failure_in_a_row_waits_longer_up_to_a_last_wait(
    failures: int, chance: float, seconds: float
):
    assert wait_after(failures, (5.0, 30.0), chance) == seconds
