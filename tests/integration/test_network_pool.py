"""Which connection a letter travels on: reused, refused, replaced, and never shared."""

import asyncio
import os
import socket
from typing import NoReturn

import pytest

from dispatcher.model.letter import Answer, Departure, Stopped, Trouble
from dispatcher.model.verdict import Reason
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from tests.support.hostile import (
    Receiver,
    answers,
    depart,
    go,
    hang_up,
    make_letter,
    receiver,
    say_nothing,
    says,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PUSHED = b"HTTP/1.1 299 Pushed\r\nContent-Length: 0\r\n\r\n"


def transport_to(*partners: Receiver) -> Transport:
    inboxes = frozenset[tuple[str, int]]().union(*(each.inboxes for each in partners))
    return Transport(NetworkSettings(loopback_inboxes=inboxes))


async def test_letters_to_one_partner_travel_on_one_connection() -> None:
    async with receiver(answers(200, 204, 202)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        statuses = [await door.post(letter, depart, go) for _ in range(3)]
        assert statuses == [Answer(200), Answer(204), Answer(202)]
        assert partner.connections == 1
        assert door.open_connections() == 1
        await door.aclose()
        assert door.open_connections() == 0


async def test_a_closed_door_sends_nothing() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        await door.aclose()
        result = await door.post(make_letter(partner.url()), depart, go)
        assert result == Trouble("connect_failed", is_begun=False)
        assert partner.connections == 0


async def test_c5_two_partners_never_share_a_connection_to_the_same_endpoint() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        for connector in ("acme", "bolt", "acme", "bolt"):
            assert await door.post(make_letter(partner.url(), connector=connector), depart, go) == (
                Answer(200)
            )
        assert [request.connection for request in partner.requests] == [1, 2, 1, 2]
        await door.aclose()


async def test_c3_a_pooled_connection_whose_peer_is_no_longer_vetted_is_dropped_unused() -> None:
    async with receiver(answers(200), "127.0.0.1", "127.0.0.2") as partner:
        door = transport_to(partner)
        url = partner.url("inbox.test")
        assert await door.post(make_letter(url, "127.0.0.1"), depart, go) == Answer(200)
        assert await door.post(make_letter(url, "127.0.0.2"), depart, go) == Answer(200)
        await asyncio.sleep(0.05)
        assert [request.peer for request in partner.requests] == ["127.0.0.1", "127.0.0.2"]
        assert door.open_connections() == 1
        await door.aclose()


async def test_c3_every_pooled_connection_is_looked_at_until_one_is_vetted() -> None:
    async with receiver(answers(200), "127.0.0.1", "127.0.0.2") as partner:
        door = transport_to(partner)
        url = partner.url("inbox.test")
        old = make_letter(url, "127.0.0.1")
        await asyncio.gather(*(door.post(old, depart, go) for _ in range(5)))
        assert door.open_connections() == 5
        assert await door.post(make_letter(url, "127.0.0.2"), depart, go) == Answer(200)
        await asyncio.sleep(0.05)
        assert door.open_connections() == 1
        assert partner.connections == 6
        await door.aclose()


async def test_c5_an_answer_pushed_on_an_idle_connection_is_never_taken_for_the_next_letters() -> (
    None
):
    async with receiver(answers(200, 201)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        partner.writers[-1].write(PUSHED)
        await asyncio.sleep(0.05)  # the client's loop reads and parses it
        assert await door.post(letter, depart, go) == Answer(201)
        assert partner.connections == 2
        await door.aclose()


async def test_c5_a_pushed_answer_that_nobody_has_read_yet_is_seen_in_the_kernel() -> None:
    async with receiver(answers(200, 201)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        partner.writers[-1].write(PUSHED)  # in the client's socket at once; its loop has not run
        assert await door.post(letter, depart, go) == Answer(201)
        assert partner.connections == 2
        await door.aclose()


async def test_c5_half_an_answer_pushed_between_letters_does_not_count_either() -> None:
    async with receiver(answers(200, 201)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        partner.writers[-1].write(PUSHED[:20])
        await asyncio.sleep(0.05)
        partner.writers[-1].write(PUSHED[20:])
        await asyncio.sleep(0.05)
        assert await door.post(letter, depart, go) == Answer(201)
        await door.aclose()


async def test_c5_a_second_answer_behind_the_first_spoils_the_connection() -> None:
    async with receiver(says(OK + PUSHED)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        assert door.open_connections() == 0
        assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 2
        await door.aclose()


async def test_a_connection_the_partner_closed_between_letters_is_replaced() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        partner.writers[-1].close()
        await asyncio.sleep(0.05)
        assert await door.post(letter, depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 2]
        await door.aclose()


async def test_a_goodbye_that_nobody_has_read_yet_is_seen_in_the_kernel() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        descriptor = partner.writers[-1].get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(descriptor)) as same:
            same.shutdown(socket.SHUT_WR)
        assert await door.post(letter, depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 2]
        await door.aclose()


async def test_c10_a_letter_is_never_written_twice() -> None:
    async with receiver(hang_up) as partner:
        door = transport_to(partner)
        result = await door.post(make_letter(partner.url()), depart, go)
        assert result == Trouble("connection_lost", is_begun=True)
        assert len(partner.requests) == 1
        await door.aclose()


async def test_a_stopped_letter_sends_no_byte_and_leaves_the_connection_usable() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        stopped = Stopped(Reason.SWITCH_ON)
        assert await door.post(letter, depart, lambda: stopped) == stopped
        assert await door.post(letter, lambda: stopped, go) == stopped
        await asyncio.sleep(0.02)
        assert (partner.connections, partner.bytes_received) == (1, 0)
        assert await door.post(letter, depart, go) == Answer(200)
        assert await door.post(letter, depart, lambda: stopped) == stopped
        assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 1
        assert len(partner.requests) == 2
        await door.aclose()


async def test_the_check_has_the_last_word_after_the_signature() -> None:
    asked: list[str] = []

    def sign() -> Departure:
        asked.append("signature")
        return depart()

    def check() -> Stopped:
        asked.append("check")
        return Stopped(Reason.SWITCH_ON)

    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        await door.post(make_letter(partner.url()), sign, check)
        assert asked == ["signature", "check"]
        await door.aclose()


async def test_a_signature_or_a_check_that_fails_outright_sends_no_byte() -> None:
    def explode() -> NoReturn:
        raise LookupError("no key")

    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        with pytest.raises(LookupError):
            await door.post(letter, explode, go)
        with pytest.raises(LookupError):
            await door.post(letter, depart, explode)
        assert partner.bytes_received == 0
        assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 1
        await door.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["connection-close", "http-1.0"],
)
async def test_an_answer_that_ends_the_connection_is_believed(answer: bytes) -> None:
    async with receiver(says(answer)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url())
        assert await door.post(letter, depart, go) == Answer(200)
        assert door.open_connections() == 0
        assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 2
        await door.aclose()


async def test_an_http_1_0_body_without_length_ends_with_the_connection() -> None:
    async def script(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 202 OK\r\n\r\nsome text")
        writer.close()

    async with receiver(script) as partner:
        door = transport_to(partner)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(202)
        assert door.open_connections() == 0
        await door.aclose()


async def test_c6_a_partner_may_be_given_a_connection_for_each_letter() -> None:
    async with receiver(answers(200)) as partner:
        door = transport_to(partner)
        letter = make_letter(partner.url(), close_after_each=True)
        for _ in range(3):
            assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 3
        assert door.open_connections() == 0
        await door.aclose()


async def test_a_cancelled_letter_closes_its_connection() -> None:
    async with receiver(say_nothing) as partner:
        door = transport_to(partner)
        posting = asyncio.create_task(door.post(make_letter(partner.url()), depart, go))
        await asyncio.wait_for(partner.arrived.wait(), 2)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        assert door.open_connections() == 0
        await door.aclose()


async def test_many_letters_at_once_each_get_their_own_answer() -> None:
    async def echo(request: object, writer: asyncio.StreamWriter) -> None:
        body = request.body  # type: ignore[attr-defined]
        await asyncio.sleep(int(body) % 7 / 1000)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 + int(body)))

    async with receiver(echo) as partner:
        door = transport_to(partner)
        letters = [make_letter(partner.url(), body=b"%d" % number) for number in range(90)]
        for _ in range(3):
            results = await asyncio.gather(*(door.post(letter, depart, go) for letter in letters))
            assert results == [Answer(200 + number) for number in range(90)]
        assert partner.connections <= 90
        await door.aclose()
