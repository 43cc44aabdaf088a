"""The guarded connector: dials vetted addresses, and nothing else, ever.

The transport takes its connections here, one connector per partner, so that no pool is ever shared.
Every road to a socket passes three checks: the resolver answers with the letter's own vetted
addresses, the socket factory refuses any other, and `connect` looks at the peer, its public key and
the revision it was dialled under before it hands over a connection, new or pooled. Where the
operator named a proxy, sockets lead to it alone, and it is asked for a tunnel to one vetted
address. No other module opens a connection to a partner. It must never resolve a name, heed a proxy
that the environment names, read the environment or skip TLS.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Collection
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import AddrInfoType, Connection
from yarl import URL

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.tls import Peer, Tls
from dispatcher.network.certificates import meet
from dispatcher.network.settings import NetworkSettings, Proxy
from dispatcher.network.sources import bind_source
from dispatcher.network.troubles import (
    CONNECT_ERRORS,
    AddressForbidden,
    ConnectionSpoiled,
    IdentityTurned,
    PinMismatch,
    PlainThroughProxy,
)
from dispatcher.network.tunnels import Tunnels
from dispatcher.stages.gates.addresses import judge_address


class Errand(NamedTuple):
    """What the letter in hand asks of its connection: one of these addresses, one of these keys,
    and that no earlier revision dialled it. `ranges` are the private ranges granted to it.
    """

    addresses: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    tls: Tls = Tls()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an open connection: the revision it was dialled under, and who is there.

    `watch` is the kernel's list of connections to look at, with this one on it.
    """

    revision: int
    peer: Peer
    watch: select.poll


_NO_ERRAND: Final = Errand()
_errand: ContextVar[Errand] = ContextVar("errand", default=_NO_ERRAND)
"""Without a letter in hand there is no address, and nothing is dialled."""

_is_tunnel: ContextVar[bool] = ContextVar("is_tunnel", default=False)
"""True while a tunnel is asked for: then the proxy's own address is all that may be dialled."""

_NEVER_ROUND: Final = 1e9  # aiohttp rounds longer timeouts up to whole seconds


@dataclass(frozen=True, slots=True)
class Dial:
    """One endpoint, as the connector wants it described. Never sent as such."""

    request: ClientRequest
    limits: ClientTimeout
    tunnels: Tunnels | None = None


class Held:
    """A connection in hand, for one request. It goes back to the pool or is dropped."""

    __slots__ = ("connection", "peer", "protocol", "transport")

    def __init__(
        self,
        connection: Connection,
        protocol: ResponseHandler,
        transport: asyncio.Transport,
        peer: Peer,
    ) -> None:
        self.connection = connection
        self.protocol = protocol
        self.transport = transport
        self.peer = peer

    def give_back(self) -> None:
        """Return it to the pool, which closes it unless it is clean and kept alive."""
        self.connection.release()

    def drop(self) -> None:
        """Close at once: bytes still waiting to leave do not leave."""
        self.protocol.abort()
        self.connection.close()


class VettedResolver(AbstractResolver):
    """Answers every name with the vetted addresses of the letter in hand."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """Give the vetted addresses; an error when there are none, never an empty list."""
        addresses = _errand.get().addresses
        if not addresses:
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
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held open."""


