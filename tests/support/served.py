"""The API over a test's database, served on loopback to whoever asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.server import Api, Probe, serve
from dispatcher.api.table import routes_at
from dispatcher.control.failed_attempts import FailedAttempts
from dispatcher.control.means import Means
from dispatcher.control.people import People
from dispatcher.model.people import PrincipalKind, Role
from dispatcher.telemetry import log
from dispatcher.telemetry.metrics import Metrics
from tests.support.databases import open_for_tests
from tests.support.planes import means_of, with_own_keys


class Client:
    """Asks one served API with a token, or without."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, token: str, metrics: Metrics, means: Means
    ):
        self.session, self.url, self.token = session, url, token
        self.metrics, self.means = metrics, means

    async def ask(self, method: str, path: str, *, token: str | None = None, **more: Any) -> Any:
        bearer = self.token if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= more.pop("headers", {})
        async with self.session.request(method, self.url + path, headers=headers, **more) as got:
            text = await got.text()
            return got, (json.loads(text) if text else None)


@asynccontextmanager
async def served(database_url: str, **bounds: Any) -> AsyncIterator[Client]:
    log.configure("critical")
    database = open_for_tests(database_url)
    means, metrics = means_of(database), Metrics(CollectorRegistry())
    keyring = bounds.pop("keyring", None)
    if keyring is not None:
        means = with_own_keys(means, keyring)
    people = People.over(means)
    await people.add("ann", PrincipalKind.HUMAN, list(Role), by=None)
    ann = await people.read("ann")
    token = await people.issue("ann", days=1, by=ann)
    more = tuple(bounds.pop("routes", ()))
    api = Api(
        front=Front(means, lambda parts: (*routes_at(parts), *more), description),
        authenticate=people.authenticate,
        failed=FailedAttempts(bounds.pop("failures", 3), asyncio.get_running_loop().time),
        metrics=metrics,
        log=log.logger(),
        body_bytes_max=bounds.pop("body_bytes_max", 16_777_216),
        request_seconds=bounds.pop("request_seconds", 5.0),
    )

    async def is_ready() -> bool:
        return True

    probe = Probe(is_ready, metrics.render)
    async with serve("127.0.0.1", 0, probe, api) as url, aiohttp.ClientSession() as session:
        yield Client(session, url, token, metrics, means)
    await database.aclose()
