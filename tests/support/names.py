"""A name server for tests, on loopback, over UDP and TCP: it says exactly what it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from dnslib import AAAA, CNAME, QTYPE, RCODE, RD, RR, TXT, A, DNSRecord

Say = Callable[[DNSRecord, str], DNSRecord | bytes | None]
"""From a question and how it came (`udp` or `tcp`) to an answer; nothing is silence."""

KINDS = {"A": A, "AAAA": AAAA, "CNAME": CNAME}


@dataclass
class NameServer:
    """A listening server: its zone, its special answers, and every question it was asked."""

    zone: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    special: dict[str, Say] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def names(self) -> list[str]:
        """Every name that was asked for, in order, once for each question."""
        return [name for name, _, _ in self.asked]

    def answer(self, packet: bytes, way: str) -> bytes | None:
        request = DNSRecord.parse(packet)
        name = str(request.q.qname).removesuffix(".").lower()
        self.asked.append((name, QTYPE[request.q.qtype], way))
        said = self.special.get(name, self._from_zone)(request, way)
        return said.pack() if isinstance(said, DNSRecord) else said

    def _from_zone(self, request: DNSRecord, way: str) -> DNSRecord:
        """Follow the names as a recursive server does."""
        reply, here = request.reply(), str(request.q.qname).removesuffix(".").lower()
        kind = QTYPE[request.q.qtype]
        if here not in self.zone:
            reply.header.rcode = RCODE.NXDOMAIN
        for _ in range(40):
            lines = self.zone.get(here, [])
            for line in lines:
                if line[0] in (kind, "CNAME"):
                    reply.add_answer(record(here, *line))
            steps = [value for each, value in lines if each == "CNAME"]
            if not steps:
                break
            here = steps[0]
        return reply


def record(name: str, kind: str, value: str | bytes) -> RR:
    """Make one line of an answer; bytes are its content as they are."""
    if kind == "TXT":
        content = TXT(_chunks(value))
    elif isinstance(value, bytes):
        content = RD(value)
    else:
        content = KINDS[kind](value)
    return RR(name, getattr(QTYPE, kind), rdata=content, ttl=300)


def replies(*lines: tuple[str, str, str | bytes]) -> Say:
    """Answer questions of a line's kind with exactly these lines, others with none."""

    def say(request: DNSRecord, way: str) -> DNSRecord:
        reply = request.reply()
        kind = QTYPE[request.q.qtype]
        for line in lines:
            if line[1] in (kind, "CNAME"):
                reply.add_answer(record(*line))
        return reply

    return say


def fails(rcode: str) -> Say:
    def say(request: DNSRecord, way: str) -> DNSRecord:
        reply = request.reply()
        reply.header.rcode = getattr(RCODE, rcode)
        return reply

    return say


def says_nothing(request: DNSRecord, way: str) -> None:
    return None


def _chunks(value: str | bytes) -> list[bytes]:
    whole = value.encode() if isinstance(value, str) else value
    return [whole[start : start + 255] for start in range(0, len(whole), 255)] or [b""]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = self._server.answer(data, "udp")
        if said is not None:
            self._transport.sendto(said, addr)


@contextlib.asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Listen on one free port of 127.0.0.1."""
    found = NameServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                said = found.answer(await reader.readexactly(length), "tcp")
                if said is not None:
                    writer.write(len(said).to_bytes(2) + said)
                    await writer.drain()
        writer.transport.abort()

    streams = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = streams.sockets[0].getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(found), local_addr=("127.0.0.1", found.port)
    )
    try:
        yield found
    finally:
        datagrams.close()
        streams.close()
        await streams.wait_closed()
