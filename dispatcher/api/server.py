"""The HTTP listener: `/healthz`, `/readyz` and `/metrics`.

Used by `app.process` for every serving process. Alive means the loop turns; ready means policy can
be read, so a worker that stopped by itself is taken out of rotation.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from dispatcher.model.errors import ConfigInvalid


@dataclass(frozen=True, slots=True)
class Probe:
    """What the listener asks the process it serves."""

    is_ready: Callable[[], Awaitable[bool]]
    metrics: Callable[[], bytes]


@asynccontextmanager
async def serve(host: str, port: int, probe: Probe) -> AsyncIterator[str]:
    """Listen until the block ends; gives the URL. Port 0 takes any free one."""
    runner = web.AppRunner(_application(probe), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        try:
            await site.start()
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen on {host}:{port}: {error.strerror}",
                where="api.host, api.port",
                fix="stop what listens there, or choose another port (0 takes any free one)",
                code="address_in_use",
            ) from None
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


def _application(probe: Probe) -> web.Application:
    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_request: web.Request) -> web.Response:
        if await probe.is_ready():
            return web.Response(text="ready\n")
        return web.Response(text="not ready: policy cannot be read\n", status=503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=probe.metrics(), content_type="text/plain", charset="utf-8")

    application = web.Application(client_max_size=1024)
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", metrics)
    return application
