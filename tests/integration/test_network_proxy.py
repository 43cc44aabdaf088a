"""Through a forward proxy: told a vetted address and nothing else, trusted with nothing else.

The proxy listens on loopback and leads every tunnel to a receiver there; a fence sees every
connection this process makes, whoever makes it, and lets none leave loopback.
"""

import asyncio
import base64
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator

import pytest
import trustme

from dispatcher.model.letter import Answer, Trouble
from dispatcher.network.dialer import Dial, Errand, _errand, _is_tunnel
from dispatcher.network.settings import NetworkSettings, Proxy
from dispatcher.network.transport import Transport
from tests.support.hostile import (
    Receiver,
    answers,
    depart,
    go,
    make_letter,
    receiver,
    serving,
)
from tests.support.proxy import (
    Manner,
    closes_in_handshake,
    drips,
    hangs,
    hints,
    opens,
    opens_only,
    proxy,
    replies,
)

pytestmark = pytest.mark.usefixtures("nothing_leaves")
HOST = "hooks.acme.example"
URL = f"https://{HOST}/in"
FIRST, SECOND, SIXTH = "8.8.8.8", "9.9.9.9", "2606:4700::1111"


@pytest.fixture
async def partner(authority: trustme.CA) -> AsyncIterator[Receiver]:
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as found:
        yield found


def transport_by(
    authority: trustme.CA, named: Proxy, *partners: Receiver, seconds: float = 2.0
) -> Transport:
    inboxes = frozenset[tuple[str, int]]().union(*(each.inboxes for each in partners))
    with authority.cert_pem.tempfile() as ca_file:
        return Transport(
            NetworkSettings(
                ca_file=ca_file, proxy=named, loopback_inboxes=inboxes, connect_seconds=seconds
            )
        )


async def test_c8_the_proxy_is_told_the_vetted_address_and_never_the_name(
    authority: trustme.CA, partner: Receiver
) -> None:
    async with proxy(partner.port, opens) as between:
        door = transport_by(authority, between.named())
        letter = make_letter(URL, FIRST, body=b'{"to":"nobody else"}')
        for _ in range(3):
            assert await door.post(letter, depart, go) == Answer(200)
        await door.aclose()
        assert between.asked == [f"{FIRST}:443"]
        head = between.heads[0].lower()
        assert head.startswith(b"connect 8.8.8.8:443 http/1.1\r\n")
        assert b"user-agent: dispatcher/" in head
        assert HOST.encode() not in head
        assert b"authorization" not in head
        # The name stands in the clear once more, where TLS says which certificate it wants.
        assert b"nobody else" not in between.carried
        assert b"webhook-id" not in between.carried
    assert f"Host: {HOST}\r\n".encode() in partner.requests[0].head
    assert partner.connections == 1


async def test_c8_credentials_go_to_the_proxy_alone(
    authority: trustme.CA, partner: Receiver
) -> None:
    async with proxy(partner.port, opens) as between:
        named = between.named("ada", "s3cret:word")
        assert "s3cret" not in repr(named)
        door = transport_by(authority, named)
        assert await door.post(make_letter(URL, FIRST), depart, go) == Answer(200)
        assert await door.post(make_letter(URL, FIRST), depart, go) == Answer(200)
        await door.aclose()
        expected = b"proxy-authorization: basic " + base64.b64encode(b"ada:s3cret:word").lower()
        assert expected in between.heads[0].lower()
    assert all(b"authorization" not in each.head.lower() for each in partner.requests)


async def test_c8_each_vetted_address_is_tried_and_the_one_that_worked_comes_first_next_time(
    authority: trustme.CA, partner: Receiver
) -> None:
    async with proxy(partner.port, opens_only(f"[{SIXTH}]:443")) as between:
        door = transport_by(authority, between.named())
        letter = make_letter(URL, FIRST, SECOND, SIXTH)
        assert await door.post(letter, depart, go) == Answer(200)
        assert between.asked == [f"{FIRST}:443", f"{SECOND}:443", f"[{SIXTH}]:443"]
        partner.writers[-1].transport.abort()
        await asyncio.sleep(0.05)
        assert await door.post(letter, depart, go) == Answer(200)
        assert len(between.asked) == 4
        await door.aclose()


