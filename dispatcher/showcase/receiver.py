"""A partner's inbox for benches: a process of its own that answers as fast as asyncio can.

Started by `dispatcher bench`, one per run, on a free loopback port; it ends with the pipe from the
program that started it. It counts requests and distinct `webhook-id`s and reads nothing else: a
slow receiver would be what is measured. It must never serve anything but a bench.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self, cast

from dispatcher.app.running import run_async

_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_HEAD_ENDS: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_ID: Final = re.compile(rb"\r\nwebhook-id:[ \t]*([!-~]+)", re.IGNORECASE)
_STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What the receiver got since it was last asked."""

    requests: int
    distinct: int
    body_bytes: int


@dataclass(slots=True)
class _Count:
    requests: int = 0
    body_bytes: int = 0
    ids: set[bytes] = field(default_factory=set)

    def take(self) -> dict[str, int]:
        """Give the counts and begin again at zero."""
        taken = {
            "requests": self.requests,
            "distinct": len(self.ids),
            "body_bytes": self.body_bytes,
        }
        self.requests, self.body_bytes, self.ids = 0, 0, set()
        return taken


class Receiver:
    """The receiving process, seen from the bench, while the `async with` block lasts."""

    def __init__(self) -> None:
        self._program: asyncio.subprocess.Process | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.port = (await self._read())["port"]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._program is None or self._program.stdin is None:
            return
        self._program.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._program.wait()
        except TimeoutError:
            self._program.kill()
            await self._program.wait()

    async def take(self) -> Tally:
        """Give what came in since the last call."""
        if self._program is None or self._program.stdin is None:
            raise RuntimeError("the receiver is not running")
        self._program.stdin.write(b"\n")
        return Tally(**await self._read())

    async def _read(self) -> dict[str, int]:
        if self._program is None or self._program.stdout is None:
            raise RuntimeError("the receiver is not running")
        line = await self._program.stdout.readline()
        answer: dict[str, int] = json.loads(line)
        return answer


class _Inbox(asyncio.Protocol):
    """One connection: finds the end of each request, counts it, answers."""

    def __init__(self, count: _Count) -> None:
        self._count = count
        self._transport: asyncio.Transport | None = None
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        # uvloop's transports are none by descent, so this cannot be asked.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        waiting = self._waiting + data if self._waiting else data
        while (head_ends := waiting.find(_HEAD_ENDS)) >= 0:
            head = waiting[:head_ends]
            length = _LENGTH.search(head)
            body_bytes = int(length[1]) if length else 0
            ends = head_ends + len(_HEAD_ENDS) + body_bytes
            if len(waiting) < ends:
                break
            self._answer(head, body_bytes)
            waiting = waiting[ends:]
        self._waiting = waiting

    def _answer(self, head: bytes, body_bytes: int) -> None:
        count, named = self._count, _ID.search(head)
        count.requests += 1
        count.body_bytes += body_bytes
        if named:
            count.ids.add(named[1])
        if self._transport is not None:
            self._transport.write(_ANSWER)


class _Questions(asyncio.Protocol):
    """The pipe from the bench: each line asks for the counts, its end ends the process."""

    def __init__(self, take: Callable[[], dict[str, int]], ended: asyncio.Event) -> None:
        self._take = take
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        """Answer each line with the counts."""
        for _ in range(data.count(b"\n")):
            _say(self._take())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End with the program that started us, however it ended."""
        self._ended.set()


def _say(answer: dict[str, int]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")


async def _serve() -> None:
    loop, count, ended = asyncio.get_running_loop(), _Count(), asyncio.Event()
    server = await loop.create_server(lambda: _Inbox(count), "127.0.0.1", 0, backlog=1024)
    await loop.connect_read_pipe(lambda: _Questions(count.take, ended), sys.stdin)
    _say({"port": server.sockets[0].getsockname()[1]})
    await ended.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        run_async(_serve())
