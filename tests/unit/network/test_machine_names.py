"""The machine's resolver, asked so that neither search lists nor oddities get through."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from dispatcher.model.letter import Resolved
from dispatcher.network import machine_names
from dispatcher.network.lookups import FAILED
from dispatcher.network.machine_names import MachineNames, look_up


def given(
    monkeypatch: pytest.MonkeyPatch, *addresses: str, canonical: str = "a.test"
) -> list[object]:
    asked: list[object] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        return [
            (2, 1, 6, canonical if number == 0 else "", (address, 0))
            for number, address in enumerate(addresses)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_names_are_asked_for_with_a_final_dot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = given(monkeypatch, "192.0.2.1", "192.0.2.2", "192.0.2.1")
    assert look_up("a.test", tmp_path / "none") == Resolved(("192.0.2.1", "192.0.2.2"))
    assert asked == ["a.test."]


def test_d7_the_name_that_the_machine_ended_at_is_the_alias(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(monkeypatch, "192.0.2.1", canonical="Edge.CDN.test.")
    assert look_up("a.test", tmp_path / "none") == Resolved(("192.0.2.1",), ("edge.cdn.test",))


def test_the_hosts_file_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = given(monkeypatch, "192.0.2.1")
    hosts = tmp_path / "hosts"
    hosts.write_text("# names\n127.0.0.1 localhost\n\n192.0.2.8\tA.test alias # ours\n::1 a.test\n")
    assert look_up("a.test", hosts) == Resolved(("192.0.2.8", "::1"))
    assert look_up("alias", hosts) == Resolved(("192.0.2.8",))
    assert asked == []


def test_d3_a_name_where_an_address_should_be_spoils_the_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(monkeypatch, "192.0.2.1", "name.test")
    assert look_up("a.test", tmp_path / "none") == FAILED


def test_d4_no_answer_at_all_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch)
    assert look_up("a.test", tmp_path / "none") == FAILED


@pytest.mark.parametrize("host", ["a" * 300, "a..b", "a\x00b", "ä" * 70])
def test_a_name_dns_cannot_carry_is_a_failure_not_an_exception(host: str, tmp_path: Path) -> None:
    assert look_up(host, tmp_path / "none") == FAILED


async def test_closing_does_not_wait_for_a_lookup_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = threading.Event()

    def hang(host: str) -> Resolved:
        go.wait(5)
        return Resolved(("192.0.2.1",))

    monkeypatch.setattr(machine_names, "look_up", hang)
    machine = MachineNames()
    asking = machine.addresses("a.test")
    await asyncio.sleep(0.01)
    machine.close()
    assert not asking.done()
    go.set()
    assert await asking == Resolved(("192.0.2.1",))
