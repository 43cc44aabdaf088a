"""Does a name server answer at all? Asked by `doctor`, about the servers that are configured.

The question is for the root's own servers, which tells nobody anything. Any answer will do, a
refusal too. It must never ask for a name that stands in the registry, or for any other.
"""

import asyncio
import socket
from typing import Final

_QUESTION: Final = b"\x01\x00" + b"\x00\x01" + b"\x00" * 6 + b"\x00" + b"\x00\x02" + b"\x00\x01"
"""Flags, one question: the root, NS, IN. An id of two bytes goes before it."""


async def does_answer(server: str, seconds: float) -> bool:
    """Say whether something at `address:port` answers a question within the time."""
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    mark = b"\x6d\x65"
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    loop = asyncio.get_running_loop()
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as asked:
            asked.setblocking(False)
            asked.connect((host, int(port)))
            async with asyncio.timeout(seconds):
                await loop.sock_sendall(asked, mark + _QUESTION)
                while True:
                    answer = await loop.sock_recv(asked, 4096)
                    if answer[:2] == mark and answer[2:3] >= b"\x80":
                        return True
    except (OSError, TimeoutError):
        return False
