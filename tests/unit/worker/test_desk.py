"""The desk: windows of their own, queues that share, and a place for what a fault of ours stopped.

The courier here is a stand-in: what is wanted is one that hangs, or breaks, at will.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.model.letter import Leased
from dispatcher.worker.desk import Desk
from dispatcher.worker.kit import WorkerSettings
from tests.unit.stages import builders

ROUTE = builders.snapshot().routes["acme-orders"]
KIT: Any = SimpleNamespace(settings=WorkerSettings(queued_max=8))


class Courier:
    """Carries nothing: hangs for ever, or breaks, and notes what was set aside."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.is_broken = is_broken
        self.set_aside: list[tuple[int, str]] = []

    async def carry(self, _leased: Leased) -> None:
        if self.is_broken:
            raise OverflowError
        await asyncio.Event().wait()

    def park_faulty(self, leased: Leased, error: Exception) -> None:
        self.set_aside.append((leased.id, type(error).__name__))


def desk_with(courier: Any) -> Desk:
    return Desk(KIT, courier)


def other(**changed: Any) -> Any:
    held = builders.registry(subscriptions=(builders.subscription(name="other", **changed),))
    return builders.snapshot(held).routes["other"]


async def test_a_full_queue_of_one_partner_leaves_the_others_their_windows() -> None:
    desk = desk_with(Courier())
    wide = other(concurrency=40)
    desk.accept((builders.leased(), wide) for _ in range(40))
    assert (desk.room(wide), desk.room(ROUTE)) == (0, ROUTE.concurrency)
    assert await desk.finish(0.01) == 40


async def test_what_is_on_its_way_counts_against_room() -> None:
    desk = desk_with(Courier())
    narrow = other(concurrency=2)
    assert desk.room(narrow) == 8
    assert desk.room(narrow, coming=7, here=1) == 1
    assert desk.room(narrow, coming=8, here=2) == 0


async def test_a_delivery_that_a_fault_stopped_is_set_aside_and_the_window_goes_on() -> None:
    courier = Courier(is_broken=True)
    desk = desk_with(courier)
    desk.accept((builders.leased(), ROUTE) for _ in range(3))
    await desk.finish(1.0)
    assert [name for _, name in courier.set_aside] == ["OverflowError"] * 3
    assert desk.carried == 0


@pytest.mark.parametrize("claimed", [1, 2])
async def test_room_comes_back_as_deliveries_end(claimed: int) -> None:
    desk = desk_with(Courier(is_broken=True))
    desk.accept((builders.leased(), ROUTE) for _ in range(claimed))
    await desk.finish(1.0)
    assert desk.room(ROUTE) == ROUTE.concurrency
