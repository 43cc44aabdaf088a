"""The door: posts a sealed letter to its vetted addresses and brings back a bounded answer.

Step 9 of the road, called by `worker.courier` for every delivery, retry, replay and test send, and
by `worker.prover` for challenges; `worker.key_fetcher` asks for what partners publish, which takes
the same way and sends nothing. A connection that the letter's terms allow is taken first; then,
with no await in between, the letter is signed, the caller's last check is made, and the bytes are
written. It must never resolve, redirect, retry after a byte was written, keep a cookie, or accept
any letter but a `Sealed` one.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.headers import Headers
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.letter import Admitted, Answer, Departure, Sealed, Stopped, Trouble
from dispatcher.model.snapshot import Route
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason
from dispatcher.network.dialer import Dial, Errand, GuardedConnector, Held, make_dial
from dispatcher.network.exchange import prepare, read_answer
from dispatcher.network.identities import Look
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.sources import check_sources
from dispatcher.network.tls import Contexts
from dispatcher.network.troubles import (
    CONNECT_ERRORS,
    IdentityTurned,
    PinMismatch,
    TermsUnmet,
    connect_trouble,
)
from dispatcher.network.versions import check_aiohttp
from dispatcher.network.wire import write_fetch, write_prefix, write_request

Depart = Callable[[], Departure | Stopped]
Check = Callable[[], Stopped | None]
LINES_MAX: Final = 4096
_Pool = tuple[str, tuple[str, ...], bool]
"""Whose it is, where it may lead inside, and whether a connection is closed after each letter."""
_CLOSED: Final = Trouble("connect_failed", is_begun=False)
_HEADER_INVALID: Final = Trouble("header_invalid", is_begun=False)


@dataclass(frozen=True, slots=True)
class Line:
    """What is the same for every letter to one endpoint of one partner."""

    connector: GuardedConnector
    dial: Dial
    prefixes: dict[str, bytes] = field(default_factory=dict)


class Transport:
    """Every connection to a partner, in pools that no two partners share. One per process."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Read roots and identities; `ConfigInvalid` when one of them cannot be used."""
        check_aiohttp(aiohttp.__version__)
        check_sources(settings.bind_addresses)
        self._settings = settings
        self._contexts = Contexts(settings)
        self._connectors: dict[_Pool, GuardedConnector] = {}
        self._lines: dict[tuple[_Pool, Endpoint, Headers, float, Tls], Line] = {}
        self._is_closed = False

    async def post(
        self, sealed: Sealed, depart: Depart, check: Check, keep_bytes: int = 0
    ) -> Answer | Trouble | Stopped:
        """Send one letter. When a connection is held, `depart` signs, and then `check` has the
        last word: the very next thing is the write.

        Where either says `Stopped`, nothing was sent and the connection stays usable. The whole
        attempt ends after the route's `attempt_seconds`. Of the answer's body nothing is kept, or
        the whole where it has at most `keep_bytes`.
        """
        if not isinstance(sealed, Sealed):
            raise TypeError("only a sealed letter may leave")
        admitted = sealed.shaped.admitted
        route = admitted.cleared.route
        ends = asyncio.get_running_loop().time() + route.attempt_seconds
        if self._is_closed:
            return _CLOSED
        try:
            line = self._line(route)
            prefix = line.prefixes.get(sealed.content_type) or _add_prefix(line, route, sealed)
        except ValueError:
            return _HEADER_INVALID
        except TermsUnmet as error:
            return connect_trouble(error)
        held = await self._take(line, admitted)
        if not isinstance(held, Held):
            return held
        # No await from here to the first byte.
        unsent = self._write(held, prefix, check, depart, sealed.body)
        if unsent is not None:
            return unsent
        return await read_answer(held, ends, self._settings, keep_bytes)

    async def fetch(
        self, admitted: Admitted, check: Check, keep_bytes: int
    ) -> Answer | Trouble | Stopped:
        """Ask for what a partner publishes at its route: no body, no word of ours, no redirect.

        `check` has the last word, as for a letter.
        """
        if not isinstance(admitted, Admitted):
            raise TypeError("only what was vetted may be asked")
        route = admitted.cleared.route
        ends = asyncio.get_running_loop().time() + route.attempt_seconds
        if self._is_closed:
            return _CLOSED
        try:
            line, request = self._line(route), write_fetch(route.endpoint)
        except ValueError:
            return _HEADER_INVALID
        except TermsUnmet as error:
            return connect_trouble(error)
        held = await self._take(line, admitted)
        if not isinstance(held, Held):
            return held
        # No await from here to the first byte.
        unsent = self._write(held, request, check)
        if unsent is not None:
            return unsent
        return await read_answer(held, ends, self._settings, keep_bytes)

    @property
    def certificates(self) -> tuple[ClientCertificate, ...]:
        """The client certificates at hand, whether they are shown or not."""
        return self._contexts.identities.certificates

    async def look(self) -> Look:
        """Look whether files of client certificates changed; `show` says what becomes of them."""
        return await asyncio.to_thread(self._contexts.identities.look)

    def show(self, certificates: Iterable[ClientCertificate]) -> None:
        """Show these client certificates from now on, and no others.

        No connection that was made with another is used for a further letter; the idle are closed.
        """
        gone = self._contexts.show(certificates)
        if gone is None:
            return
        self._lines.clear()
        for connector in self._connectors.values():
            connector.leave(gone)

    async def aclose(self) -> None:
        """Close every connection; requests in flight are cut. Nothing is sent after this."""
        self._is_closed = True
        connectors = tuple(self._connectors.values())
        self._connectors.clear()
        self._lines.clear()
        for connector in connectors:
            await connector.close()

    def open_connections(self) -> int:
        """How many connections are open, idle ones included."""
        return sum(connector.open_connections for connector in self._connectors.values())

    async def _take(self, line: Line, admitted: Admitted) -> Held | Trouble | Stopped:
        """Take a connection to one of the vetted addresses, or say why there is none."""
        route = admitted.cleared.route
        errand = Errand(
            admitted.addresses, route.private_ranges, route.tls, admitted.cleared.revision
        )
        try:
            return await line.connector.take(line.dial, errand)
        except PinMismatch as mismatch:
            return Stopped(Reason.PIN_MISMATCH, mismatch.peer)
        except IdentityTurned:
            return Stopped(Reason.POLICY_CHANGED)  # made again, it goes under another certificate
        except CONNECT_ERRORS as error:
            return connect_trouble(error)

    def _write(
        self,
        held: Held,
        request: bytes,
        check: Check,
        depart: Depart | None = None,
        body: bytes = b"",
    ) -> Trouble | Stopped | None:
        """Sign, check, write; where it does not come to that, give the connection back.

        `request` is the whole of it, or only its prefix where there is a `depart` to sign `body`.
        """
        is_untouched = True
        try:
            prepare(held, self._settings)
            if depart is not None:
                departure = depart()
                if isinstance(departure, Stopped):
                    return departure
                try:
                    request = write_request(request, departure.headers, body)
                except ValueError:
                    return _HEADER_INVALID
            # A process can be frozen between any two instructions: nothing comes between these.
            stopped = check()
            if stopped is None:
                is_untouched = False
                held.transport.write(request)
            return stopped
        finally:
            if is_untouched:
                held.give_back()

    def _line(self, route: Route) -> Line:
        pool = _pool_of(route)
        key = (pool, route.endpoint, route.headers, route.attempt_seconds, route.tls)
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= LINES_MAX:
                self._lines.clear()
            seconds = min(self._settings.connect_seconds, route.attempt_seconds)
            context = self._contexts.context(route.tls)
            dial = make_dial(route.endpoint, seconds, context, self._settings.proxy)
            line = self._lines[key] = Line(self._connector(pool), dial)
        return line

    def _connector(self, pool: _Pool) -> GuardedConnector:
        connector = self._connectors.get(pool)
        if connector is None:
            *_, is_closing = pool
            context = self._contexts.context(Tls())
            connector = GuardedConnector(self._settings, context, is_pooling=not is_closing)
            self._connectors[pool] = connector
        return connector


def _pool_of(route: Route) -> _Pool:
    """Say which pool a route's connections belong to: never that of another partner.

    What may lead inside has a pool of its own: the two sides of a partner never mix (A3).
    """
    return route.connector, route.private_ranges, route.close_after_each


def _add_prefix(line: Line, route: Route, sealed: Sealed) -> bytes:
    prefix = write_prefix(route.endpoint, route.headers, sealed.content_type)
    line.prefixes[sealed.content_type] = prefix
    return prefix
