"""Where a letter may go, and what leaves: vetted addresses, exact bytes, nothing of the machine.

An audit hook sees every connection and lookup this process makes, whoever makes it.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher.model.letter import Answer, Departure, Resolved, Trouble
from dispatcher.network.resolver import Resolver
from dispatcher.network.settings import NetworkSettings, ResolverSettings
from dispatcher.network.transport import Transport
from tests.support.hostile import HEADERS, Receiver, answers, depart, go, make_letter, receiver
from tests.support.names import name_server

FORBIDDEN = Trouble("address_forbidden", is_begun=False)
_dialled: list[str] = []
_looked_up: list[object] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        _dialled.append(str(arguments[1][0]))
    elif event == "socket.getaddrinfo":
        _looked_up.append(arguments[0])


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def dialled() -> Iterator[list[str]]:
    """Give the addresses dialled so far in this test; nothing may leave loopback, ever."""
    _dialled.clear()
    yield _dialled
    assert all(address.startswith("127.") or address == "::1" for address in _dialled)


def transport_to(*partners: Receiver) -> Transport:
    inboxes = frozenset[tuple[str, int]]().union(*(each.inboxes for each in partners))
    return Transport(NetworkSettings(loopback_inboxes=inboxes))


async def test_a_name_is_never_looked_up_again(dialled: list[str]) -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        _looked_up.clear()
        assert await door.post(make_letter(partner.url("localhost"), "127.0.0.1"), depart, go) == (
            Answer(200)
        )
        assert dialled == ["127.0.0.1"]
        assert _looked_up == []
        await door.aclose()


async def test_d8_what_a_name_says_later_is_not_dialled(dialled: list[str]) -> None:
    async with receiver(answers(200), "127.0.0.1", "127.0.0.2") as partner, name_server() as names:
        settings = ResolverSettings(is_system=False, name_servers=(names.address,))
        resolver, door = Resolver(settings, clock=time.monotonic), transport_to(partner)
        letters = []
        for address in partner.hosts:
            names.zone["partner.test"] = [("A", address)]
            resolver.forget()
            resolved = await resolver.resolve("partner.test")
            assert isinstance(resolved, Resolved)
            letters.append(make_letter(partner.url("partner.test"), *resolved.addresses))
        for letter in (*letters, *letters):
            assert await door.post(letter, depart, go) == Answer(200)
        assert [request.peer for request in partner.requests] == [*partner.hosts, *partner.hosts]
        assert set(dialled) == set(partner.hosts)
        resolver.close()
        await door.aclose()


async def test_a_literal_host_is_dialled_as_it_is(dialled: list[str]) -> None:
    async with receiver(answers(200), "127.0.0.3") as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url("127.0.0.3"), "127.0.0.3"), depart, go) == (
            Answer(200)
        )
        assert dialled == ["127.0.0.3"]
        await door.aclose()


async def test_a_literal_ipv6_host_is_dialled_and_named_in_brackets() -> None:
    async with receiver(answers(200), "::1") as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url("::1"), "::1"), depart, go) == Answer(200)
        assert f"Host: [::1]:{partner.port}\r\n".encode() in partner.requests[0].head
        await door.aclose()


async def test_c1_a_literal_that_was_not_vetted_is_never_dialled(dialled: list[str]) -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url(), "127.0.0.2"), depart, go) == FORBIDDEN
        assert dialled == []
        await door.aclose()


async def test_c1_an_endpoint_with_no_vetted_address_is_never_dialled(dialled: list[str]) -> None:
    letter = make_letter("http://inbox.test:8080/in")
    object.__setattr__(letter.shaped.admitted, "addresses", ())
    door = Transport(NetworkSettings())
    assert await door.post(letter, depart, go) == FORBIDDEN
    assert dialled == []
    await door.aclose()


async def test_c1_a_letter_without_an_address_does_not_leave_by_a_connection_that_is_open() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        vetted = make_letter(partner.url("hooks.test"), "127.0.0.1")
        assert await door.post(vetted, depart, go) == Answer(200)
        blank = make_letter(partner.url("hooks.test"), "127.0.0.1")
        object.__setattr__(blank.shaped.admitted, "addresses", ())
        assert await door.post(blank, depart, go) == FORBIDDEN
        assert len(partner.requests) == 1
        await door.aclose()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1", "224.0.0.1"]
)
async def test_c1_an_address_that_slipped_past_the_gates_is_refused_at_the_socket(
    address: str, dialled: list[str]
) -> None:
    door = Transport(NetworkSettings())
    assert (
        await door.post(make_letter("http://inbox.test:8080/in", address), depart, go) == FORBIDDEN
    )
    assert await door.post(
        make_letter("http://inbox.test:8080/in", address, address), depart, go
    ) == (FORBIDDEN)
    assert dialled == []
    await door.aclose()


async def test_c1_an_inbox_on_loopback_is_one_port_only(dialled: list[str]) -> None:
    async with receiver(answers(200)) as listed, receiver(answers(200)) as other:
        door = transport_to(listed)
        assert await door.post(make_letter(other.url()), depart, go) == FORBIDDEN
        assert dialled == []
        await door.aclose()


async def test_c2_the_next_vetted_address_is_tried_when_the_first_refuses() -> None:
    async with receiver(answers(200), "127.0.0.2") as partner:
        inboxes = frozenset({("127.0.0.1", partner.port), ("127.0.0.2", partner.port)})
        door = Transport(NetworkSettings(loopback_inboxes=inboxes))
        letter = make_letter(partner.url("inbox.test"), "127.0.0.1", "127.0.0.2")
        assert await door.post(letter, depart, go) == Answer(200)
        await door.aclose()


async def test_h1_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with receiver(answers(200)) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            location = f"Location: {elsewhere.url()}\r\n"
            async with receiver(answers(status, headers=location)) as partner:
                door = transport_to(partner, elsewhere)
                assert await door.post(make_letter(partner.url()), depart, go) == Answer(
                    status, location_host="127.0.0.1"
                )
                await door.aclose()
        assert elsewhere.connections == 0


async def test_c7_proxies_in_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(answers(200)) as proxy, receiver(answers(201)) as partner:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.lower(), proxy.url())
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        door = transport_to(partner, proxy)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(201)
        assert proxy.connections == 0
        await door.aclose()


async def test_c7_credentials_of_the_machine_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        assert b"authorization" not in partner.requests[0].head.lower()
        await door.aclose()


async def test_h5_exactly_these_bytes_leave_and_the_method_is_post() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url(target="/in?a=1&b=%20"), body=b'{"n":1}')
        await door.post(letter, depart, go)
        assert partner.requests[0].head.decode().split("\r\n") == [
            "POST /in?a=1&b=%20 HTTP/1.1",
            f"Host: 127.0.0.1:{partner.port}",
            "User-Agent: dispatcher/0.1",
            "Accept-Encoding: identity",
            "Content-Type: application/json",
            "Content-Length: 7",
            *(f"{name}: {value}" for name, value in HEADERS),
            "",
            "",
        ]
        assert partner.requests[0].body == b'{"n":1}'
        await door.aclose()


async def test_h2_two_subscriptions_at_one_endpoint_send_each_its_own_headers() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        wanted = [(("X-Account", "north"),), (("X-Account", "south"), ("X-Kind", "order")), ()]
        for headers in (*wanted, wanted[0]):
            letter = make_letter(partner.url(), headers=headers)
            assert await door.post(letter, depart, go) == Answer(200)
        sent = [
            [line for line in request.head.decode().split("\r\n") if line.startswith("X-")]
            for request in partner.requests
        ]
        north = ["X-Account: north"]
        assert sent == [north, ["X-Account: south", "X-Kind: order"], [], north]
        assert partner.connections == 1
        await door.aclose()


@pytest.mark.parametrize("header", [("Host", "evil.example"), ("X-A", "a\r\nTransfer-Encoding: x")])
async def test_h3_a_header_nobody_may_set_sends_no_byte(header: tuple[str, str]) -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url(), headers=(header,))
        result = await door.post(letter, depart, go)
        assert result == Trouble("header_invalid", is_begun=False)
        assert partner.connections == 0
        await door.aclose()


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 8192
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url(), body=body), depart, go) == Answer(200)
        assert partner.requests[0].body == body
        await door.aclose()


async def test_h4_a_cookie_is_not_sent_back() -> None:
    async with receiver(answers(200, headers="Set-Cookie: a=b; Path=/\r\n")) as partner:
        door = transport_to(partner)
        for _ in range(2):
            await door.post(make_letter(partner.url()), depart, go)
        assert b"cookie" not in partner.requests[1].head.lower()
        await door.aclose()


@pytest.mark.parametrize(
    "header",
    [("x", "a\r\nb: c"), ("x", "a\nb"), ("x\r\ny", "a"), ("x y", "a"), ("", "a"), ("x", "ä")],
)
async def test_h2_a_header_that_could_split_the_request_sends_no_byte(
    header: tuple[str, str],
) -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        result = await door.post(letter, lambda: Departure((header,)), go)
        assert result == Trouble("header_invalid", is_begun=False)
        assert partner.bytes_received == 0
        assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 1
        await door.aclose()


async def test_only_a_sealed_letter_may_leave() -> None:
    door = Transport(NetworkSettings())
    with pytest.raises(TypeError):
        await door.post(make_letter("http://inbox.test/in").shaped, depart, go)  # type: ignore[arg-type]
    await door.aclose()
