"""The desk: windows of their own, queues that share, and a place for what a fault of ours stopped.

The courier here is a stand-in: what is wanted is one that hangs, or breaks, at will.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.model.letter import Leased
from dispatcher.stages.settling.outcome import Health
from dispatcher.worker.desk import Desk
from dispatcher.worker.kit import WorkerSettings
from tests.unit.stages import builders

ROUTE = builders.snapshot().routes["acme-orders"]
SETTINGS = WorkerSettings(queued_max=8, rest_after_failures=3)


class Courier:
    """Carries nothing: hangs for ever, or breaks, and notes what was set aside."""

    def __init__(self, *, is_broken: bool = False, says: Health | None = None) -> None:
        self.is_broken = is_broken
        self.says = says
        self.carried = 0
        self.set_aside: list[tuple[int, str]] = []
        self.given_back: list[str] = []

    async def carry(self, _leased: Leased) -> Health:
        if self.is_broken:
            raise OverflowError
        self.carried += 1
        if self.says is None:
            await asyncio.Event().wait()
        return self.says or Health.UNSAID

    def give_back(self, _leased: Leased, reason: str) -> None:
        self.given_back.append(reason)

    def park_faulty(self, leased: Leased, error: Exception) -> None:
        self.set_aside.append((leased.id, type(error).__name__))


class Clock:
    now = 0.0

    def boot(self) -> float:
        return self.now


def desk_with(courier: Any, clock: Clock | None = None) -> Desk:
    log = SimpleNamespace(warning=lambda _line, **_keys: None)
    kit: Any = SimpleNamespace(settings=SETTINGS, clock=clock or Clock(), log=log)
    return Desk(kit, courier)


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


async def test_p7_a_destination_that_ails_rests_and_what_was_queued_goes_back() -> None:
    clock, courier = Clock(), Courier(says=Health.AILING)
    desk = desk_with(courier, clock)
    narrow = other(concurrency=1)
    desk.accept((builders.leased(), narrow) for _ in range(5))
    await desk.finish(1.0)
    assert (courier.carried, courier.given_back) == (3, ["destination_rests"] * 2)
    assert (desk.carried, desk.room(narrow)) == (0, 0)
    clock.now = SETTINGS.rest_seconds + 1
    assert desk.room(narrow) == 1
    courier.says = Health.WELL
    desk.accept([(builders.leased(), narrow)])
    await desk.finish(1.0)
    assert desk.room(narrow) > 1


async def test_p7_attempts_are_begun_at_the_rate_of_their_subscription() -> None:
    courier = Courier(says=Health.WELL)
    desk = desk_with(courier)
    slow = other(rate_per_second=20.0)
    began = asyncio.get_running_loop().time()
    desk.accept((builders.leased(lease_ends=1e9), slow) for _ in range(5))
    await desk.finish(2.0)
    assert courier.carried == 5
    assert asyncio.get_running_loop().time() - began >= 4 / 20


async def test_p7_a_delivery_whose_lease_ends_before_its_turn_goes_back_at_once() -> None:
    courier = Courier(says=Health.WELL)
    desk = desk_with(courier)
    slow = other(rate_per_second=0.1)
    desk.accept((builders.leased(lease_ends=60.0), slow) for _ in range(8))
    await asyncio.sleep(0.01)
    assert courier.given_back == ["delivery_lease_short"] * 3  # turns at 0, 10, 20 s and so on
    # A drain gives back the ones that were waiting for their turn.
    desk.give_back()
    await desk.finish(0.01)
    assert courier.given_back.count("draining") == 4
    assert courier.carried == 1
