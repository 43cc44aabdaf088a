"""Names to addresses. Resolved only: whether they may be dialled is for the gates to say.

The worker asks once per attempt, before the gates vet the whole answer. A failure is a value, never
an exception and never an old answer: past its time an answer is looked up again, or there is none.
This module must never connect to anything, and never return a name.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Protocol

from dispatcher.model.letter import Resolved, Trouble

LOOKUPS_MAX: Final = 16
NAMES_CACHED_MAX: Final = 4096
HOSTS_FILE: Final = Path("/etc/hosts")
_FAILED: Final = Trouble("dns_failed", is_begun=False)
_LATE: Final = Trouble("dns_timeout", is_begun=False)


class Resolver(Protocol):
    """What the worker asks of name resolution."""

    async def resolve(self, host: str, *, is_private: bool = False) -> Resolved | Trouble:
        """Give every address of a host, or say why there is none."""
        ...

    def forget(self) -> None:
        """Drop remembered answers: the registry has changed."""
        ...


class SystemResolver:
    """Asks the machine's own resolver, in threads, under a deadline of its own.

    Lookups of one host are shared: a name server that hangs holds one thread per name. A lookup
    that outlives its deadline goes on in its thread, and the next caller joins it.
    """

    def __init__(
        self,
        *,
        dns_seconds: float = 5.0,
        cache_seconds: float = 30.0,
        clock: Callable[[], float],
    ) -> None:
        self._dns_seconds = dns_seconds
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="resolver")
        self._cache: dict[str, tuple[float, Resolved]] = {}
        self._running: dict[str, asyncio.Future[Resolved | Trouble]] = {}

    async def resolve(
        self,
        host: str,
        *,
        is_private: bool = False,  # noqa: ARG002 - the machine has one resolver for all
    ) -> Resolved | Trouble:
        """Give every address of a host, or say why there is none."""
        if is_literal(host):
            return Resolved((host,))
        cache = self._cache
        found = cache.get(host)
        if found is not None and self._clock() < found[0]:
            return found[1]
        asked = self._clock()
        answer = await self._look_up(host)
        if isinstance(answer, Trouble):
            cache.pop(host, None)
            return answer
        if len(cache) >= NAMES_CACHED_MAX:
            cache.clear()
        cache[host] = (asked + self._cache_seconds, answer)
        return answer

    def forget(self) -> None:
        """Drop remembered answers; lookups still running fill the old cache, which nobody reads."""
        self._cache = {}

    def close(self) -> None:
        """Take no more lookups. Does not wait for those that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str) -> Resolved | Trouble:
        lookup = self._running.get(host)
        if lookup is None:
            loop = asyncio.get_running_loop()
            try:
                lookup = loop.run_in_executor(self._threads, look_up, host)
            except RuntimeError:  # closed
                return _FAILED
            self._running[host] = lookup
            lookup.add_done_callback(lambda _: self._running.pop(host, None))
        done, _ = await asyncio.wait((lookup,), timeout=self._dns_seconds)
        if not done:
            return _LATE
        return _FAILED if lookup.cancelled() else lookup.result()


@dataclass(frozen=True, slots=True)
class StaticResolver:
    """Answers from a table, for drills: the demonstration, the bench and tests."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    async def resolve(
        self,
        host: str,
        *,
        is_private: bool = False,  # noqa: ARG002 - one table for all
    ) -> Resolved | Trouble:
        """Give the listed addresses; a name that is not listed does not exist."""
        listed = (host,) if is_literal(host) else self.names.get(host)
        return Resolved(listed) if listed else _FAILED

    def forget(self) -> None:
        """Nothing is remembered."""


@lru_cache(maxsize=NAMES_CACHED_MAX)
def is_literal(host: str) -> bool:
    """True when the host is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def look_up(host: str, hosts_file: Path = HOSTS_FILE) -> Resolved | Trouble:
    """Ask the machine, blocking. The final dot keeps search lists out of it.

    The C library does not find `name.` in the hosts file, so that is read here, first.
    """
    try:
        found = read_hosts(hosts_file).get(host)
        if found is None:
            lines = socket.getaddrinfo(f"{host}.", None, type=socket.SOCK_STREAM)
            found = [str(line[4][0]) for line in lines]
    except (OSError, ValueError):  # ValueError: no name that DNS could know
        return _FAILED
    return _numeric(found)


def read_hosts(path: Path) -> dict[str, list[str]]:
    """Read the hosts file; a machine without one has no such names."""
    found: dict[str, list[str]] = {}
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return found
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name.lower().removesuffix("."), []).append(address)
    return found


def _numeric(texts: Iterable[str]) -> Resolved | Trouble:
    """Keep the order, drop repeats; one answer that is no plain address spoils the set."""
    unique = tuple(dict.fromkeys(texts))
    is_plain = all("%" not in text and is_literal(text) for text in unique)
    return Resolved(unique) if unique and is_plain else _FAILED
