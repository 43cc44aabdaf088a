"""Rows that are written in batches arrive as they are, whatever stands in them."""

import pytest

from dispatcher.store.arrays import execute_rows, over_rows, write_array
from dispatcher.store.database import Database

TEXTS = (
    "",
    "plain",
    "NULL",
    "null",
    '"',
    '\\"},{"',
    "\\",
    "\\\\x00",
    "\\x41",
    "a,b",
    "{}",
    "{a,{b}}",
    " leading and trailing ",
    "line\nbreak\ttab\r\x01\x7f",
    "'; DROP TABLE events; --",
    ":c0 $1 %s {now}",
    "Žižkov 你好 🜍 \u2028",
    None,
)
NUMBERS = (0, -1, 2**63 - 1, -(2**63), None)
_BACK = over_rows("SELECT u.n, u.t FROM {rows}", ("n", "bigint"), ("t", "text"))


async def test_text_and_numbers_come_back_as_they_were_written(database: Database):
    rows = [(n, t) for n in NUMBERS for t in TEXTS]
    async with database.look() as connection:
        found = await execute_rows(database, connection, *_BACK, rows)
        assert rows == [tuple(row) for row in found]


async def test_octets_and_truth_values_come_back_from_postgresql(postgres: Database):
    # The embedded engine is given none: JSON, in which its rows travel, has no octets.
    rows = [(b"", True), (bytes(range(256)), False), (b"\\x41", None), (None, True)]
    statement, _ = over_rows("SELECT u.b, u.f FROM {rows}", ("b", "bytea"), ("f", "boolean"))
    async with postgres.look() as connection:
        found = await execute_rows(postgres, connection, statement, "", rows)
        assert rows == [tuple(row) for row in found]


@pytest.mark.parametrize("thing", [1.5, ["a"], {"a": 1}, object()])
def test_nothing_else_is_written_as_if_it_were_text(thing: object):
    with pytest.raises(TypeError, match="nothing that an array is written of"):
        write_array([thing])  # type: ignore[list-item]
