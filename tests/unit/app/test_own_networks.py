"""Where the deployment itself is: its interfaces and its databases, which nothing is sent to."""

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.app.config import load_config
from dispatcher.app.house import House, open_house
from dispatcher.app.own_networks import find_own_networks
from dispatcher.app.way_out import address_rules
from dispatcher.app.wiring import open_kit
from dispatcher.model.errors import ConfigInvalid, StoreUnavailable
from dispatcher.network import own_addresses
from dispatcher.stages.gates.addresses import judge_address
from dispatcher.store.database import open_database
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring

INTERFACES = {"eth0": ("10.7.0.2", "2600::7", "fe80::1"), "lo": ("127.0.0.1", "::1")}


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr("dispatcher.network.own_addresses.list_interfaces", lambda: INTERFACES)
    create_keyring(tmp_path / "keyring.json")
    text = '[vault]\nkeyring = "keyring.json"\n[network]\nforbidden = ["10.7.1.0/24", "2600::9"]\n'
    (tmp_path / "dispatcher.toml").write_text(text)
    async with open_house(load_config(tmp_path / "dispatcher.toml")) as opened:
        yield opened


def at(house: House, host: str) -> House:
    database = open_database(
        f"postgresql://app@{host}/d", house.clock.wall_us, name="outbox", pool=1
    )
    return replace(house, outbox_database=database)


async def test_a1_own_addresses_are_those_of_every_interface(house: House):
    found = await find_own_networks(house)
    assert found == {ip_network(each) for given in INTERFACES.values() for each in given}


async def test_a1_own_addresses_reach_the_gates_with_what_the_operator_forbids(house: House):
    async with open_kit(house, metrics=Metrics(CollectorRegistry())) as kit:
        rules = kit.settings.address_rules
    ranges = ("10.7.0.0/16",)
    for address in ("10.7.0.2", "10.7.1.255", "::ffff:10.7.0.2", "2600::7", "2600::9"):
        assert judge_address(address, 443, rules, ranges) == "A1"
    for address in ("10.7.0.3", "10.7.2.1", "2600::8"):
        assert judge_address(address, 443, rules, ranges) is None


async def test_a1_own_addresses_that_the_operator_lists_are_known_to_whoever_explains(house: House):
    rules = address_rules(house.config)
    assert judge_address("10.7.1.255", 443, rules, ("10.7.0.0/16",)) == "A1"
    assert judge_address("10.7.2.1", 443, rules, ("10.7.0.0/16",)) is None


async def test_a1_own_addresses_include_every_one_of_a_databases_host(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    asked = []

    async def look_up(host: str) -> frozenset[str]:
        asked.append(host)
        return frozenset({"10.7.0.5", "fd00::5"})

    monkeypatch.setattr("dispatcher.app.own_networks.look_up_host", look_up)
    found = await find_own_networks(at(house, "db.internal.example"))
    assert asked == ["db.internal.example"]
    assert {ip_network("10.7.0.5"), ip_network("fd00::5")} < found


async def test_a1_own_addresses_that_cannot_be_found_keep_a_worker_from_starting(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    async def look_up(_host: str) -> frozenset[str]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("dispatcher.app.own_networks.look_up_host", look_up)
    with pytest.raises(StoreUnavailable) as caught:
        async with open_kit(at(house, "db.internal.example"), metrics=Metrics(CollectorRegistry())):
            pass
    assert caught.value.reason == "database_unreachable"


async def test_a_local_socket_is_no_host(house: House):
    there = at(house, "")
    assert there.outbox_database.host is None
    assert await find_own_networks(there) == await find_own_networks(house)


async def test_a_literal_host_is_looked_up_without_asking_anybody():
    assert await own_addresses.look_up_host("127.0.0.1") == {"127.0.0.1"}
    assert await own_addresses.look_up_host("::1") == {"::1"}


def test_interfaces_are_listed_without_zones():
    found = own_addresses.list_interfaces()
    assert "127.0.0.1" in {each for given in found.values() for each in given}
    assert "%" not in str(found)


@pytest.mark.parametrize(
    "text", ["10.7.0.1/16", "10.7/16", "db.example", "::1%lo", "10.0.0.0/255.0.0.0", "FD00::/8", ""]
)
def test_what_is_no_address_and_no_network_cannot_be_forbidden(tmp_path: Path, text: str):
    (tmp_path / "dispatcher.toml").write_text(f'[network]\nforbidden = ["{text}"]\n')
    with pytest.raises(ConfigInvalid, match=r"network\.forbidden"):
        load_config(tmp_path / "dispatcher.toml")
