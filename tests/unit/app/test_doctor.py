"""What the doctor says of clocks: never set, or apart from a database's; and of old keys."""

from pathlib import Path

import pytest

from dispatcher.app import doctor
from dispatcher.app.clock import SystemClock
from dispatcher.app.config import load_config
from dispatcher.model.errors import ConfigInvalid
from tests.support.databases import migrate_now
from tests.support.letters import change

HOUR_US = 3_600_000_000


@pytest.fixture
def config(tmp_path: Path):
    migrate_now(f"sqlite:///{tmp_path}/d.db")
    url = f'url = "sqlite:///{tmp_path}/d.db"'
    (tmp_path / "dispatcher.toml").write_text(f"[registry]\n{url}\n[outbox]\n{url}\n")
    return load_config(tmp_path / "dispatcher.toml")


async def test_a_clock_that_agrees_with_the_databases_is_well(config):
    assert await doctor._look_at_clock(config) == "within 0.0 s of the databases"


async def test_a_clock_that_was_never_set_is_told(config, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SystemClock, "wall_us", lambda _: HOUR_US)
    with pytest.raises(ConfigInvalid, match="never set"):
        await doctor._look_at_clock(config)


async def test_a_clock_far_from_a_databases_is_told(config, monkeypatch: pytest.MonkeyPatch):
    async def ahead(_database: object) -> int:
        return SystemClock().wall_us() + HOUR_US

    monkeypatch.setattr(doctor, "database_us", ahead)
    with pytest.raises(ConfigInvalid, match="registry database are 3600 s apart"):
        await doctor._look_at_clock(config)


async def test_keys_that_have_signed_for_too_long_are_named(config):
    assert await doctor._look_at_signing_keys(config) == "0 active"
    database = doctor._open(config, "registry")
    old = SystemClock().wall_us() - 91 * 24 * HOUR_US
    rows = [
        ("orders", "0a", old, None),
        ("orders", "0b", old, 1),
        ("bills", "0c", old + HOUR_US, 1),
    ]
    for subscription, name, created_us, until_us in rows:
        await change(
            database,
            "INSERT INTO {signing_keys} (subscription, fingerprint, created_us, until_us)"
            " VALUES (:subscription, :name, :created_us, :until_us)",
            subscription=subscription,
            name=name,
            created_us=created_us,
            until_us=until_us,
        )
    await database.aclose()
    said = await doctor._look_at_signing_keys(config)
    assert said == "1 active; older than 90 days, so rotate: orders/0a"
