"""`dispatcher bench road`: it measures both engines, and what it measured really happened."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dispatcher.showcase.bench_counts import find_discrepancies
from dispatcher.showcase.receiver import Tally
from dispatcher.store.database import Database

SPREADS = {
    "ceiling_per_s",
    "road_per_s",
    "road_to_ceiling_ratio",
    "cpu_us_per_delivery",
    "ceiling_cpu_us_per_request",
}
ON_POSTGRESQL = {"pg_round_trips_per_delivery", "row_writes_per_delivery"}
SMALL = ("--events", "300", "--rounds", "1", "--json")


def measure(*arguments: str, status: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "dispatcher", "bench", "road", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=150)
    assert done.returncode == status, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout if status == 0 else done.stderr)
    return answer


@pytest.fixture(scope="module")
def report(postgres_server: str) -> dict[str, Any]:
    """What a small run says that was lent a running server."""
    return measure(*SMALL, "--database", postgres_server)


def test_every_figure_is_there_with_its_spread(report: dict[str, Any]) -> None:
    assert report["engines"] == ["postgresql", "sqlite"]
    for section, names in ((report, SPREADS | ON_POSTGRESQL), (report["sqlite"], SPREADS)):
        for name in names:
            figures = section[name]
            assert 0 < figures["min"] <= figures["median"] <= figures["max"], name


def test_it_says_what_was_measured_and_how(report: dict[str, Any]) -> None:
    assert (report["events"], report["rounds"], report["grants"]) == (300, 1, 15)
    assert report["body_bytes"] == 1024
    assert report["loop"] in ("uvloop", "asyncio")
    assert report["cores"] >= 1
    assert {"python", "aiohttp", "postgresql", "sqlite"} <= report["versions"].keys()
    assert report["postgresql"]["settings"].keys() >= {"fsync", "synchronous_commit"}
    assert report["sqlite"]["settings"]["synchronous"] == "full"
    assert not report["not_measured"]


def test_the_road_costs_less_than_a_round_trip_and_four_row_writes(report: dict[str, Any]) -> None:
    assert report["pg_round_trips_per_delivery"]["max"] < 1
    assert report["row_writes_per_delivery"]["max"] <= 4


def test_what_was_measured_really_happened(report: dict[str, Any]) -> None:
    assert report["is_true"]
    assert report["discrepancies"] == []


@pytest.mark.usefixtures("report")
async def test_nothing_is_left_on_the_server_lent(postgres: Database) -> None:
    async with postgres.single() as connection:
        found = await connection.execute(text("SELECT datname FROM pg_database"))
        assert not [name for name in found.scalars() if name.startswith("dispatcher_bench")]


def test_an_sqlite_url_names_a_disk_and_its_file_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "in-use.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    before = file.read_bytes()
    report = measure(*SMALL, "--database", f"sqlite:///{file}")
    assert report["engines"] == ["sqlite"]
    assert "postgresql" in report["not_measured"]
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_url_of_another_product_is_refused() -> None:
    answer = measure(*SMALL, "--database", "mysql://127.0.0.1/x", status=2)
    assert answer["error"]["code"] == "database_url"


async def test_a_round_that_lost_events_is_told(database: Database) -> None:
    found = await find_discrepancies(database, 3, 3, Tally(requests=3, distinct=2, body_bytes=9))
    assert any("2 distinct webhook-ids" in fault for fault in found)
    assert any("deliveries are" in fault for fault in found)
    assert any("the ledger has 0 rows" in fault for fault in found)