class GuardedConnector(TCPConnector):
    """A pool of one partner, which knows of each connection who is there and since when."""

    def __init__(
        self, settings: NetworkSettings, context: ssl.SSLContext, *, is_pooling: bool
    ) -> None:
        super().__init__(
            ssl=context,
            resolver=VettedResolver(),
            use_dns_cache=False,
            force_close=not is_pooling,
            keepalive_timeout=settings.keepalive_seconds if is_pooling else None,
            limit=settings.connections_per_partner_max,
            socket_factory=self._open_socket,
        )
        self._rules = settings.address_rules
        self._sources = settings.bind_addresses
        self._proxy = settings.proxy
        self._known: WeakKeyDictionary[ResponseHandler, Opened] = WeakKeyDictionary()
        self._left: WeakSet[ssl.SSLContext] = WeakSet()

    @property
    def open_connections(self) -> int:
        """How many connections are open, idle ones included."""
        return sum(protocol.is_connected() for protocol in self._known)

    def leave(self, contexts: Collection[ssl.SSLContext]) -> None:
        """Use no connection of these contexts for a further letter; close those that are idle."""
        self._left.update(contexts)
        for protocol in list(self._known):
            if self._is_left(protocol):
                protocol.force_close()
                if protocol not in self._acquired:
                    protocol.close()

    def _is_left(self, protocol: ResponseHandler) -> bool:
        transport = protocol.transport
        return transport is not None and transport.get_extra_info("sslcontext") in self._left

    async def take(self, dial: Dial, errand: Errand) -> Held:
        """Give a connection that is fit for the errand, from the pool or new."""
        if dial.tunnels is not None:
            return await self._take_in_turn(dial, dial.tunnels, errand)
        token = _errand.set(errand)
        try:
            return await self._obtain(dial.request, [], dial.limits)
        finally:
            _errand.reset(token)

    async def _take_in_turn(self, dial: Dial, tunnels: Tunnels, errand: Errand) -> Held:
        """Try one address after the other: through the proxy, but for a development's inboxes."""
        limits = _limits((dial.limits.connect or 0.0) / (len(errand.addresses) or 1))
        fault: Exception = AddressForbidden()
        for address in tunnels.ordered(errand.addresses):
            try:
                if (address, dial.request.port) in self._rules.loopback:
                    direct = errand._replace(addresses=(address,))
                    return await self.take(Dial(dial.request, limits), direct)
                tunnel = Dial(tunnels.request(address), limits)
                held = await self._take_tunnel(tunnel, address, dial, errand)
            except (PinMismatch, IdentityTurned):
                raise
            except CONNECT_ERRORS as error:
                fault = error
            else:
                tunnels.note(address)
                return held
        raise fault

    async def _take_tunnel(self, tunnel: Dial, address: str, dial: Dial, errand: Errand) -> Held:
        if self._proxy is None or not dial.request.is_ssl():
            raise PlainThroughProxy
        port = dial.request.port
        if judge_address(address, port, self._rules, errand.ranges) is not None:
            raise AddressForbidden  # the proxy would dial it for us
        token = _is_tunnel.set(True)
        try:
            return await self.take(tunnel, errand._replace(addresses=(self._proxy.address,)))
        finally:
            _is_tunnel.reset(token)

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Any],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Give a connection that is fit for the letter in hand: there is no way around that."""
        return (await self._obtain(req, traces, timeout)).connection

    async def _obtain(
        self,
        req: ClientRequest,
        traces: list[Any],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Held:
        """Find one whose peer and revision are as asked, and that is silent.

        A pooled one that is not is dropped and the next one tried; a new one raises.
        """
        errand = _errand.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = _protocol_of(connection)
            opened = self._known.get(protocol)
            is_new = opened is None
            try:
                if opened is None:
                    opened = self._known[protocol] = _get_to_know(protocol, errand)
                # A new TLS connection may rightly hold bytes: the session tickets.
                is_polled = not is_new or not req.is_ssl()
                if self._left and self._is_left(protocol):  # while it was being dialled
                    raise IdentityTurned
                transport = _check_fit(protocol, opened, errand, is_polled=is_polled)
            except OSError:
                protocol.abort()
                connection.close()
                if is_new:
                    raise
            else:
                return Held(connection, protocol, transport, opened.peer)

    def _open_socket(self, addr_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = addr_info
        errand = _errand.get()
        if not isinstance(host, str) or host not in errand.addresses:
            raise AddressForbidden
        if not self._may_dial(host, port, errand):
            raise AddressForbidden
        found = socket.socket(family, kind, protocol)
        try:
            if self._sources and not ip_address(host).is_loopback:
                bind_source(found, self._sources)
        except OSError:
            found.close()
            raise
        return found

    def _may_dial(self, host: str, port: int, errand: Errand) -> bool:
        if _is_tunnel.get():
            return self._proxy is not None and (host, port) == self._proxy.place
        if self._proxy is not None and (host, port) not in self._rules.loopback:
            return False
        # The gate's own table, once more, right before the SYN.
        return judge_address(host, port, self._rules, errand.ranges) is None


def make_dial(
    endpoint: Endpoint, seconds: float, context: ssl.SSLContext, proxy: Proxy | None = None
) -> Dial:
    """Describe an endpoint to the connector; `ValueError` where two parsers would differ on it.

    `seconds` bounds the whole wait: a free place in the pool, every address, the handshake. Pools
    tell connections apart by their `context`.
    """
    url = url_of(endpoint)
    tunnels = Tunnels(endpoint, proxy, context) if proxy is not None else None
    return Dial(ClientRequest("POST", url, ssl=context), _limits(seconds), tunnels)


def url_of(endpoint: Endpoint) -> URL:
    """Rebuild a URL from the parts; `ValueError` where it would be read as another place (U10)."""
    url = URL.build(scheme=endpoint.scheme, host=endpoint.host, port=endpoint.port, path="/")
    if url.raw_host != endpoint.host or url.port != endpoint.port:
        raise ValueError("two parsers read the endpoint differently")
    return url


def _limits(seconds: float) -> ClientTimeout:
    return ClientTimeout(total=None, connect=seconds, ceil_threshold=_NEVER_ROUND)


def _protocol_of(connection: Connection) -> ResponseHandler:
    protocol = connection.protocol
    if protocol is None:
        raise ConnectionSpoiled
    return protocol


def _get_to_know(protocol: ResponseHandler, errand: Errand) -> Opened:
    """Look at a new connection, once."""
    transport = protocol.transport
    address = transport.get_extra_info("peername") if transport is not None else None
    if transport is None or not address:  # gone before it could be asked
        raise ConnectionSpoiled
    watch = select.poll()
    watch.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return Opened(errand.revision, meet(transport, address[0]), watch)


def _check_fit(
    protocol: ResponseHandler, opened: Opened, errand: Errand, *, is_polled: bool
) -> asyncio.Transport:
    """Give what may be written to; raise what forbids that the letter in hand travels on it now."""
    transport = protocol.transport
    if transport is None or transport.is_closing() or protocol.should_close:
        raise ConnectionSpoiled
    if opened.revision < errand.revision:
        raise ConnectionSpoiled
    if not is_among(opened.peer.address, errand.addresses):
        raise AddressForbidden
    if not errand.tls.has_pin(opened.peer.spki) and not errand.tls.is_reporting:
        raise PinMismatch(opened.peer)
    # Whatever waits on a connection before the request is written, bytes or the peer's goodbye,
    # cannot be its answer.
    if is_polled and opened.watch.poll(0):
        raise ConnectionSpoiled
    return transport


def is_among(peer: str, addresses: tuple[str, ...]) -> bool:
    """True when the peer is one of the addresses, however either is spelled."""
    return peer in addresses or _packed(peer) in map(_packed, addresses)


@lru_cache(maxsize=1024)
def _packed(address: str) -> bytes:
    return ip_address(address).packed
