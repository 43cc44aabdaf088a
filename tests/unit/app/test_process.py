"""What a serving process does besides serving."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.app import process
from dispatcher.app.config import load_config
from dispatcher.app.house import open_house
from dispatcher.app.migration import migrate_house
from dispatcher.model.errors import KeyUnavailable
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring
from dispatcher.vault.sealer import Vault


async def test_a_process_that_serves_the_api_alone_looks_again_and_again_whether_keys_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    create_keyring(tmp_path / "keyring.json")
    config_file = tmp_path / "dispatcher.toml"
    config_file.write_text('[vault]\nkeyring = "keyring.json"\n[api]\nport = 0\n')
    config = load_config(config_file)
    async with open_house(config) as house:
        await migrate_house(house)
    stop, looks = asyncio.Event(), [0]

    async def renew(_vault: Vault) -> None:
        looks[0] += 1
        if looks[0] == 3:
            stop.set()
        raise KeyUnavailable("the registry is away")

    monkeypatch.setattr(process, "_stop_on_signals", lambda: stop)
    monkeypatch.setattr(process, "calm_collector", lambda: None)
    monkeypatch.setattr(process, "Metrics", lambda: Metrics(CollectorRegistry()))
    monkeypatch.setattr(process, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(Vault, "renew", renew)
    async with asyncio.timeout(10):
        await process.run_api(config, lambda _address: None)
    assert looks[0] >= 3
