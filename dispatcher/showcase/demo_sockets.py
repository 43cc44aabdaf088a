"""Watches, from inside the interpreter, where this process connects to and which names it looks up.

Used by the demonstration to show that nothing but the partners' inboxes was ever dialled, whatever
part of the program did it. It only listens: it never stops a connection.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(slots=True)
class SocketWatch:
    """What was seen: peers that were connected or sent to, and names that were looked up."""

    peers: list[tuple[str, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


_PEERED: Final = frozenset({"socket.connect", "socket.sendto"})
_NAMED: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_watching: list[SocketWatch] = []
_hooked: list[bool] = []


@contextmanager
def watch_sockets() -> Iterator[SocketWatch]:
    """Note every connection of this process until the block ends."""
    watch = SocketWatch()
    if not _hooked:
        # The interpreter keeps an audit hook for ever; without a watch it does nothing.
        sys.addaudithook(_hear)
        _hooked.append(True)
    _watching.append(watch)
    try:
        yield watch
    finally:
        _watching.remove(watch)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or not event.startswith("socket."):
        return
    if event in _PEERED:
        address = arguments[1]
        # A path is a socket of this machine's own, and leaves it for nowhere.
        if isinstance(address, tuple):
            for watch in _watching:
                watch.peers.append((str(address[0]), int(address[1])))
    elif event in _NAMED:
        for watch in _watching:
            watch.names.append(str(arguments[0]))
