"""The listener that partners call over TLS: `GET /v1/refs/{ref}`, and the page of public keys.

Served by `app` in a process of its own or beside a worker, under that process's policy lease. Every
request gets one of a few answers; whoever is not the rightful partner gets the same one whatever is
or is not behind a reference. No body is read, no text of ours names a reference, and no answer may
be kept by whoever passes it on.
"""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from dispatcher.control.failed_attempts import FailedAttempts
from dispatcher.model.errors import ConfigInvalid, DispatcherError
from dispatcher.model.letter import Departure, Sealed
from dispatcher.model.ticket import Denial, Fetch
from dispatcher.network.certificates import meet
from dispatcher.partner import published
from dispatcher.partner.callers import find_callers
from dispatcher.partner.published import PublishedKeys
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.reader import Reader

LINE_BYTES_MAX: Final = 1024
FIELD_BYTES_MAX: Final = 4096
IDLE_SECONDS: Final = 10.0
"""How long a connection may be open without a whole request on it."""
RETRY_SECONDS: Final = "30"
_PATH: Final = re.compile(r"/v1/refs/([A-Za-z0-9_-]{1,64})\Z")
_BEARER: Final = re.compile(r"(?i:bearer) (tkt_[A-Za-z0-9_-]{1,64})\Z")
_ALWAYS: Final = {
    "cache-control": "no-store",
    "server": "dispatcher",
    "x-content-type-options": "nosniff",
}
_TOLD: Final[dict[Denial, tuple[int, str, str]]] = {
    Denial.UNKNOWN: (
        404,
        "there is nothing here, or not for whoever asks",
        "GET the ref without a query, its ticket as bearer token, as a caller registered for you",
    ),
    Denial.UNAVAILABLE: (503, "nothing is answered at the moment", "ask again later"),
    Denial.EXPIRED: (410, "the ticket has expired", "fetch sooner; another attempt renews it"),
    Denial.USED_UP: (410, "the ticket was used as often as it may be", "keep what you fetched"),
    Denial.HELD: (503, "this may not be handed out at the moment", "ask again later"),
    Denial.GONE: (410, "the event is not kept any more", "fetch sooner"),
}
_TOO_MANY: Final = (429, "too many requests from this address were not answered", "wait a minute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """What the listener is served with. `base_url` is how partners call it: `https://host`."""

    reader: Reader
    published: PublishedKeys
    policy: PolicyWatch
    failed: FailedAttempts
    metrics: Metrics
    log: Any
    wall_us: Callable[[], int]
    base_url: str
    request_seconds: float


@asynccontextmanager
async def serve_partners(
    host: str, port: int, context: ssl.SSLContext, partner: Partner
) -> AsyncIterator[int]:
    """Listen until the block ends; gives the port. Port 0 takes any free one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await _bounded(partner, request)

    application = web.Application(client_max_size=1)
    application.router.add_route("*", r"/{rest:[\s\S]*}", answer)
    runner = web.AppRunner(
        application,
        access_log=None,
        lingering_time=0,
        auto_decompress=False,
        keepalive_timeout=IDLE_SECONDS,
        shutdown_timeout=partner.request_seconds,
        max_line_size=LINE_BYTES_MAX,
        max_field_size=FIELD_BYTES_MAX,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen on {host}:{port}: {error.strerror}",
                where="partner.host, partner.port",
                fix="stop what listens there, or choose another port (0 takes any free one)",
                code="address_in_use",
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _bounded(partner: Partner, request: web.Request) -> web.StreamResponse:
    """Answer a request within its time; whatever happens, there is an answer, or a closed line."""
    try:
        async with asyncio.timeout(partner.request_seconds):
            answered = await _answer(partner, request)
    except TimeoutError:
        answered = Denial.UNAVAILABLE
    except DispatcherError as error:
        partner.log.warning("fetch_failed", reason=error.reason, why=error.why)
        answered = Denial.UNAVAILABLE
    except ConnectionError:
        answered = Denial.UNAVAILABLE  # the partner is gone, and nobody reads this
    except Exception as error:  # noqa: BLE001 - the last net: nobody is shown a stack trace
        partner.log.error("fetch_failed", error=type(error).__name__)
        answered = Denial.UNAVAILABLE
    if isinstance(answered, web.StreamResponse):
        partner.metrics.fetches.labels("answered").inc()
        return answered
    return _tell(partner, request.remote or "", answered)


async def _answer(partner: Partner, request: web.Request) -> web.StreamResponse | Denial:
    if not partner.reader.is_trusting:
        return Denial.UNAVAILABLE
    if request.method == "GET" and request.raw_path == published.PATH:
        return _publish(partner)
    fetch = _fetch(partner, request)
    if fetch is None:
        return Denial.UNKNOWN
    sent: list[web.StreamResponse] = []

    async def write(sealed: Sealed, departure: Departure) -> None:
        headers = {**_ALWAYS, "content-type": sealed.content_type, **dict(departure.headers)}
        response = web.Response(body=sealed.body, headers=headers)
        sent.append(response)
        try:
            # Neither waits for anything before head and body are written.
            await response.prepare(request)
            await response.write_eof()
        except BaseException:
            # Half an answer is not followed by another one.
            if request.transport is not None:
                request.transport.abort()
            raise

    denial = await partner.reader.answer(fetch, write)
    return denial if denial is not None else sent[0]


def _publish(partner: Partner) -> web.Response:
    """Show the public keys: these may be kept for a while, by whoever passes them on."""
    return web.Response(
        body=partner.published.page(),
        headers={
            **_ALWAYS,
            "cache-control": f"public, max-age={published.CACHE_SECONDS}",
            "content-type": published.CONTENT_TYPE,
        },
    )


def _fetch(partner: Partner, request: web.Request) -> Fetch | None:
    """Read what is asked for and by whom; nothing where it is not a fetch, or by nobody we know."""
    path, bearers = _PATH.match(request.raw_path), request.headers.getall("authorization", ())
    bearer = _BEARER.match(bearers[0]) if len(bearers) == 1 else None
    if request.method != "GET" or path is None or bearer is None or request.transport is None:
        return None
    address = request.remote or ""
    shown = find_callers(
        partner.base_url + request.raw_path,
        request.headers,
        meet(request.transport, address).spki,
        partner.policy.snapshot.callers,
        partner.wall_us() // 1_000_000,
    )
    if shown is None:
        return None
    return Fetch(
        webhook_id=path[1],
        ticket=bearer[1],
        known=shown.known,
        signature_id=shown.signature_id,
        address=address,
    )


def _tell(partner: Partner, address: str, denial: Denial) -> web.Response:
    """Say no. Whoever gets nothing too often from one address is told to wait."""
    status, why, fix = _TOLD[denial]
    code = denial.value
    headers = dict(_ALWAYS)
    if denial is Denial.UNKNOWN:
        if partner.failed.seconds_left(address):
            (status, why, fix), code = _TOO_MANY, "too_many_failures"
        partner.failed.note(address)
    if status in (429, 503):
        headers["retry-after"] = RETRY_SECONDS
    partner.metrics.fetches.labels(code).inc()
    document = {"status": status, "code": code, "why": why, "fix": fix}
    return web.Response(
        status=status,
        body=json.dumps(document).encode(),
        headers={**headers, "content-type": "application/problem+json"},
    )
