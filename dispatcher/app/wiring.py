"""Puts the house together: opens databases and the keyring, builds the stores, fills the kit.

Every process and every command starts here. Nothing is connected until it is used, and `open_house`
closes whatever it opened.
"""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from dispatcher.app.clock import SystemClock, chance, mint_token, mint_webhook_id
from dispatcher.app.config import Config
from dispatcher.model.errors import DispatcherError
from dispatcher.model.ids import WorkerId
from dispatcher.network.resolver import SystemResolver
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.claims import ClaimStore
from dispatcher.store.database import Database, open_database
from dispatcher.store.enqueueing import OUTBOX_CHANNEL
from dispatcher.store.history import HistoryStore
from dispatcher.store.ledger import LedgerStore
from dispatcher.store.migrating import check_schema, migrate
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.registry import POLICY_CHANNEL, RegistryStore
from dispatcher.store.retention import RetentionStore
from dispatcher.store.wakeup import listen
from dispatcher.store.workers import WorkerStore
from dispatcher.telemetry.log import logger
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import load_keyring
from dispatcher.vault.places import payload_place
from dispatcher.vault.sealer import Vault
from dispatcher.worker.kit import Kit, Resolver, Step, WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The open stores and keys that commands and workers share."""

    config: Config
    clock: SystemClock
    vault: Vault
    registry_database: Database
    outbox_database: Database

    @property
    def registry(self) -> RegistryStore:
        """The registry's revisions and switches."""
        return RegistryStore(self.registry_database)

    @property
    def workers(self) -> WorkerStore:
        """The rows of the workers."""
        return WorkerStore(self.registry_database)

    @property
    def catalogue(self) -> CatalogueStore:
        """The outbox's copy of the catalogue."""
        return CatalogueStore(self.outbox_database)

    @property
    def history(self) -> HistoryStore:
        """What the outbox remembers."""
        return HistoryStore(self.outbox_database)

    async def migrate(self) -> dict[str, str | None]:
        """Bring both planes to their head; give where each was before."""
        return {
            "registry": await migrate(self.registry_database, "registry"),
            "outbox": await migrate(self.outbox_database, "outbox"),
        }

    async def check_schema(self) -> None:
        """Raise `SchemaMismatch` unless both planes are as this release needs them."""
        await check_schema(self.registry_database, "registry")
        await check_schema(self.outbox_database, "outbox")

    def open_payload(self, blob: bytes, tenant: str, event_id: str) -> bytes | None:
        """Open a sealed payload; `None` when the seal or the key is broken."""
        try:
            return self.vault.open(blob, payload_place(tenant, event_id))
        except DispatcherError:
            return None


@asynccontextmanager
async def open_house(config: Config) -> AsyncIterator[House]:
    """Open everything a command or a worker needs, and close it afterwards."""
    clock = SystemClock()
    vault = Vault(load_keyring(config.keyring_path))
    registry_url = config.database_url(config.registry)
    outbox_url = config.database_url(config.outbox)
    registry = open_database(
        registry_url, clock.wall_us, name="registry", pool=config.registry.connections_max
    )
    outbox = registry
    if outbox_url != registry_url:
        outbox = open_database(
            outbox_url, clock.wall_us, name="outbox", pool=config.outbox.connections_max
        )
    house = House(
        config=config,
        clock=clock,
        vault=vault,
        registry_database=registry,
        outbox_database=outbox,
    )
    try:
        yield house
    finally:
        await registry.aclose()
        await outbox.aclose()


def _no_step(_step: Step) -> None:
    return


@asynccontextmanager
async def open_kit(
    house: House,
    *,
    metrics: Metrics | None = None,
    resolver: Resolver | None = None,
    step: Callable[[Step], None] = _no_step,
) -> AsyncIterator[Kit]:
    """Fill the kit of one worker. `resolver` and `step` are replaced by drills and tests."""
    config, outbox = house.config, house.outbox_database
    host, pid = socket.gethostname(), os.getpid()
    worker = WorkerId(f"{host}-{pid}-{secrets.token_hex(3)}")
    settings = WorkerSettings(**config.worker.model_dump(), loopback_inboxes=config.network.inboxes)
    transport = Transport(_network_settings(config))
    kit = Kit(
        id=worker,
        host=host,
        pid=pid,
        settings=settings,
        outbox=OutboxStore(outbox, house.open_payload),
        claims=ClaimStore(outbox, house.open_payload),
        ledger=LedgerStore(outbox, worker),
        catalogue=house.catalogue,
        retention=RetentionStore(outbox),
        registry=house.registry,
        workers=house.workers,
        vault=house.vault,
        resolver=resolver or _system_resolver(config, house.clock),
        transport=transport,
        clock=house.clock,
        chance=chance,
        mint_webhook_id=mint_webhook_id,
        mint_token=mint_token,
        metrics=metrics or Metrics(),
        log=logger(),
        step=step,
        listen_policy=partial(listen, house.registry_database, POLICY_CHANNEL),
        listen_outbox=partial(listen, outbox, OUTBOX_CHANNEL),
    )
    try:
        yield kit
    finally:
        await transport.aclose()


def _system_resolver(config: Config, clock: SystemClock) -> Resolver:
    network = config.network
    return SystemResolver(
        dns_seconds=network.dns_seconds, cache_seconds=network.dns_cache_seconds, clock=clock.boot
    )


def _network_settings(config: Config) -> NetworkSettings:
    network = config.network
    return NetworkSettings(
        connect_seconds=network.connect_seconds,
        answer_bytes_max=network.answer_bytes_max,
        keepalive_seconds=network.keepalive_seconds,
        connections_per_partner_max=network.connections_per_partner_max,
        ca_file=str(config.base / network.ca_file) if network.ca_file else None,
        loopback_inboxes=network.inboxes,
    )
