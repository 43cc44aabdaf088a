"""Of an answer's body nothing is kept, unless a short one was asked for."""

import pytest

from dispatcher.model.letter import Answer
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from tests.support.hostile import Script, depart, drip_body, go, make_letter, receiver, says

OK = b"HTTP/1.1 200 OK\r\n"


async def post(script: Script, keep_bytes: int, seconds: float = 2.0) -> object:
    async with receiver(script) as partner:
        door = Transport(NetworkSettings(loopback_inboxes=partner.inboxes))
        try:
            letter = make_letter(partner.url(), seconds=seconds)
            return await door.post(letter, depart, go, keep_bytes)
        finally:
            await door.aclose()


@pytest.mark.parametrize(("keep_bytes", "kept"), [(0, b""), (4, b""), (5, b"hello"), (9, b"hello")])
@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_a_body_is_kept_whole_or_not_at_all(
    answer: bytes, keep_bytes: int, kept: bytes
) -> None:
    assert await post(says(answer), keep_bytes) == Answer(200, body=kept)


async def test_a_body_that_breaks_off_or_never_ends_is_not_kept() -> None:
    broken = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nnonsense\r\n"
    assert getattr(await post(says(broken), 9), "body", b"") == b""
    assert await post(drip_body, 9, 0.3) == Answer(200)
