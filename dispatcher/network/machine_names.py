"""Asks the machine's own resolver, in threads: the default way, and named as such.

`network.resolver` calls it where `[network] resolver = "system"`. What the machine is set up to ask
(hosts file, name servers, plug-ins) is the operator's; search lists are kept out of it. Of the
names on the way it knows the last one only. It must never be asked for texts, nor stand in for name
servers that do not answer.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.lookups import FAILED, make_answer, plain_name

LOOKUPS_MAX: Final = 16
HOSTS_FILE: Final = Path("/etc/hosts")


class MachineNames:
    """The machine's resolver behind a bounded number of threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="resolver")

    def addresses(self, host: str) -> asyncio.Future[Resolved | Trouble]:
        """Ask for every address of a host. The thread cannot be stopped, only left alone."""
        return asyncio.get_running_loop().run_in_executor(self._threads, look_up, host)

    def close(self) -> None:
        """Take no more lookups. Does not wait for those that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def look_up(host: str, hosts_file: Path = HOSTS_FILE) -> Resolved | Trouble:
    """Ask the machine, blocking. The final dot keeps search lists out of it.

    The C library does not find `name.` in the hosts file, so that is read here, first.
    """
    try:
        found = read_hosts(hosts_file).get(host)
        if found is not None:
            return make_answer(host, found)
        lines = socket.getaddrinfo(
            f"{host}.", None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
        )
    except (OSError, ValueError):  # ValueError: no name that DNS could know
        return FAILED
    aliases = (plain_name(line[3]) for line in lines if line[3])
    return make_answer(host, (str(line[4][0]) for line in lines), aliases)


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
            found.setdefault(plain_name(name), []).append(address)
    return found
