"""Every event of a summary counts in exactly one window, and each window leaves by one letter."""

import asyncio
import time
from collections import Counter

import pytest

from dispatcher.model.delivery import Move, Outcome, State
from dispatcher.model.ids import INTAKE, Epoch, LeaseToken, Revision, WorkerId
from dispatcher.model.retention import Rule, Store
from dispatcher.model.verdict import Reason
from dispatcher.model.window import Window
from dispatcher.store.history import DisclosureFilter, Filter, HistoryStore
from dispatcher.store.outbox import Filing
from dispatcher.store.retention import RetentionStore, Sweep
from dispatcher.store.windows import WindowStore
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
    sealed,
    settlement,
)

DAY_US = 86_400_000_000
OPEN = Window.at(int(time.time() * 1_000_000) + DAY_US, 3600)
"""A window that stays open while a test runs."""


@pytest.fixture
async def road(road: Road) -> Road:
    await road.publish()
    return road


def windows(road: Road) -> WindowStore:
    return WindowStore(road.database, road.open_payload)


async def gathered(road: Road, count: int, **terms: object) -> list[str]:
    """Put events into the window that is open, in one batch."""
    ids = await road.enqueue(count)
    await road.file(window=OPEN, **terms)
    return ids


async def test_the_first_event_files_the_letter_and_the_others_only_join(road: Road):
    ids = await gathered(road, 3)
    ids += await gathered(road, 2)
    (letter,) = await road.deliveries()
    assert (letter["lane"], letter["state"], letter["due_us"]) == (LANE, "waiting", OPEN.closes_us)
    assert letter["attempt"] == 0
    assert await road.members() == [(letter["id"], seq) for seq in range(1, 6)]
    assert await windows(road).window(letter["window_id"]) == OPEN
    assert await windows(road).window(letter["window_id"] + 1) is None
    members = await windows(road).members(letter["window_id"], after=0, limit=9)
    assert [event.id for event in members] == ids
    assert members[0].payload == b'{"id":"o0"}'


async def test_members_come_in_pages(road: Road):
    await gathered(road, 5)
    (letter,) = await road.deliveries()
    store, window_id = windows(road), letter["window_id"]
    assert [each.seq for each in await store.members(window_id, after=0, limit=2)] == [1, 2]
    assert [each.seq for each in await store.members(window_id, after=2, limit=2)] == [3, 4]
    assert [each.seq for each in await store.members(window_id, after=4, limit=2)] == [5]


async def test_the_letter_is_not_due_before_its_window_closes(road: Road):
    await gathered(road, 2)
    assert await road.lease() == []
    await road.close_windows()
    (leased,) = await road.lease()
    (letter,) = await road.deliveries()
    assert leased.window_id == letter["window_id"]
    assert leased.event.seq == 1


async def test_an_ordinary_delivery_belongs_to_no_window(road: Road):
    (leased,) = await road.leased()
    assert leased.window_id is None


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(None, id="leased"),
        pytest.param((Move.AGAIN, Outcome.UNKNOWN), id="tried"),
        pytest.param((Move.PARK, Outcome.ANSWERED), id="parked after a try"),
        pytest.param((Move.DELIVERED, Outcome.DELIVERED), id="delivered"),
        pytest.param((Move.GIVE_UP, Outcome.ANSWERED), id="dead"),
    ],
)
async def test_whoever_comes_after_the_letter_was_leased_counts_in_the_next_window(
    road: Road, end: tuple[Move, Outcome] | None
):
    await gathered(road, 2)
    await change(road.database, "UPDATE {deliveries} SET due_us = 1")
    (leased,) = await road.lease()
    if end is not None:
        move, outcome = end
        await road.disclose(sealed(leased))
        await road.settle(settlement(leased, move, outcome))
    await gathered(road, 1)
    first, second = await road.deliveries()
    assert await road.members() == [(first["id"], 1), (first["id"], 2), (second["id"], 3)]
    assert second["due_us"] == OPEN.following.closes_us
    assert second["webhook_id"] != first["webhook_id"]


async def test_nobody_joins_a_window_whose_time_is_over_though_its_letter_waits(road: Road):
    await gathered(road, 1)
    await road.close_windows()
    await gathered(road, 1)
    first, second = await road.deliveries()
    assert await road.members() == [(first["id"], 1), (second["id"], 2)]