async def test_c8_a_tunnel_to_an_address_no_longer_vetted_is_not_used(
    authority: trustme.CA, partner: Receiver
) -> None:
    async with proxy(partner.port, opens) as between:
        door = transport_by(authority, between.named())
        assert await door.post(make_letter(URL, FIRST), depart, go) == Answer(200)
        assert await door.post(make_letter(URL, SECOND), depart, go) == Answer(200)
        assert between.asked == [f"{FIRST}:443", f"{SECOND}:443"]
        assert [request.connection for request in partner.requests] == [1, 2]
        await door.aclose()


async def test_c8_partners_share_no_tunnel(authority: trustme.CA, partner: Receiver) -> None:
    async with proxy(partner.port, opens) as between:
        door = transport_by(authority, between.named())
        for connector in ("acme", "bolt", "acme"):
            letter = make_letter(URL, FIRST, connector=connector)
            assert await door.post(letter, depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 2, 1]
        await door.aclose()


async def test_c8_a_certificate_for_another_name_is_refused_through_a_proxy_too(
    authority: trustme.CA,
) -> None:
    async with (
        receiver(answers(200), tls=serving(authority.issue_cert("other.example"))) as other,
        proxy(other.port, opens) as between,
    ):
        door = transport_by(authority, between.named())
        result = await door.post(make_letter(URL, FIRST), depart, go)
        assert result == Trouble("tls_failed", is_begun=False)
        assert other.bytes_received == 0
        assert door.open_connections() == 0
        await door.aclose()


async def test_c8_plain_http_is_refused_through_a_proxy(authority: trustme.CA) -> None:
    async with receiver(answers(200)) as plain, proxy(plain.port, opens) as between:
        door = transport_by(authority, between.named())
        result = await door.post(make_letter("http://hooks.acme.example/in", FIRST), depart, go)
        assert result == Trouble("proxy_needs_tls", is_begun=False)
        assert between.heads == []
        await door.aclose()


async def test_c8_a_loopback_inbox_is_reached_directly_and_never_through_the_proxy(
    authority: trustme.CA,
) -> None:
    async with receiver(answers(200)) as inbox, proxy(inbox.port, opens) as between:
        door = transport_by(authority, between.named(), inbox)
        assert await door.post(make_letter(inbox.url()), depart, go) == Answer(200)
        assert between.heads == []
        await door.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1"])
async def test_c8_no_tunnel_is_asked_for_to_an_address_that_slipped_past_the_gates(
    authority: trustme.CA, partner: Receiver, address: str
) -> None:
    async with proxy(partner.port, opens) as between:
        door = transport_by(authority, between.named())
        result = await door.post(make_letter(URL, address), depart, go)
        assert result == Trouble("address_forbidden", is_begun=False)
        assert between.heads == []
        await door.aclose()


async def test_c8_with_a_proxy_nothing_is_dialled_directly(
    authority: trustme.CA, partner: Receiver
) -> None:
    async with proxy(partner.port, opens) as between:
        door = transport_by(authority, between.named())
        assert await door.post(make_letter(URL, FIRST), depart, go) == Answer(200)
        connector = next(iter(door._connectors.values()))
        dial = next(iter(door._lines.values())).dial
        with pytest.raises(OSError, match="not vetted"):
            await connector.take(Dial(dial.request, dial.limits), Errand((FIRST,)))
        await door.aclose()


@pytest.mark.parametrize("off", [("127.0.0.2", 0), ("127.0.0.1", 1)])
async def test_c8_a_tunnel_is_asked_of_exactly_the_place_that_was_named(
    authority: trustme.CA, partner: Receiver, off: tuple[str, int]
) -> None:
    async with proxy(partner.port, opens) as between:
        door = transport_by(authority, between.named())
        with pytest.raises(OSError, match="not vetted"):
            open_socket(door, off[0], between.port + off[1])
        open_socket(door, "127.0.0.1", between.port).close()
        await door.aclose()


