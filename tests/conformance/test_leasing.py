"""Step 2 of the road: a due delivery is leased to one worker, and comes back when it is lost."""

import asyncio
from collections import Counter

import pytest

from dispatcher.model.delivery import Move, Outcome, State
from dispatcher.model.event import INTAKE_FORMAT, UNREADABLE
from dispatcher.model.ids import Epoch, LeaseToken
from dispatcher.model.letter import Leased
from dispatcher.model.verdict import Reason
from dispatcher.store.claims import LaneOrder
from tests.support.letters import LANE, NARROW, WIDE, Road, change, sealed, settlement

BOLT = "bolt/order.placed"


@pytest.fixture
async def road(road: Road) -> Road:
    await road.publish()
    return road


async def test_only_the_lanes_named_are_visited(road: Road):
    await road.enqueue(2)
    await road.file(subscriptions=("acme", "bolt"))
    taken = await road.lease(BOLT)
    assert {each.subscription for each in taken} == {"bolt"}
    assert len(taken) == 2
    assert await road.lease("nobody/order.placed") == []
    waiting = {each["lane"] for each in await road.deliveries() if each["state"] == "waiting"}
    assert waiting == {LANE}


async def test_a_leased_delivery_carries_the_event_and_its_own_history(road: Road):
    (event_id,) = await road.enqueue(1)
    await road.file()
    (leased,) = await road.lease()
    assert leased.event.id == event_id
    assert leased.event.payload == b'{"id":"o0"}'
    assert (leased.attempt, leased.failures, leased.filed_scope) == (1, 0, WIDE.id)
    assert leased.lease_ends == 9.0
    assert await road.lease() == []


@pytest.mark.parametrize("blob", [b'{"id":"forged"}', b"\x02" + bytes(90)])
async def test_a_filed_event_that_lies_open_to_anybody_is_not_read(road: Road, blob: bytes):
    await road.enqueue(1)
    await road.file()
    written = "UPDATE {events} SET payload = :blob, is_sealed = :is_sealed"
    await change(road.database, written, blob=blob, is_sealed=blob[0] == INTAKE_FORMAT)
    (leased,) = await road.lease()
    assert (leased.event.payload, leased.event.is_locked) == (UNREADABLE, False)


async def test_a_lane_gives_no_more_than_its_limit_and_the_earliest_due_first(road: Road):
    await road.enqueue(4)
    await road.file()
    ids = [each["id"] for each in await road.deliveries()]
    await change(road.database, "UPDATE {deliveries} SET due_us = 9 WHERE id = :id", id=ids[3])
    await change(road.database, "UPDATE {deliveries} SET due_us = 10 WHERE id = :id", id=ids[1])
    taken = await road.lease(rows_max=2)
    assert {each.id for each in taken} == {ids[3], ids[1]}


async def test_each_lane_has_a_limit_of_its_own(road: Road):
    await road.enqueue(3)
    await road.file(subscriptions=("acme", "bolt"))
    taken, _ = await road.claims.lease(
        [LaneOrder(LANE, 1, 0), LaneOrder(BOLT, 2, 0)],
        token=LeaseToken("t"),
        lease_us=1000,
        lease_ends=0,
    )
    assert sorted(each.subscription for each in taken) == ["acme", "bolt", "bolt"]


async def test_a_delivery_due_later_is_left_alone_until_then(road: Road):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.NOT_BEGUN, None, delay_us=150_000))
    assert await road.lease() == []
    waits = await road.claims.waiting_lanes()
    assert 0 < waits[LANE] <= 150_000
    await asyncio.sleep(0.2)
    assert [each.id for each in await road.lease()] == [leased.id]


async def test_leasing_says_how_far_it_came_and_a_floor_starts_there(road: Road):
    await road.enqueue(3)
    await road.file()
    for due, row in enumerate(await road.deliveries(), start=10):
        sql = "UPDATE {deliveries} SET due_us = :due WHERE id = :id"
        await change(road.database, sql, due=due, id=row["id"])
    terms = {"token": LeaseToken("t"), "lease_us": 60_000_000, "lease_ends": 0.0}
    taken, floors = await road.claims.lease([LaneOrder(LANE, 2, 0)], **terms)
    assert len(taken) == 2
    assert floors.get(LANE, 0) <= 11
    taken, _ = await road.claims.lease([LaneOrder(LANE, 2, 13)], **terms | {"token": "u"})
    assert taken == []
    taken, _ = await road.claims.lease([LaneOrder(LANE, 2, floors[LANE])], **terms | {"token": "v"})
    assert len(taken) == 1