async def test_tenants_lanes_and_scopes_have_windows_of_their_own(road: Road):
    await road.enqueue(1)
    await road.enqueue(1, tenant="mill")
    await road.file(subscriptions=("acme", "bolt"), window=OPEN)
    await gathered(road, 1, scope=NARROW)
    found = await rows(
        road.database,
        "SELECT w.tenant, d.lane, d.scope_id, count(*) AS n FROM {windows} w"
        " JOIN {deliveries} d ON d.window_id = w.id JOIN {window_members} m ON m.window_id = w.id"
        " GROUP BY w.tenant, d.lane, d.scope_id",
    )
    other = LANE.replace("acme", "bolt")
    assert {tuple(each.values()) for each in found} == {
        ("shop", LANE, WIDE.id, 1),
        ("shop", other, WIDE.id, 1),
        ("mill", LANE, WIDE.id, 1),
        ("mill", other, WIDE.id, 1),
        ("shop", LANE, NARROW.id, 1),
    }


async def test_an_event_may_be_sent_by_itself_to_one_and_count_for_another(road: Road):
    await road.enqueue(1)
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        alone, summed = planned("acme"), planned("bolt")
        filings = [
            Filing(event=new.event, slot=new.slot, state=State.LEASED, planned=alone),
            Filing(event=new.event, slot=None, state=State.WAITING, planned=summed, window=OPEN),
        ]
        filed = await intake.file(filings, epoch=Epoch(1), token=TOKEN, lease_us=MINUTE_US)
    assert filed == {alone.webhook_id: new.slot}
    first, second = await road.deliveries()
    assert (first["subscription"], first["window_id"]) == ("acme", None)
    assert (second["subscription"], second["state"]) == ("bolt", "waiting")
    assert await road.members() == [(second["id"], 1)]


async def test_a_crash_before_the_commit_leaves_every_event_new_and_no_window(road: Road):
    await road.enqueue(2)
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with road.outbox.intake(limit=9, floor_us=0) as intake:
            filings = [
                Filing(
                    event=new.event,
                    slot=new.slot,
                    state=State.WAITING,
                    planned=planned(),
                    window=OPEN,
                )
                for new in intake.events
            ]
            await intake.file(filings, epoch=Epoch(1), token=TOKEN, lease_us=MINUTE_US)
            raise RuntimeError
    assert {each["lane"] for each in await road.deliveries()} == {INTAKE}
    assert await rows(road.database, "SELECT * FROM {windows}") == []
    assert await road.members() == []
    assert await road.file(window=OPEN) == 2
    assert len(await road.members()) == 2


async def test_a_letter_set_aside_before_its_window_closed_waits_for_that_again(road: Road):
    await gathered(road, 1)
    assert await road.claims.park_lane(LANE, Reason.SUBSCRIPTION_UNKNOWN, Epoch(1)) == 1
    await gathered(road, 1)
    assert await road.claims.rejudge(Epoch(2)) == 1
    (letter,) = await road.deliveries()
    assert (letter["state"], letter["due_us"]) == ("waiting", OPEN.closes_us)
    assert len(await road.members()) == 2
    await road.close_windows()
    assert await road.claims.park_lane(LANE, Reason.SUBSCRIPTION_UNKNOWN, Epoch(2)) == 1
    assert await road.claims.rejudge(Epoch(3)) == 1
    assert len(await road.lease()) == 1


async def test_workers_that_file_at_once_share_one_window_and_count_every_event_once(postgres):
    road = Road(postgres)
    await road.publish()
    await road.enqueue(200)

    async def work(number: int) -> None:
        worker = Road(postgres)
        while await worker.file(limit=7, window=OPEN, token=LeaseToken(f"t{number}")):
            pass

    async with asyncio.timeout(30):
        await asyncio.gather(*(work(number) for number in range(4)))
    (letter,) = await road.deliveries()
    assert await road.members() == [(letter["id"], seq) for seq in range(1, 201)]


