"""Steps 8 and 10 of the road: written before it leaves, completed after, by the holder only."""

import asyncio
import json

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.ids import LeaseToken
from dispatcher.store.history import HistoryStore
from tests.support.letters import LANE, NARROW, WIDE, Road, rows, sealed, settlement


async def test_a_disclosure_says_what_leaves_for_whom_and_under_which_policy(road: Road):
    (leased,) = await road.leased()
    assert await road.disclose(sealed(leased)) == [True]
    (ledger,) = await road.disclosures()
    expected = {
        "delivery_id": leased.id,
        "attempt": 1,
        "event_seq": leased.event.seq,
        "webhook_id": leased.webhook_id,
        "tenant": "shop",
        "connector": "acme",
        "subscription": "acme",
        "endpoint": "https://hooks.example.com:443",
        "purpose": "fulfilment",
        "agreement": "A-1",
        "scope_id": WIDE.id,
        "key_ids": "k1",
        "revision": 1,
        "epoch": 1,
        "worker": "worker-1",
        "body_bytes": 10,
        "outcome": None,
        "ended_us": None,
    }
    assert {name: ledger[name] for name in expected} == expected
    assert json.loads(ledger["subjects"]) == ["sub_x"]
    assert len(ledger["body_sha256"]) == 64


async def test_the_fields_disclosed_are_kept_by_name_and_never_by_value(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    (ledger,) = await road.disclosures()
    (fields,) = await rows(
        road.database, "SELECT fields FROM {field_sets} WHERE id = :id", id=ledger["field_set"]
    )
    assert json.loads(fields["fields"]) == [
        "$.email pass string other internal",
        "$.id pass string other internal",
    ]


async def test_a_delivery_that_ends_completes_the_row_that_began_it(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    done = settlement(leased, Move.DELIVERED, Outcome.DELIVERED, status=204, scope=WIDE.id)
    await road.settle(done, epoch=3)
    (ledger,) = await road.disclosures()
    assert (ledger["outcome"], ledger["status"], ledger["code"]) == ("delivered", 204, None)
    assert ledger["ended_us"] >= ledger["begun_us"]
    (row,) = await road.deliveries()
    assert (row["state"], row["status"], row["attempt"], row["lease_token"]) == (
        "delivered",
        204,
        1,
        None,
    )
    assert (row["due_us"], row["leased_until_us"], row["judged_epoch"]) == (None, None, 3)
    assert row["settled_us"] is not None


async def test_where_the_lease_is_lost_nothing_is_disclosed_and_nothing_settled(road: Road):
    (leased,) = await road.leased(lease_us=1)
    await asyncio.sleep(0.01)
    await road.claims.rescue()
    before = await road.deliveries()
    assert await road.disclose(sealed(leased)) == [False]
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED))
    assert await road.disclosures() == []
    assert await road.deliveries() == before


async def test_in_one_batch_only_the_letters_whose_lease_holds_are_disclosed(road: Road):
    leased = await road.leased(3)
    await road.settle(settlement(leased[1], Move.NOT_BEGUN, None, delay_us=1_000_000))
    assert await road.disclose(*map(sealed, leased)) == [True, False, True]
    assert {each["delivery_id"] for each in await road.disclosures()} == {
        leased[0].id,
        leased[2].id,
    }


async def test_the_same_attempt_is_never_disclosed_twice(road: Road):
    (leased,) = await road.leased()
    assert await road.disclose(sealed(leased)) == [True]
    assert await road.disclose(sealed(leased)) == [False]
    assert len(await road.disclosures()) == 1


async def test_a_failure_waits_for_its_next_attempt_and_counts(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    again = settlement(
        leased, Move.AGAIN, Outcome.ANSWERED, status=503, code="http_503", failures=1
    )
    await road.settle(again)
    (next_turn,) = await road.lease()
    assert (next_turn.attempt, next_turn.failures) == (2, 1)
    assert next_turn.webhook_id == leased.webhook_id
    await road.disclose(sealed(next_turn))
    assert [each["outcome"] for each in await road.disclosures()] == ["answered", None]


async def test_h1_the_host_a_redirect_named_is_in_the_attempts_row_and_its_story(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    redirected = settlement(
        leased,
        Move.AGAIN,
        Outcome.ANSWERED,
        status=302,
        code="http_302",
        location_host="login.partner.example",
    )
    await road.settle(redirected)
    (ledger,) = await road.disclosures()
    assert (ledger["code"], ledger["location_host"]) == ("http_302", "login.partner.example")
    (told,) = await HistoryStore(road.database).attempts(leased.event.seq)
    assert told["location_host"] == "login.partner.example"


async def test_a_turn_that_sent_nothing_uses_up_no_attempt_number(road: Road):
    (leased,) = await road.leased()
    await road.settle(settlement(leased, Move.NOT_BEGUN, None, code="switch_on"))
    (again,) = await road.lease()
    assert again.attempt == leased.attempt
    assert await road.disclosures() == []


async def test_a_letter_stopped_at_the_last_check_is_on_the_ledger_as_not_begun(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    await road.settle(settlement(leased, Move.NOT_BEGUN, Outcome.NOT_BEGUN, code="policy_changed"))
    (ledger,) = await road.disclosures()
    assert (ledger["outcome"], ledger["code"]) == ("not_begun", "policy_changed")
    (again,) = await road.lease()
    assert (again.attempt, again.failures) == (2, 0)
    assert await road.disclose(sealed(again)) == [True]


async def test_the_scope_really_used_becomes_the_ceiling_of_the_next_attempt(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased, NARROW))
    await road.settle(settlement(leased, Move.AGAIN, Outcome.UNKNOWN, scope=NARROW.id, failures=1))
    (again,) = await road.lease()
    assert again.filed_scope == NARROW.id


async def test_a_settled_delivery_is_not_settled_again(road: Road):
    (leased,) = await road.leased()
    await road.disclose(sealed(leased))
    await road.settle(settlement(leased, Move.DELIVERED, Outcome.DELIVERED, status=200))
    await road.settle(settlement(leased, Move.GIVE_UP, Outcome.UNKNOWN, status=500))
    (row,), (ledger,) = await road.deliveries(), await road.disclosures()
    assert (row["state"], row["status"]) == ("delivered", 200)
    assert (ledger["outcome"], ledger["status"]) == ("delivered", 200)


async def test_a_batch_of_settlements_moves_each_delivery_its_own_way(road: Road):
    leased = await road.leased(4, token=LeaseToken("b"))
    await road.disclose(*map(sealed, leased[:3]))
    await road.settle(
        settlement(leased[0], Move.DELIVERED, Outcome.DELIVERED, status=200),
        settlement(leased[1], Move.AGAIN, Outcome.UNREACHABLE, code="refused", delay_us=9_000_000),
        settlement(leased[2], Move.GIVE_UP, Outcome.ANSWERED, status=400, code="http_400"),
        settlement(leased[3], Move.PARK, None, code="tenant_not_served"),
    )
    states = {each["id"]: each["state"] for each in await road.deliveries()}
    assert [states[each.id] for each in leased] == ["delivered", "waiting", "dead", "parked"]
    assert [each["outcome"] for each in await road.disclosures()] == [
        "delivered",
        "unreachable",
        "answered",
    ]
    waits = await road.claims.waiting_lanes()
    assert 8_000_000 < waits[LANE] <= 9_000_000
