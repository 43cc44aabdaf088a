"""What is past its window goes, on record, and what may still be sent or must be kept does not."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.ids import LeaseToken, Revision, WorkerId
from dispatcher.model.leak import Detector, Finding, LeakAction
from dispatcher.model.path import parse_path
from dispatcher.model.replay import PlannedReplay
from dispatcher.model.retention import Rule, Store
from dispatcher.model.window import Window
from dispatcher.store.database import Database
from dispatcher.store.findings import FindingStore
from dispatcher.store.history import DisclosureFilter, HistoryStore
from dispatcher.store.replays import ReplayStore
from dispatcher.store.retention import RetentionStore, Sweep
from tests.support.databases import open_for_tests
from tests.support.letters import WIDE, Road, change, rows, sealed, settlement

HOUR_US = 3_600_000_000
WINDOWS = dict.fromkeys(Store, HOUR_US) | {Store.DEAD_PAYLOADS: 10 * HOUR_US}
COUNTED = ("events", "deliveries", "disclosures", "findings", "window_members", "windows")


@pytest.fixture
def retention(road: Road) -> RetentionStore:
    return RetentionStore(road.database)


def rule(store: Store, **more: Any) -> Rule:
    return Rule(store=store, said=f"{store} for a while", kept_us=WINDOWS[store], **more)


async def purge(
    retention: RetentionStore, *stores: Store, rows_max: int = 500, **more: Any
) -> dict[str, int]:
    """Sweep these stores, or all that are of events; give what went."""
    found: dict[str, int] = {}
    for store in stores or filter(lambda each: each.is_personal, Store):
        sweep = a_sweep(store, **more)
        while not sweep.is_done:
            sweep = await retention.purge(sweep, rows_max=rows_max)
        found |= {name: found.get(name, 0) + count for name, count in sweep.counts.items()}
    return found


def a_sweep(store: Store, **more: Any) -> Sweep:
    return Sweep(rule=rule(store, **more), worker=WorkerId("w1"), revision=Revision(3))


async def age(road: Road, hours: float) -> None:
    """Let everything so far have happened that much earlier."""
    for table, column in (
        ("events", "enqueued_us"),
        ("deliveries", "settled_us"),
        ("disclosures", "begun_us"),
        ("findings", "found_us"),
        ("tickets", "expires_us"),
        ("triage", "last_seen_us"),
    ):
        sql = f"UPDATE {{{table}}} SET {column} = {column} - :by"
        await change(road.database, sql, by=int(hours * HOUR_US))


async def counts(road: Road) -> dict[str, int]:
    """Count what lies there."""
    found = {}
    for table in COUNTED:
        (row,) = await rows(road.database, f"SELECT count(*) AS found FROM {{{table}}}")
        found[table] = row["found"]
    return found


async def payloads(road: Road) -> list[bool]:
    sql = "SELECT payload IS NOT NULL AS has FROM {events} ORDER BY seq"
    return [bool(each["has"]) for each in await rows(road.database, sql)]


async def delivered(road: Road, count: int = 1, **terms: Any) -> list[Any]:
    """Bring fresh events to their end, with a row of the ledger each."""
    await road.publish()
    await road.enqueue(count, **terms)
    await road.file()
    leased = await road.lease()
    await road.disclose(*(sealed(each) for each in leased))
    await road.settle(*(settlement(each, Move.DELIVERED, Outcome.DELIVERED) for each in leased))
    return leased


async def test_a_delivered_event_keeps_its_payload_for_its_time_and_loses_it_then(
    road: Road, retention: RetentionStore
):
    await delivered(road)
    assert await purge(retention, Store.PAYLOADS) == {}
    await age(road, 2)
    assert await purge(retention, Store.PAYLOADS) == {"payloads": 1}
    assert await payloads(road) == [False]
    assert await purge(retention, Store.PAYLOADS) == {}


@pytest.mark.parametrize("move", [Move.AGAIN, Move.PARK, None])
async def test_nothing_of_an_event_that_may_still_be_sent_goes_however_old_it_is(
    road: Road, retention: RetentionStore, move: Move | None
):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    finding = Finding(Detector.CARD, parse_path("$.id"), 16, LeakAction.PARK)
    await FindingStore(road.database).note(leased, [finding])
    if move is not None:
        await road.settle(settlement(leased, move, Outcome.ANSWERED))
    await age(road, 1000)
    before = await counts(road)
    assert await purge(retention) == {}
    assert await counts(road) == before
    assert await payloads(road) == [True]
    assert (await retention.due(rule(Store.PAYLOADS))).moving == 1


async def test_an_event_nobody_has_planned_yet_keeps_its_payload(
    road: Road, retention: RetentionStore
):
    await road.publish()
    await road.enqueue(1)
    await age(road, 1000)
    assert await purge(retention) == {}


async def test_a_dead_delivery_keeps_the_payload_longer(road: Road, retention: RetentionStore):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.GIVE_UP, Outcome.ANSWERED))
    await age(road, 5)
    assert await purge(retention, Store.PAYLOADS, Store.DEAD_PAYLOADS) == {}
    await age(road, 6)
    assert await purge(retention, Store.PAYLOADS) == {}
    assert await purge(retention, Store.DEAD_PAYLOADS) == {"payloads": 1}


async def test_one_delivery_that_still_waits_keeps_the_payload_for_all(
    road: Road, retention: RetentionStore
):
    await road.publish()
    await road.enqueue(1)
    await road.file(subscriptions=("acme", "bolt"))
    (leased,) = await road.lease()
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    await age(road, 1000)
    assert await purge(retention) == {}


async def test_each_store_goes_in_its_turn_until_nothing_is_left_of_an_event(
    road: Road, retention: RetentionStore
):
    (leased,) = await delivered(road, ordering_key="o", idempotency_key="once")
    await age(road, 2)
    assert await purge(retention, Store.ENVELOPES, Store.LEDGER) == {}
    await purge(retention, Store.PAYLOADS)
    assert await purge(retention, Store.LEDGER) == {}
    assert await purge(retention, Store.ENVELOPES) == {"envelopes": 1}
    (event,) = await rows(road.database, "SELECT * FROM {events}")
    assert event["id"] == leased.event.id
    gone = ("payload", "ordering_key", "idempotency_key", "payload_digest", "traceparent")
    assert [event[name] for name in gone] == [None] * 5
    assert "person-1" not in event["subjects"]
    shown = await HistoryStore(road.database).event(event["id"])
    assert (shown["subjects"], shown["has_payload"]) == ("[]", False)
    (row,) = await HistoryStore(road.database).disclosures(DisclosureFilter())
    assert row["event_id"] == event["id"]
    went = await purge(retention, Store.LEDGER)
    assert went == {"disclosures": 1, "deliveries": 1, "events": 1}
    assert set((await counts(road)).values()) == {0}


async def test_a_key_counts_as_long_as_its_envelope_stays(road: Road, retention: RetentionStore):
    await delivered(road, idempotency_key="once")
    await age(road, 2)
    await purge(retention, Store.PAYLOADS)
    (first,) = await road.enqueue(idempotency_key="once")
    await purge(retention, Store.ENVELOPES)
    (second,) = await road.enqueue(idempotency_key="once")
    assert first != second
    assert len(await payloads(road)) == 2


async def test_a_record_says_what_sql_says(road: Road, retention: RetentionStore):
    await delivered(road, 5)
    await age(road, 3)
    await delivered(road, 2)
    oldest, newest = await _span(road, "event_seq <= 5")
    survivor, _ = await _span(road, "event_seq > 5")
    before = await counts(road)
    await purge(retention, Store.PAYLOADS, Store.ENVELOPES, Store.LEDGER, rows_max=2)
    after = await counts(road)
    records = {each["store"]: each for each in await listed(retention)}
    assert records["payloads"]["counts"] == {"payloads": 5}
    assert records["envelopes"]["counts"] == {"envelopes": 5}
    gone = {name: before[name] - after[name] for name in before if before[name] > after[name]}
    assert records["ledger"]["counts"] == gone == {"events": 5, "deliveries": 5, "disclosures": 5}
    for each in records.values():
        assert (each["oldest_us"], each["newest_us"]) == (oldest, newest)
        assert each["is_complete"]
        assert (each["rule"], each["revision"]) == (f"{each['store']} for a while", 3)
    assert records["payloads"]["survivor_us"] == survivor
    assert records["ledger"]["survivor_us"] is None
    assert await payloads(road) == [True, True]


async def _span(road: Road, where: str) -> tuple[int, int]:
    sql = f"SELECT min(settled_us) AS a, max(settled_us) AS b FROM {{deliveries}} WHERE {where}"
    (row,) = await rows(road.database, sql)
    return row["a"], row["b"]


async def listed(retention: RetentionStore, **more: Any) -> list[dict[str, Any]]:
    return await retention.purges(**{"store": None, "before": 2**62, "limit": 99} | more)


async def test_records_are_listed_the_newest_first_and_of_one_store(
    road: Road, retention: RetentionStore
):
    await delivered(road, 1)
    await age(road, 3)
    await purge(retention, Store.PAYLOADS, Store.ENVELOPES)
    newest, oldest = await listed(retention)
    assert [newest["store"], oldest["store"]] == ["envelopes", "payloads"]
    assert await listed(retention, store="payloads") == [oldest]
    assert await listed(retention, before=newest["id"]) == [oldest]
    assert await listed(retention, limit=1) == [newest]


async def test_a_sweep_that_removes_nothing_leaves_no_record(road: Road, retention: RetentionStore):
    await delivered(road, 1)
    await purge(retention)
    assert await listed(retention) == []


async def test_a_sweep_that_is_cut_off_has_a_record_of_what_it_removed(
    road: Road, retention: RetentionStore
):
    await delivered(road, 5)
    await age(road, 2)
    sweep = await retention.purge(a_sweep(Store.PAYLOADS), rows_max=2)
    (record,) = await listed(retention)
    assert record["counts"] == {"payloads": 2}
    assert (record["is_complete"], record["survivor_us"]) == (False, None)
    assert await payloads(road) == [False, False, True, True, True]
    assert sweep.late_us > 0.9 * HOUR_US


async def test_a_batch_that_fails_leaves_neither_a_gap_nor_a_record(
    road: Road, retention: RetentionStore, monkeypatch: pytest.MonkeyPatch
):
    await delivered(road, 5)
    await age(road, 2)
    sweep = await retention.purge(a_sweep(Store.PAYLOADS), rows_max=2)

    async def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(retention, "_write", fail)
        with pytest.raises(RuntimeError):
            await retention.purge(sweep, rows_max=2)
    assert await payloads(road) == [False, False, True, True, True]
    await purge(retention, Store.PAYLOADS)
    assert [each["counts"]["payloads"] for each in await listed(retention)] == [3, 2]


HOLDS = ((("shop", ""),), (("", "order.placed"),), (("shop", "order.placed"), ("other", "")))
ELSEWHERE = (("other", ""), ("", "other.kind"), ("shop", "x"))


async def test_what_is_under_a_legal_hold_stays_and_is_counted(
    road: Road, retention: RetentionStore
):
    await delivered(road, 3)
    await age(road, 1000)
    before = await counts(road)
    for holds in HOLDS:
        assert await purge(retention, holds=holds) == {}
        assert await counts(road) == before
        due = await retention.due(rule(Store.PAYLOADS, holds=holds))
        assert (due.due, due.held, due.moving, due.oldest_us) == (0, 3, 0, None)
    assert (await purge(retention, holds=ELSEWHERE))["events"] == 3


async def test_a_rule_is_followed_for_its_event_types_alone(road: Road, retention: RetentionStore):
    await delivered(road)
    await age(road, 2)
    mine, others = ("order.placed",), ("other.kind",)
    for terms in ({"event_types": others, "is_rest": False}, {"event_types": mine}):
        assert (await retention.due(rule(Store.PAYLOADS, **terms))).due == 0
        assert await purge(retention, Store.PAYLOADS, **terms) == {}
    for terms in ({"event_types": mine, "is_rest": False}, {"event_types": others}):
        assert (await retention.due(rule(Store.PAYLOADS, **terms))).due == 1
    assert await purge(retention, Store.PAYLOADS, **terms) == {"payloads": 1}


async def test_what_is_due_is_counted_and_stays(road: Road, retention: RetentionStore):
    await delivered(road, 3)
    await age(road, 2)
    oldest, _ = await _span(road, "true")
    due = await retention.due(rule(Store.PAYLOADS))
    assert (due.due, due.held, due.moving, due.oldest_us) == (3, 0, 0, oldest)
    assert await payloads(road) == [True] * 3
    await purge(retention, Store.PAYLOADS)
    assert (await retention.due(rule(Store.PAYLOADS))).due == 0


async def test_findings_and_triage_and_records_go_by_their_own_clocks(
    road: Road, retention: RetentionStore
):
    (leased,) = await delivered(road)
    finding = Finding(Detector.CARD, parse_path("$.id"), 16, LeakAction.ALERT)
    await FindingStore(road.database).note(leased, [finding])
    sql = """INSERT INTO {triage} (event_type, path, reason, first_seen_us, last_seen_us)
        VALUES ('order.placed', :path, 'undeclared', {now}, {now})"""
    await change(road.database, sql, path="$.old")
    await age(road, 2)
    await change(road.database, sql, path="$.new")
    assert await purge(retention, Store.FINDINGS) == {"findings": 1}
    assert await purge(retention, Store.TRIAGE) == {"triage": 1}
    assert [row["path"] for row in await rows(road.database, "SELECT path FROM {triage}")] == [
        "$.new"
    ]
    assert await purge(retention, Store.PURGES) == {}
    await change(road.database, "UPDATE {purges} SET at_us = 1")
    assert await purge(retention, Store.PURGES) == {"purges": 2}
    (left,) = await listed(retention)
    assert (left["store"], left["counts"]) == ("purges", {"purges": 2})


async def test_a_window_goes_with_its_letter_once_none_of_its_events_is_needed(
    road: Road, retention: RetentionStore
):
    await road.publish()
    await road.enqueue(3)
    await road.file(window=Window.at(HOUR_US * 480_000, 3600))
    await road.close_windows()
    (leased,) = await road.lease()
    await road.disclose(sealed(leased))
    await age(road, 5)
    assert await purge(retention) == {}
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    await age(road, 2)
    # Nothing goes of the first event, which bears the letter, before the last may go.
    await purge(retention, Store.PAYLOADS)
    last = "UPDATE {events} SET subjects = '' WHERE seq < (SELECT max(seq) FROM {events})"
    await change(road.database, last)
    assert (await purge(retention, Store.LEDGER)) == {"events": 1, "window_members": 1}
    await purge(retention, Store.ENVELOPES)
    went = await purge(retention, Store.LEDGER)
    assert went == {
        "window_members": 2,
        "windows": 1,
        "disclosures": 1,
        "deliveries": 1,
        "events": 2,
    }
    assert set((await counts(road)).values()) == {0}


async def test_what_a_partner_read_lately_keeps_its_ledger(road: Road, retention: RetentionStore):
    await delivered(road)
    await age(road, 2)
    await purge(retention, Store.PAYLOADS, Store.ENVELOPES)
    await change(road.database, "UPDATE {disclosures} SET begun_us = {now}")
    assert await purge(retention, Store.LEDGER) == {}


async def test_two_workers_sweep_at_once_and_each_row_is_on_record_once(
    postgres: Database, postgres_url: str
):
    road = Road(postgres)
    await delivered(road, 40)
    await age(road, 2)
    other = open_for_tests(postgres_url)
    one, two = RetentionStore(postgres), RetentionStore(other)

    async def all_of(retention: RetentionStore) -> None:
        for store in (Store.PAYLOADS, Store.ENVELOPES, Store.LEDGER):
            await purge(retention, store, rows_max=3)

    await asyncio.gather(all_of(one), all_of(two))
    await all_of(one)
    await other.aclose()
    records = await listed(one)
    for store, name in (("payloads", "payloads"), ("envelopes", "envelopes"), ("ledger", "events")):
        assert sum(r["counts"][name] for r in records if r["store"] == store) == 40
    assert set((await counts(road)).values()) == {0}


async def test_a_row_that_is_sent_anew_while_it_is_being_dropped_keeps_its_payload(
    road: Road, retention: RetentionStore, monkeypatch: pytest.MonkeyPatch
):
    (leased,) = await delivered(road)
    await age(road, 2)
    find = RetentionStore._next

    async def find_and_meddle(self: Any, connection: Any, sweep: Sweep, rows_max: int) -> Any:
        found = await find(self, connection, sweep, rows_max)
        again = "UPDATE {deliveries} SET state = 'waiting', due_us = 1 WHERE id = :id"
        await road.database.execute(connection, again, id=leased.id)
        return found

    monkeypatch.setattr(RetentionStore, "_next", find_and_meddle)
    assert await purge(retention, Store.PAYLOADS) == {}
    assert await payloads(road) == [True]
    assert await listed(retention) == []


async def test_what_a_replay_was_just_promised_stays_and_so_does_what_it_will_send(
    postgres: Database, postgres_url: str
):
    road, other = Road(postgres), open_for_tests(postgres_url)
    await road.publish()
    await road.enqueue(3)
    await road.file(window=Window.at(HOUR_US * 480_000, 3600))
    await road.close_windows()
    (leased,) = await road.lease()
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    await age(road, 2)
    async with ReplayStore(postgres).filing([leased.id]) as filing:
        assert await purge(RetentionStore(other), Store.PAYLOADS) == {}
        (ancestor,) = filing.ancestors
        plan = PlannedReplay(ancestor=ancestor.id, scope_id=WIDE.id, webhook_id=None)
        await filing.file([plan], [WIDE])
    assert await purge(RetentionStore(other)) == {}
    assert await payloads(road) == [True] * 3
    await other.aclose()


async def test_what_is_left_of_an_event_has_no_payload_and_is_still_known(
    road: Road, retention: RetentionStore
):
    (leased,) = await delivered(road)
    await age(road, 2)
    await purge(retention, Store.PAYLOADS)
    await change(road.database, "UPDATE {deliveries} SET state = 'waiting', due_us = 1")
    (again,) = await road.lease(token=LeaseToken("later"))
    known = replace(leased.event, subjects=(), subjects_text="[]")  # sealed with the payload
    assert again.event == replace(known, payload=None)
