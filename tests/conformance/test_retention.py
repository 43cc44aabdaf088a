"""Payloads go a while after their last delivery is final, and not before."""

import pytest

from dispatcher.model.delivery import Move, Outcome
from dispatcher.store.retention import RetentionStore
from tests.support.letters import Road, change, rows, settlement

HOUR_US = 3_600_000_000
KEPT = {"kept_us": HOUR_US, "dead_kept_us": 10 * HOUR_US}


@pytest.fixture
def retention(road: Road) -> RetentionStore:
    return RetentionStore(road.database)


async def drop(retention: RetentionStore, *, after: int = 0, rows_max: int = 500) -> int:
    return len(await retention.drop_payloads(after=after, rows_max=rows_max, **KEPT))


async def age(road: Road, hours: int) -> None:
    """Let everything so far have happened that much earlier."""
    terms = {"by": hours * HOUR_US}
    await change(road.database, "UPDATE {events} SET enqueued_us = enqueued_us - :by", **terms)
    await change(road.database, "UPDATE {deliveries} SET settled_us = settled_us - :by", **terms)


async def payloads(road: Road) -> list[bool]:
    sql = "SELECT payload IS NOT NULL AS has FROM {events} ORDER BY seq"
    return [bool(each["has"]) for each in await rows(road.database, sql)]


async def test_a_delivered_event_keeps_its_payload_for_its_time_and_loses_it_then(
    road: Road, retention: RetentionStore
):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    assert await drop(retention) == 0
    await age(road, 2)
    assert await drop(retention) == 1
    assert await payloads(road) == [False]
    assert await drop(retention) == 0


@pytest.mark.parametrize("move", [Move.AGAIN, Move.PARK, None])
async def test_an_event_that_may_still_be_sent_keeps_its_payload_however_old(
    road: Road, retention: RetentionStore, move: Move | None
):
    (leased,) = await road.leased()
    if move is not None:
        await road.settle(settlement(leased, move, None))
    await age(road, 1000)
    assert await drop(retention) == 0


async def test_an_event_nobody_has_planned_yet_keeps_its_payload(
    road: Road, retention: RetentionStore
):
    await road.publish()
    await road.enqueue(1)
    await age(road, 1000)
    assert await drop(retention) == 0


async def test_a_dead_delivery_keeps_the_payload_longer(road: Road, retention: RetentionStore):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.GIVE_UP, Outcome.ANSWERED))
    await age(road, 5)
    assert await drop(retention) == 0
    await age(road, 6)
    assert await drop(retention) == 1


async def test_one_delivery_that_still_waits_keeps_the_payload_for_all(
    road: Road, retention: RetentionStore
):
    await road.publish()
    await road.enqueue(1)
    await road.file(subscriptions=("acme", "bolt"))
    (leased,) = await road.lease()
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    await age(road, 1000)
    assert await drop(retention) == 0


async def test_payloads_go_in_small_batches(road: Road, retention: RetentionStore):
    leased = await road.leased(5)
    await road.settle(*(settlement(each, Move.DELIVERED, Outcome.DELIVERED) for each in leased))
    await age(road, 2)
    assert await drop(retention, rows_max=2) == 2
    assert await payloads(road) == [False, False, True, True, True]


async def test_a_sweep_goes_on_after_the_last_event_it_dropped(
    road: Road, retention: RetentionStore
):
    leased = await road.leased(4)
    await road.settle(*(settlement(each, Move.DELIVERED, Outcome.DELIVERED) for each in leased))
    await age(road, 2)
    seqs = [each.event.seq for each in leased]
    dropped = await retention.drop_payloads(after=seqs[0], rows_max=2, **KEPT)
    assert sorted(dropped) == seqs[1:3]
    assert await payloads(road) == [True, False, False, True]


async def test_what_is_left_of_an_event_has_no_payload_and_is_still_known(
    road: Road, retention: RetentionStore
):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    await age(road, 2)
    await drop(retention)
    await change(road.database, "UPDATE {deliveries} SET state = 'waiting', due_us = 1")
    (again,) = await road.lease()
    assert again.event.payload is None
    assert again.event.id == leased.event.id
