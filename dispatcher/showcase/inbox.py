"""A partner's inbox: a real HTTP server on loopback that keeps every request as it was on the wire.

Used by the demonstration and by tests. What it does with a request is up to a plain function, so
that it can be friendly, broken, slow or rude; a challenge it answers by itself, as a partner's
endpoint must. The time of a request is that of its first byte, told
by the kernel where it can be (Linux), so it does not depend on how busy this process was. It must
never verify, decrypt or drop anything it received: it is the witness.
"""

import asyncio
import json
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

LOOPBACK: Final = "127.0.0.1"
HEAD_BYTES_MAX: Final = 65_536
BODY_BYTES_MAX: Final = 16_777_216
_SO_TIMESTAMPNS: Final = 35
"""Asks Linux to tell when bytes arrived, to the nanosecond; Python has no name for it."""
_TIMESPEC: Final = struct.Struct("qq")
_TYPE: Final = "dispatcher.ownership_challenge"
_CHALLENGE: Final = _TYPE.encode()
_LENGTH: Final = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$")
_REQUEST_LINE: Final = re.compile(r"(?P<method>[A-Z]+) (?P<target>/[!-~]*) HTTP/1\.1\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request, whole: when its first byte came, and every byte of it."""

    inbox: str
    received_us: int
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)
    connection: int = 0

    @property
    def target(self) -> str:
        """The path and query that were asked for."""
        found = _REQUEST_LINE.match(self.head.partition(b"\r\n")[0].decode("latin-1"))
        return found["target"] if found else ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; of one that is repeated, the last."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def webhook_id(self) -> str:
        """The id of the delivery, stable over its attempts."""
        return self.headers.get("webhook-id", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How to answer. Without a status the connection is dropped instead."""

    status: int | None = 204
    after_seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


Behaviour = Callable[[Received], Reply]


def accept(_received: Received) -> Reply:
    """Take everything, at once."""
    return Reply()


class Inbox:
    """One listening server, and everything it has seen. An asynchronous context manager."""

    def __init__(self, name: str, behave: Behaviour = accept, *, port: int = 0) -> None:
        self.name = name
        self.port = port
        self.connections = 0
        self.received: list[Received] = []
        self.challenges: list[Received] = []
        self._behave = behave
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Self:
        """Start listening. With port 0 any free one is taken."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _ask_for_times(self._listener)
        self._listener.setblocking(False)
        self._listener.bind((LOOPBACK, self.port))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and cut every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(self._listener)
            self.connections += 1
            self._start(self._serve(peer, self.connections))

    async def _serve(self, peer: socket.socket, number: int) -> None:
        with peer:
            wire = _Wire(peer)
            try:
                while (received := await wire.read_request(self.name, number)) is not None:
                    word = _challenge(received.body)
                    if word:
                        self.challenges.append(received)
                        await _send(peer, 200, (), word)
                        continue
                    self.received.append(received)
                    if not await self._answer(peer, self._behave(received)):
                        return
            except (ConnectionError, ValueError):
                return

    async def _answer(self, peer: socket.socket, reply: Reply) -> bool:
        """Send the reply; false when the connection is to be dropped."""
        await asyncio.sleep(reply.after_seconds)
        if reply.status is None:
            return False
        await _send(peer, reply.status, reply.headers)
        return True


class _Wire:
    """Reads whole requests off one connection, with the time their first bytes came."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self._peer = peer
        self._bytes = b""
        self._came_us = 0

    async def read_request(self, inbox: str, number: int) -> Received | None:
        """Give the next request; nothing once the other side is done."""
        while (end := self._bytes.find(b"\r\n\r\n")) < 0:
            if len(self._bytes) > HEAD_BYTES_MAX:
                raise ValueError("the head of the request is too long")
            if not await self._read_more():
                return None
        head = self._bytes[: end + 4]
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if size > BODY_BYTES_MAX:
            raise ValueError("the body of the request is too long")
        while len(self._bytes) < len(head) + size:
            if not await self._read_more():
                return None
        came_us = self._came_us
        body = self._bytes[len(head) : len(head) + size]
        self._bytes = self._bytes[len(head) + size :]
        return Received(inbox=inbox, received_us=came_us, head=head, body=body, connection=number)

    async def _read_more(self) -> bool:
        is_first = not self._bytes
        while True:
            try:
                data, came_us = _receive(self._peer)
                break
            except (BlockingIOError, InterruptedError):
                await _readable(self._peer)
        if is_first:
            self._came_us = came_us
        self._bytes += data
        return bool(data)


async def _send(
    peer: socket.socket, status: int, headers: tuple[tuple[str, str], ...], body: bytes = b""
) -> None:
    lines = [f"HTTP/1.1 {status} {'OK' if status < 300 else 'No'}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [] if status == 204 else [f"Content-Length: {len(body)}"]
    text = "\r\n".join((*lines, "", ""))
    await asyncio.get_running_loop().sock_sendall(peer, text.encode("latin-1") + body)


def _challenge(body: bytes) -> bytes:
    """Give the word to answer with; nothing where the request is no challenge."""
    if _CHALLENGE not in body:
        return b""
    try:
        document = json.loads(body)
        return str(document["data"]["challenge"]).encode() if document["type"] == _TYPE else b""
    except (ValueError, LookupError, TypeError):
        return b""


async def _readable(peer: socket.socket) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(peer.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(peer.fileno())


def _ask_for_times(listener: socket.socket) -> None:
    """Connections inherit it from their listener, so not even their first bytes are missed."""
    if sys.platform == "linux":
        listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def _receive(peer: socket.socket) -> tuple[bytes, int]:
    """Read what there is, and say when it came, in microseconds since the epoch."""
    data, notes, _, _ = peer.recvmsg(262_144, 128)
    for level, kind, value in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return data, seconds * 1_000_000 + nanoseconds // 1000
    return data, time.time_ns() // 1000
