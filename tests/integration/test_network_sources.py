"""Where connections leave from: the address the operator named, or not at all.

The sockets are real and really bound; connecting is recorded, and goes nowhere.
"""

import errno
import socket
from typing import Any

import pytest

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.letter import Answer, Trouble
from dispatcher.network import dialer
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from tests.support.hostile import answers, depart, go, make_letter, receiver

URL = "https://hooks.acme.example/in"
Seen = list[tuple[str, str]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """From which address to which a connection was begun; none ever comes about."""
    found: Seen = []

    class Recording(socket.socket):
        def connect(self, address: Any) -> None:
            found.append((self.getsockname()[0], address[0]))
            raise ConnectionRefusedError(errno.ECONNREFUSED, "recorded")

    monkeypatch.setattr(dialer.socket, "socket", Recording)
    return found


def door_from(*addresses: str) -> Transport:
    return Transport(NetworkSettings(bind_addresses=addresses))


async def test_a_connection_leaves_from_the_address_of_its_family(seen: Seen) -> None:
    door = door_from("127.0.0.2", "::1")
    result = await door.post(make_letter(URL, "8.8.8.8", "2606:4700::1111"), depart, go)
    assert result == Trouble("connect_refused", is_begun=False)
    assert set(seen) == {("127.0.0.2", "8.8.8.8"), ("::1", "2606:4700::1111")}
    await door.aclose()


async def test_without_a_named_address_the_kernel_chooses(seen: Seen) -> None:
    door = door_from()
    await door.post(make_letter(URL, "8.8.8.8"), depart, go)
    assert seen == [("0.0.0.0", "8.8.8.8")]
    await door.aclose()


async def test_an_address_of_a_family_without_one_is_not_dialled(seen: Seen) -> None:
    door = door_from("127.0.0.2")
    result = await door.post(make_letter(URL, "2606:4700::1111"), depart, go)
    assert result == Trouble("source_missing", is_begun=False)
    assert seen == []
    await door.post(make_letter(URL, "2606:4700::1111", "8.8.8.8"), depart, go)
    assert seen == [("127.0.0.2", "8.8.8.8")]
    await door.aclose()


async def test_a_loopback_inbox_is_reached_as_ever() -> None:
    async with receiver(answers(200)) as partner:
        settings = NetworkSettings(loopback_inboxes=partner.inboxes, bind_addresses=("127.0.0.2",))
        door = Transport(settings)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        peer = partner.writers[0].get_extra_info("peername")
        assert peer[0] == "127.0.0.1"
        await door.aclose()


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
async def test_an_address_this_machine_does_not_have_is_a_fault_at_the_start(address: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        door_from("127.0.0.2", address)
    assert raised.value.reason == "bind_address"
    assert address in raised.value.where
