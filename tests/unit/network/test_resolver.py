"""Names to addresses: numeric, whole, in time, and never older than allowed."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network import resolver
from dispatcher.network.resolver import StaticResolver, SystemResolver, look_up

FAILED = Trouble("dns_failed", is_begun=False)


class Names:
    """Stands in for the machine's lookup."""

    def __init__(self) -> None:
        self.answer: Resolved | Trouble = Resolved(("192.0.2.1",))
        self.asked: list[str] = []
        self.go = threading.Event()
        self.go.set()

    def look_up(self, host: str) -> Resolved | Trouble:
        self.asked.append(host)
        self.go.wait(5)
        return self.answer


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    monkeypatch.setattr(resolver, "look_up", found.look_up)
    return found


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1"])
async def test_an_address_is_its_own_answer(host: str, names: Names) -> None:
    system = SystemResolver(clock=Clock())
    assert await system.resolve(host) == Resolved((host,))
    assert await StaticResolver().resolve(host) == Resolved((host,))
    assert names.asked == []
    system.close()


async def test_an_answer_is_remembered_for_its_time_and_no_longer(names: Names) -> None:
    clock = Clock()
    system = SystemResolver(cache_seconds=30, clock=clock)
    assert await system.resolve("a.test") == Resolved(("192.0.2.1",))
    names.answer = Resolved(("192.0.2.2",))
    clock.now += 29.9
    assert await system.resolve("a.test") == Resolved(("192.0.2.1",))
    clock.now += 0.1
    assert await system.resolve("a.test") == Resolved(("192.0.2.2",))
    names.answer = FAILED
    clock.now += 30
    assert await system.resolve("a.test") == FAILED
    system.close()


async def test_forgetting_makes_the_next_letter_ask_again(names: Names) -> None:
    system = SystemResolver(clock=Clock())
    await system.resolve("a.test")
    system.forget()
    names.answer = Resolved(("192.0.2.9",))
    assert await system.resolve("a.test") == Resolved(("192.0.2.9",))
    system.close()


async def test_an_answer_asked_for_before_forgetting_is_not_remembered(names: Names) -> None:
    system = SystemResolver(clock=Clock())
    names.go.clear()
    asking = asyncio.create_task(system.resolve("a.test"))
    await asyncio.sleep(0.01)
    system.forget()
    names.go.set()
    await asking
    await system.resolve("a.test")
    assert names.asked == ["a.test", "a.test"]
    system.close()


async def test_a_lookup_that_hangs_is_given_up_and_held_by_one_thread(names: Names) -> None:
    system = SystemResolver(dns_seconds=0.05, clock=Clock())
    names.go.clear()
    late = Trouble("dns_timeout", is_begun=False)
    assert await asyncio.gather(*(system.resolve("a.test") for _ in range(20))) == [late] * 20
    assert await system.resolve("a.test") == late
    assert names.asked == ["a.test"]
    names.go.set()
    system.close()


async def test_a_closed_resolver_answers_nothing(names: Names) -> None:
    system = SystemResolver(clock=Clock())
    system.close()
    assert await system.resolve("a.test") == FAILED


def given(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[object]:
    asked: list[object] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        return [(2, 1, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_names_are_asked_for_with_a_final_dot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = given(monkeypatch, "192.0.2.1", "192.0.2.2", "192.0.2.1")
    assert look_up("a.test", tmp_path / "none") == Resolved(("192.0.2.1", "192.0.2.2"))
    assert asked == ["a.test."]


def test_the_hosts_file_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = given(monkeypatch, "192.0.2.1")
    hosts = tmp_path / "hosts"
    hosts.write_text("# names\n127.0.0.1 localhost\n\n192.0.2.8\tA.test alias # ours\n::1 a.test\n")
    assert look_up("a.test", hosts) == Resolved(("192.0.2.8", "::1"))
    assert look_up("alias", hosts) == Resolved(("192.0.2.8",))
    assert asked == []


@pytest.mark.parametrize("bad", ["fe80::1%eth0", "name.test", "127.1", ""])
def test_one_answer_that_is_no_plain_address_spoils_the_set(
    bad: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(monkeypatch, "192.0.2.1", bad)
    assert look_up("a.test", tmp_path / "none") == FAILED


def test_no_answer_at_all_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch)
    assert look_up("a.test", tmp_path / "none") == FAILED


@pytest.mark.parametrize("host", ["a" * 300, "a..b", "a\x00b", "ä" * 70])
def test_a_name_dns_cannot_carry_is_a_failure_not_an_exception(host: str, tmp_path: Path) -> None:
    assert look_up(host, tmp_path / "none") == FAILED


def test_the_static_resolver_knows_what_it_was_told() -> None:
    static = StaticResolver({"a.test": ("192.0.2.1",)})
    assert asyncio.run(static.resolve("a.test")) == Resolved(("192.0.2.1",))
    assert asyncio.run(static.resolve("b.test")) == FAILED
    static.forget()
