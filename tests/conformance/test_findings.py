"""What the leak guard found is kept once for a delivery, without its value, for people to read."""

from dispatcher.model.leak import Detector, Finding, LeakAction
from dispatcher.model.path import parse_path
from dispatcher.store.findings import FindingFilter, FindingStore
from tests.support.letters import Road

NOTE, TAGS = parse_path("$.note"), parse_path("$.tags[*]")
FOUND = (
    Finding(Detector.EMAIL, TAGS, 15, LeakAction.ALERT),
    Finding(Detector.EMAIL, TAGS, 21, LeakAction.ALERT),
    Finding(Detector.CARD, NOTE, 16, LeakAction.PARK),
)


async def test_findings_of_a_field_are_one_row_and_an_attempt_more_adds_none(road: Road):
    store = FindingStore(road.database)
    (leased,) = await road.leased(1)
    new = await store.note(leased, FOUND)
    assert [(note.detector, note.path, note.action, note.length, note.count) for note in new] == [
        ("card", "$.note", "park", 16, 1),
        ("email", "$.tags[*]", "alert", 21, 2),
    ]
    assert await store.note(leased, FOUND) == []
    also = Finding(Detector.JWT, NOTE, 90, LeakAction.BLOCK)
    assert [note.detector for note in await store.note(leased, (*FOUND, also))] == ["jwt"]
    listed = await store.list(FindingFilter())
    assert [row["detector"] for row in listed] == ["jwt", "email", "card"]
    assert {row["delivery_id"] for row in listed} == {leased.id}
    assert {row["event_id"] for row in listed} == {leased.event.id}
    assert {row["tenant"] for row in listed} == {leased.event.tenant}
    assert all(row["found_us"] > 0 for row in listed)


async def test_each_filter_narrows_the_list_and_it_goes_on_where_it_ended(road: Road):
    store = FindingStore(road.database)
    first, second = await road.leased(2)
    for leased in (first, second):
        await store.note(leased, FOUND)

    async def found(**terms: object) -> list[tuple[str, str]]:
        rows = await store.list(FindingFilter(**terms))
        return [(row["event_id"], row["detector"]) for row in rows]

    assert await found(event_id=first.event.id) == [
        (first.event.id, "email"),
        (first.event.id, "card"),
    ]
    assert {detector for _, detector in await found(detector="card")} == {"card"}
    assert await found(subscription="nobody") == []
    assert await found(tenant="nobody") == []
    assert len(await found(subscription=first.subscription)) == 4
    newest = await store.list(FindingFilter(limit=3))
    rest = await store.list(FindingFilter(before=newest[-1]["id"]))
    assert [row["id"] for row in (*newest, *rest)] == sorted(
        (row["id"] for row in await store.list(FindingFilter())), reverse=True
    )
