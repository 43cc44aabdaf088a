"""An outbox's copy of the catalogue only ever moves forward."""

import asyncio
from dataclasses import replace

from dispatcher.model.ids import Revision
from dispatcher.model.producers import list_producers
from dispatcher.model.registry import Producer
from dispatcher.store.catalogue import CatalogueStore
from tests.support.letters import ORDER_PLACED, Road, change, rows

CUSTOMER = replace(ORDER_PLACED, name="customer.created")
LISTED = (
    Producer(
        name="orders",
        event_types=("order.placed", "order.paid"),
        tenants=("north",),
        database_roles=("orders_app", "orders_job"),
        principals=("orders-svc",),
    ),
    Producer(name="billing", event_types=("*",), tenants=("*",)),
)
SELECT = "SELECT event_type, payload_bytes_max, revision FROM {catalogue} ORDER BY event_type"


async def catalogue(road: Road) -> list[tuple[str, int, int]]:
    return [tuple(each.values()) for each in await rows(road.database, SELECT)]


async def producers(road: Road) -> list[tuple[str, ...]]:
    sql = "SELECT kind, who, producer, event_types, tenants FROM {producers} ORDER BY kind, who"
    return [tuple(each.values()) for each in await rows(road.database, sql)]


async def test_publishing_makes_the_copy_equal_to_the_revision(road: Road):
    await road.publish(ORDER_PLACED, CUSTOMER, revision=1)
    assert await catalogue(road) == [("customer.created", 1000, 1), ("order.placed", 1000, 1)]
    await road.publish(replace(ORDER_PLACED, payload_bytes_max=5), revision=2)
    assert await catalogue(road) == [("order.placed", 5, 2)]


async def test_the_copy_says_which_version_of_an_event_type_it_holds(road: Road):
    sql = "SELECT version FROM {catalogue}"
    for revision, version in ((1, 1), (2, 7), (3, 2)):
        await road.publish(replace(ORDER_PLACED, version=version), revision=revision)
        assert await rows(road.database, sql) == [{"version": version}]


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
    await CatalogueStore(road.database).publish((), list_producers(()), Revision(2))
    assert await catalogue(road) == []
    await road.publish(ORDER_PLACED, producers=LISTED, revision=1)
    assert await catalogue(road) == []
    assert await producers(road) == []


async def test_producers_are_published_with_the_event_types_each_by_every_way_to_be_known(
    road: Road,
):
    await road.publish(producers=LISTED, revision=1)
    north, every = '["north"]', '["*"]'
    assert await producers(road) == [
        ("name", "billing", "billing", every, every),
        ("name", "orders", "orders", '["order.paid","order.placed"]', north),
        ("role", "orders_app", "orders", '["order.paid","order.placed"]', north),
        ("role", "orders_job", "orders", '["order.paid","order.placed"]', north),
    ]


async def test_a_revision_with_producers_and_no_event_types_is_published_as_it_is(road: Road):
    await CatalogueStore(road.database).publish((), list_producers(LISTED), Revision(1))
    assert await catalogue(road) == []
    assert len(await producers(road)) == 4
    await road.publish(revision=2)
    assert await producers(road) == []
    assert await road.enqueue(1)


async def test_an_older_revision_changes_no_producer(road: Road):
    await road.publish(producers=LISTED[:1], revision=5)
    listed = await producers(road)
    await road.publish(producers=LISTED, revision=4)
    await road.publish(producers=(), revision=5)
    assert await producers(road) == listed


async def test_what_an_earlier_release_published_later_is_not_taken_back(road: Road):
    await road.publish(revision=5)
    await change(road.database, "UPDATE {catalogue} SET revision = 7")
    await road.publish(CUSTOMER, producers=LISTED, revision=6)
    assert await catalogue(road) == [("order.placed", 1000, 7)]
    await road.publish(CUSTOMER, producers=LISTED, revision=7)
    assert await catalogue(road) == [("customer.created", 1000, 7), ("order.placed", 1000, 7)]
    assert len(await producers(road)) == 4


async def test_workers_publishing_at_once_leave_the_newest(postgres):
    road = Road(postgres)
    revisions = [3, 9, 5, 7, 8, 2]
    await asyncio.gather(
        *(
            road.publish(
                replace(ORDER_PLACED, payload_bytes_max=each),
                CUSTOMER,
                producers=(Producer(name=f"p{each}", event_types=("*",), tenants=("*",)),),
                revision=each,
            )
            for each in revisions
        )
    )
    assert [row[1] for row in await producers(road)] == ["p9"]
    assert await catalogue(road) == [("customer.created", 1000, 9), ("order.placed", 9, 9)]
