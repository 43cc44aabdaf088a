"""Partners for tests: a raw server that does exactly what a script says, well behaved or not.

Everything listens on loopback. A script is given each request and the writer of its connection.
"""

import asyncio
import contextlib
import gzip
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trustme

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.event import Event
from dispatcher.model.ids import (
    DeliveryId,
    Epoch,
    EventId,
    LeaseToken,
    Revision,
    WebhookId,
)
from dispatcher.model.letter import Admitted, Cleared, Departure, Leased, Sealed, Shaped
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Route

HEADERS = (("webhook-id", "msg_1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA"))


@dataclass(frozen=True)
class Request:
    """What arrived: the head as it stood on the wire, and the body."""

    head: bytes
    body: bytes
    peer: str
    connection: int


Script = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """A listening server, and all it has seen."""

    script: Script
    hosts: tuple[str, ...] = ("127.0.0.1",)
    tls: ssl.SSLContext | None = None
    port: int = 0
    connections: int = 0
    bytes_received: int = 0
    requests: list[Request] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def inboxes(self) -> frozenset[tuple[str, int]]:
        return frozenset((host, self.port) for host in self.hosts)

    def url(self, host: str = "127.0.0.1", target: str = "/in") -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{target}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        self.connections += 1
        self.writers.append(writer)
        number = self.connections
        try:
            while True:
                request = await self._read(reader, writer, number)
                self.requests.append(request)
                self.arrived.set()
                await self.script(request, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # streams report a cancelled server connection as a fault; it is not one
        finally:
            self.gone.set()
            self._busy.discard(task)
            writer.transport.abort()

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> Request:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await reader.readexactly(1)
            self.bytes_received += 1
            head += byte
        lengths = (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        length = next(lengths, 0)
        body = await reader.readexactly(length)
        self.bytes_received += length
        return Request(head, body, writer.get_extra_info("sockname")[0], number)

    async def stop(self) -> None:
        for task in tuple(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)


@contextlib.asynccontextmanager
async def receiver(
    script: Script, *hosts: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Listen on these loopback addresses, all on one free port."""
    found = Receiver(script, hosts or ("127.0.0.1",), tls)
    servers = []
    for host in found.hosts:
        server = await asyncio.start_server(found.serve, host, found.port, ssl=tls)
        found.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    try:
        yield found
    finally:
        for server in servers:
            server.close()
        await found.stop()
        for server in servers:
            await server.wait_closed()
        await asyncio.sleep(0.01)  # lets aborted transports close their sockets


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Make the context of a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def says(answer: bytes) -> Script:
    """Give the same bytes to every request."""

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return script


def answers(*statuses: int, headers: str = "") -> Script:
    """Give these statuses in turn, the last one for ever."""
    left = list(statuses)

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        status = left.pop(0) if len(left) > 1 else left[0]
        is_bodiless = status in (204, 304)
        ending = "\r\n" if is_bodiless else "Content-Length: 2\r\n\r\nok"
        writer.write(f"HTTP/1.1 {status} X\r\n{headers}{ending}".encode())

    return script


async def say_nothing(request: Request, writer: asyncio.StreamWriter) -> None:
    """Read the request and never answer."""
    await asyncio.sleep(3600)


async def hang_up(request: Request, writer: asyncio.StreamWriter) -> None:
    """Read the request and reset the connection."""
    writer.transport.abort()


async def drip_head(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send a head one byte at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.02)


async def drip_body(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send a whole head, then a body one byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.02)


async def give_hints(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send interim answers for ever."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


async def flood(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send a body without end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


def gzip_bomb(megabytes: int) -> Script:
    """Send a small body that unpacks to a large one."""
    body = gzip.compress(bytes(megabytes << 20))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    return says(head.encode() + body)


def make_letter(
    url: str,
    *addresses: str,
    body: bytes = b'{"id":"msg_1"}',
    connector: str = "acme",
    seconds: float = 5.0,
    content_type: str = "application/json",
    revision: int = 1,
    **terms: Any,
) -> Sealed:
    """Make a sealed letter to a URL, its host vetted to these addresses, on the route's `terms`."""
    route = Route(
        subscription="orders",
        connector=connector,
        purpose="fulfilment",
        legal_basis="contract",
        agreement="",
        country="DE",
        endpoint=parse_endpoint(url),
        tenants=frozenset({"shop"}),
        scopes={},
        retry_seconds=(1.0,),
        attempt_seconds=seconds,
        concurrency=8,
        **terms,
    )
    scope = Scope.of(())
    event = Event(
        seq=1,
        id=EventId("e1"),
        tenant="shop",
        type="order.placed",
        producer="web",
        subjects=(),
        occurred_us=1,
        payload=body,
    )
    leased = Leased(
        id=DeliveryId(1),
        token=LeaseToken("t"),
        attempt=1,
        failures=0,
        webhook_id=WebhookId("msg_1"),
        subscription="orders",
        filed_scope=scope.id,
        lease_ends=1e12,
        event=event,
    )
    cleared = Cleared(
        leased=leased, route=route, scope=scope, revision=Revision(revision), epoch=Epoch(1)
    )
    return Sealed(
        shaped=Shaped(
            admitted=Admitted(cleared=cleared, addresses=addresses or ("127.0.0.1",)),
            plaintext=body,
            disclosed=(),
        ),
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        content_type=content_type,
    )


def depart() -> Departure:
    """Sign every letter, after a fashion."""
    return Departure(HEADERS)


def go() -> None:
    """Let every letter go."""
