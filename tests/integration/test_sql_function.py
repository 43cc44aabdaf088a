"""Any language can enqueue with plain SQL, in its own transaction: `dispatcher_enqueue(...)`."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from dispatcher.producer import EnqueueRefused, enqueue
from dispatcher.store.database import Database
from tests.support.letters import Road, rows

CALL = "SELECT dispatcher.dispatcher_enqueue($1, $2, $3, $4, $5)"
GOOD = '{"id":"o1"}'


@pytest.fixture
async def road(postgres: Database) -> Road:
    road = Road(postgres)
    await road.publish()
    return road


@pytest.fixture
async def plain(postgres_url: str, road: Road) -> AsyncIterator[asyncpg.Connection]:
    """A client that knows nothing but SQL."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def send(
    client: asyncpg.Connection,
    *,
    tenant: str | None = "shop",
    kind: str | None = "order.placed",
    subjects: Any = (),
    payload: str | None = GOOD,
    key: str | None = None,
) -> str:
    given = list(subjects) if subjects is not None else None
    return await client.fetchval(CALL, tenant, kind, given, payload, key)


async def test_an_event_arrives_clear_and_exact_and_is_planned_like_any_other(
    plain: asyncpg.Connection, road: Road
):
    exact = '{ "id": "o1",  "total": 12345678901234567890 }'
    event_id = await send(plain, subjects=["ann", 'b"ob'], payload=exact)
    (event,) = await rows(road.database, "SELECT * FROM {events}")
    assert event["id"] == event_id
    assert bytes(event["payload"]).decode() == exact
    assert (event["is_sealed"], event["tenant"], event["type"]) == (False, "shop", "order.placed")
    assert json.loads(event["subjects"]) == ["ann", 'b"ob']
    assert event["occurred_us"] == event["enqueued_us"]
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
    assert (new.event.id, new.is_sealed) == (event_id, False)
    assert new.event.subjects == ("ann", 'b"ob')


async def test_the_producer_of_an_event_is_who_is_logged_in(plain: asyncpg.Connection, road: Road):
    await send(plain)
    (event,) = await rows(road.database, "SELECT producer FROM {events}")
    assert event["producer"] == await plain.fetchval("SELECT session_user")


async def test_the_other_terms_may_be_named(plain: asyncpg.Connection, road: Road):
    await plain.fetchval(
        "SELECT dispatcher.dispatcher_enqueue('shop', 'order.placed', '{}', '{\"id\":\"o\"}',"
        " p_ordering_key => 'order-1', p_traceparent => '00-1',"
        " p_occurred_at => '2024-02-29T23:30:00.123456-05:00')"
    )
    (event,) = await rows(road.database, "SELECT * FROM {events}")
    assert (event["ordering_key"], event["traceparent"]) == ("order-1", "00-1")
    assert event["occurred_us"] == 1_709_267_400_123_456


async def test_a_rolled_back_call_never_happened(plain: asyncpg.Connection, road: Road):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with plain.transaction():
            await send(plain)
            raise ZeroDivisionError
    assert await rows(road.database, "SELECT * FROM {events}") == []
    assert await road.deliveries() == []


async def test_one_statement_may_enqueue_many(plain: asyncpg.Connection, road: Road):
    await plain.fetch(
        "SELECT dispatcher.dispatcher_enqueue('shop', 'order.placed', '{}',"
        " json_build_object('id', i::text)) FROM generate_series(1, 50) AS i"
    )
    assert await road.file() == 50


async def test_the_same_key_and_payload_give_the_first_event_again(
    plain: asyncpg.Connection, road: Road
):
    first = await send(plain, key="k")
    assert await send(plain, key="k") == first
    assert await send(plain, key="k", tenant="other") != first
    assert len(await rows(road.database, "SELECT * FROM {events}")) == 2
    assert len(await road.deliveries()) == 2


async def test_two_calls_with_one_key_at_once_give_one_event(postgres_url: str, road: Road):
    clients = [await asyncpg.connect(postgres_url) for _ in range(4)]
    ids = await asyncio.gather(*(send(client, key="k") for client in clients))
    assert len(set(ids)) == 1
    assert len(await rows(road.database, "SELECT * FROM {events}")) == 1
    for client in clients:
        await client.close()


async def test_python_and_sql_agree_on_what_the_same_payload_is(
    plain: asyncpg.Connection, road: Road
):
    first = await send(plain, key="k")
    login = await plain.fetchval("SELECT session_user")
    terms: dict[str, Any] = {
        "tenant": "shop",
        "subjects": [],
        "producer": login,
        "idempotency_key": "k",
    }
    async with road.database.begin() as connection:
        assert await enqueue(connection, "order.placed", {"id": "o1"}, **terms) == first
        with pytest.raises(EnqueueRefused, match="idempotency_conflict"):
            await enqueue(connection, "order.placed", {"id": "o2"}, **terms)


