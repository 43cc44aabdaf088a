"""The guarded connector: dials vetted addresses, and nothing else, ever.

The transport takes its connections here, one connector per partner, so that no pool is ever shared.
Every road to a socket passes three checks: the resolver answers with the letter's own vetted
addresses, the socket factory refuses any other, and `connect` looks at the peer again before it
hands over a connection, new or pooled. This is the only module that opens sockets or names HTTP
client classes. It must never resolve a name, follow a proxy, read the environment or skip TLS.
"""

import select
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final
from weakref import WeakSet

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import AddrInfoType, Connection
from yarl import URL

from dispatcher.model.endpoint import Endpoint
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.troubles import AddressForbidden, ConnectionSpoiled
from dispatcher.stages.gates.addresses import judge_address

_vetted: ContextVar[tuple[str, ...]] = ContextVar("vetted", default=())
"""The addresses of the letter in hand. Without a letter there are none, and nothing is dialled."""

_ranges: ContextVar[tuple[str, ...]] = ContextVar("ranges", default=())
"""The private ranges that the allowlist grants to the letter in hand."""

_NEVER_ROUND: Final = 1e9  # aiohttp rounds longer timeouts up to whole seconds


@dataclass(frozen=True, slots=True)
class Dial:
    """One endpoint, as the connector wants it described. Never sent as such."""

    request: ClientRequest
    limits: ClientTimeout


class Held:
    """A connection in hand, for one request. It goes back to the pool or is dropped."""

    __slots__ = ("_connection", "protocol", "transport")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.protocol = _protocol_of(connection)
        if self.protocol.transport is None:
            raise ConnectionSpoiled
        self.transport = self.protocol.transport

    def give_back(self) -> None:
        """Return it to the pool, which closes it unless it is clean and kept alive."""
        self._connection.release()

    def drop(self) -> None:
        """Close at once: bytes still waiting to leave do not leave."""
        self.protocol.abort()
        self._connection.close()


class VettedResolver(AbstractResolver):
    """Answers every name with the vetted addresses of the letter in hand."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """Give the vetted addresses; an error when there are none, never an empty list."""
        if not _vetted.get():
            raise AddressForbidden
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in _vetted.get()
        ]

    async def close(self) -> None:
        """Nothing is held open."""


class GuardedConnector(TCPConnector):
    """The pool of one partner. `dials` counts every socket that was opened for it."""

    def __init__(self, settings: NetworkSettings, context: ssl.SSLContext) -> None:
        is_pooling = not settings.close_after_each
        super().__init__(
            ssl=context,
            resolver=VettedResolver(),
            use_dns_cache=False,
            force_close=not is_pooling,
            keepalive_timeout=settings.keepalive_seconds if is_pooling else None,
            limit=settings.connections_per_partner_max,
            socket_factory=self._open_socket,
        )
        self.dials = 0
        self._rules = settings.address_rules
        self._known: WeakSet[ResponseHandler] = WeakSet()

    @property
    def open_connections(self) -> int:
        """How many connections are open, idle ones included."""
        return sum(protocol.is_connected() for protocol in self._known)

    async def take(
        self, dial: Dial, addresses: tuple[str, ...], ranges: tuple[str, ...] = ()
    ) -> Held:
        """Give a connection to one of these addresses, from the pool or new."""
        vetted, granted = _vetted.set(addresses), _ranges.set(ranges)
        try:
            connection = await self.connect(dial.request, [], dial.limits)
        finally:
            _vetted.reset(vetted)
            _ranges.reset(granted)
        return Held(connection)

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Any],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Give a connection whose peer is vetted for the letter in hand and that is silent.

        A pooled one that is neither is dropped and the next one tried; a new one raises.
        """
        while True:
            dials = self.dials
            connection = await super().connect(req, traces, timeout)
            protocol = _protocol_of(connection)
            # Nobody dialled meanwhile: it is from the pool, and known already.
            is_new = dials != self.dials and protocol not in self._known
            if is_new:
                self._known.add(protocol)
            # A new TLS connection may rightly hold bytes: the session tickets.
            fault = _find_fault(protocol, is_polled=not is_new or not req.is_ssl())
            if fault is None:
                return connection
            protocol.abort()
            connection.close()
            if is_new:
                raise fault

    def _open_socket(self, addr_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = addr_info
        if not isinstance(host, str) or host not in _vetted.get():
            raise AddressForbidden
        if judge_address(host, port, self._rules, _ranges.get()) is not None:
            raise AddressForbidden  # the gate's own table, once more, right before the SYN
        self.dials += 1
        return socket.socket(family, kind, protocol)


def make_dial(endpoint: Endpoint, seconds: float) -> Dial:
    """Describe an endpoint to the connector; `ValueError` where two parsers would differ on it.

    `seconds` bounds the whole wait: a free place in the pool, every address, the handshake.
    """
    url = url_of(endpoint)
    limits = ClientTimeout(total=None, connect=seconds, ceil_threshold=_NEVER_ROUND)
    return Dial(ClientRequest("POST", url), limits)


def url_of(endpoint: Endpoint) -> URL:
    """Rebuild a URL from the parts; `ValueError` where it would be read as another place (U10)."""
    url = URL.build(scheme=endpoint.scheme, host=endpoint.host, port=endpoint.port, path="/")
    if url.raw_host != endpoint.host or url.port != endpoint.port:
        raise ValueError("two parsers read the endpoint differently")
    return url


def _protocol_of(connection: Connection) -> ResponseHandler:
    protocol = connection.protocol
    if protocol is None:
        raise ConnectionSpoiled
    return protocol


def _find_fault(protocol: ResponseHandler, *, is_polled: bool) -> OSError | None:
    """Say what forbids using a connection now."""
    transport = protocol.transport
    if transport is None or transport.is_closing() or protocol.should_close:
        return ConnectionSpoiled()
    peer = transport.get_extra_info("peername")
    if not peer:  # gone before it could be asked
        return ConnectionSpoiled()
    if not is_among(peer[0], _vetted.get()):
        return AddressForbidden()
    if is_polled and _has_news(transport.get_extra_info("socket").fileno()):
        return ConnectionSpoiled()
    return None


def is_among(peer: str, addresses: tuple[str, ...]) -> bool:
    """True when the peer is one of the addresses, however either is spelled."""
    return peer in addresses or _packed(peer) in map(_packed, addresses)


@lru_cache(maxsize=1024)
def _packed(address: str) -> bytes:
    return ip_address(address).packed


def _has_news(descriptor: int) -> bool:
    """True when the kernel holds bytes, or the peer's goodbye, that nobody has read yet.

    Whatever waits on a connection before the request is written cannot be its answer.
    """
    watch = select.poll()
    watch.register(descriptor, select.POLLIN)
    return bool(watch.poll(0))
