"""An outbox's copy of the catalogue only ever moves forward."""

import asyncio
from dataclasses import replace

from dispatcher.model.ids import Revision
from dispatcher.store.catalogue import CatalogueStore
from tests.support.letters import ORDER_PLACED, Road, rows

CUSTOMER = replace(ORDER_PLACED, name="customer.created")
SELECT = "SELECT event_type, payload_bytes_max, revision FROM {catalogue} ORDER BY event_type"


async def catalogue(road: Road) -> list[tuple[str, int, int]]:
    return [tuple(each.values()) for each in await rows(road.database, SELECT)]


async def test_publishing_makes_the_copy_equal_to_the_revision(road: Road):
    await road.publish(ORDER_PLACED, CUSTOMER, revision=1)
    assert await catalogue(road) == [("customer.created", 1000, 1), ("order.placed", 1000, 1)]
    await road.publish(replace(ORDER_PLACED, payload_bytes_max=5), revision=2)
    assert await catalogue(road) == [("order.placed", 5, 2)]


async def test_an_older_revision_changes_nothing(road: Road):
    await road.publish(ORDER_PLACED, revision=5)
    await road.publish(CUSTOMER, revision=4)
    assert await catalogue(road) == [("order.placed", 1000, 5)]


async def test_publishing_the_same_revision_again_changes_nothing(road: Road):
    await road.publish(ORDER_PLACED, revision=5)
    await road.publish(ORDER_PLACED, revision=5)
    assert await catalogue(road) == [("order.placed", 1000, 5)]


async def test_a_revision_without_event_types_empties_the_copy_and_an_older_one_cannot_refill_it(
    road: Road,
):
    await road.publish(ORDER_PLACED, revision=1)
    await CatalogueStore(road.database).publish((), Revision(2))
    assert await catalogue(road) == []


async def test_workers_publishing_at_once_leave_the_newest(postgres):
    road = Road(postgres)
    revisions = [3, 9, 5, 7, 8, 2]
    await asyncio.gather(
        *(
            road.publish(replace(ORDER_PLACED, payload_bytes_max=each), CUSTOMER, revision=each)
            for each in revisions
        )
    )
    assert await catalogue(road) == [("customer.created", 1000, 9), ("order.placed", 9, 9)]
