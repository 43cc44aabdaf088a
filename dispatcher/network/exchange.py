"""One bounded answer, on a connection that is held and has just been written to.

Called by the transport alone; reads with aiohttp's own response parser. Only the status,
`Retry-After` and the host that a redirect names are kept: the body is counted, bounded and thrown
away, never unpacked, and returned only where a short one was asked for, with `Cache-Control`. It
must never write, nor follow a redirect, nor give a connection back that is not clean.
"""

import asyncio
from dataclasses import replace
from typing import Final

from aiohttp.client_exceptions import ClientError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import EofStream, StreamReader

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.letter import Answer, Trouble
from dispatcher.model.tls import Peer
from dispatcher.network.dialer import Held
from dispatcher.network.settings import NetworkSettings

RETRY_AFTER_CHARACTERS_MAX: Final = 128
CACHE_CONTROL_CHARACTERS_MAX: Final = 256
_SWITCHING_PROTOCOLS: Final = 101
_LOSSES: Final = (ClientError, OSError, RuntimeError, EofStream)


class Deadline:
    """Cuts the connection when it is called, and remembers that it did."""

    __slots__ = ("_transport", "is_passed")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.is_passed = False

    def __call__(self) -> None:
        """Cut: whoever is reading wakes up with an error."""
        self.is_passed = True
        self._transport.abort()


def prepare(held: Held, settings: NetworkSettings) -> None:
    """Set up a fresh parser: nothing that came before can be part of the answer."""
    held.protocol.set_response_params(
        read_until_eof=True, auto_decompress=False, read_bufsize=settings.answer_bytes_max
    )


async def read_answer(
    held: Held, ends: float, settings: NetworkSettings, keep_bytes: int
) -> Answer | Trouble:
    """Read the answer to what was written, until `ends` (on the loop's clock).

    The connection goes back to the pool or is dropped; when the caller is cancelled it is dropped
    before the cancellation travels on.
    """
    deadline = Deadline(held.transport)
    timer = asyncio.get_running_loop().call_at(ends, deadline)
    is_clean = False
    try:
        message, body = await _read_head(held, settings.interim_answers_max)
        answer = _answer(message, held.peer)
        kept = bytearray()
        is_clean = await _is_drained(body, settings.answer_bytes_max, kept, keep_bytes)
    except HttpProcessingError:
        return Trouble("answer_malformed", is_begun=True, peer=held.peer)
    except _LOSSES:
        code = "answer_timeout" if deadline.is_passed else "connection_lost"
        return Trouble(code, is_begun=True, peer=held.peer)
    else:
        is_kept = kept and is_clean and len(kept) <= keep_bytes
        if not is_kept:
            return answer
        cached = message.headers.get("Cache-Control", "")[:CACHE_CONTROL_CHARACTERS_MAX]
        return replace(answer, body=bytes(kept), cache_control=cached)
    finally:
        timer.cancel()
        if is_clean and not held.transport.get_write_buffer_size():
            held.give_back()
        else:
            held.drop()


async def _read_head(held: Held, interim_max: int) -> tuple[RawResponseMessage, StreamReader]:
    """Read past interim answers to the final one."""
    for _ in range(interim_max + 1):
        message, body = await held.protocol.read()
        status = message.code
        if 200 <= status < 600:
            return message, body
        if status == _SWITCHING_PROTOCOLS or status >= 600:
            break
    raise HttpProcessingError(message="no final answer")


def _answer(message: RawResponseMessage, peer: Peer) -> Answer:
    status, headers = message.code, message.headers
    asked = headers.get("Retry-After")
    if asked is not None:
        asked = asked[:RETRY_AFTER_CHARACTERS_MAX]
    if 300 <= status < 400:
        return Answer(status, asked, peer, _host_of(headers.get("Location", "")))
    return Answer(status, asked, peer)


def _host_of(location: str) -> str:
    """Give the host of a whole URL in canonical form; nothing of what is not exactly one."""
    try:
        return parse_endpoint(location).host
    except ValueError:
        return ""


async def _is_drained(body: StreamReader, bytes_max: int, kept: bytearray, keep_bytes: int) -> bool:
    """Read the body to its end; False when it is too long or breaks off.

    Of what was read at most one byte more than `keep_bytes` goes into `kept`, the rest nowhere.

    The status counts either way: the partner has spoken.
    """
    size = 0
    try:
        while not body.at_eof():
            part = await body.readany()
            size += len(part)
            if keep_bytes:
                kept += part[: keep_bytes + 1 - len(kept)]
            if size > bytes_max:
                return False
    except (HttpProcessingError, *_LOSSES):
        return False
    return True
