"""A forward proxy for tests: opens tunnels as it is told to, well behaved or not, and notes what it
was asked.

Wherever a tunnel is asked for, it leads to one receiver on loopback: nothing else is ever dialled.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from dispatcher.network.settings import Proxy

Manner = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
"""What a proxy says to a CONNECT for this place; true: and then it opens the tunnel."""


@dataclass
class Between:
    """A listening proxy, and all it has been asked."""

    manner: Manner
    partner_port: int
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    carried: bytearray = field(default_factory=bytearray)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def asked(self) -> list[str]:
        """The places tunnels were asked for."""
        return [head.split(b" ")[1].decode() for head in self.heads]

    def named(self, user: str = "", password: str = "") -> Proxy:
        return Proxy(address="127.0.0.1", port=self.port, user=user, password=password)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if await self.manner(head.split(b" ")[1].decode(), reader, writer):
                await self._tunnel(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._busy.discard(task)
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.partner_port)

        async def forward() -> None:
            while said := await reader.read(65536):
                self.carried += said
                far_writer.write(said)
            far_writer.close()

        async def back() -> None:
            while said := await far_reader.read(65536):
                writer.write(said)
            writer.close()

        try:
            await asyncio.gather(forward(), back())
        finally:
            far_writer.transport.abort()

    async def stop(self) -> None:
        for task in tuple(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxy(partner_port: int, manner: Manner) -> AsyncIterator[Between]:
    """Listen on a free port of loopback."""
    found = Between(manner, partner_port)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.stop()
        await server.wait_closed()
        await asyncio.sleep(0.01)  # lets aborted transports close their sockets


async def opens(_to: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Open every tunnel."""
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return True


def opens_only(place: str) -> Manner:
    """Open a tunnel to this place, and refuse all others."""

    async def manner(to: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if to == place:
            return await opens(to, reader, writer)
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return False

    return manner


def replies(answer: bytes, *, then_opens: bool = False) -> Manner:
    """Say this to every CONNECT."""

    async def manner(to: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        await writer.drain()
        return then_opens

    return manner


async def hangs(_to: str, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bool:
    """Never answer."""
    await asyncio.sleep(3600)
    return False


async def drips(_to: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send headers for ever, one after the other."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 8)
        await writer.drain()
        await asyncio.sleep(0.001)


async def hints(_to: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send interim answers for ever."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


async def closes_in_handshake(
    _to: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Open a tunnel, wait for the first words of TLS, and hang up."""
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await reader.read(1)
    return False
