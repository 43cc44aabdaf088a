"""What a database has to read for a claim, a sweep or a replay: what it takes, and no more.

Each statement is explained as the worker sends it, at ten rows and at a hundred thousand, with and
without statistics, for a plan made while the queue was empty is the classic way to stall.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dispatcher.model.delivery import State
from dispatcher.model.ids import Revision, WorkerId
from dispatcher.model.retention import Rule, Store
from dispatcher.store import claims, outbox, replays
from dispatcher.store.database import Database
from dispatcher.store.retention import RetentionStore, Sweep
from tests.support.databases import open_for_tests
from tests.support.letters import change
from tests.support.letters import rows as read

FILL = """
WITH written AS (
    INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed, occurred_us,
                          enqueued_us)
    SELECT 'evt_' || i, 'shop', 'order.placed', 'p', '[]', '{{}}', false, 0, 0
    FROM generate_series(1, :rows) AS i RETURNING seq)
INSERT INTO {deliveries} (event_seq, lane, subscription, webhook_id, scope_id, state, due_us,
                          attempt, failures)
SELECT seq, CASE WHEN CAST(:lanes AS integer) = 0 THEN ''
            ELSE 'sub' || (seq % :lanes) || '/order.placed' END,
       's', 'm', 'x', 'waiting', {now} + :offset + seq, 0, 0
FROM written ORDER BY seq
"""
LEASE = {
    "lanes": ["sub1/order.placed", "sub2/order.placed"],
    "limits": [5, 5],
    "floors": [0, 0],
    "token": "t",
    "lease_us": 1000,
}
HOUR_US = 3_600_000_000


async def explain(database: Database, sql: str, **parameters: Any) -> dict[str, Any]:
    async with database.engine.connect() as connection:
        statement = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"
        found = await database.execute(connection, statement, **parameters)
        plan = found.scalar_one()
        await connection.rollback()
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def indexes(plan: dict[str, Any]) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def sequential(plan: dict[str, Any]) -> list[str]:
    return [n["Relation Name"] for n in nodes(plan) if n["Node Type"] == "Seq Scan"]


def pages(plan: dict[str, Any]) -> int:
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


async def fill(database: Database, rows: int, *, lanes: int, offset: int = -HOUR_US) -> None:
    """File so many deliveries; row by row, as triggers do, would take most of the test."""
    async with database.begin() as connection:
        await database.execute(connection, "ALTER TABLE {events} DISABLE TRIGGER USER")
        await database.execute(connection, FILL, rows=rows, lanes=lanes, offset=offset)
        await database.execute(connection, "ALTER TABLE {events} ENABLE TRIGGER USER")


async def analyse(database: Database) -> None:
    async with database.single() as connection:
        await database.execute(connection, "ANALYZE {deliveries}")
        await database.execute(connection, "ANALYZE {events}")


@pytest.mark.parametrize("rows", [10, 100_000])
@pytest.mark.parametrize("statistics", ["none", "of the empty table", "fresh"])
async def test_leasing_reads_the_due_index_however_many_rows_wait(
    postgres: Database, rows: int, statistics: str
):
    if statistics == "of the empty table":
        await analyse(postgres)
    await fill(postgres, rows, lanes=5)
    if statistics == "fresh":
        await analyse(postgres)
    plan = await explain(postgres, claims._LEASE_POSTGRESQL, **LEASE)
    assert pages(plan) < 400
    if rows > 10:  # a scan is the right plan for a table of one page
        assert "deliveries_due" in indexes(plan)
        assert sequential(plan) == []


@pytest.mark.parametrize("rows", [10, 100_000])
@pytest.mark.parametrize("statistics", ["none", "of the empty table", "fresh"])
async def test_claiming_new_events_reads_the_due_index_however_many_there_are(
    postgres: Database, rows: int, statistics: str
):
    if statistics == "of the empty table":
        await analyse(postgres)
    await fill(postgres, rows, lanes=0)
    if statistics == "fresh":
        await analyse(postgres)
    claim = f"{outbox._CLAIM} FOR UPDATE OF d SKIP LOCKED"
    plan = await explain(postgres, claim, limit=10, floor=0)
    assert pages(plan) < 400
    if rows > 10:  # a scan is the right plan for a table of one page
        assert "deliveries_due" in indexes(plan)
        assert sequential(plan) == []


async def test_leasing_does_not_read_through_rows_that_are_due_later(postgres: Database):
    await fill(postgres, 100_000, lanes=5, offset=HOUR_US)
    plan = await explain(postgres, claims._LEASE_POSTGRESQL, **LEASE)
    assert plan["Actual Rows"] == 0
    assert pages(plan) < 100


async def test_leasing_does_not_read_other_lanes(postgres: Database):
    await fill(postgres, 100_000, lanes=1)
    lanes = {"lanes": ["other/order.placed"], "limits": [5], "floors": [0]}
    plan = await explain(postgres, claims._LEASE_POSTGRESQL, **LEASE | lanes)
    assert plan["Actual Rows"] == 0
    assert pages(plan) < 100


async def test_finding_the_lanes_that_wait_costs_a_probe_each(postgres: Database):
    await fill(postgres, 100_000, lanes=5)
    plan = await explain(postgres, claims._WAITING_LANES)
    assert plan["Actual Rows"] == 5
    assert sequential(plan) == []
    assert pages(plan) < 400


async def test_looking_for_lost_leases_reads_only_leased_rows(postgres: Database):
    await fill(postgres, 100_000, lanes=5)
    plan = await explain(postgres, f"{claims._LOST} FOR UPDATE SKIP LOCKED", n=500)
    assert indexes(plan) == {"deliveries_leases"}
    assert pages(plan) < 100


async def test_the_worker_s_connections_plan_each_statement_afresh(postgres: Database):
    async with postgres.begin() as connection:
        mode = await postgres.execute(connection, "SHOW plan_cache_mode")
        assert mode.scalar_one() == "force_custom_plan"


AT_REST = """
UPDATE {deliveries} SET state = 'delivered', due_us = NULL, settled_us = CASE
    WHEN event_seq <= 10 THEN 1 ELSE {now} END
