"""Step 1 of the road: events are claimed and filed in one transaction, or stay new."""

import asyncio

import pytest

from dispatcher.model.delivery import State
from dispatcher.model.event import UNREADABLE
from dispatcher.model.ids import INTAKE, Epoch, LeaseToken
from dispatcher.model.verdict import Reason, refuse
from dispatcher.producer import enqueue
from dispatcher.store.outbox import NOBODY_SUBSCRIBED, Filing
from dispatcher.vault.places import payload_place
from tests.support.letters import (
    LANE,
    MINUTE_US,
    NARROW,
    TOKEN,
    WIDE,
    Road,
    change,
    planned,
    rows,
)
from tests.support.vaults import content_of, standing_vault

TERMS = {"epoch": Epoch(7), "token": TOKEN, "lease_us": MINUTE_US}


@pytest.fixture
async def road(road: Road) -> Road:
    await road.publish()
    return road


async def test_a_committed_event_is_new_and_comes_with_all_that_was_said_of_it(road: Road):
    (event_id,) = await road.enqueue(
        ordering_key="order-1", traceparent="00-1", subjects=["ann", "bob"]
    )
    async with road.outbox.intake(limit=10, floor_us=0) as intake:
        (new,) = intake.events
    event = new.event
    assert (event.id, event.tenant, event.type, event.producer) == (
        event_id,
        "shop",
        "order.placed",
        "default",
    )
    assert (event.subjects, event.ordering_key, event.traceparent) == (
        ("ann", "bob"),
        "order-1",
        "00-1",
    )
    assert event.payload == b'{"id":"o0"}'
    assert not new.is_sealed


async def test_an_event_whose_transaction_was_rolled_back_never_existed(road: Road):
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with road.database.begin() as connection:
            await enqueue(connection, "order.placed", {"id": "x"}, tenant="shop", subjects=[])
            raise RuntimeError
    async with road.outbox.intake(limit=10, floor_us=0) as intake:
        assert not intake.events
    assert await rows(road.database, "SELECT * FROM {events}") == []
    assert await road.deliveries() == []


async def test_a_crash_between_claiming_and_filing_leaves_every_event_new(road: Road):
    ids = await road.enqueue(3)
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with road.outbox.intake(limit=10, floor_us=0) as intake:
            filings = [
                Filing(event=n.event, slot=n.slot, state=State.WAITING, planned=planned())
                for n in intake.events
            ]
            await intake.file(filings, **TERMS)
            raise RuntimeError
    async with road.outbox.intake(limit=10, floor_us=0) as intake:
        assert [new.event.id for new in intake.events] == ids
    assert {each["lane"] for each in await road.deliveries()} == {INTAKE}


async def test_events_come_oldest_first_and_no_more_than_asked_for(road: Road):
    ids = await road.enqueue(5)
    async with road.outbox.intake(limit=3, floor_us=0) as intake:
        assert [new.event.id for new in intake.events] == ids[:3]


async def test_a_floor_leaves_out_what_was_due_before_it(road: Road):
    await road.enqueue(1)
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        due = intake.events[0].due_us
    async with road.outbox.intake(limit=9, floor_us=due) as intake:
        assert len(intake.events) == 1
    async with road.outbox.intake(limit=9, floor_us=due + 1) as intake:
        assert intake.events == []


async def test_each_subscriber_gets_a_delivery_of_its_own(road: Road):
    await road.enqueue(2)
    assert await road.file(subscriptions=("acme", "bolt", "cern")) == 2
    filed = await road.deliveries()
    assert sorted(each["lane"] for each in filed) == sorted(
        f"{name}/order.placed" for name in ("acme", "bolt", "cern") for _ in range(2)
    )
    assert {each["state"] for each in filed} == {"waiting"}
    assert len({each["webhook_id"] for each in filed}) == 6
    assert {each["scope_id"] for each in filed} == {WIDE.id}
    assert await road.file() == 0


async def test_filing_says_which_row_became_which_delivery(road: Road):
    await road.enqueue(1)
    first, second = planned("acme"), planned("bolt", NARROW)
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        filed = await intake.file(
            [
                Filing(event=new.event, slot=new.slot, state=State.LEASED, planned=first),
                Filing(event=new.event, slot=None, state=State.WAITING, planned=second),
            ],
            **TERMS,
        )
    by_id = {each["id"]: each for each in await road.deliveries()}
    leased, waiting = by_id[filed[first.webhook_id]], by_id[filed[second.webhook_id]]
    assert (leased["subscription"], leased["state"], leased["lease_token"], leased["due_us"]) == (
        "acme",
        "leased",
        TOKEN,
        None,
    )
    assert leased["leased_until_us"] > leased["id"]
    assert (waiting["subscription"], waiting["state"], waiting["lease_token"]) == (
        "bolt",
        "waiting",
        None,
    )
    assert waiting["due_us"] is not None
    assert leased["judged_epoch"] == waiting["judged_epoch"] == 7


