"""The canary in an empty network: what is open, shut, or answered is told apart.

Needs the right to make network namespaces; run with `-m netns`. Nowhere else is it ever run.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher.network.backstop import FAMILIES
from tests.support.world_netns import OWN, EmptyNet, empty_net

pytestmark = pytest.mark.netns

LISTEN = """
import socket
with socket.create_server(("192.168.0.1", 443)):
    print("ready", flush=True)
    input()
"""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[EmptyNet]:
    with empty_net(tmp_path / "net") as opened:
        yield opened


def try_backstop(net: EmptyNet, *more: str) -> subprocess.CompletedProcess[str]:
    return net.run(sys.executable, "-m", "dispatcher", "doctor", "--backstop", *more)


def outcomes(net: EmptyNet) -> tuple[int, dict[str, str]]:
    started = time.monotonic()
    done = try_backstop(net, "--json")
    assert time.monotonic() - started < 25, "all at once, a second each"
    assert done.returncode in (0, 1), done
    document = json.loads(done.stdout)
    assert document["open"] == bool(done.returncode)
    return done.returncode, {one["address"]: one["outcome"] for one in document["probes"]}


def test_c11_where_nobody_answers_the_backstop_may_be_shut_and_every_family_was_tried(
    net: EmptyNet,
) -> None:
    status, found = outcomes(net)
    assert status == 0
    assert set(found) == {family.address for family in FAMILIES} - set(OWN)
    assert set(found.values()) <= {"silent", "unreachable", "prohibited"}
    dialled = {one.target for one in net.packets if one.kind == "syn"}
    for address in ("10.0.0.1", "169.254.169.254", "100.100.100.200", "fd00:ec2::254"):
        assert found[address] == "silent"
        assert address in dialled
    assert "nobody answered" in try_backstop(net).stdout


def test_c11_what_a_firewall_forbids_is_told_as_shut(net: EmptyNet) -> None:
    for kind, block in (
        ("prohibit", "10.0.0.0/8"),
        ("blackhole", "172.16.0.0/12"),
        ("unreachable", "192.168.0.0/16"),
        ("prohibit", "fd00::/8"),
    ):
        family = "-6" if ":" in block else "-4"
        assert net.run("ip", family, "route", "add", kind, block).returncode == 0
    status, found = outcomes(net)
    assert status == 0
    assert found["10.0.0.1"] == found["172.16.0.1"] == found["fd00::1"] == "prohibited"
    assert found["192.168.0.1"] == "unreachable"


def test_c11_one_answer_from_where_nobody_may_be_reached_fails_the_check(net: EmptyNet) -> None:
    assert net.run("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo").returncode == 0
    status, found = outcomes(net)
    assert status == 1
    refused = {address for address, outcome in found.items() if outcome == "refused"}
    assert refused == {"10.0.0.1", "::ffff:a00:1"}, "the latter is the former, by another road"
    done = try_backstop(net)
    assert "OPEN  10.0.0.1            refused      private, 10/8\n" in done.stdout
    assert "close it at the firewall" in done.stdout


def test_c11_a_connection_is_an_answer_and_this_machines_own_addresses_are_none(
    net: EmptyNet,
) -> None:
    assert net.run("ip", "route", "add", "local", "192.168.0.1", "dev", "lo").returncode == 0
    assert net.run("ip", "address", "add", "172.16.0.1/32", "dev", "lo").returncode == 0
    with subprocess.Popen(
        net.command(sys.executable, "-c", LISTEN),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        status, found = outcomes(net)
        listener.communicate("\n")
    assert status == 1
    assert found["192.168.0.1"] == "connected"
    assert "172.16.0.1" not in found


def test_c11_its_help_says_that_it_sends_to_forbidden_addresses(net: EmptyNet) -> None:
    done = net.run(sys.executable, "-m", "dispatcher", "doctor", "--help")
    words = " ".join(done.stdout.split())
    assert "SENDS PACKETS TO FORBIDDEN ADDRESSES, on purpose and past the guard." in words
    assert "never by itself" in words
