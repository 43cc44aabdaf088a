"""The ceiling: how fast the bare, tuned aiohttp client posts to the same receiver.

Measured by `dispatcher bench road` beside the road, in the same run on the same loop. It does
nothing but post: no database, no policy, no signature. Everything known to make `session.request`
faster is done, so that the ratio flatters nobody.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

IN_FLIGHT: Final = 64
BODY_BYTES: Final = 1024
_HEADERS: Final = {
    "Host": "127.0.0.1",
    "User-Agent": "bench",
    "Accept": "*/*",
    "Content-Type": "application/json",
}
_WARM_UP: Final = 512


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast something went, and what it cost this process."""

    per_s: float
    cpu_us: float


async def measure_ceiling(port: int, requests: int) -> Pace:
    """Post this many bodies, `IN_FLIGHT` at a time, on kept-alive connections."""
    connector = TCPConnector(limit=IN_FLIGHT, keepalive_timeout=60)
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=None),
        raise_for_status=False,
    ) as session:
        url = URL(f"http://127.0.0.1:{port}/inbox")
        await _post_all(session, url, _WARM_UP)
        cpu, began = time.process_time(), time.perf_counter()
        await _post_all(session, url, requests)
        seconds = time.perf_counter() - began
        return Pace(requests / seconds, (time.process_time() - cpu) * 1e6 / requests)


async def _post_all(session: ClientSession, url: URL, requests: int) -> None:
    left = iter(range(requests))
    body = b"x" * BODY_BYTES

    async def post() -> None:
        for _ in left:
            async with session.request(
                "POST", url, data=body, headers=_HEADERS, allow_redirects=False
            ) as answer:
                await answer.read()

    await asyncio.gather(*(post() for _ in range(IN_FLIGHT)))
