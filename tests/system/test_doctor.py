"""`dispatcher doctor`: every check in its place, told whether well or not, and nothing changed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from dispatcher.stages.gates.address_table import (
    ALLOCATED_6,
    DENIED_4,
    DENIED_6,
    REGISTRY_DATES,
    TABLE_VERSION,
)
from dispatcher.stages.gates.firewall import list_openings
from tests.support.world_home import Home
from tests.support.world_nursery import Nursery

CHECKS = (
    "configuration",
    "environment",
    "keyring",
    "key provider",
    "registry database",
    "outbox database",
    "signing keys",
    "clock",
    "trusted roots",
    "client identities",
    "name servers",
    "source address",
    "partner listener",
    "listener identity",
    "listener address",
)


@dataclass
class NameServer:
    """Something that answers every question on a port of loopback, by refusing it."""

    address: str
    asked: list[bytes]


@contextmanager
def a_name_server() -> Iterator[NameServer]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        found = NameServer(f"127.0.0.1:{server.getsockname()[1]}", [])

        def serve() -> None:
            while True:
                try:
                    question, peer = server.recvfrom(4096)
                except OSError:
                    return
                if question == b"stop":
                    return
                found.asked.append(question)
                server.sendto(question[:2] + b"\x81\x05" + question[4:], peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield found
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"stop", server.getsockname())
            thread.join()


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    with a_name_server() as opened:
        yield opened


def deploy(home: Home, name_server: NameServer, ca: Path) -> None:
    """Make everything well."""
    trustme.CA().cert_pem.write_to_path(str(ca))
    home.settings["network"] = {
        "name_servers": [name_server.address],
        "ca_file": str(ca),
        "dns_seconds": 0.5,
    }
    home.write_config()
    home.run("migrate")


def failed(home: Home, **env: str) -> dict[str, Any]:
    """Give what is wrong, by check; everything is told all the same."""
    done = home.command("doctor", "--json", env=env)
    document = done.json
    wrong = {each["check"]: each for each in document["checks"] if not each["ok"]}
    assert document["ok"] == (not wrong)
    assert done.status == (1 if wrong else 0), done
    assert all(each["fix"] and each["code"] for each in wrong.values())
    return wrong


@pytest.fixture(params=["sqlite_home", "postgres_home"])
def home(request: pytest.FixtureRequest, name_server: NameServer, tmp_path: Path) -> Home:
    """A company where everything is well, on each engine in turn."""
    found: Home = request.getfixturevalue(request.param)
    deploy(found, name_server, tmp_path / "roots.pem")
    return found


@pytest.fixture
def well(sqlite_home: Home, name_server: NameServer, tmp_path: Path) -> Home:
    deploy(sqlite_home, name_server, tmp_path / "roots.pem")
    return sqlite_home


def test_where_all_is_well_every_check_says_so_on_a_line_of_its_own(home: Home) -> None:
    assert failed(home) == {}
    done = home.run("doctor")
    lines = done.out.splitlines()
    assert len(lines) == len(CHECKS)
    for check, line in zip(CHECKS, lines, strict=True):
        assert line.startswith(f"ok    {check}"), line
    assert str(home.config) in lines[0]
    assert "postgresql://" not in done.out


def test_name_servers_are_asked_for_the_root_alone(well: Home, name_server: NameServer) -> None:
    assert failed(well) == {}
    assert name_server.asked
    for question in name_server.asked:
        assert question[12:] == b"\x00" + b"\x00\x02" + b"\x00\x01"


def test_each_thing_that_is_wrong_is_told_with_its_fix_and_so_is_the_rest(well: Home) -> None:
    home = well
    home.keyring.chmod(0o640)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        home.settings["network"] |= {
            "name_servers": [f"127.0.0.1:{silent.getsockname()[1]}"],
            "ca_file": str(home.folder / "gone.pem"),
        }
        home.settings["outbox"] = {"url": f"sqlite:///{home.folder}/gone.db"}
        home.settings["partner"] = {
            "host": "203.0.113.7",
            "base_url": "https://fetch.example",
            "certificate": "gone.pem",
            "key": "gone-key.pem",
        }
        home.write_config()
        wrong = failed(home, SSLKEYLOGFILE=str(home.folder / "keys"))
    assert set(wrong) == {
        "environment",
        "keyring",
        "key provider",
        "outbox database",
        "trusted roots",
        "name servers",
        "listener identity",
        "listener address",
    }
    assert "SSLKEYLOGFILE" in wrong["environment"]["found"]
    assert str(home.folder / "keys") not in wrong["environment"]["found"]
    assert wrong["keyring"]["fix"] == f"chmod 600 {home.keyring}"
    assert "dispatcher migrate" in wrong["outbox database"]["fix"]
    assert "ca_file" in wrong["trusted roots"]["fix"]
    assert "none answers" in wrong["name servers"]["found"]
    assert wrong["listener identity"]["code"] == "client_identity"
    assert wrong["listener address"]["code"] == "address_unusable"
    assert not (home.folder / "gone.db").exists()
    done = home.command("doctor")
    assert "FAIL  keyring            others than its owner" in done.out
    assert f"fix: chmod 600 {home.keyring}" in done.out


def test_one_name_server_of_several_may_be_silent_and_is_named(
    well: Home, name_server: NameServer
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{silent.getsockname()[1]}"
        well.settings["network"]["name_servers"] = [dead, name_server.address]
        well.write_config()
        done = well.run("doctor")
        assert f"{dead} is silent, {name_server.address} answers" in done.out
        well.settings["network"] |= {
            "name_servers": [name_server.address],
            "private_name_servers": [dead],
        }
        well.write_config()
        assert "network.private_name_servers" in failed(well)["name servers"]["found"]


def test_a_client_certificate_whose_key_others_may_read_is_told(well: Home, tmp_path: Path) -> None:
    made = trustme.CA().issue_cert("worker.example")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "own.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    (tmp_path / "own.key").chmod(0o644)
    well.settings["network.identities.acme"] = {
        "certificate": str(tmp_path / "own.pem"),
        "key": str(tmp_path / "own.key"),
    }
    well.write_config()
    wrong = failed(well)
    assert set(wrong) == {"client identities"}
    assert wrong["client identities"]["fix"] == f"chmod 600 {tmp_path / 'own.key'}"
    (tmp_path / "own.key").chmod(0o600)
    assert failed(well) == {}


def test_tables_of_another_release_are_told(well: Home) -> None:
    well.write("UPDATE dispatcher_registry_version SET version_num = 'registry_0000'")
    wrong = failed(well)
    assert set(wrong) == {"registry database"}
    assert "registry_0000" in wrong["registry database"]["found"]


def test_a_configuration_that_cannot_be_read_is_the_one_thing_told(well: Home) -> None:
    well.config.write_text("[network\n")
    done = well.command("doctor", "--json")
    assert done.status == 1
    assert [each["check"] for each in done.json["checks"]] == ["configuration"]


def test_it_makes_nothing_in_an_empty_folder(clear_folder: Path, nursery: Nursery) -> None:
    with a_name_server() as server:
        child = nursery.start(
            "dispatcher",
            "doctor",
            folder=clear_folder,
            env={"DISPATCHER__NETWORK__NAME_SERVERS": f'["{server.address}"]'},
        )
        assert child.wait() == 1
    assert "FAIL  keyring" in child.out.read_text()
    assert list(clear_folder.iterdir()) == []


def test_egress_gives_all_that_a_firewall_is_built_from(well: Home) -> None:
    well.settings["network"]["forbidden"] = ["10.1.0.5", "10.2.0.0/24"]
    well.write_config()
    document = well.run("doctor", "--egress", "--json").json
    assert document["source"]["kind"] == "route"
    assert "127.0.0.1" in document["interfaces"]["lo"]
    assert document["table"] == {"version": TABLE_VERSION, "registries": REGISTRY_DATES}
    assert document["forbidden"] == {
        "ipv4": list(map(str, DENIED_4)),
        "ipv6": list(map(str, DENIED_6)),
    }
    openings = [(each["cidr"], tuple(each["except"])) for each in document["openings"]]
    assert openings == [(str(a.block), tuple(map(str, a.closed))) for a in list_openings()]
    assert document["operator"] == ["10.1.0.5/32", "10.2.0.0/24"]
    assert document["allocated"] == {"ipv6": list(map(str, ALLOCATED_6))}
    said = well.run("doctor", "--egress").out
    assert "source      whatever this host's route, and NAT behind it, give\n" in said
    assert f"table       version {TABLE_VERSION}: " in said
    assert "forbidden   ipv4: 0.0.0.0/8, 10.0.0.0/8, " in said


@pytest.mark.parametrize(
    ("key", "value", "kind", "said"),
    [
        ("bind_addresses", ["192.0.2.10", "2001:db8::10"], "bound", "192.0.2.10, 2001:db8::10 ("),
        ("proxy", "http://10.0.0.9:3128", "proxy", "the proxy at 10.0.0.9 port 3128"),
    ],
)
def test_egress_names_the_address_that_letters_leave_from(
    well: Home, key: str, value: object, kind: str, said: str
) -> None:
    well.settings["network"][key] = value
    well.write_config()
    source = well.run("doctor", "--egress", "--json").json["source"]
    assert source["kind"] == kind
    assert said in source["note"]


def test_a_source_address_that_this_machine_does_not_have_is_told(well: Home) -> None:
    well.settings["network"]["bind_addresses"] = ["203.0.113.7"]
    well.write_config()
    wrong = failed(well)
    assert set(wrong) == {"source address"}
    assert "203.0.113.7" in wrong["source address"]["found"]


def test_a_proxys_credentials_that_cannot_be_read_are_told(well: Home) -> None:
    well.settings["network"] |= {
        "proxy": "http://10.1.0.9:3128",
        "proxy_credentials_file": str(well.folder / "gone"),
    }
    well.write_config()
    assert "gone" in failed(well)["source address"]["found"]


def test_two_questions_at_once_are_refused(well: Home) -> None:
    done = well.command("doctor", "--egress", "--backstop")
    assert done.status == 2
    assert "--help" in done.err