async def test_the_lanes_with_waiting_rows_are_found_each_once(road: Road):
    await road.enqueue(3)
    await road.file(subscriptions=("acme", "bolt", "zeta"))
    await road.lease("zeta/order.placed")
    await road.enqueue(2)
    waits = await road.claims.waiting_lanes()
    assert set(waits) == {LANE, BOLT}
    assert all(wait <= 0 for wait in waits.values())


async def test_no_lane_waits_where_nothing_does(road: Road):
    assert await road.claims.waiting_lanes() == {}


async def test_two_claimers_in_turn_never_hold_the_same_delivery(road: Road):
    await road.enqueue(5)
    await road.file()
    first = await road.lease(rows_max=3, token=LeaseToken("a"))
    second = await road.lease(rows_max=3, token=LeaseToken("b"))
    assert (len(first), len(second)) == (3, 2)
    assert not {each.id for each in first} & {each.id for each in second}
    assert {each.token for each in second} == {"b"}


async def test_claimers_racing_for_one_lane_never_hold_the_same_delivery(postgres):
    road = Road(postgres)
    await road.publish()
    await road.enqueue(300)
    await road.file()

    async def claim(number: int) -> list[int]:
        mine: list[int] = []
        for turn in range(20):
            taken = await road.lease(rows_max=5, token=LeaseToken(f"{number}-{turn}"))
            mine += [each.id for each in taken]
        return mine

    held = [row for rows in await asyncio.gather(*map(claim, range(4))) for row in rows]
    assert len(held) == len(set(held)) == 300


async def test_a_claimer_does_not_wait_for_another_s_transaction(postgres):
    road = Road(postgres)
    await road.publish()
    await road.enqueue(2)
    await road.file()
    async with postgres.begin() as connection:
        sql = "SELECT id FROM {deliveries} ORDER BY id LIMIT 1 FOR UPDATE"
        locked = (await postgres.execute(connection, sql)).scalar_one()
        async with asyncio.timeout(5):
            taken = await road.lease()
    assert [each.id for each in taken] != [locked]
    assert len(taken) == 1


async def test_a_lost_lease_that_sent_nothing_is_given_back(road: Road):
    (leased,) = await road.leased(lease_us=1)
    await asyncio.sleep(0.01)
    assert await road.claims.rescue() == 1
    assert await road.disclosures() == []
    (again,) = await road.lease()
    assert again.id == leased.id
    assert again.webhook_id == leased.webhook_id
    assert again.failures == 0


async def test_a_lease_that_still_runs_is_not_rescued(road: Road):
    await road.leased()
    assert await road.claims.rescue() == 0


async def test_a_lost_attempt_is_outcome_unknown_and_the_next_has_another_number(road: Road):
    (leased,) = await road.leased(lease_us=1)
    await road.disclose(sealed(leased))
    await asyncio.sleep(0.01)
    assert await road.claims.rescue() == 1
    (ledger,) = await road.disclosures()
    assert (ledger["outcome"], ledger["code"]) == ("unknown", "lease_lost")
    assert ledger["ended_us"] >= ledger["begun_us"]
    (again,) = await road.lease()
    assert again.attempt == leased.attempt + 1
    assert await road.disclose(sealed(again)) == [True]


async def test_a_lost_attempt_under_a_narrower_scope_narrows_the_delivery_for_good(road: Road):
    (leased,) = await road.leased(lease_us=1)
    await road.disclose(sealed(leased, NARROW))
    await asyncio.sleep(0.01)
    await road.claims.rescue()
    (again,) = await road.lease()
    assert again.filed_scope == NARROW.id
    assert await road.outbox.scope(NARROW.id) == NARROW