def open_socket(door: Transport, host: str, port: int) -> socket.socket:
    """Ask the partner's connector for a socket as aiohttp does while it opens a tunnel."""
    connector = door._connector(("acme", False))
    errand, marked = _errand.set(Errand((host,))), _is_tunnel.set(True)
    try:
        return connector._open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)))
    finally:
        _errand.reset(errand)
        _is_tunnel.reset(marked)


HEAD_MAX = b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000
BAD: list[tuple[str, Manner, str]] = [
    ("403", replies(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "proxy_http_403"),
    ("407", replies(b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n"), "proxy_http_407"),
    ("502", replies(b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\nno"), "proxy_http_502"),
    ("302", replies(b"HTTP/1.1 302 X\r\nLocation: http://10.0.0.1/\r\n\r\n"), "proxy_http_302"),
    ("204", replies(b"HTTP/1.1 204 X\r\n\r\n"), "proxy_http_204"),
    ("not http", replies(b"SSH-2.0-OpenSSH_9.6\r\n"), "proxy_failed"),
    ("hangs up", replies(b""), "proxy_failed"),
    ("hangs", hangs, "connect_timeout"),
    ("endless headers", drips, "proxy_failed"),
    ("a long header", replies(HEAD_MAX), "proxy_failed"),
    ("endless hints", hints, "connect_timeout"),
    ("closes in the handshake", closes_in_handshake, "tls_failed"),
    (
        "early bytes in the way of tls",
        replies(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        "tls_failed",
    ),
]


@pytest.mark.parametrize(
    ("manner", "code"), [each[1:] for each in BAD], ids=[each[0].replace(" ", "-") for each in BAD]
)
async def test_c8_a_proxy_that_misbehaves_costs_bounded_time_and_memory_and_no_byte(
    authority: trustme.CA, partner: Receiver, manner: Manner, code: str
) -> None:
    async with proxy(partner.port, manner) as between:
        door = transport_by(authority, between.named("ada", "secret"), seconds=0.4)
        tracemalloc.start()
        began = time.monotonic()
        result = await door.post(make_letter(URL, FIRST), depart, go)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result == Trouble(code, is_begun=False)
        assert time.monotonic() - began < 1.5
        assert peak < 1500 * 1024
        assert partner.bytes_received == 0
        assert door.open_connections() == 0
        assert between.carried == b""
        await door.aclose()


async def test_c8_bytes_a_proxy_puts_before_tls_are_never_an_answer(
    authority: trustme.CA, partner: Receiver
) -> None:
    forged = b"HTTP/1.1 299 Forged\r\nContent-Length: 0\r\n\r\n"
    manner = replies(b"HTTP/1.1 200 OK\r\n\r\n" + forged, then_opens=True)
    async with proxy(partner.port, manner) as between:
        door = transport_by(authority, between.named())
        result = await door.post(make_letter(URL, FIRST), depart, go)
        assert result in (Answer(200), Trouble("tls_failed", is_begun=False))
        await door.aclose()


async def test_c8_a_proxy_that_is_not_there_is_named(authority: trustme.CA) -> None:
    async with proxy(9, opens) as between:
        gone = between.named()
    door = transport_by(authority, gone)
    result = await door.post(make_letter(URL, FIRST), depart, go)
    assert result == Trouble("proxy_unreachable", is_begun=False)
    await door.aclose()


async def test_c8_the_time_to_connect_is_shared_by_all_addresses(
    authority: trustme.CA, partner: Receiver
) -> None:
    async with proxy(partner.port, hangs) as between:
        door = transport_by(authority, between.named(), seconds=0.4)
        began = time.monotonic()
        result = await door.post(make_letter(URL, FIRST, SECOND), depart, go)
        assert result == Trouble("connect_timeout", is_begun=False)
        assert time.monotonic() - began < 0.9
        assert between.asked == [f"{FIRST}:443", f"{SECOND}:443"]
        await door.aclose()
