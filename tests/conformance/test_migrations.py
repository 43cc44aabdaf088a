"""The histories, the tables the code works with, and what a half-migrated database is told."""

import asyncio
import secrets
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect, text

from dispatcher.model.errors import SchemaMismatch, StoreUnavailable
from dispatcher.model.scope import Scope
from dispatcher.store.database import Database
from dispatcher.store.migrating import migrate
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.tables import outbox_metadata, registry_metadata, schema_name
from dispatcher.store.versions import HEADS, check_schema, version_table
from tests.support.databases import PLANES, migrate_all, open_for_tests
from tests.support.letters import change, field_of, lie_open, rows

ROOT = Path(__file__).parents[2]


def _differences(connection: Connection) -> list[object]:
    dialect = connection.dialect.name
    both = MetaData()
    for plane in (registry_metadata(dialect), outbox_metadata(dialect)):
        for table in plane.tables.values():
            table.to_metadata(both)

    def is_ours(name: str | None, kind: str, parents: object) -> bool:
        if kind == "schema":
            return name == schema_name(dialect)
        return kind != "table" or not str(name).endswith("_version")

    options = {
        "include_schemas": dialect != "sqlite",
        "include_name": is_ours,
        "compare_type": True,
        "compare_server_default": True,
    }
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, both))


async def test_the_migrations_make_exactly_the_tables_the_code_works_with(database: Database):
    async with database.begin() as connection:
        assert await connection.run_sync(_differences) == []


async def test_a_table_the_migrations_forgot_would_be_noticed(database: Database):
    await change(database, "DROP TABLE {scopes}")
    async with database.begin() as connection:
        assert [each[0] for each in await connection.run_sync(_differences)] == ["add_table"]


@pytest.mark.parametrize("plane", PLANES)
async def test_the_indexes_are_the_ones_the_code_names(database: Database, plane: str):
    dialect = database.dialect
    metadata = {"registry": registry_metadata, "outbox": outbox_metadata}[plane](dialect)

    def found(connection: Connection) -> set[str | None]:
        seen = inspect(connection)
        return {
            index["name"]
            for table in metadata.tables.values()
            for index in seen.get_indexes(table.name, schema=schema_name(dialect))
            if "duplicates_constraint" not in index
        }

    async with database.begin() as connection:
        wanted = {str(index.name) for table in metadata.tables.values() for index in table.indexes}
        assert await connection.run_sync(found) == wanted


@pytest.mark.parametrize("plane", PLANES)
async def test_migrating_again_changes_nothing(database: Database, plane: str):
    assert await migrate(database, plane) == HEADS[plane]
    await check_schema(database, plane)


@pytest.mark.parametrize("plane", PLANES)
def test_the_head_the_code_asks_for_is_the_head_of_the_history(plane: str):
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations" / plane))
    assert ScriptDirectory.from_config(config).get_heads() == [HEADS[plane]]


async def test_four_replicas_may_migrate_at_once(empty_postgres_url: str):
    replicas = [open_for_tests(empty_postgres_url) for _ in range(4)]
    try:
        await asyncio.gather(*(migrate_all(replica) for replica in replicas))
        for plane in PLANES:
            await check_schema(replicas[0], plane)
    finally:
        for replica in replicas:
            await replica.aclose()


async def test_two_processes_may_migrate_one_file_at_once(empty_sqlite_url: str):
    replicas = [open_for_tests(empty_sqlite_url) for _ in range(2)]
    try:
        await asyncio.gather(*(migrate_all(replica) for replica in replicas))
        await check_schema(replicas[0], "outbox")
    finally:
        for replica in replicas:
            await replica.aclose()


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_an_empty_database_is_told_to_migrate(engine: str, request: pytest.FixtureRequest):
    url = request.getfixturevalue(f"empty_{engine}_url")
    if engine == "sqlite":
        Path(url.removeprefix("sqlite:///")).touch()  # noqa: ASYNC240
    empty = open_for_tests(url)
    try:
        with pytest.raises(SchemaMismatch, match=r"no outbox tables.*dispatcher migrate"):
            await check_schema(empty, "outbox")
        with pytest.raises(SchemaMismatch, match=r"lacks tables.*dispatcher migrate"):
            await change(empty, "DELETE FROM {events}")
    finally:
        await empty.aclose()


