"""A hostile partner costs no more than the attempt's time and a fixed amount of memory."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

from dispatcher.model.letter import Answer, Trouble
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from tests.support.hostile import (
    Receiver,
    Script,
    answers,
    depart,
    drip_body,
    drip_head,
    flood,
    give_hints,
    go,
    gzip_bomb,
    make_letter,
    receiver,
    say_nothing,
    says,
)

MALFORMED = Trouble("answer_malformed", is_begun=True)


def transport_to(
    partner: Receiver, *, answer_bytes_max: int = 65536, connections_per_partner_max: int = 256
) -> Transport:
    settings = NetworkSettings(
        loopback_inboxes=partner.inboxes,
        answer_bytes_max=answer_bytes_max,
        connections_per_partner_max=connections_per_partner_max,
    )
    return Transport(settings)


async def post_once(script: Script, seconds: float = 2.0) -> object:
    """Post one letter to such a partner; whatever comes, no connection may stay in the pool."""
    async with receiver(script) as partner:
        door = transport_to(partner)
        result = await door.post(make_letter(partner.url(), seconds=seconds), depart, go)
        assert door.open_connections() == 0
        assert len(partner.requests) == 1
        await door.aclose()
        return result


@pytest.fixture
def quick() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 1.5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("script", [say_nothing, drip_head])
async def test_p1_an_answer_that_never_comes_ends_with_the_attempt(script: Script) -> None:
    assert await post_once(script, 0.3) == Trouble("answer_timeout", is_begun=True)


@pytest.mark.usefixtures("quick")
async def test_p1_a_status_counts_even_when_its_body_never_ends() -> None:
    assert await post_once(drip_body, 0.3) == Answer(200)


@pytest.mark.usefixtures("quick")
async def test_p1_endless_interim_answers_are_cut_short() -> None:
    assert await post_once(give_hints) == MALFORMED


async def test_a_few_interim_answers_are_passed_over() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    async with receiver(says(hint * 3 + b"HTTP/1.1 202 X\r\nContent-Length: 0\r\n\r\n")) as partner:
        door = transport_to(partner)
        for _ in range(2):
            assert await door.post(make_letter(partner.url()), depart, go) == Answer(202)
        assert partner.connections == 1
        await door.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 9999 X\r\n\r\n",
        b"HTTP/1.1 700 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    ],
    ids=["upgrade", "not-http", "four-digits", "no-such-class", "long", "many", "two-lengths"],
)
async def test_p4_an_answer_that_is_not_one_is_malformed(answer: bytes) -> None:
    assert await post_once(says(answer)) == MALFORMED


async def test_a_broken_body_does_not_take_the_status_back() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert await post_once(says(head + b"2\r\nok\r\nnonsense\r\n")) in (Answer(200), MALFORMED)


@pytest.mark.parametrize(
    ("script", "kilobytes_max"), [(flood, 1500), (gzip_bomb(20), 1500)], ids=["flood", "gzip"]
)
async def test_p2_a_huge_answer_is_bounded_in_memory(script: Script, kilobytes_max: int) -> None:
    async with receiver(script) as partner:
        door = transport_to(partner, answer_bytes_max=16384)
        await asyncio.sleep(0)
        tracemalloc.start()
        try:
            result = await door.post(make_letter(partner.url()), depart, go)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert result == Answer(200)
        assert peak < kilobytes_max * 1024
        assert door.open_connections() == 0
        await door.aclose()


async def test_p3_a_compressed_answer_is_not_unpacked_and_the_connection_stays() -> None:
    async with receiver(gzip_bomb(1)) as partner:
        door = transport_to(partner)
        for _ in range(2):
            assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        assert partner.connections == 1
        await door.aclose()


@pytest.mark.parametrize("size", [0, 1, 16384, 16385])
async def test_p2_a_body_up_to_the_limit_keeps_the_connection(size: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with receiver(says(answer)) as partner:
        door = transport_to(partner, answer_bytes_max=16384)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        assert door.open_connections() == (1 if size <= 16384 else 0)
        await door.aclose()


async def test_a_body_of_a_great_many_tiny_chunks_does_not_stall_the_connection() -> None:
    body = b"1\r\na\r\n" * 16000 + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with receiver(says(head + body)) as partner:
        door = transport_to(partner, answer_bytes_max=16384)
        for _ in range(3):
            assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        assert partner.connections == 1
        await door.aclose()


async def test_retry_after_is_handed_on_as_it_came_but_bounded() -> None:
    async with receiver(answers(429, headers=f"retry-after: {'9' * 500}\r\n")) as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(429, "9" * 128)
        await door.aclose()


async def test_nobody_listening_is_refused_before_a_byte() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    inboxes = frozenset({("127.0.0.1", port)})
    door = Transport(NetworkSettings(loopback_inboxes=inboxes))
    result = await door.post(make_letter(f"http://127.0.0.1:{port}/in"), depart, go)
    assert result == Trouble("connect_refused", is_begun=False)
    await door.aclose()


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
async def test_a_partner_that_speaks_or_leaves_first_is_not_written_to(
    greeting: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.write_eof()
        heard.append(await reader.read(1))
        writer.transport.abort()

    async def connect_slowly(self: TCPConnector, *arguments: Any) -> ResponseHandler:
        protocol = await create_connection(self, *arguments)
        await asyncio.sleep(0.05)  # the greeting is there before the first check
        return protocol

    create_connection = TCPConnector._create_connection
    monkeypatch.setattr(TCPConnector, "_create_connection", connect_slowly)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = Transport(NetworkSettings(loopback_inboxes=frozenset({("127.0.0.1", port)})))
    result = await door.post(make_letter(f"http://127.0.0.1:{port}/in"), depart, go)
    assert result == Trouble("connection_lost", is_begun=False)
    assert door.open_connections() == 0
    await door.aclose()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)
    assert heard == [b""]


@pytest.mark.usefixtures("quick")
async def test_p1_waiting_for_a_free_connection_is_bounded_too() -> None:
    async with receiver(say_nothing) as partner:
        door = transport_to(partner, connections_per_partner_max=1)
        holding = asyncio.create_task(door.post(make_letter(partner.url()), depart, go))
        await asyncio.wait_for(partner.arrived.wait(), 1)
        result = await door.post(make_letter(partner.url(), seconds=0.2), depart, go)
        assert result == Trouble("connect_timeout", is_begun=False)
        assert partner.connections == 1
        holding.cancel()
        await asyncio.wait((holding,))
        await door.aclose()
