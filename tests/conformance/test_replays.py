"""Replays: a person has a delivery sent again, never wider than before, on every engine."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.model.delivery import Move, Outcome, State
from dispatcher.model.ids import DeliveryId, WindowId
from dispatcher.model.letter import Leased
from dispatcher.model.people import Role
from dispatcher.model.replay import PlannedReplay
from dispatcher.model.scope import Scope
from dispatcher.model.window import Window
from dispatcher.store.database import Database
from dispatcher.store.ledger import Disclosure
from dispatcher.store.replays import ReplayStore
from dispatcher.store.tickets import Read, TicketStore
from tests.support.letters import (
    LANE,
    NARROW,
    WIDE,
    Road,
    change,
    field_of,
    rows,
    sealed,
    settlement,
)
from tests.support.planes import Caller, means_of, person

OTHER = Scope.of((field_of("$.email"),))
SRE = person("sam", Role.SRE)
DAY_US = 86_400_000_000


class Desk:
    """The road, and somebody who has things sent again."""

    def __init__(self, database: Database) -> None:
        self.road = Road(database)
        self.api = Caller(means_of(database), by=SRE)

    async def ended(
        self,
        move: Move = Move.DELIVERED,
        outcome: Outcome | None = Outcome.DELIVERED,
        *,
        under: Scope = WIDE,
        count: int = 1,
    ) -> list[Leased]:
        """Take fresh events to their end, each told of under a scope where one is to be."""
        leased = await self.road.leased(count)
        for each in leased:
            await self.end(each, move, outcome, under=under)
        return leased

    async def end(
        self, leased: Leased, move: Move, outcome: Outcome | None, *, under: Scope = WIDE
    ) -> None:
        if outcome is not None:
            await self.road.disclose(sealed(leased, under))
        used = under.id if outcome is not None and outcome.is_disclosed else None
        await self.road.settle(settlement(leased, move, outcome, scope=used))

    async def ask(self, *ids: int, **more: Any) -> Any:
        body = {"reason": "they lost it"} | more
        if ids:
            body["deliveries"] = list(ids)
        return await self.api.ask("POST", "/v1/replays", body, by=more.pop("by", SRE))

    async def replay(self, *ids: int, **more: Any) -> list[dict[str, Any]]:
        """Replay, and give the rows that were filed, with the fields of their scopes."""
        filed = (await self.ask(*ids, **more))["filed"]
        found = {row["id"]: row for row in await self.road.deliveries()}
        return [found[each["delivery"]] for each in filed]

    async def refused(self, *ids: int, by: Any = SRE, **more: Any) -> tuple[int, str]:
        """Be refused, and see that nothing was filed."""
        before = await self.road.deliveries()
        body = {"reason": "they lost it"} | more | ({"deliveries": list(ids)} if ids else {})
        refused: tuple[int, str] = await self.api.refused("POST", "/v1/replays", body, by=by)
        assert await self.road.deliveries() == before
        return refused

    async def fields(self, row: dict[str, Any]) -> list[str]:
        scope = await self.road.outbox.scope(row["scope_id"])
        assert scope is not None
        return [each.path[-1] for each in scope.fields]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.mark.parametrize(
    ("move", "outcome"),
    [(Move.DELIVERED, Outcome.DELIVERED), (Move.GIVE_UP, Outcome.ANSWERED), (Move.GIVE_UP, None)],
)
async def test_a_replay_is_a_new_delivery_that_names_its_ancestor_and_keeps_the_id(
    desk: Desk, move: Move, outcome: Outcome | None
):
    (leased,) = await desk.ended(move, outcome)
    (before,) = await desk.road.deliveries()
    (replay,) = await desk.replay(leased.id)
    assert (replay["replay_of"], replay["webhook_id"]) == (leased.id, leased.webhook_id)
    same = ("event_seq", "lane", "subscription", "scope_id", "window_id")
    assert [replay[name] for name in same] == [before[name] for name in same]
    assert (replay["state"], replay["attempt"], replay["failures"]) == ("waiting", 0, 0)
    assert (await desk.road.deliveries())[0] == before
    (again,) = await desk.road.lease(LANE)
    assert (again.id, again.attempt, again.event.id) == (replay["id"], 1, leased.event.id)
    listed = (await desk.api.ask("GET", "/v1/deliveries"))["items"]
    assert [each["replay_of"] for each in listed] == [None, leased.id]


async def test_with_a_new_id_it_is_another_message_and_tells_no_more(desk: Desk):
    (leased,) = await desk.ended(under=NARROW)
    (replay,) = await desk.replay(leased.id, new_ids=True)
    assert replay["webhook_id"].startswith("msg_")
    assert replay["webhook_id"] != leased.webhook_id
    assert await desk.fields(replay) == ["id"]


async def test_what_was_told_under_less_is_not_told_under_more_again(desk: Desk):
    (leased,) = await desk.ended(Move.AGAIN, Outcome.ANSWERED, under=NARROW)
    (again,) = await desk.road.lease()
    await desk.end(again, Move.GIVE_UP, Outcome.ANSWERED, under=WIDE)
    (replay,) = await desk.replay(leased.id)
    assert await desk.fields(replay) == ["id"]


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, None])
async def test_an_attempt_of_which_nobody_knows_whether_it_told_counts(
    desk: Desk, outcome: Outcome | None
):
    (leased,) = await desk.road.leased()
    await desk.road.disclose(sealed(leased, NARROW))
    sql = "UPDATE {disclosures} SET outcome = :outcome"
    await change(desk.road.database, sql, outcome=outcome)
    # As where the worker died, and somebody else took the delivery to its end.
    await change(desk.road.database, "UPDATE {deliveries} SET attempt = 1")
    await desk.end(replace(leased, attempt=2), Move.GIVE_UP, Outcome.UNREACHABLE)
    (replay,) = await desk.replay(leased.id)
    assert await desk.fields(replay) == ["id"]


@pytest.mark.parametrize("outcome", [Outcome.NOT_BEGUN, Outcome.UNREACHABLE])
async def test_an_attempt_that_told_nothing_narrows_nothing(desk: Desk, outcome: Outcome):
    (leased,) = await desk.ended(Move.GIVE_UP, outcome, under=NARROW)
    (replay,) = await desk.replay(leased.id)
    assert await desk.fields(replay) == ["email", "id"]


async def test_what_a_partner_fetched_counts_as_told(desk: Desk):
    def open_clear(blob: bytes, tenant: str, event_id: str) -> bytes:
        return blob

    (leased,) = await desk.road.leased()
    letter = sealed(leased, WIDE)
    letter = replace(letter, shaped=replace(letter.shaped, ticket="tkt_1"))
    await desk.road.disclose(letter)
    await change(
        desk.road.database, "UPDATE {tickets} SET uses_max = 9, expires_us = issued_us * 2"
    )
    tickets = TicketStore(desk.road.database, open_clear, desk.road.ledger)
    read = Read(Disclosure(sealed(leased, NARROW), (), ()), "acme-key", "192.0.2.7", 9)
    assert await tickets.take(read) == 1
    await desk.road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED, scope=WIDE.id))
    (replay,) = await desk.replay(leased.id)
    assert await desk.fields(replay) == ["id"]


async def test_what_any_replay_told_bounds_every_later_one_of_whichever_ancestor(desk: Desk):
    (first,) = await desk.ended()
    (replay,) = await desk.replay(first.id, new_ids=True)
    (leased,) = await desk.road.lease()
    await desk.end(leased, Move.DELIVERED, Outcome.DELIVERED, under=NARROW)
    (later,) = await desk.replay(first.id)
    assert (later["replay_of"], await desk.fields(later)) == (first.id, ["id"])
    (leased,) = await desk.road.lease()
    await desk.end(leased, Move.DELIVERED, Outcome.DELIVERED, under=OTHER)
    (last,) = await desk.replay(replay["id"])
    assert await desk.fields(last) == []


async def test_another_partners_copy_of_the_event_has_a_ceiling_of_its_own(desk: Desk):
    await desk.road.publish()
    await desk.road.enqueue(1)
    await desk.road.file(subscriptions=("acme", "bolt"))
    acme, bolt = await desk.road.lease(LANE, "bolt/order.placed")
    await desk.end(acme, Move.DELIVERED, Outcome.DELIVERED, under=NARROW)
    assert await desk.refused(bolt.id) == (409, "delivery_moving")
    await desk.end(bolt, Move.DELIVERED, Outcome.DELIVERED)
    filed = await desk.replay(acme.id, bolt.id)
    assert [await desk.fields(each) for each in filed] == [["id"], ["email", "id"]]


@pytest.mark.parametrize("move", [None, Move.AGAIN, Move.PARK])
async def test_what_may_still_be_sent_is_not_sent_beside_itself(desk: Desk, move: Move | None):
    (leased,) = await desk.road.leased()
    if move is not None:
        await desk.road.settle(settlement(leased, move, None))
    assert await desk.refused(leased.id) == (409, "delivery_moving")


async def test_a_replay_under_way_stands_in_the_way_of_another(desk: Desk):
    (leased,) = await desk.ended()
    (replay,) = await desk.replay(leased.id)
    assert await desk.refused(leased.id) == (409, "delivery_moving")
    (again,) = await desk.road.lease()
    await desk.end(again, Move.GIVE_UP, Outcome.ANSWERED)
    assert await desk.refused(leased.id, replay["id"]) == (409, "delivery_twice")
    assert len(await desk.replay(replay["id"])) == 1


async def test_of_two_who_replay_at_once_one_is_first(desk: Desk):
    (leased,) = await desk.ended()
    body = {"deliveries": [leased.id], "reason": "they lost it"}
    calls = [desk.api.call("POST", "/v1/replays", body) for _ in range(6)]
    answers = await asyncio.gather(*calls)
    assert sorted(each.status for each in answers) == [200, 409, 409, 409, 409, 409]
    assert len(await desk.road.deliveries()) == 2


async def test_who_files_later_waits_and_finds_what_the_first_one_filed(desk: Desk):
    (leased,) = await desk.ended()
    store = ReplayStore(desk.road.database)

    async def look() -> DeliveryId | None:
        async with store.filing([leased.id]) as filing:
            return filing.ancestors[0].moving

    planned = PlannedReplay(ancestor=leased.id, scope_id=WIDE.id, webhook_id=None)
    async with store.filing([leased.id]) as filing:
        later = asyncio.create_task(look())
        await asyncio.sleep(0.1)
        (filed,) = await filing.file([planned], [WIDE])
    assert await later == filed.delivery


async def test_what_is_gone_dropped_or_unheard_of_is_refused_with_all_that_came_with_it(desk: Desk):
    good, gone = await desk.ended(count=2)
    sql = "UPDATE {events} SET payload = NULL WHERE seq = :seq"
    await change(desk.road.database, sql, seq=gone.event.seq)
    assert await desk.refused(good.id, gone.id) == (409, "payload_gone")
    assert await desk.refused(good.id, 999) == (404, "delivery_unknown")
    stranger = person("sam", Role.SRE, tenant="north")
    assert await desk.refused(good.id, by=stranger) == (404, "delivery_unknown")
    await change(desk.road.database, "UPDATE {deliveries} SET state = 'dropped'")
    assert await desk.refused(good.id) == (409, "delivery_dropped")
    kinds = [each["kind"] for each in (await desk.api.ask("GET", "/v1/audit"))["items"]]
    assert kinds == []


async def test_an_event_that_nobody_subscribed_to_has_no_delivery_to_replay(desk: Desk):
    await desk.ended()
    sql = "UPDATE {deliveries} SET state = 'dropped', subscription = NULL, scope_id = NULL"
    await change(desk.road.database, sql)
    assert await desk.refused(1) == (404, "delivery_unknown")


async def test_where_an_earlier_scope_is_not_known_any_more_nothing_is_sent(desk: Desk):
    (leased,) = await desk.ended()
    await change(desk.road.database, "UPDATE {disclosures} SET scope_id = 'lost'")
    assert await desk.refused(leased.id) == (409, "scope_unknown")


async def test_a_window_is_summed_up_again_while_each_of_its_events_is_there(desk: Desk):
    await desk.road.publish()
    await desk.road.enqueue(3)
    await desk.road.file(window=Window(0, 10**15))
    await desk.road.close_windows()
    (letter,) = await desk.road.lease()
    await desk.end(letter, Move.GIVE_UP, Outcome.ANSWERED)
    (replay,) = await desk.replay(letter.id)
    assert replay["window_id"] == letter.window_id
    (again,) = await desk.road.lease()
    assert again.window_id == WindowId(replay["window_id"])
    await desk.end(again, Move.GIVE_UP, Outcome.ANSWERED)
    await change(desk.road.database, "UPDATE {events} SET payload = NULL WHERE seq = 2")
    assert await desk.refused(letter.id) == (409, "payload_gone")


async def test_a_filter_finds_what_ended_so_in_a_time(desk: Desk):
    leased = await desk.road.leased(5)
    for place, each in enumerate(leased):
        move = Move.GIVE_UP if place < 4 else Move.DELIVERED
        await desk.end(each, move, Outcome.ANSWERED if place < 4 else Outcome.DELIVERED)
        sql = "UPDATE {deliveries} SET settled_us = :at WHERE id = :id"
        await change(desk.road.database, sql, at=1000 + place, id=each.id)
    terms: dict[str, Any] = {"subscription": "acme"}
    found = await desk.ask(**terms, since_us=1001, until_us=1003, dry_run=True)
    assert found["kinds"][0]["count"] == 2
    assert found["filed"] == []
    assert await desk.replay(**terms, tenant="nobody") == []
    filed = await desk.replay(**terms, since_us=1001, until_us=1003)
    assert [row["replay_of"] for row in filed] == [leased[1].id, leased[2].id]
    (delivered,) = await desk.replay(**terms, state="delivered")
    assert delivered["replay_of"] == leased[4].id
    assert await desk.replay(subscription="bolt") == []


async def test_what_was_replayed_since_is_found_by_how_the_replay_ended(desk: Desk):
    (leased,) = await desk.ended(Move.GIVE_UP, Outcome.ANSWERED)
    await desk.replay(leased.id)
    assert await desk.replay(subscription="acme") == []
    (again,) = await desk.road.lease()
    await desk.end(again, Move.DELIVERED, Outcome.DELIVERED)
    assert await desk.replay(subscription="acme") == []
    (replay,) = await desk.replay(subscription="acme", state="delivered")
    assert replay["replay_of"] == again.id


async def test_a_dry_run_says_how_many_of_what_and_files_and_records_nothing(desk: Desk):
    leased = await desk.ended(Move.GIVE_UP, Outcome.ANSWERED, count=3)
    sql = "UPDATE {events} SET payload = NULL WHERE seq = :seq"
    await change(desk.road.database, sql, seq=leased[0].event.seq)
    found = await desk.ask(subscription="acme", dry_run=True)
    kind = {"subscription": "acme", "type": "order.placed", "state": "dead"}
    assert found["dry_run"]
    assert sorted(found["kinds"], key=lambda each: each["count"]) == [
        kind | {"code": "payload_gone", "count": 1},
        kind | {"code": None, "count": 2},
    ]
    named = await desk.ask(*(each.id for each in leased), dry_run=True)
    assert {(each["code"], each["count"]) for each in named["kinds"]} == {
        ("payload_gone", 1),
        (None, 2),
    }
    assert len(await desk.road.deliveries()) == 3
    assert (await desk.api.ask("GET", "/v1/audit"))["items"] == []
    done = await desk.ask(subscription="acme")
    assert [each["replay_of"] for each in done["filed"]] == [leased[1].id, leased[2].id]
    assert done["kinds"] == found["kinds"]


async def test_more_than_was_said_to_be_right_is_refused(desk: Desk):
    leased = await desk.ended(Move.GIVE_UP, Outcome.ANSWERED, count=3)
    terms: dict[str, Any] = {"subscription": "acme", "limit": 2}
    assert await desk.refused(**terms) == (409, "replays_too_many")
    sql = "UPDATE {events} SET payload = NULL WHERE seq = :seq"
    await change(desk.road.database, sql, seq=leased[0].event.seq)
    assert len(await desk.replay(**terms)) == 2


async def test_a_replay_is_on_the_record_before_and_after_with_its_reason(desk: Desk):
    leased = await desk.ended(count=2)
    await desk.replay(leased[0].id)
    await desk.replay(subscription="acme", state="delivered", new_ids=True)
    entries = list(reversed((await desk.api.ask("GET", "/v1/audit"))["items"]))
    told = [(each["kind"], each["about"], each["detail"]["deliveries"]) for each in entries]
    assert told == [
        ("deliveries.replaying", f"delivery {leased[0].id}", [leased[0].id]),
        ("deliveries.replayed", f"delivery {leased[0].id}", [leased[0].id]),
        ("deliveries.replaying", "subscription acme", [leased[1].id]),
        ("deliveries.replayed", "subscription acme", [leased[1].id]),
    ]
    assert {(each["actor"], each["reason"]) for each in entries} == {("sam", "they lost it")}
    assert [each["detail"]["new_ids"] for each in entries] == [False, False, True, True]
    assert entries[2]["detail"]["state"] == State.DELIVERED.value


async def test_what_is_to_be_sent_again_must_be_said_in_one_way(desk: Desk):
    (leased,) = await desk.ended()
    assert await desk.refused() == (422, "replay_unclear")
    assert await desk.refused(leased.id, subscription="acme") == (422, "replay_unclear")
    for more in ({"state": "dead"}, {"since_us": 1}, {"until_us": 1}):
        assert await desk.refused(leased.id, **more) == (422, "replay_unclear")
    assert await desk.refused(leased.id, reason=" ") == (400, "malformed")
    assert await desk.refused(leased.id, reason="a\nb") == (422, "reason_unreadable")
    assert await desk.refused(leased.id, state="parked") == (400, "malformed")


async def test_a_ticket_counts_anew_for_a_replay_and_a_late_read_of_the_old_one_gets_none(
    desk: Desk,
):
    def open_clear(blob: bytes, tenant: str, event_id: str) -> bytes:
        return blob

    def bearing(leased: Leased) -> Any:
        letter = sealed(leased)
        admitted = letter.shaped.admitted
        route = replace(admitted.cleared.route, ticket_seconds=900, ticket_uses=1)
        admitted = replace(admitted, cleared=replace(admitted.cleared, route=route))
        return replace(letter, shaped=replace(letter.shaped, admitted=admitted, ticket="tkt_1"))

    def read_of(leased: Leased) -> Read:
        return Read(Disclosure(bearing(leased), (), ()), "acme-key", "192.0.2.7", 9)

    tickets = TicketStore(desk.road.database, open_clear, desk.road.ledger)
    (first,) = await desk.road.leased()
    await desk.road.disclose(bearing(first))
    assert await tickets.take(read_of(first)) == 1
    assert await tickets.take(read_of(first)) is None
    await desk.road.settle(settlement(first, Move.DELIVERED, Outcome.DELIVERED))
    await desk.replay(first.id)
    (again,) = await desk.road.lease()
    await desk.road.disclose(bearing(again))
    assert await tickets.take(read_of(first)) is None
    assert await tickets.take(read_of(again)) == 1
    found = await rows(desk.road.database, "SELECT attempt FROM {disclosures} ORDER BY 1")
    assert json.dumps([each["attempt"] for each in found]) == "[-1, -1, 1, 1]"