async def test_a_mistyped_path_makes_no_file_unless_it_is_migrated(empty_sqlite_url: str):
    file = Path(empty_sqlite_url.removeprefix("sqlite:///"))
    missing = open_for_tests(empty_sqlite_url)
    try:
        with pytest.raises(StoreUnavailable, match="no file"):
            await check_schema(missing, "outbox")
        assert not file.exists()  # noqa: ASYNC240
        await migrate(missing, "outbox")
        assert file.exists()  # noqa: ASYNC240
    finally:
        await missing.aclose()


@pytest.mark.parametrize(
    ("stamp", "fix"),
    [("outbox_0000", "run 'dispatcher migrate'"), ("outbox_9999", "or a newer one")],
)
async def test_another_release_s_tables_are_refused_with_a_way_out(
    database: Database, stamp: str, fix: str
):
    table = "dispatcher_outbox_version" if database.is_sqlite else "dispatcher.outbox_version"
    await change(database, f"UPDATE {table} SET version_num = :stamp", stamp=stamp)
    with pytest.raises(SchemaMismatch) as caught:
        await check_schema(database, "outbox")
    assert fix in caught.value.fix


async def test_a_database_that_is_not_there_is_named_without_its_password():
    lost = open_for_tests("postgresql://someone:hunter2@127.0.0.1:9/nothing")
    with pytest.raises(StoreUnavailable) as caught:
        await change(lost, "SELECT 1")
    assert "hunter2" not in str(caught.value)
    assert caught.value.fix
    await lost.aclose()


async def test_whoever_could_look_up_event_types_can_look_up_producers_after_an_upgrade(
    empty_postgres_url: str,
):
    older = open_for_tests(empty_postgres_url)
    role = f"reader_{secrets.token_hex(4)}"
    try:
        async with older.begin() as connection:
            await connection.run_sync(_upgrade_to, "outbox_0002")
        await change(older, f"CREATE ROLE {role}")
        await change(older, f"GRANT SELECT ON {{catalogue}} TO {role}")
        await migrate(older, "outbox")
        for table, is_allowed in (("producers", True), ("publication", False)):
            sql = f"SELECT has_table_privilege('{role}', 'dispatcher.{table}', 'SELECT') AS may"
            assert await rows(older, sql) == [{"may": is_allowed}]
        await change(older, f"DROP OWNED BY {role}")
        await change(older, f"DROP ROLE {role}")
    finally:
        await older.aclose()


async def test_a_delivery_filed_before_an_upgrade_keeps_the_scope_it_was_filed_under(
    empty_postgres_url: str, empty_sqlite_url: str
):
    scope = Scope.of((field_of("$.id"), field_of("$.email")))
    before = msgspec.json.encode(scope.fields).decode()
    for url in (empty_postgres_url, empty_sqlite_url):
        older = open_for_tests(url)
        try:
            await migrate(older, "registry")  # makes the file, where there is to be one
            async with older.begin() as connection:
                await connection.run_sync(_upgrade_to, "outbox_0006")
            sql = "INSERT INTO {scopes} (id, fields) VALUES (:id, :fields)"
            await change(older, sql, id=scope.id, fields=before)
            await migrate(older, "outbox")
            assert scope == await OutboxStore(older, lie_open).scope(scope.id)
        finally:
            await older.aclose()


def _upgrade_to(connection: Connection, revision: str) -> None:
    """Bring an outbox to where an earlier release left it."""
    dialect = connection.dialect.name
    schema = schema_name(dialect)
    if schema is not None:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations" / "outbox"))
    config.attributes |= {
        "connection": connection,
        "version_table": version_table("outbox", dialect),
        "version_table_schema": schema,
    }
    command.upgrade(config, revision)