async def test_events_that_join_and_workers_that_lease_at_once_lose_and_double_none(postgres):
    """The letter is put due again and again while events keep coming: each leased one is closed."""
    road = Road(postgres)
    await road.publish()
    await road.enqueue(120)
    leased: dict[int, list[int]] = {}
    is_done = asyncio.Event()
    make_due = "UPDATE {deliveries} SET due_us = 1 WHERE due_us > 1 AND window_id > 0"

    async def file() -> None:
        worker = Road(postgres)
        while await worker.file(limit=3, window=OPEN):
            pass

    async def lease() -> None:
        worker = Road(postgres)
        while not is_done.is_set():
            await change(postgres, make_due)
            for each in await worker.lease():
                members = await windows(worker).members(each.window_id, after=0, limit=999)
                leased[each.window_id] = [event.seq for event in members]

    async with asyncio.timeout(60):
        leasing = asyncio.create_task(lease())
        await asyncio.gather(file(), file())
        is_done.set()
        await leasing
    counted = Counter(seq for _, seq in await road.members())
    assert counted == Counter(range(1, 121))
    assert len(leased) > 2
    for window_id, seqs in leased.items():
        now = await windows(road).members(window_id, after=0, limit=999)
        assert [event.seq for event in now] == seqs, "a letter changed after it was leased"


async def test_whoever_joins_keeps_the_letter_from_being_leased_meanwhile(postgres):
    one, two = Road(postgres), Road(postgres)
    await one.publish()
    await gathered(one, 1)
    await change(postgres, "UPDATE {deliveries} SET due_us = 1")
    await one.enqueue(1)
    async with asyncio.timeout(5), one.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        filing = Filing(
            event=new.event, slot=new.slot, state=State.WAITING, planned=planned(), window=OPEN
        )
        await intake.file([filing], epoch=Epoch(1), token=TOKEN, lease_us=MINUTE_US)
        assert await two.lease() == []
    (leased,) = await two.lease()
    assert len(await windows(two).members(leased.window_id, after=0, limit=9)) == 2


async def test_payloads_stay_until_the_letter_of_their_window_is_final(road: Road):
    retention = RetentionStore(road.database)

    async def drop(store: Store, minutes: int) -> int:
        rule = Rule(store=store, said="a while", kept_us=minutes * MINUTE_US)
        sweep = Sweep(rule=rule, worker=WorkerId("w"), revision=Revision(1))
        return (await retention.purge(sweep, rows_max=99)).counts.get("payloads", 0)

    async def age(minutes: int) -> None:
        by = {"by": minutes * MINUTE_US}
        await change(road.database, "UPDATE {events} SET enqueued_us = enqueued_us - :by", **by)
        await change(road.database, "UPDATE {deliveries} SET settled_us = settled_us - :by", **by)

    await gathered(road, 3)
    await age(9999)
    assert await drop(Store.PAYLOADS, 1) == 0
    await road.close_windows()
    (leased,) = await road.lease()
    await road.settle(settlement(leased, Move.GIVE_UP, Outcome.ANSWERED))
    await age(2)
    assert await drop(Store.PAYLOADS, 1) == 0
    assert await drop(Store.DEAD_PAYLOADS, 10) == 0
    await change(road.database, "UPDATE {deliveries} SET state = 'delivered'")
    assert await drop(Store.PAYLOADS, 1) == 3


async def test_an_event_is_traced_to_the_letter_of_its_window(road: Road):
    history = HistoryStore(road.database)
    first, second = await gathered(road, 2)
    (alone,) = await road.enqueue(1)
    await road.file()
    await road.close_windows()
    (leased,) = await road.lease(rows_max=1)
    await road.disclose(sealed(leased))
    for event_id in (first, second):
        (delivery,) = await history.deliveries(Filter(event_id=event_id))
        assert delivery["id"] == leased.id
        span = (delivery["window_start_us"], delivery["window_end_us"])
        assert span == (OPEN.start_us, OPEN.end_us)
        event = await history.event(event_id)
        (attempt,) = await history.attempts(event["seq"])
        assert attempt["webhook_id"] == leased.webhook_id
        (disclosed,) = await history.disclosures(DisclosureFilter(event_id=event_id))
        assert disclosed["delivery_id"] == leased.id
    (ordinary,) = await history.deliveries(Filter(event_id=alone))
    assert ordinary["id"] != leased.id
    assert ordinary["window_start_us"] is None
    assert await history.disclosures(DisclosureFilter(event_id=alone)) == []
