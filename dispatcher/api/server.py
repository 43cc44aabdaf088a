"""The HTTP listener: `/healthz`, `/readyz`, `/metrics`, and the API under `/v1`.

Used by `app.process` for every serving process. Alive means the loop turns; ready means policy can
be read, so a worker that stopped by itself is taken out of rotation. Here a request is bounded in
size and time and turned into a `Call`; everything else is `front`'s. Of whoever cannot say who it
is no body is read.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from dispatcher.api.calls import Call, Reply
from dispatcher.api.front import Front
from dispatcher.api.problems import (
    BodyTooLarge,
    BodyTooSlow,
    RequestTimeout,
    TooManyFailures,
    tell,
)
from dispatcher.api.routes import Route
from dispatcher.control.failed_attempts import FailedAttempts
from dispatcher.model.errors import (
    ConfigInvalid,
    DispatcherError,
    Malformed,
    Unauthenticated,
    UnsupportedMediaType,
)
from dispatcher.model.people import Principal
from dispatcher.telemetry.metrics import Metrics

QUERY_FIELDS_MAX: Final = 50
LINGER_SECONDS: Final = 1.0
"""How long the rest of a body is read after it was refused, so that the answer arrives."""

_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Probe:
    """What the listener asks the process it serves."""

    is_ready: Callable[[], Awaitable[bool]]
    metrics: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The API as it is served: who answers, who knows people, and the bounds of a request."""

    front: Front
    authenticate: Callable[[str], Awaitable[Principal]]
    failed: FailedAttempts
    metrics: Metrics
    log: Any
    body_bytes_max: int
    request_seconds: float


@asynccontextmanager
async def serve(host: str, port: int, probe: Probe, api: Api | None = None) -> AsyncIterator[str]:
    """Listen until the block ends; gives the URL. Port 0 takes any free one."""
    runner = web.AppRunner(
        _application(probe, api),
        access_log=None,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,
    )
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


def _application(probe: Probe, api: Api | None) -> web.Application:
    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_request: web.Request) -> web.Response:
        if await probe.is_ready():
            return web.Response(text="ready\n")
        return web.Response(text="not ready: policy cannot be read\n", status=503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=probe.metrics(), content_type="text/plain", charset="utf-8")

    application = web.Application(client_max_size=api.body_bytes_max if api else 1024)
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", metrics)
    if api is not None:
        served = api

        async def answer(request: web.Request) -> web.Response:
            return await _answer(served, request)

        application.router.add_route("*", r"/v1/{rest:[\s\S]*}", answer)
    return application


async def _answer(api: Api, request: web.Request) -> web.Response:
    clock = asyncio.get_running_loop().time
    began = clock()
    reply, route = await _bounded(api, request)
    operation = route.name if route is not None else "none"
    api.metrics.api_requests.labels(operation, str(reply.status)).inc()
    say = api.log.debug if request.method in ("GET", "HEAD") else api.log.info
    say(
        "api_request",
        operation=operation,
        status=reply.status,
        seconds=round(clock() - began, 4),
    )
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


async def _bounded(api: Api, request: web.Request) -> tuple[Reply, Route | None]:
    """Answer a request within its bounds; whatever happens, there is an answer."""
    loop = asyncio.get_running_loop()
    try:
        # The body's time ends first, so that it is told from the answer's.
        async with asyncio.timeout(api.request_seconds + 1) as answered:

            async def body() -> bytes:
                read = await _read_body(api, request)
                answered.reschedule(loop.time() + api.request_seconds)
                return read

            async def who() -> Principal:
                return await _who(api, request)

            return await api.front.answer(_call(request), who, body)
    except TimeoutError:
        late = RequestTimeout(
            f"it was not done within {api.request_seconds:g} s, and was given up",
            fix="look whether it was done, then ask again",
        )
        return tell(late), None
    except DispatcherError as error:
        return tell(error), None
    except Exception as error:  # noqa: BLE001 - the last net: nobody is shown a stack trace
        api.log.error("api_failed", error=type(error).__name__)
        own = DispatcherError("something unforeseen went wrong", fix="please report it")
        return tell(own), None


def _call(request: web.Request) -> Call:
    """Give a request as the front takes it, its body not yet read. Raises `Malformed`."""
    try:
        query = parse_qsl(
            request.rel_url.raw_query_string,
            keep_blank_values=True,
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise Malformed(
            f"more than {QUERY_FIELDS_MAX} parameters", where="query", fix="ask for less at once"
        ) from None
    return Call(
        method="GET" if request.method == "HEAD" else request.method,
        path=request.rel_url.raw_path,
        query=tuple(query),
        headers={name.lower(): value for name, value in request.headers.items()},
    )


async def _read_body(api: Api, request: web.Request) -> bytes:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType(
            "the body is compressed", where="content-encoding", fix="send it as it is"
        )
    try:
        async with asyncio.timeout(api.request_seconds):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge(
            f"at most {api.body_bytes_max} bytes are read",
            fix="send less, or raise [api] body_bytes_max",
        ) from None
    except TimeoutError:
        raise BodyTooSlow(
            f"the body did not arrive within {api.request_seconds:g} s",
            fix="send it faster, or less of it",
        ) from None
    except (web.RequestPayloadError, ConnectionError):
        raise Malformed(
            "the body broke off", where="body", fix="send as many bytes as were announced"
        ) from None


async def _who(api: Api, request: web.Request) -> Principal:
    """Say whose token it is. A good one is never refused, whatever came from its address before."""
    address = request.remote or ""
    try:
        return await api.authenticate(_token(request))
    except Unauthenticated:
        api.metrics.api_auth_failures.inc()
        left = api.failed.seconds_left(address)
        if left:
            raise TooManyFailures(left) from None
        api.failed.note(address)
        raise


def _token(request: web.Request) -> str:
    given = request.headers.get("authorization", "")
    if given[: len(_BEARER)].lower() != _BEARER:
        raise Unauthenticated(
            "the request bears no token",
            where="authorization",
            fix="send 'Authorization: Bearer dsp_...'; an admin makes tokens with "
            "'dispatcher token issue'",
            code="token_missing",
        )
    return given[len(_BEARER) :].strip()