async def test_an_attempt_that_had_ended_keeps_its_outcome_when_a_later_lease_is_lost(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    await road.settle(settlement(leased, Move.AGAIN, Outcome.ANSWERED, status=503, failures=1))
    (again,) = await road.lease(token=LeaseToken("two"), lease_us=1)
    assert (again.attempt, again.failures) == (2, 1)
    await asyncio.sleep(0.01)
    await road.claims.rescue()
    (ledger,) = await road.disclosures()
    assert (ledger["outcome"], ledger["status"]) == ("answered", 503)


async def test_a_worker_that_lost_its_lease_cannot_settle_what_another_now_holds(road: Road):
    (leased,) = await road.leased(token=LeaseToken("late"), lease_us=1)
    await asyncio.sleep(0.01)
    await road.claims.rescue()
    (again,) = await road.lease(token=LeaseToken("new"))
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    (row,) = await road.deliveries()
    assert (row["state"], row["lease_token"]) == ("leased", again.token)


async def test_rescuers_at_once_rescue_each_lease_once(postgres):
    road = Road(postgres)
    leased = await road.leased(60, lease_us=1)
    await road.disclose(*map(sealed, leased[:30]))
    await asyncio.sleep(0.01)
    rescued = await asyncio.gather(*(road.claims.rescue() for _ in range(4)))
    assert sum(rescued) == 60
    # An attempt counts where the ledger has its row, and counts once.
    attempts = Counter(each["attempt"] for each in await road.deliveries())
    assert attempts == {1: 30, 0: 30}


async def test_a_parked_delivery_is_judged_again_once_for_each_new_policy(road: Road):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.PARK, None, code="tenant_not_served"), epoch=4)
    (row,) = await road.deliveries()
    assert (row["state"], row["code"], row["due_us"]) == ("parked", "tenant_not_served", None)
    assert await road.claims.rejudge(Epoch(4)) == 0
    assert await road.claims.rejudge(Epoch(5)) == 1
    assert await road.claims.rejudge(Epoch(5)) == 0
    (again,) = await road.lease()
    assert again.id == leased.id


async def test_final_deliveries_never_come_back(road: Road):
    leased = await road.leased(2)
    await road.settle(
        settlement(leased[0], Move.DELIVERED, Outcome.DELIVERED),
        settlement(leased[1], Move.GIVE_UP, Outcome.ANSWERED),
    )
    assert await road.claims.rejudge(Epoch(99)) == 0
    assert await road.claims.rescue() == 0
    assert await road.lease() == []
    assert {State(each["state"]) for each in await road.deliveries()} == {
        State.DELIVERED,
        State.DEAD,
    }


async def test_judging_again_takes_no_row_from_a_worker_that_leased_it_meanwhile(postgres):
    road = Road(postgres)
    leased = await road.leased(40)
    for each in leased:
        await road.settle(settlement(each, Move.PARK, None, code="tenant_not_served"), epoch=4)
    for _ in range(10):
        await change(
            postgres,
            "UPDATE {deliveries} SET state = 'parked', due_us = NULL,"
            " judged_epoch = 4, lease_token = NULL, leased_until_us = NULL",
        )
        taken: list[Leased] = []

        async def judge_and_lease(name: str, taken: list[Leased] = taken) -> None:
            for turn in range(10):
                await road.claims.rejudge(Epoch(5), rows_max=7)
                taken += await road.lease(rows_max=5, token=LeaseToken(f"{name}{turn}"))

        await asyncio.gather(*(judge_and_lease(name) for name in "abcd"))
        assert len(taken) == len({each.id for each in taken})


async def test_what_waits_in_a_lane_policy_no_longer_knows_is_parked(road: Road):
    await road.leased(3)
    await change(
        road.database,
        "UPDATE {deliveries} SET state = 'waiting', due_us = 1,"
        " lease_token = NULL, leased_until_us = NULL",
    )
    parked = await road.claims.park_lane(LANE, Reason.SUBSCRIPTION_UNKNOWN, Epoch(4))
    states = {(each["state"], each["code"], each["due_us"]) for each in await road.deliveries()}
    assert (parked, states) == (3, {("parked", "subscription_unknown", None)})
    assert await road.claims.rejudge(Epoch(5)) == 3
