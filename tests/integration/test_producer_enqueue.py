"""Enqueueing from a product service, through every kind of target it may hold."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from dispatcher.model.errors import SchemaMismatch
from dispatcher.model.registry import Producer
from dispatcher.producer import EnqueueRefused, enqueue
from dispatcher.vault.places import payload_place
from tests.support import payloads
from tests.support.doors import KINDS, Door
from tests.support.letters import ORDER_PLACED, Road, rows
from tests.support.vaults import content_of, standing_vault

TYPE = "order.placed"
GOOD = {"id": "o1"}
NAIVE = datetime(2024, 1, 1)  # noqa: DTZ001 - what is to be refused
EARLY = datetime(1969, 12, 31, tzinfo=UTC)
LISTED = (Producer(name="orders", event_types=(TYPE,), tenants=("shop",)),)
EVENTS = "SELECT * FROM {events} ORDER BY seq"


@pytest.fixture(params=KINDS)
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    driver, kind = request.param.split()
    fixture = "sqlite_url" if "sqlite" in driver else "postgres_url"
    opened = Door(request.getfixturevalue(fixture), driver, kind)
    yield opened
    await opened.aclose()


@pytest.fixture
async def road(door: Door) -> AsyncIterator[Road]:
    """The outbox seen from outside, its catalogue filled."""
    opened = await door.road()
    await opened.publish()
    yield opened
    await opened.database.aclose()


async def stored(road: Road) -> list[dict[str, Any]]:
    return await rows(road.database, EVENTS)


async def test_an_event_exists_once_its_transaction_is_committed(door: Door, road: Road):
    async with door.transaction() as target:
        event_id = await door.send(target, TYPE, GOOD, subjects=["ann"], producer="orders")
    (event,) = await stored(road)
    assert (event["id"], event["type"], event["tenant"], event["producer"]) == (
        event_id,
        TYPE,
        "shop",
        "orders",
    )
    assert json.loads(event["subjects"]) == ["ann"]
    assert bytes(event["payload"]) == b'{"id":"o1"}'
    assert not event["is_sealed"]
    assert event["occurred_us"] == event["enqueued_us"]
    assert event_id.startswith("evt_")
    assert await road.file() == 1


async def test_an_event_of_a_transaction_rolled_back_never_existed(door: Door, road: Road):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with door.transaction() as target:
            await door.send(target, TYPE, GOOD)
            raise ZeroDivisionError
    assert await stored(road) == []
    assert await road.deliveries() == []


async def test_the_event_shares_the_fate_of_the_service_s_own_rows(door: Door, road: Road):
    async with door.transaction() as target:
        await door.run(target, "CREATE TABLE mine (id integer)")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with door.transaction() as target:
            await door.run(target, "INSERT INTO mine VALUES (1)")
            await door.send(target, TYPE, GOOD)
            raise ZeroDivisionError
    async with door.transaction() as target:
        assert (await door.run(target, "SELECT count(*) FROM mine")).scalar_one() == 0
        await door.run(target, "INSERT INTO mine VALUES (2)")
        await door.send(target, TYPE, GOOD)
    async with door.transaction() as target:
        assert (await door.run(target, "SELECT count(*) FROM mine")).scalar_one() == 1
    assert len(await stored(road)) == 1


async def test_bytes_that_hold_json_are_kept_to_the_last_space(door: Door, road: Road):
    exact = b'{ "id": "o1",  "total": 12345678901234567890 }'
    async with door.transaction() as target:
        await door.send(target, TYPE, exact)
    (event,) = await stored(road)
    assert bytes(event["payload"]) == exact


async def test_a_moment_keeps_its_place_in_time_whatever_its_zone(door: Door, road: Road):
    moment = datetime(2024, 2, 29, 23, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
    async with door.transaction() as target:
        await door.send(target, TYPE, GOOD, occurred_at=moment)
    (event,) = await stored(road)
    wanted = datetime(2024, 3, 1, 4, 30, 0, 123456, tzinfo=UTC)
    assert event["occurred_us"] == int(wanted.timestamp()) * 1_000_000 + 123456


async def test_with_a_vault_the_payload_is_sealed_from_the_first(door: Door, road: Road):
    vault = standing_vault()
    async with door.transaction() as target:
        event_id = await door.send(
            target,
            TYPE,
            {"id": "very private"},
            vault=vault,
            ordering_key="a very private key",
        )
    (event,) = await stored(road)
    blob = bytes(event["payload"])
    assert event["is_sealed"]
    assert b"private" not in blob
    assert (event["subjects"], event["ordering_key"]) == ("*", None)
    opened = vault.open(blob, payload_place("shop", event_id))
    assert opened == content_of(b'{"id":"very private"}', key="a very private key")


async def test_the_same_key_and_payload_give_the_first_event_again(door: Door, road: Road):
    async with door.transaction() as target:
        first = await door.send(target, TYPE, GOOD, idempotency_key="k")
        assert await door.send(target, TYPE, GOOD, idempotency_key="k") == first
    async with door.transaction() as target:
        assert await door.send(target, TYPE, GOOD, idempotency_key="k") == first
    assert len(await stored(road)) == 1
    assert len(await road.deliveries()) == 1


async def test_the_same_key_under_a_vault_gives_the_first_event_again(door: Door, road: Road):
    terms = {"vault": standing_vault(), "idempotency_key": "k"}
    async with door.transaction() as target:
        first = await door.send(target, TYPE, GOOD, **terms)
        assert await door.send(target, TYPE, GOOD, **terms) == first
    (event,) = await stored(road)
    assert event["payload_digest"] != hashlib.sha256(b'{"id":"o1"}').hexdigest()


async def test_a_key_belongs_to_one_tenant_and_one_producer(door: Door, road: Road):
    async with door.transaction() as target:
        ids = {
            await door.send(target, TYPE, GOOD, idempotency_key="k"),
            await door.send(target, TYPE, GOOD, idempotency_key="k", tenant="other"),
            await door.send(target, TYPE, GOOD, idempotency_key="k", producer="other"),
            await door.send(target, TYPE, GOOD),
            await door.send(target, TYPE, GOOD),
        }
    assert len(ids) == 5
    assert len(await stored(road)) == 5


async def test_two_statements_are_all_it_takes(door: Door, road: Road):
    await road.publish(producers=LISTED, revision=2)
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    engine = door.engine if isinstance(door.engine, Engine) else door.engine.sync_engine
    async with door.transaction() as target:
        await door.run(target, "SELECT 1")
        event.listen(engine, "before_cursor_execute", note)
        await door.send(target, TYPE, GOOD, producer="orders", idempotency_key="k")
        event.remove(engine, "before_cursor_execute", note)
    assert [statement.split()[0] for statement in seen] == ["SELECT", "INSERT"]


async def test_where_producers_are_listed_an_event_names_one_of_them(door: Door, road: Road):
    await road.publish(producers=LISTED, revision=2)
    async with door.transaction() as target:
        event_id = await door.send(target, TYPE, GOOD, producer="orders")
        for terms in ({}, {"producer": "unheard"}, {"producer": "orders", "tenant": "north"}):
            with pytest.raises(EnqueueRefused) as caught:
                await door.send(target, TYPE, GOOD, **terms)
            assert caught.value.reason == "producer_not_allowed"
            assert "[[producer]]" in caught.value.fix
    assert [(each["id"], each["producer"]) for each in await stored(road)] == [(event_id, "orders")]


async def test_a_key_used_for_another_payload_is_a_conflict_that_spares_the_transaction(
    door: Door, road: Road
):
    async with door.transaction() as target:
        first = await door.send(target, TYPE, GOOD, idempotency_key="k")
        with pytest.raises(EnqueueRefused) as caught:
            await door.send(target, TYPE, {"id": "other"}, idempotency_key="k")
        second = await door.send(target, TYPE, GOOD)
    assert caught.value.reason == "idempotency_conflict"
    assert caught.value.fix
    assert [event["id"] for event in await stored(road)] == [first, second]


REFUSALS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "tenant_missing: none": (TYPE, GOOD, {"tenant": None}),
    "tenant_missing: blank": (TYPE, GOOD, {"tenant": " "}),
    "subjects_missing: none": (TYPE, GOOD, {"subjects": None}),
    "subjects_missing: a bare text": (TYPE, GOOD, {"subjects": "ann"}),
    "subjects_missing: a number in the list": (TYPE, GOOD, {"subjects": [7]}),
    "subjects_missing: a mapping": (TYPE, GOOD, {"subjects": {"ann": 1}}),
    "event_type_unknown: unheard of": ("order.unheard", GOOD, {}),
    "event_type_unknown: nothing": (None, GOOD, {}),
    "payload_too_large: by a byte": (TYPE, b'{"id":"' + b"x" * 992 + b'"}', {}),
    "schema_invalid: a member missing": (TYPE, {}, {}),
    "schema_invalid: an unknown member": (TYPE, {"id": "o", "hidden value": "hidden value"}, {}),
    "schema_invalid: of another type": (TYPE, {"id": "o", "total": "hidden value"}, {}),
    "schema_invalid: not an object": (TYPE, ["hidden value"], {}),
    "schema_invalid: not JSON": (TYPE, b"hidden value", {}),
    "schema_invalid: nothing JSON knows": (TYPE, {"id": object()}, {}),
    "schema_invalid: half a surrogate pair": (TYPE, {"id": "\ud800"}, {}),
    "occurred_at_naive: no zone": (TYPE, GOOD, {"occurred_at": NAIVE}),
    "occurred_at_naive: a text": (TYPE, GOOD, {"occurred_at": "2024-01-01T00:00:00Z"}),
    "occurred_at_invalid: before the epoch": (TYPE, GOOD, {"occurred_at": EARLY}),
    "argument_invalid: a blank key": (TYPE, GOOD, {"idempotency_key": ""}),
    "argument_invalid: a NUL in a key": (TYPE, GOOD, {"ordering_key": "a\0b"}),
    "argument_invalid: no producer": (TYPE, GOOD, {"producer": None}),
    "tenant_missing: a NUL": (TYPE, GOOD, {"tenant": "a\0b"}),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refusal_has_a_code_and_a_fix_and_leaves_everything_as_it_was(
    door: Door, road: Road, case: str
):
    event_type, payload, terms = REFUSALS[case]
    async with door.transaction() as target:
        before = await door.send(target, TYPE, GOOD)
        with pytest.raises(EnqueueRefused) as caught:
            await door.send(target, event_type, payload, **terms)
        after = await door.send(target, TYPE, GOOD)
    assert caught.value.reason == case.partition(":")[0]
    assert caught.value.why
    assert caught.value.fix
    assert "hidden value" not in str(caught.value)
    assert [event["id"] for event in await stored(road)] == [before, after]
    assert len(await road.deliveries()) == 2


async def test_what_readers_of_json_read_differently_is_refused_or_kept_to_the_digit(
    door: Door, road: Road
):
    await road.publish(replace(ORDER_PLACED, payload_bytes_max=20_000), revision=2)
    async with door.transaction() as target:
        for payload, detail in payloads.REFUSED.values():
            with pytest.raises(EnqueueRefused, match=f"schema_invalid.*{detail}"):
                await door.send(target, TYPE, payload)
        with pytest.raises(EnqueueRefused, match="payload_too_large"):
            await door.send(target, TYPE, payloads.LARGE)
        for payload in payloads.EXACT:
            await door.send(target, TYPE, payload)
    assert [bytes(event["payload"]) for event in await stored(road)] == list(payloads.EXACT)


@pytest.mark.parametrize(
    "payload",
    [
        {"id": "a", "total": float("nan")},
        {"id": "a", "more": [{"deep": float("inf")}]},
        {"id": "a", "more": None, "deep": (float("-inf"),)},
        {1: "a", "1": "b"},
    ],
)
async def test_a_mapping_that_json_would_change_is_refused(door: Door, road: Road, payload: Any):
    async with door.transaction() as target:
        with pytest.raises(EnqueueRefused, match="schema_invalid"):
            await door.send(target, TYPE, payload)


async def test_an_event_is_about_so_many_subjects_at_most_each_counted_once(door: Door, road: Road):
    await road.publish(replace(ORDER_PLACED, subjects_max=2), revision=2)
    async with door.transaction() as target:
        with pytest.raises(EnqueueRefused, match=r"too_many_subjects.*3 subjects, at most 2"):
            await door.send(target, TYPE, GOOD, subjects=["ann", "bob", "cyd"])
        await door.send(target, TYPE, GOOD, subjects=["bob", "ann", "bob"])
    (event,) = await stored(road)
    assert json.loads(event["subjects"]) == ["bob", "ann"]


async def test_a_payload_of_exactly_the_limit_is_taken(door: Door, road: Road):
    async with door.transaction() as target:
        await door.send(target, TYPE, b'{"id":"' + b"x" * 991 + b'"}')
    assert len(await stored(road)) == 1


async def test_leaving_tenant_or_subjects_out_is_refused_with_their_codes(door: Door, road: Road):
    call: Callable[..., Any] = enqueue
    async with door.transaction() as target:
        for code, terms in (
            ("tenant_missing", {"subjects": []}),
            ("subjects_missing", {"tenant": "shop"}),
        ):
            with pytest.raises(EnqueueRefused) as caught:
                await call(target, TYPE, GOOD, **terms)
            assert caught.value.reason == code


async def test_a_database_without_an_outbox_is_told_to_migrate(
    door: Door, request: pytest.FixtureRequest
):
    engine = "sqlite" if "sqlite" in door.driver else "postgres"
    empty = Door(request.getfixturevalue(f"empty_{engine}_url"), door.driver, door.kind)
    with pytest.raises(SchemaMismatch) as caught:
        async with empty.transaction() as target:
            await empty.send(target, TYPE, GOOD)
    assert "dispatcher migrate" in caught.value.fix
    await empty.aclose()


class Order(msgspec.Struct):
    id: str
    total: int = 3


@pytest.fixture
def sqlite_session(sqlite_url: str) -> Any:
    engine = create_engine(sqlite_url)
    with Session(engine) as session:
        session.execute(
            text(
                "INSERT INTO dispatcher_catalogue (event_type, schema, payload_bytes_max, revision)"
                " VALUES ('order.placed', '{\"type\":\"object\"}',"
                " 1000, 1)"
            )
        )
        session.commit()
        yield session
    engine.dispose()


def test_a_structure_is_written_as_the_json_object_it_is(sqlite_session: Session):
    enqueue(sqlite_session, TYPE, Order("o9"), tenant="shop", subjects={"ann"})
    sql = text("SELECT payload, subjects FROM dispatcher_events")
    assert sqlite_session.execute(sql).one() == (b'{"id":"o9","total":3}', '["ann"]')


def test_a_scoped_session_is_as_good_as_a_session(sqlite_session: Session):
    scoped = scoped_session(sessionmaker(sqlite_session.get_bind()))
    assert enqueue(scoped, TYPE, GOOD, tenant="shop", subjects=[])
    scoped.rollback()
    scoped.remove()


def test_enqueueing_neither_flushes_nor_ends_the_service_s_own_work(sqlite_session: Session):
    with sqlite_session.begin_nested() as savepoint:
        enqueue(sqlite_session, TYPE, GOOD, tenant="shop", subjects=[])
        assert sqlite_session.in_nested_transaction()
        savepoint.rollback()
    assert sqlite_session.execute(text("SELECT count(*) FROM dispatcher_events")).scalar() == 0
    assert sqlite_session.in_transaction()


@pytest.mark.parametrize("target", [None, "sqlite://", create_engine("sqlite://")])
def test_what_has_no_transaction_is_refused(target: Any):
    with pytest.raises(EnqueueRefused) as caught:
        enqueue(target, TYPE, GOOD, tenant="shop", subjects=[])
    assert caught.value.reason == "target_invalid"
