"""One statement, two dialects: names and the clock are put in, nothing else is touched."""

import pytest

from dispatcher.store.tables import (
    OUTBOX_TABLES,
    REGISTRY_TABLES,
    outbox_metadata,
    registry_metadata,
    render,
)


def test_tables_live_in_their_schema_on_postgresql_and_behind_a_prefix_on_sqlite():
    assert render("FROM {events}", "postgresql") == "FROM dispatcher.events"
    assert render("FROM {events}", "sqlite") == "FROM dispatcher_events"


def test_the_clock_is_the_server_s_on_postgresql_and_ours_on_sqlite():
    assert "statement_timestamp()" in render("SELECT {now}", "postgresql")
    assert render("SELECT {now}", "sqlite") == "SELECT :now"


def test_a_table_there_is_not_is_a_mistake_found_at_once():
    with pytest.raises(KeyError):
        render("FROM {nothing}", "sqlite")


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_the_planes_share_no_table_and_leave_none_out(dialect: str):
    registry = {table.name for table in registry_metadata(dialect).tables.values()}
    outbox = {table.name for table in outbox_metadata(dialect).tables.values()}
    prefix = "dispatcher_" if dialect == "sqlite" else ""
    assert registry == {prefix + name for name in REGISTRY_TABLES}
    assert outbox == {prefix + name for name in OUTBOX_TABLES}
    assert not registry & outbox
