"""The real worker meets a partner over TLS whose certificate or network changes under it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from dispatcher.app.config import (
    Config,
    OutboxSection,
    RegistrySection,
    VaultSection,
)
from dispatcher.app.controls import change_control
from dispatcher.app.house import House, open_house
from dispatcher.app.migration import migrate_house
from dispatcher.app.network_section import NetworkSection
from dispatcher.app.wiring import open_kit
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.model.registry import Destination, Policy, Registry
from dispatcher.model.tls import Tls
from dispatcher.network.resolver import StaticResolver
from dispatcher.producer import enqueue
from dispatcher.telemetry import log
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring
from dispatcher.worker.loop import Worker
from tests.support.certificates import pem_of, pin_of, serving
from tests.support.hostile import Receiver, answers, receiver
from tests.support.letters import rows
from tests.unit.stages import builders

HOST = "hooks.acme.example"
OTHERS = tuple(f"sha256/{letter * 43}=" for letter in "AE")
ANN = Principal(name="ann", kind=PrincipalKind.HUMAN, roles=frozenset(Role))


@dataclass
class World:
    """A worker at its work, and what it can be asked."""

    house: House
    metrics: Metrics
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)

    async def deliver(self, state: str = "delivered") -> None:
        """Put one event in, and wait for what becomes of it."""
        async with self.house.outbox_database.begin() as connection:
            await enqueue(
                connection, "order.paid", {"id": "o1", "lines": []}, tenant="north", subjects=[]
            )
        await self.until(self.is_last, state)

    async def is_last(self, state: str) -> bool:
        found = await self.rows("SELECT state FROM {deliveries} ORDER BY id DESC LIMIT 1")
        return bool(found) and found[0]["state"] == state

    async def until(self, check: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        async with asyncio.timeout(10):
            while not (found := await check(*given)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found

    async def apply(self, registry: Registry) -> None:
        await change_control(self.house).propose(registry, by=ANN, reason="a test", where="here")

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return await rows(self.house.outbox_database, sql)

    async def switches(self) -> list[tuple[str, str]]:
        return [(str(s.target), s.reason) for s in await self.house.registry.switches()]

    def drifts(self, kind: str) -> float | None:
        labels = {"connector": "acme", "kind": kind}
        return self.metrics.registry.get_sample_value("dispatcher_destination_drifts_total", labels)


def registry_to(partner: Receiver, tls: Tls, policy: Policy | None = None) -> Registry:
    entry = Destination(host=HOST, port=partner.port, reason="orders", tls=tls)
    return builders.registry(
        connectors=(builders.connector(destinations=(entry,)),),
        subscriptions=(builders.subscription(url=f"https://{HOST}:{partner.port}/in"),),
        policy=policy or Policy(),
    )


@asynccontextmanager
async def working(folder: Path, partner: Receiver, registry: Registry) -> AsyncIterator[World]:
    url = SecretStr(f"sqlite:///{folder / 'world.db'}")
    inboxes = (f"127.0.0.1:{partner.port}", f"[::1]:{partner.port}")
    config = Config.model_construct(
        environment="dev",
        registry=RegistrySection(url=url, approvals=1),
        outbox=OutboxSection(url=url),
        vault=VaultSection(keyring=Path("keyring.json")),
        network=NetworkSection(loopback_inboxes=inboxes),
        base=folder,
    )
    create_keyring(config.keyring_path)
    stop, metrics = asyncio.Event(), Metrics(CollectorRegistry())
    names = {HOST: ("127.0.0.1",)}
    async with open_house(config) as house:
        await migrate_house(house)
        world = World(house, metrics, names)
        await world.apply(registry)
        async with open_kit(house, metrics=metrics, resolver=StaticResolver(names)) as kit:
            running = asyncio.create_task(Worker(kit).run(stop))
            try:
                yield world
            finally:
                stop.set()
                await running


@pytest.fixture
def own() -> trustme.CA:
    return trustme.CA(organization_name="One")


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    lines = io.StringIO()
    log.configure("warning", lines)
    yield lines
    structlog.reset_defaults()


async def close_all(partner: Receiver) -> None:
    for writer in partner.writers:
        writer.transport.abort()
    await asyncio.sleep(0.05)


async def test_t9_every_attempt_says_in_the_ledger_who_was_met(
    own: trustme.CA, tmp_path: Path
) -> None:
    certificate = own.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        terms = Tls(ca=pem_of(own), pins=(pin_of(certificate), OTHERS[0]), pins_until=builders.FAR)
        async with working(tmp_path, partner, registry_to(partner, terms)) as world:
            await world.deliver()
            await world.deliver()
            met = await world.rows(
                "SELECT p.* FROM {disclosures} x JOIN {peers} p ON p.id = x.peer"
            )
            assert len(met) == 2
            assert {(row["host"], row["address"], row["spki"]) for row in met} == {
                (HOST, "127.0.0.1", pin_of(certificate))
            }
            assert "One" in met[0]["issuer"]


async def test_another_issuer_is_drift_within_one_attempt(
    own: trustme.CA, tmp_path: Path, said: io.StringIO
) -> None:
    other = trustme.CA(organization_name="Two")
    tls = serving(own.issue_cert(HOST))
    async with receiver(answers(200), tls=tls) as partner:
        terms = Tls(ca=pem_of(own) + pem_of(other))
        async with working(tmp_path, partner, registry_to(partner, terms)) as world:
            await world.deliver()
            own.issue_cert(HOST).configure_cert(tls)  # renewed with another key: no drift
            await close_all(partner)
            await world.deliver()
            assert world.drifts("issuer") is None
            other.issue_cert(HOST).configure_cert(tls)
            await close_all(partner)
            await world.deliver()
            assert (world.drifts("issuer"), world.drifts("network")) == (1, None)
            await world.deliver()
            assert world.drifts("issuer") == 1
            assert await world.switches() == []
    lines = [json.loads(line) for line in said.getvalue().splitlines() if "drift" in line]
    (line,) = lines
    assert (line["event"], line["kind"], line["connector"], line["host"]) == (
        "destination_drifted",
        "issuer",
        "acme",
        HOST,
    )


async def test_another_network_is_drift_and_a_policy_may_hold_what_leads_there(
    own: trustme.CA, tmp_path: Path
) -> None:
    tls = serving(own.issue_cert(HOST))
    async with receiver(answers(200), "127.0.0.1", "::1", tls=tls) as partner:
        held = registry_to(partner, Tls(ca=pem_of(own)), Policy(on_drift="hold"))
        async with working(tmp_path, partner, held) as world:
            await world.deliver()
            world.addresses[HOST] = ("::1",)
            await world.deliver()
            assert world.drifts("network") == 1
            assert await world.switches() == [("subscription:acme-orders", "destination_drifted")]
            await world.deliver("waiting")
            await asyncio.sleep(0.3)
            assert len(partner.requests) == 2


async def test_t6_a_wrong_pin_parks_the_delivery_and_a_corrected_registry_lets_it_go(
    own: trustme.CA, tmp_path: Path
) -> None:
    certificate = own.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        wrong = Tls(ca=pem_of(own), pins=OTHERS, pins_until=builders.FAR)
        right = replace(wrong, pins=(pin_of(certificate), *OTHERS))
        async with working(tmp_path, partner, registry_to(partner, wrong)) as world:
            await world.deliver("parked")
            assert partner.bytes_received == 0
            (row,) = await world.rows("SELECT code, failures FROM {deliveries}")
            assert (row["code"], row["failures"]) == ("pin_mismatch", 0)
            (row,) = await world.rows("SELECT outcome FROM {disclosures}")
            assert row["outcome"] == "not_begun"
            await world.apply(registry_to(partner, right))
            await world.until(world.is_last, "delivered")


async def test_c4_after_a_new_revision_no_connection_of_the_one_before_is_used(
    own: trustme.CA, tmp_path: Path
) -> None:
    async with receiver(answers(200), tls=serving(own.issue_cert(HOST))) as partner:
        held = registry_to(partner, Tls(ca=pem_of(own)))
        async with working(tmp_path, partner, held) as world:
            await world.deliver()
            await world.deliver()
            await world.apply(registry_to(partner, Tls(ca=pem_of(own)), Policy(warn_days=(7,))))

            async def is_obeyed() -> bool:
                found = world.metrics.registry.get_sample_value("dispatcher_registry_revision")
                return found == 2

            await world.until(is_obeyed)
            await world.deliver()
            assert [request.connection for request in partner.requests] == [1, 1, 2]