@pytest.mark.parametrize(
    ("code", "sqlstate", "terms"),
    [
        ("tenant_missing", "22023", {"tenant": None}),
        ("tenant_missing", "22023", {"tenant": "  "}),
        ("subjects_missing", "22023", {"subjects": None}),
        ("subjects_missing", "22023", {"subjects": ["ann", None]}),
        ("subjects_missing", "22023", {"subjects": [["ann", "bob"]]}),
        ("event_type_unknown", "22023", {"kind": "order.unheard"}),
        ("event_type_unknown", "22023", {"kind": None}),
        ("schema_invalid", "22023", {"payload": None}),
        ("schema_invalid", "22023", {"payload": '["hidden value"]'}),
        ("payload_too_large", "22023", {"payload": '{"id":"' + "x" * 992 + '"}'}),
        ("idempotency_conflict", "23505", {"key": "used"}),
    ],
)
async def test_a_refusal_is_an_error_with_a_code_and_nothing_is_written(
    plain: asyncpg.Connection, road: Road, code: str, sqlstate: str, terms: dict[str, Any]
):
    await send(plain, key="used", payload='{"id":"first"}')
    with pytest.raises(asyncpg.PostgresError) as caught:
        await send(plain, **terms)
    message = str(caught.value)
    assert message.startswith(f"{code}: ")
    assert "hidden value" not in message
    assert caught.value.sqlstate == sqlstate
    assert len(await rows(road.database, "SELECT * FROM {events}")) == 1
    assert len(await road.deliveries()) == 1


@pytest.mark.parametrize(
    "moment",
    ["20000-01-01 00:00:00+00", "0044-03-15 BC", "1969-12-31 23:59:59+00", "infinity", "-infinity"],
)
async def test_a_moment_that_no_envelope_can_write_is_refused(
    plain: asyncpg.Connection, road: Road, moment: str
):
    with pytest.raises(asyncpg.PostgresError, match=r"^occurred_at_invalid: ") as caught:
        await plain.fetchval(
            "SELECT dispatcher.dispatcher_enqueue('shop', 'order.placed', '{}', '{\"id\":\"o\"}',"
            f" p_occurred_at => '{moment}')"
        )
    assert caught.value.sqlstate == "22023"
    assert await rows(road.database, "SELECT * FROM {events}") == []


async def test_text_that_is_no_json_is_refused_by_the_database_itself(
    plain: asyncpg.Connection, road: Road
):
    with pytest.raises(asyncpg.PostgresError):
        await send(plain, payload="{")
    assert await rows(road.database, "SELECT * FROM {events}") == []


async def test_what_the_schema_forbids_is_let_in_for_the_relay_to_judge(
    plain: asyncpg.Connection, road: Road
):
    await send(plain, payload='{"unknown": 1}')
    async with road.outbox.intake(limit=9, floor_us=0) as intake:
        assert [new.is_sealed for new in intake.events] == [False]


@pytest.fixture
async def shop_role(postgres: Database, postgres_url: str) -> AsyncIterator[str]:
    """A database role as a product service has it: it may call the function, and no more."""
    name = f"shop_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE ROLE {name}")
    await admin.execute(f"GRANT USAGE ON SCHEMA dispatcher TO {name}")
    yield name
    await admin.execute(f"DROP OWNED BY {name}")
    await admin.execute(f"DROP ROLE {name}")
    await admin.close()


async def test_a_service_needs_no_right_on_the_tables(
    plain: asyncpg.Connection, road: Road, shop_role: str
):
    await plain.execute(f"SET ROLE {shop_role}")
    assert await send(plain)
    for table in ("events", "deliveries", "disclosures", "catalogue", "signing_keys"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await plain.execute(f"SELECT * FROM dispatcher.{table}")
    await plain.execute("RESET ROLE")
    assert await road.file() == 1


async def test_objects_a_caller_puts_in_its_way_do_not_mislead_the_function(
    plain: asyncpg.Connection, road: Road
):
    await plain.execute("CREATE TEMP TABLE events (LIKE dispatcher.events)")
    await plain.execute(
        "CREATE FUNCTION public.btrim(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'"
    )
    await plain.execute("SET search_path = pg_temp, public, pg_catalog")
    assert await send(plain)
    assert len(await rows(road.database, "SELECT * FROM {events}")) == 1
