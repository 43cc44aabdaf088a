"""Tickets: issued with the letter that bears one, counted before they are answered."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.ids import Revision, WorkerId
from dispatcher.model.letter import Sealed
from dispatcher.model.retention import Rule, Store
from dispatcher.model.ticket import hash_ticket
from dispatcher.store.ledger import Disclosure
from dispatcher.store.retention import RetentionStore, Sweep
from dispatcher.store.tickets import Read, TicketStore
from tests.support.letters import NARROW, WIDE, Road, change, rows, sealed, settlement

SHA256 = hash_ticket("tkt_1")
DAY_US = 86_400_000_000


def open_clear(blob: bytes, tenant: str, event_id: str) -> bytes:
    return blob


@pytest.fixture
def tickets(road: Road) -> TicketStore:
    return TicketStore(road.database, open_clear, road.ledger)


def lasting(leased, seconds: int = 900, uses: int = 5, scope=WIDE) -> Sealed:
    letter = sealed(leased, scope)
    admitted = letter.shaped.admitted
    route = replace(admitted.cleared.route, ticket_seconds=seconds, ticket_uses=uses)
    admitted = replace(admitted, cleared=replace(admitted.cleared, route=route))
    return replace(letter, shaped=replace(letter.shaped, admitted=admitted, ticket="tkt_1"))


async def issue(road: Road, seconds: int = 900, uses: int = 5) -> Sealed:
    (leased,) = await road.leased()
    letter = lasting(leased, seconds, uses)
    assert await road.disclose(letter) == [True]
    return letter


def read_of(letter: Sealed, uses_max: int = 1000) -> Read:
    row = Disclosure(letter, ("sub_x",), ("k1",))
    return Read(row, "acme-key", "192.0.2.7", uses_max)


async def test_a_letter_that_leaves_with_a_ticket_has_it_written_down_with_it(
    road: Road, tickets: TicketStore
):
    letter = await issue(road)
    found = await tickets.find(letter.leased.webhook_id)
    assert found is not None
    assert (found.sha256, found.connector, found.subscription) == (SHA256, "acme", "acme")
    assert (found.delivery_id, found.scope_id) == (letter.leased.id, WIDE.id)
    assert (found.uses_max, found.reads) == (5, 0)
    assert 890_000_000 < found.left_us <= 900_000_000
    assert found.age_us >= 0
    assert await tickets.find("msg_unheard_of") is None


async def test_a_letter_without_one_writes_none(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    assert await rows(road.database, "SELECT * FROM {tickets}") == []


async def test_where_the_lease_is_lost_no_ticket_is_issued(road: Road):
    (leased,) = await road.leased(lease_us=1)
    await asyncio.sleep(0.01)
    await road.claims.rescue()
    assert await road.disclose(lasting(leased)) == [False]
    assert await rows(road.database, "SELECT * FROM {tickets}") == []


async def test_another_attempt_renews_the_end_and_forgets_no_read(road: Road, tickets: TicketStore):
    letter = await issue(road, seconds=1)
    assert await tickets.take(read_of(letter)) == 1
    await road.settle(settlement(letter.leased, Move.AGAIN, Outcome.ANSWERED, failures=1))
    (again,) = await road.lease()
    narrower = lasting(again, 900, scope=NARROW)
    await road.disclose(narrower)
    found = await tickets.find(letter.leased.webhook_id)
    assert found is not None
    assert found.left_us > 890_000_000
    assert (found.reads, found.scope_id) == (1, NARROW.id)
    assert await tickets.take(read_of(narrower)) == 2


async def test_the_last_attempts_end_does_not_renew_it(road: Road, tickets: TicketStore):
    letter = await issue(road)
    before = await rows(road.database, "SELECT expires_us FROM {tickets}")
    await road.settle(settlement(letter.leased, Move.GIVE_UP, Outcome.ANSWERED))
    assert await rows(road.database, "SELECT expires_us FROM {tickets}") == before


async def test_what_a_ticket_is_for_is_read_without_a_lease(road: Road, tickets: TicketStore):
    letter = await issue(road)
    found = await tickets.find(letter.leased.webhook_id)
    assert found is not None
    leased = await tickets.load(found)
    assert leased is not None
    assert (leased.id, leased.event.id) == (letter.leased.id, letter.leased.event.id)
    assert leased.event.payload == b'{"id":"o0"}'
    (row,) = await road.deliveries()
    assert row["lease_token"] == letter.leased.token


async def test_each_read_is_a_row_of_the_ledger_beside_the_attempts(
    road: Road, tickets: TicketStore
):
    letter = await issue(road)
    assert await tickets.take(read_of(letter)) == 1
    assert await tickets.take(read_of(letter)) == 2
    await tickets.complete(letter.leased.id, 1, Outcome.DELIVERED, status=200, code="")
    second, first, attempt = await road.disclosures()
    assert [row["attempt"] for row in (second, first, attempt)] == [-2, -1, 1]
    assert (first["caller"], first["caller_address"]) == ("acme-key", "192.0.2.7")
    assert (first["outcome"], first["status"], first["code"]) == ("delivered", 200, None)
    assert first["ended_us"] >= first["begun_us"]
    assert (second["outcome"], attempt["outcome"], attempt["caller"]) == (None, None, None)
    assert first["worker"] == "worker-1"
    same = ("webhook_id", "connector", "scope_id", "field_set", "subjects", "key_ids")
    assert [first[name] for name in same] == [attempt[name] for name in same]


async def test_settling_and_rescuing_the_delivery_leave_its_reads_alone(
    road: Road, tickets: TicketStore
):
    letter = await issue(road)
    await tickets.take(read_of(letter))
    await road.settle(settlement(letter.leased, Move.AGAIN, Outcome.ANSWERED, failures=1))
    (again,) = await road.lease(lease_us=1)
    await asyncio.sleep(0.01)
    await road.claims.rescue()
    read, attempt = await road.disclosures()
    assert (read["attempt"], read["outcome"], attempt["outcome"]) == (-1, None, "answered")
    (row,) = await road.deliveries()
    assert (row["attempt"], row["state"]) == (again.attempt - 1, "waiting")


async def test_of_many_who_come_for_the_last_reads_as_many_get_one(
    road: Road, tickets: TicketStore
):
    letter = await issue(road, uses=3)
    got = await asyncio.gather(*(tickets.take(read_of(letter)) for _ in range(12)))
    assert sorted(number for number in got if number is not None) == [1, 2, 3]
    assert len(await road.disclosures()) == 4


async def test_todays_policy_may_allow_fewer_reads_than_the_ticket(
    road: Road, tickets: TicketStore
):
    letter = await issue(road, uses=5)
    assert await tickets.take(read_of(letter, uses_max=1)) == 1
    assert await tickets.take(read_of(letter, uses_max=1)) is None


async def test_an_expired_ticket_is_good_for_nothing(road: Road, tickets: TicketStore):
    letter = await issue(road)
    await change(road.database, "UPDATE {tickets} SET expires_us = 1")
    assert await tickets.take(read_of(letter)) is None
    assert len(await road.disclosures()) == 1


async def test_a_read_that_nobody_completed_is_called_unknown_after_a_while(
    road: Road, tickets: TicketStore
):
    letter = await issue(road)
    await tickets.take(read_of(letter))
    await tickets.take(read_of(letter))
    await tickets.complete(letter.leased.id, 2, Outcome.DELIVERED, status=200, code="")
    assert await tickets.lose_reads(60_000_000) == 0
    await asyncio.sleep(0.01)
    assert await tickets.lose_reads(1) == 1
    await tickets.complete(letter.leased.id, 1, Outcome.DELIVERED, status=200, code="")
    second, first, attempt = await road.disclosures()
    assert (first["outcome"], first["code"], first["status"]) == ("unknown", "read_lost", None)
    assert (second["outcome"], attempt["outcome"]) == ("delivered", None)


async def test_a_signature_is_shown_once(tickets: TicketStore):
    assert sorted(await asyncio.gather(*(tickets.show("s1") for _ in range(4)))) == [
        False,
        False,
        False,
        True,
    ]
    assert await tickets.show("s2")


async def test_what_is_over_is_forgotten_and_what_may_be_renewed_is_not(
    road: Road, tickets: TicketStore
):
    letter = await issue(road)
    await tickets.show("s1")
    await change(road.database, "UPDATE {tickets} SET expires_us = 1")
    await change(road.database, "UPDATE {shown_signatures} SET shown_us = 1")
    await tickets.forget_signatures(10 * 365 * DAY_US * 100)
    assert not await tickets.show("s1")
    await tickets.forget_signatures(0)
    assert await tickets.show("s1")
    rule = Rule(store=Store.TICKETS, said="a while", kept_us=0)
    sweep = Sweep(rule=rule, worker=WorkerId("w"), revision=Revision(1))
    for state, is_kept in (("waiting", True), ("delivered", True), ("delivered", False)):
        await change(road.database, "UPDATE {deliveries} SET state = :state", state=state)
        if not is_kept:
            await change(road.database, "UPDATE {events} SET payload = NULL")
        await RetentionStore(road.database).purge(sweep, rows_max=9)
        assert (await tickets.find(letter.leased.webhook_id) is not None) == is_kept
