"""Asks name servers directly: those that are configured, else those of the machine.

`network.resolver` calls it for addresses where that is configured, for names that may be private,
and always for texts. No search list, no hosts file, no variable of the environment has a say. It
must never ask a server that is not in its list, nor give a part of an answer for the whole.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from aiodns import DNSResolver
from aiodns.error import ARES_ENODATA, ARES_ENOTFOUND, ARES_ETIMEOUT, DNSError
from pycares import (
    ARES_FLAG_EDNS,
    ARES_FLAG_NOALIASES,
    ARES_FLAG_NOSEARCH,
    QUERY_CLASS_IN,
    QUERY_TYPE_A,
    QUERY_TYPE_AAAA,
    QUERY_TYPE_TXT,
    AAAARecordData,
    ARecordData,
    AresError,
    CNAMERecordData,
    DNSRecord,
    DNSResult,
    TXTRecordData,
)

from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.lookups import (
    FAILED,
    LATE,
    OVERSIZED,
    is_name,
    make_answer,
    plain_name,
)
from dispatcher.network.settings import parse_name_server

LOOKUPS_MAX: Final = 32
TEXTS_MAX: Final = 64
TEXT_BYTES_MAX: Final = 1024
RESOLV_CONF: Final = Path("/etc/resolv.conf")
_FLAGS: Final = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES
_TRIES: Final = 2
_EMPTY: Final = frozenset({ARES_ENODATA, ARES_ENOTFOUND})
_FAMILIES: Final = {"A": QUERY_TYPE_A, "AAAA": QUERY_TYPE_AAAA}


class NameServers:
    """A fixed list of servers, `address:port` each; an empty one means those of the machine."""

    def __init__(
        self, servers: tuple[str, ...], *, dns_seconds: float, resolv_conf: Path = RESOLV_CONF
    ) -> None:
        self._servers = servers
        self._dns_seconds = dns_seconds
        self._resolv_conf = resolv_conf
        self._places = asyncio.Semaphore(LOOKUPS_MAX)

    async def addresses(self, host: str) -> Resolved | Trouble:
        """Give every address of a host and the names on the way, or say why there are none.

        Both families have to be answered: what was not heard may be the bad half.
        """
        answers = await self._ask(host, tuple(_FAMILIES))
        if isinstance(answers, Trouble):
            return answers
        aliases: list[str] = []
        addresses: list[str] = []
        for records, kind in zip(answers, _FAMILIES.values(), strict=True):
            way = _follow(host, records)
            if way is None:
                return FAILED
            aliases += way
            end = way[-1] if way else host
            addresses += [
                each.data.addr
                for each in records
                if isinstance(each.data, ARecordData | AAAARecordData)
                and each.type == kind
                and plain_name(each.name) == end
            ]
        return make_answer(host, addresses, aliases)

    async def texts(self, name: str) -> tuple[str, ...] | Trouble:
        """Give the texts of a name; none where it has none, trouble where nobody could say.

        What is not plain ASCII, or too long, is left out.
        """
        answers = await self._ask(name, ("TXT",))
        if isinstance(answers, Trouble):
            return answers
        (records,) = answers
        way = _follow(name, records)
        if way is None:
            return FAILED
        end = way[-1] if way else name
        found = [
            each.data.data
            for each in records
            if isinstance(each.data, TXTRecordData)
            and each.type == QUERY_TYPE_TXT
            and plain_name(each.name) == end
        ]
        if len(found) > TEXTS_MAX:
            return OVERSIZED
        return tuple(
            data.decode("ascii")
            for data in found
            if len(data) <= TEXT_BYTES_MAX and data.isascii() and data.decode("ascii").isprintable()
        )

    async def _ask(self, name: str, kinds: tuple[str, ...]) -> list[list[DNSRecord]] | Trouble:
        """Ask for each kind of record; every question gets its answer, or there is none at all."""
        servers = self._servers or read_name_servers(self._resolv_conf)
        if not servers or not is_name(name):
            return FAILED
        try:
            async with (
                asyncio.timeout(self._dns_seconds),
                self._places,
                self._open(servers) as channel,
            ):
                results = await asyncio.gather(
                    *(channel.query_dns(name, kind) for kind in kinds), return_exceptions=True
                )
        except TimeoutError:
            return LATE
        except AresError:
            return FAILED
        return _whole(results)

    def _open(self, servers: tuple[str, ...]) -> DNSResolver:
        # One channel per lookup: it remembers answers itself, and would for up to an hour.
        return DNSResolver(
            servers,
            timeout=self._dns_seconds / 4,  # the second try waits twice as long
            tries=_TRIES,
            flags=_FLAGS,
            lookups="b",
            resolvconf_path=os.devnull,
        )


def read_name_servers(path: Path) -> tuple[str, ...]:
    """Read the machine's name servers; where it names none there are none."""
    try:
        lines = path.read_text("ascii", "replace").splitlines()
    except OSError:
        return ()
    found = (words[1] for words in map(str.split, lines) if words[:1] == ["nameserver"])
    try:
        return tuple(map(parse_name_server, found))
    except (ValueError, IndexError):
        return ()


def _whole(results: list[DNSResult | BaseException]) -> list[list[DNSRecord]] | Trouble:
    found: list[list[DNSRecord]] = []
    for result in results:
        if isinstance(result, DNSResult):
            found.append([each for each in result.answer if each.record_class == QUERY_CLASS_IN])
        elif not isinstance(result, DNSError):
            raise result
        elif result.args[0] in _EMPTY:
            found.append([])
        else:
            return LATE if result.args[0] == ARES_ETIMEOUT else FAILED
    return found


def _follow(host: str, records: list[DNSRecord]) -> list[str] | None:
    """Give the names from the host to where its records lie; nothing where they lead astray."""
    steps: dict[str, str] = {}
    for each in records:
        if isinstance(each.data, CNAMERecordData):
            target = plain_name(each.data.cname)
            if steps.setdefault(plain_name(each.name), target) != target:
                return None
    way: list[str] = []
    here = host
    while here in steps:
        here = steps[here]
        if here == host or here in way:
            return None
        way.append(here)
    return way