async def test_an_event_nobody_subscribed_to_ends_there_with_a_code(road: Road):
    await road.enqueue(1)
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        await intake.file([Filing(event=new.event, slot=new.slot, state=State.DROPPED)], **TERMS)
    (row,) = await road.deliveries()
    assert (row["state"], row["code"], row["due_us"]) == ("dropped", NOBODY_SUBSCRIBED, None)
    assert row["settled_us"] is not None


async def test_a_refused_event_is_parked_with_its_reasons_and_judged_again_as_a_new_one(road: Road):
    await road.enqueue(1)
    refusal = refuse(Reason.EVENT_TYPE_UNKNOWN, Reason.TENANT_MISSING)
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        parked = Filing(event=new.event, slot=new.slot, state=State.PARKED, refusal=refusal)
        await intake.file([parked], **TERMS)
    (row,) = await road.deliveries()
    assert (row["state"], row["code"]) == ("parked", "event_type_unknown,tenant_missing")
    assert await road.file() == 0
    assert await road.claims.rejudge(Epoch(8)) == 1
    assert await road.file() == 1


async def test_the_scope_a_delivery_was_filed_under_can_be_read_back_whole(road: Road):
    await road.enqueue(1)
    await road.file(scope=WIDE)
    assert await road.outbox.scope(WIDE.id) == WIDE
    assert await road.outbox.scope(NARROW.id) is None


async def test_a_clear_payload_is_sealed_once_and_opens_at_its_own_row(road: Road):
    vault = standing_vault()
    (event_id,) = await road.enqueue(1)
    blob = vault.seal(content_of(b'{"id":"o0"}', "person-1"), payload_place("shop", event_id))
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        seq = intake.events[0].event.seq
        await intake.seal([(seq, blob)])
        await intake.seal([(seq, b"overwritten")])
    opening = Road(
        road.database, lambda sealed, tenant, row: vault.open(sealed, payload_place(tenant, row))
    )
    async with opening.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
    assert new.is_sealed
    assert new.event.payload == b'{"id":"o0"}'
    assert new.event.subjects == ("person-1",)
    (stored,) = await rows(road.database, "SELECT payload, subjects FROM {events}")
    assert b"o0" not in bytes(stored["payload"])
    assert stored["subjects"] == "*"


async def test_a_payload_that_does_not_open_does_not_stop_the_batch(road: Road):
    vault = standing_vault()
    await road.enqueue(1, vault=vault)
    await road.enqueue(1)
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        assert [new.event.payload for new in intake.events] == [UNREADABLE, b'{"id":"o0"}']


async def test_two_workers_claiming_at_once_share_the_intake(postgres):
    one, two = Road(postgres), Road(postgres)
    await one.publish()
    ids = await one.enqueue(10)
    async with (
        asyncio.timeout(5),
        one.outbox.intake(limit=6, floor_us=0) as first,
        two.outbox.intake(limit=10, floor_us=0) as second,
    ):
        mine = {new.event.id for new in first.events}
        theirs = {new.event.id for new in second.events}
    assert mine | theirs == set(ids)
    assert not mine & theirs


async def test_many_workers_filing_at_once_file_every_event_once(postgres):
    road = Road(postgres)
    await road.publish()
    await road.enqueue(200)

    async def work(number: int) -> None:
        worker = Road(postgres)
        while await worker.file(limit=7, token=LeaseToken(f"t{number}")):
            pass

    await asyncio.gather(*(work(number) for number in range(4)))
    filed = await road.deliveries()
    assert len(filed) == 200
    assert {each["lane"] for each in filed} == {LANE}


async def file_and_fail(road: Road) -> None:
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        filing = Filing(event=new.event, slot=new.slot, state=State.LEASED, planned=planned())
        await intake.file([filing], **TERMS)
        raise RuntimeError


async def test_a_filing_that_was_rolled_back_leaves_no_scope_believed_written(road: Road):
    await road.enqueue(1)
    with pytest.raises(RuntimeError):
        await file_and_fail(road)
    await road.file()
    assert await road.outbox.scope(WIDE.id) == WIDE


async def test_subjects_written_by_hand_that_cannot_be_read_stop_no_batch(road: Road):
    await road.enqueue(2)
    await change(road.database, "UPDATE {events} SET subjects = '[[1]]' WHERE seq = 1")
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        assert [new.has_subjects for new in intake.events] == [False, True]
