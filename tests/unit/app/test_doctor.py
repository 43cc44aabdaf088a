"""What the doctor says of clocks: never set, or apart from a database's."""

from pathlib import Path

import pytest

from dispatcher.app import doctor
from dispatcher.app.clock import SystemClock
from dispatcher.app.config import load_config
from dispatcher.model.errors import ConfigInvalid
from tests.support.databases import migrate_now

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
