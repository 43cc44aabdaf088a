"""What people may ask of an outbox."""

import json

import pytest

from dispatcher.model.delivery import Move, Outcome
from dispatcher.store.history import Filter, HistoryStore
from tests.support.letters import NARROW, Road, sealed, settlement


@pytest.fixture
def history(road: Road) -> HistoryStore:
    return HistoryStore(road.database)


async def test_deliveries_are_listed_in_order_with_their_event(road: Road, history: HistoryStore):
    await road.publish()
    ids = await road.enqueue(3)
    await road.file()
    listed = await history.deliveries(Filter())
    assert [each["event_id"] for each in listed] == ids
    assert {(each["tenant"], each["type"], each["state"]) for each in listed} == {
        ("shop", "order.placed", "waiting")
    }
    assert "payload" not in listed[0]


async def test_each_filter_narrows_the_list_and_they_combine(road: Road, history: HistoryStore):
    await road.publish()
    first, second = await road.enqueue(2)
    await road.file(subscriptions=("acme", "bolt"))
    await road.lease()

    async def found(**terms: object) -> set[tuple[str, str]]:
        listed = await history.deliveries(Filter(**terms))
        return {(each["event_id"], each["subscription"]) for each in listed}

    assert await found(state="leased") == {(first, "acme"), (second, "acme")}
    assert await found(subscription="bolt") == {(first, "bolt"), (second, "bolt")}
    assert await found(event_id=second) == {(second, "acme"), (second, "bolt")}
    assert await found(event_id=second, state="leased") == {(second, "acme")}
    assert await found(state="dead") == set()


async def test_a_cursor_pages_through_everything_once(road: Road, history: HistoryStore):
    await road.publish()
    ids = await road.enqueue(5)
    await road.file()
    seen: list[str] = []
    after = 0
    while page := await history.deliveries(Filter(after=after, limit=2)):
        assert len(page) <= 2
        seen += [each["event_id"] for each in page]
        after = page[-1]["id"]
    assert seen == ids


async def test_counts_go_by_subscription_and_state(road: Road, history: HistoryStore):
    await road.publish()
    await road.enqueue(3)
    await road.file(subscriptions=("acme", "bolt"))
    await road.lease(rows_max=1)
    await road.enqueue(1)
    counted = {
        (each["subscription"], each["state"]): each["rows"] for each in await history.counts()
    }
    assert counted == {
        (None, "waiting"): 1,
        ("acme", "leased"): 1,
        ("acme", "waiting"): 2,
        ("bolt", "waiting"): 3,
    }


async def test_an_event_is_shown_without_its_payload(road: Road, history: HistoryStore):
    await road.publish()
    (event_id,) = await road.enqueue(1)
    shown = await history.event(event_id)
    assert shown is not None
    assert (shown["id"], shown["tenant"], bool(shown["has_payload"])) == (event_id, "shop", True)
    assert "payload" not in shown
    assert await history.event("evt_none") is None


async def test_the_ledger_of_an_event_shows_every_attempt_and_its_fields(
    road: Road, history: HistoryStore
):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    await road.settle(settlement(leased, Move.AGAIN, Outcome.ANSWERED, status=503, failures=1))
    (again,) = await road.lease()
    await road.disclose(sealed(again, NARROW))
    one, two = await history.attempts(leased.event.seq)
    assert (one["attempt"], one["outcome"], one["status"]) == (1, "answered", 503)
    assert (two["attempt"], two["outcome"]) == (2, None)
    assert len(json.loads(one["fields"])) == 2
    assert json.loads(two["fields"]) == ["$.id pass string other internal"]