"""
PARTS = """
UPDATE {events} SET enqueued_us = CASE WHEN seq <= 10 THEN 1 ELSE {now} END,
    payload = CASE WHEN seq <= 10 OR seq % 3 = 0 THEN payload END,
    subjects = CASE WHEN seq <= 10 OR seq % 3 <= 1 THEN subjects ELSE '' END
"""


async def test_a_sweep_reads_what_it_removes_and_not_what_stays(postgres: Database):
    await fill(postgres, 20_000, lanes=5)
    await change(postgres, AT_REST)
    await change(postgres, PARTS)
    async with postgres.single() as connection:
        for table in ("events", "deliveries"):
            await postgres.execute(connection, f"VACUUM ANALYZE {{{table}}}")
    plans: list[dict[str, Any]] = []
    execute = postgres.execute

    async def explained(connection: Any, sql: str, **given: Any) -> Any:
        if "LIMIT :limit" in sql and not sql.startswith("EXPLAIN"):
            plans.append(await explain(postgres, sql, **given))
        return await execute(connection, sql, **given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postgres, "execute", explained)
        for store in (Store.PAYLOADS, Store.ENVELOPES, Store.LEDGER):
            rule = Rule(store=store, said="an hour", kept_us=HOUR_US)
            sweep = Sweep(rule=rule, worker=WorkerId("w"), revision=Revision(1))
            await RetentionStore(postgres).purge(sweep, rows_max=500)
    assert len(plans) == 3
    for plan in plans:
        assert plan["Actual Rows"] == 10
        assert pages(plan) < 400
        assert sequential(plan) == []


DYING = "UPDATE {deliveries} SET state = 'dead' WHERE event_seq % 100 = 0"
SIZE = "SELECT pg_relation_size('dispatcher.deliveries_dead') AS bytes"
LEFT_DEAD = {
    "tenant": None,
    "subscription": "s",
    "state": State.DEAD,
    "since_us": 1,
    "until_us": 2**62,
    "limit": 1000,
}
BY_HOW_IT_ENDED = (replays._KEPT, replays._COUNT)


async def test_what_died_is_found_by_an_index_that_nothing_else_enters(postgres: Database):
    (empty,) = await read(postgres, SIZE)
    await fill(postgres, 20_000, lanes=5)
    await change(postgres, AT_REST)
    assert await read(postgres, SIZE) == [empty]
    await change(postgres, DYING)
    await analyse(postgres)
    for statement in BY_HOW_IT_ENDED:
        plan = await explain(postgres, statement, **LEFT_DEAD)
        assert "deliveries_dead" in indexes(plan)
        assert "deliveries" not in sequential(plan)


async def test_the_embedded_engine_finds_what_died_by_that_index_too(sqlite_url: str):
    embedded = open_for_tests(sqlite_url)
    for statement in BY_HOW_IT_ENDED:
        plan = await read(embedded, f"EXPLAIN QUERY PLAN {statement}", **LEFT_DEAD)
        (found,) = [each["detail"] for each in plan if each["detail"].split()[1] == "d"]
        assert "INDEX dispatcher_deliveries_dead (subscription=? AND settled_us>?" in found
    await embedded.aclose()
