"""What every way of looking up a name has in common: sharing, remembering, a deadline, a shape.

`network.resolver` puts one in front of each way of asking. A failure is a value, never an exception
and never an old answer: past its time an answer is looked up again, or there is none. It must never
say whether an address may be dialled: that is for the gates, which see the whole answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from weakref import WeakValueDictionary

from dispatcher.model.host import registered_name
from dispatcher.model.letter import Resolved, Trouble

Ask = Callable[[str], Awaitable[Resolved | Trouble]]
NAMES_CACHED_MAX: Final = 4096
ADDRESSES_MAX: Final = 64
ALIASES_MAX: Final = 16
ZONE_LOOKUPS_MAX: Final = 4
"""Lookups at once below one registered name: a dead name server takes no more places than that."""
FAILED: Final = Trouble("dns_failed", is_begun=False)
LATE: Final = Trouble("dns_timeout", is_begun=False)
OVERSIZED: Final = Trouble("dns_oversized", is_begun=False)
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")


class Lookups:
    """Answers of one way of asking, shared by all who want the same host.

    A lookup that outlives its deadline goes on, and the next caller joins it: a name server that
    hangs holds one lookup per name, however many letters wait.
    """

    def __init__(
        self, ask: Ask, *, dns_seconds: float, cache_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._dns_seconds = dns_seconds
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._cache: dict[str, tuple[float, Resolved]] = {}
        self._running: dict[str, asyncio.Future[Resolved | Trouble]] = {}
        self._zones: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._is_closed = False

    async def resolve(self, host: str) -> Resolved | Trouble:
        """Give every address of a host, or say why there is none."""
        if is_literal(host):
            return Resolved((host,))
        found = self._cache.get(host)
        if found is not None and self._clock() < found[0]:
            return found[1]
        if self._is_closed:
            return FAILED
        lookup = self._running.get(host) or self._begin(host)
        done, _ = await asyncio.wait((lookup,), timeout=self._dns_seconds)
        if not done:
            return LATE
        return FAILED if lookup.cancelled() else lookup.result()

    def forget(self) -> None:
        """Drop remembered answers; lookups still running fill the old cache, which nobody reads."""
        self._cache = {}

    def close(self) -> None:
        """Answer nothing any more, and end what can be ended."""
        self._is_closed = True
        self.forget()
        for lookup in tuple(self._running.values()):
            lookup.cancel()

    def _begin(self, host: str) -> asyncio.Future[Resolved | Trouble]:
        # An answer is as old as its question, and belongs to the revision it was asked under.
        cache, ends = self._cache, self._clock() + self._cache_seconds

        def keep(lookup: asyncio.Future[Resolved | Trouble]) -> None:
            self._running.pop(host, None)
            answer = None if lookup.cancelled() or lookup.exception() else lookup.result()
            if isinstance(answer, Resolved):
                if len(cache) >= NAMES_CACHED_MAX:
                    cache.clear()
                cache[host] = (ends, answer)

        lookup = asyncio.ensure_future(self._take_turn(host))
        self._running[host] = lookup
        lookup.add_done_callback(keep)
        return lookup

    async def _take_turn(self, host: str) -> Resolved | Trouble:
        zone = registered_name(host)
        places = self._zones.get(zone)
        if places is None:
            places = self._zones[zone] = asyncio.Semaphore(ZONE_LOOKUPS_MAX)
        async with places:
            return await self._ask(host)


def make_answer(
    host: str, addresses: Iterable[str], aliases: Iterable[str] = ()
) -> Resolved | Trouble:
    """Keep the order, drop repeats; whatever is odd about an answer spoils all of it.

    That is: no address, a name or a zone where an address should be, an alias that is no plain
    name, more of either than anybody needs.
    """
    found = tuple(dict.fromkeys(addresses))
    passed = tuple(alias for alias in dict.fromkeys(aliases) if alias != host)
    if len(found) > ADDRESSES_MAX or len(passed) > ALIASES_MAX:
        return OVERSIZED
    is_plain = all("%" not in text and is_literal(text) for text in found)
    if not found or not is_plain or not all(map(is_name, passed)):
        return FAILED
    return Resolved(found, passed)


def is_name(text: str) -> bool:
    """True for a name in lower case, without a final dot, that means the same to every reader.

    An escaped dot (`x\\.y`) is refused: it is one label, and looks like two.
    """
    return _NAME.match(text) is not None


def plain_name(text: str) -> str:
    """Give a name from an answer as this house writes names."""
    return text.lower().removesuffix(".")


@lru_cache(maxsize=NAMES_CACHED_MAX)
def is_literal(host: str) -> bool:
    """True when the host is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
