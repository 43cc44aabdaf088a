"""The real worker in this process, on a database of its own, with one partner over TLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from dispatcher.app.config import (
    Config,
    NetworkSection,
    OutboxSection,
    RegistrySection,
)
from dispatcher.app.house import House, open_house
from dispatcher.app.means import means_of
from dispatcher.app.migration import migrate_house
from dispatcher.app.vault_section import VaultSection
from dispatcher.app.wiring import open_kit
from dispatcher.control.changes import ChangeControl
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.model.registry import Destination, Policy, Registry
from dispatcher.model.tls import Tls
from dispatcher.network.resolver import StaticResolver
from dispatcher.producer import enqueue
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring
from dispatcher.worker.loop import Worker
from tests.support.hostile import Receiver
from tests.support.letters import rows
from tests.support.waiting import until
from tests.unit.stages import builders

HOST = "hooks.acme.example"
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
        await until(lambda: self.is_last(state))

    async def is_last(self, state: str) -> bool:
        found = await self.rows("SELECT state FROM {deliveries} ORDER BY id DESC LIMIT 1")
        return bool(found) and found[0]["state"] == state

    async def apply(self, registry: Registry) -> None:
        control = ChangeControl.over(means_of(self.house))
        await control.propose(registry, by=ANN, reason="a test", where="here")

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
async def working(
    folder: Path, partner: Receiver, registry: Registry, **network: Any
) -> AsyncIterator[World]:
    url = SecretStr(f"sqlite:///{folder / 'world.db'}")
    inboxes = (f"127.0.0.1:{partner.port}", f"[::1]:{partner.port}")
    config = Config.model_construct(
        environment="dev",
        registry=RegistrySection(url=url, approvals=1),
        outbox=OutboxSection(url=url),
        vault=VaultSection(keyring=Path("keyring.json")),
        network=NetworkSection(loopback_inboxes=inboxes, **network),
        base=folder,
    )
    if not config.keyring_path.exists():
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
