"""A library with known faults is not started with."""

import aiohttp
import pytest

from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from dispatcher.network.versions import check_aiohttp


@pytest.mark.parametrize("version", ["3.14.4", "3.14.5", "3.15.0a1", "3.15", "4.0.0", "10.0.0"])
def test_h6_a_version_without_known_faults_is_taken(version: str) -> None:
    check_aiohttp(version)


@pytest.mark.parametrize("version", ["3.14.3", "3.14", "3.13.4", "3.9.9", "2.99.99", "", "main"])
async def test_h6_a_worker_does_not_start_with_an_older_one(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiohttp, "__version__", version)
    with pytest.raises(ConfigInvalid) as raised:
        Transport(NetworkSettings())
    assert raised.value.reason == "aiohttp_outdated"
    assert "3.14.4" in raised.value.fix
