"""Who may enqueue on PostgreSQL: by the function, from Python, and with a row written by hand.

Every product service here logs in as a role of its own, with the grants that the documentation
names and no more. Dispatcher itself logs in as the role that owns the tables.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from dispatcher.model.ids import WebhookId
from dispatcher.model.registry import Producer, Registry
from dispatcher.model.verdict import Refusal
from dispatcher.producer import EnqueueRefused
from dispatcher.stages.fanout.plan import plan
from dispatcher.store.database import Database
from dispatcher.store.enqueueing import EventRow, insert
from tests.support.doors import Door
from tests.support.letters import ORDER_PLACED, Road, rows
from tests.unit.stages import builders

CALL = "SELECT dispatcher.dispatcher_enqueue($1, $2, '{}', '{\"id\":\"o1\"}', $3)"
SENT = replace(ORDER_PLACED, name="order.sent")
GOOD = {"id": "o1"}
INSERT = """
INSERT INTO dispatcher.events (id, tenant, type, producer, subjects, payload, is_sealed,
    idempotency_key, payload_digest, occurred_us, enqueued_us, written_by)
VALUES ($1, $2, 'order.placed', $3, '[]', '{"id":"o1"}', false, $4, 'x', 1, 1, $5)
"""
COLUMNS = "id tenant type producer subjects payload is_sealed occurred_us enqueued_us written_by"
PAGE = Path(__file__).parents[2] / "docs" / "outbox.md"
GRANTS = PAGE.read_text().split("```sql\nGRANT")[1].split("```")[0].join(("GRANT", ""))
PASSWORD = secrets.token_hex(8)


def url_of(role: str, url: str) -> str:
    parsed = make_url(url).set(username=role, password=PASSWORD)
    return parsed.render_as_string(hide_password=False)


Login = Callable[[str], Awaitable[asyncpg.Connection]]


@pytest.fixture
async def owner(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Dispatcher's own role, logged in."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def roles(owner: asyncpg.Connection) -> AsyncIterator[dict[str, str]]:
    """The roles of two services, one of which the registry will know."""
    made = {name: f"{name}_{secrets.token_hex(4)}" for name in ("shop", "stranger")}
    for role in made.values():
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        await owner.execute(f"GRANT EXECUTE ON FUNCTION dispatcher.dispatcher_enqueue TO {role}")
        await owner.execute(GRANTS.replace("orders_app", role))
    yield made
    for role in made.values():
        await owner.execute(f"DROP OWNED BY {role}")
        await owner.execute(f"DROP ROLE {role}")


@pytest.fixture
async def login(postgres_url: str) -> AsyncIterator[Login]:
    """Log a service in."""
    opened: list[asyncpg.Connection] = []

    async def open_as(role: str) -> asyncpg.Connection:
        opened.append(await asyncpg.connect(url_of(role, postgres_url)))
        return opened[-1]

    yield open_as
    for connection in opened:
        await connection.close()


@pytest.fixture
def listed(roles: dict[str, str]) -> tuple[Producer, ...]:
    """The shop may enqueue one type for one tenant; so may a producer named like another role."""
    terms: dict[str, Any] = {"event_types": ("order.placed",), "tenants": ("shop",)}
    return (
        Producer(name="orders", database_roles=(roles["shop"],), **terms),
        Producer(name=roles["stranger"], **terms),
    )


@pytest.fixture
async def road(postgres: Database, listed: tuple[Producer, ...]) -> Road:
    road = Road(postgres)
    await road.publish(ORDER_PLACED, SENT, producers=listed)
    return road


async def who(road: Road) -> list[tuple[str, str]]:
    found = await rows(road.database, "SELECT producer, written_by FROM {events} ORDER BY seq")
    return [(row["producer"], row["written_by"]) for row in found]


async def verdicts(road: Road, listed: tuple[Producer, ...]) -> list[str]:
    """Plan every new event as the relay does, under this registry."""
    held = Registry(event_types=(ORDER_PLACED, SENT), producers=listed)
    policy = builders.snapshot(held)
    async with road.outbox.intake(limit=99, floor_us=0) as intake:
        planned = [plan(new.event, policy, lambda: WebhookId("m")) for new in intake.events]
    return [each.code if isinstance(each, Refusal) else "planned" for each in planned]


def other_door(role: str, url: str) -> Door:
    return Door(url_of(role, url), "asyncpg", "connection")


async def send(role: str, url: str, event_type: str = "order.placed", **terms: Any) -> str:
    """Enqueue one event from a Python service, in a transaction of its own."""
    door = other_door(role, url)
    try:
        async with door.transaction() as target:
            return await door.send(target, event_type, GOOD, **terms)
    finally:
        await door.aclose()


# By the function.


async def test_a_listed_role_enqueues_as_its_producer(
    road: Road, roles: dict[str, str], login: Login, listed: tuple[Producer, ...]
):
    shop = await login(roles["shop"])
    first = await shop.fetchval(CALL, "shop", "order.placed", "k")
    assert await shop.fetchval(CALL, "shop", "order.placed", "k") == first
    assert await who(road) == [("orders", roles["shop"])]
    assert await verdicts(road, listed) == ["planned"]


@pytest.mark.parametrize(
    ("service", "tenant", "kind"),
    [
        ("stranger", "shop", "order.placed"),
        ("shop", "north", "order.placed"),
        ("shop", "*", "order.placed"),
        ("shop", "shop", "order.sent"),
    ],
    ids=["no producer", "another tenant", "a star", "another type"],
)
async def test_the_function_refuses_what_a_role_has_no_right_to(
    road: Road, roles: dict[str, str], login: Login, service: str, tenant: str, kind: str
):
    client = await login(roles[service])
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        await client.fetchval(CALL, tenant, kind, None)
    assert str(caught.value).startswith("producer_not_allowed: ")
    assert caught.value.sqlstate == "42501"
    assert "[[producer]]" in str(caught.value.hint)
    assert await who(road) == []


async def test_to_put_on_another_role_changes_nothing(
    road: Road, roles: dict[str, str], owner: asyncpg.Connection, login: Login
):
    await owner.execute(f"GRANT {roles['shop']} TO {roles['stranger']}")
    stranger = await login(roles["stranger"])
    await stranger.execute(f"SET ROLE {roles['shop']}")
    with pytest.raises(asyncpg.PostgresError, match=r"^producer_not_allowed: "):
        await stranger.fetchval(CALL, "shop", "order.placed", None)
    await stranger.execute(INSERT, "evt_1", "shop", "orders", None, roles["shop"])
    assert await who(road) == [(f"role:{roles['stranger']}", roles["stranger"])]


async def test_a_function_of_somebody_else_lends_nobody_its_rights(
    road: Road, roles: dict[str, str], owner: asyncpg.Connection, login: Login
):
    await owner.execute(f"GRANT CREATE ON SCHEMA public TO {roles['shop']}")
    shop = await login(roles["shop"])
    await shop.execute(
        "CREATE FUNCTION public.lend() RETURNS text LANGUAGE sql SECURITY DEFINER AS "
        "$$ SELECT dispatcher.dispatcher_enqueue('shop', 'order.placed', '{}', '{\"id\":\"o\"}') $$"
    )
    assert await shop.fetchval("SELECT public.lend()")
    stranger = await login(roles["stranger"])
    with pytest.raises(asyncpg.PostgresError, match=r"^producer_not_allowed: "):
        await stranger.fetchval("SELECT public.lend()")
    assert await who(road) == [("orders", roles["shop"])]


async def test_dispatcher_s_own_role_needs_a_producer_for_the_function_too(
    road: Road, owner: asyncpg.Connection, listed: tuple[Producer, ...]
):
    with pytest.raises(asyncpg.PostgresError, match=r"^producer_not_allowed: "):
        await owner.fetchval(CALL, "shop", "order.placed", None)
    own = await owner.fetchval("SELECT session_user")
    mapped = (listed[0], replace(listed[1], database_roles=(own,)))
    await road.publish(producers=mapped, revision=2)
    assert await owner.fetchval(CALL, "shop", "order.placed", None)
    assert await who(road) == [(listed[1].name, own)]
    assert await verdicts(road, mapped) == ["planned"]


# From Python.


async def test_a_service_s_role_says_which_producer_it_is(
    road: Road, roles: dict[str, str], postgres_url: str, listed: tuple[Producer, ...]
):
    first = await send(roles["shop"], postgres_url, idempotency_key="k")
    again = await send(roles["shop"], postgres_url, idempotency_key="k", producer="orders")
    assert first == again
    assert await who(road) == [("orders", roles["shop"])]
    assert await verdicts(road, listed) == ["planned"]


@pytest.mark.parametrize(
    ("service", "kind", "terms", "says"),
    [
        ("stranger", "order.placed", {}, "is no producer"),
        ("stranger", "order.placed", {"producer": "orders"}, "is no producer"),
        ("shop", "order.placed", {"producer": "other"}, "is producer 'orders', and no other"),
        ("shop", "order.placed", {"tenant": "north"}, "for this tenant"),
        ("shop", "order.sent", {}, "may not enqueue order.sent"),
    ],
)
async def test_python_refuses_what_a_role_has_no_right_to(
    road: Road,
    roles: dict[str, str],
    postgres_url: str,
    service: str,
    kind: str,
    terms: dict[str, Any],
    says: str,
):
    with pytest.raises(EnqueueRefused, match=says) as caught:
        await send(roles[service], postgres_url, kind, **terms)
    assert caught.value.reason == "producer_not_allowed"
    assert caught.value.fix
    assert await who(road) == []


async def test_python_and_sql_know_a_role_by_the_same_name(
    road: Road, roles: dict[str, str], postgres_url: str, login: Login
):
    shop = await login(roles["shop"])
    first = await shop.fetchval(CALL, "shop", "order.placed", "k")
    assert await send(roles["shop"], postgres_url, idempotency_key="k") == first


async def test_dispatcher_s_own_role_enqueues_for_the_producer_it_names(
    road: Road, owner: asyncpg.Connection, listed: tuple[Producer, ...]
):
    (_,) = await road.enqueue(1, producer="orders")
    own = await owner.fetchval("SELECT session_user")
    assert await who(road) == [("orders", own)]
    assert await verdicts(road, listed) == ["planned"]
    with pytest.raises(EnqueueRefused, match="producer_not_allowed"):
        await road.enqueue(1, producer="unheard")


# By hand.


async def test_a_row_written_by_hand_bears_who_wrote_it_whatever_it_says(
    road: Road,
    roles: dict[str, str],
    owner: asyncpg.Connection,
    login: Login,
    listed: tuple[Producer, ...],
):
    own = await owner.fetchval("SELECT session_user")
    stranger, shop = await login(roles["stranger"]), await login(roles["shop"])
    await stranger.execute(INSERT, "evt_1", "shop", "orders", None, own)
    await stranger.execute(INSERT, "evt_2", "shop", "orders", None, None)
    await stranger.copy_records_to_table(
        "events",
        schema_name="dispatcher",
        columns=COLUMNS.split(),
        records=[("evt_3", "shop", "order.placed", "orders", "[]", b"{}", False, 1, 1, own)],
    )
    await shop.execute(INSERT, "evt_4", "shop", "other", None, own)
    await shop.execute(INSERT, "evt_5", "north", "other", None, own)
    forger = (f"role:{roles['stranger']}", roles["stranger"])
    assert await who(road) == [forger] * 3 + [("orders", roles["shop"])] * 2
    refused = "producer_not_allowed"
    assert await verdicts(road, listed) == [refused, refused, refused, "planned", refused]


async def test_nobody_uses_up_another_producer_s_idempotency_keys(
    road: Road, roles: dict[str, str], postgres_url: str, login: Login
):
    stranger = await login(roles["stranger"])
    await stranger.execute(INSERT, "evt_1", "shop", "orders", "k", None)
    assert await send(roles["shop"], postgres_url, idempotency_key="k") != "evt_1"


async def test_whoever_rewrites_what_an_event_is_answers_for_it(
    road: Road,
    roles: dict[str, str],
    owner: asyncpg.Connection,
    login: Login,
    listed: tuple[Producer, ...],
):
    await road.enqueue(1, producer="orders")
    await owner.execute(f"GRANT SELECT, UPDATE ON dispatcher.events TO {roles['stranger']}")
    stranger = await login(roles["stranger"])
    await stranger.execute("UPDATE dispatcher.events SET tenant = 'shop'")
    assert await who(road) == [(f"role:{roles['stranger']}", roles["stranger"])]
    assert await verdicts(road, listed) == ["producer_not_allowed"]


# Without a rule, and on the way to one.


async def test_where_no_producer_is_listed_every_role_enqueues_as_before(
    road: Road, roles: dict[str, str], postgres_url: str, login: Login
):
    await road.publish(revision=2)
    stranger = await login(roles["stranger"])
    await stranger.fetchval(CALL, "north", "order.placed", None)
    await send(roles["stranger"], postgres_url, tenant="north", producer="anything")
    await stranger.execute(INSERT, "evt_1", "north", "by hand", None, "forged")
    role = roles["stranger"]
    assert await who(road) == [(role, role), ("anything", role), ("by hand", role)]
    assert await verdicts(road, ()) == ["planned"] * 3


async def test_an_event_enqueued_before_there_was_a_rule_is_judged_by_the_role_that_wrote_it(
    road: Road, roles: dict[str, str], login: Login, listed: tuple[Producer, ...]
):
    await road.publish(revision=2)
    for role in roles.values():
        await (await login(role)).fetchval(CALL, "shop", "order.placed", None)
    assert await verdicts(road, listed) == ["planned", "producer_not_allowed"]


async def test_a_role_that_becomes_another_producer_at_that_very_moment_is_told_so(
    road: Road, roles: dict[str, str], postgres_url: str
):
    terms: dict[str, Any] = {"tenant": "shop", "type": "order.placed", "subjects": "[]"}
    row = EventRow(
        id="evt_2",
        producer="what it was",
        payload=b"{}",
        is_sealed=False,
        idempotency_key="k",
        payload_digest="x",
        ordering_key=None,
        traceparent=None,
        occurred_us=1,
        enqueued_us=1,
        **terms,
    )
    await send(roles["shop"], postgres_url, idempotency_key="k")
    door = other_door(roles["shop"], postgres_url)
    async with door.transaction() as target:
        with pytest.raises(EnqueueRefused, match="at this very moment"):
            await target.run_sync(insert, row)
    await door.aclose()
    assert len(await who(road)) == 1
