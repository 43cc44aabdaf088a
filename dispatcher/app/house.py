"""The open databases and keys that every command and every worker starts from.

Commands need no more than this, so nothing here imports what only a worker needs: `hold` must be
quick at three in the morning. Nothing is connected until it is used, and `open_house` closes
whatever it opened.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dispatcher.app.checkpoints import keep_checkpoints
from dispatcher.app.clock import SystemClock
from dispatcher.app.config import Config
from dispatcher.app.key_providers import epoch_keys, key_providers
from dispatcher.model.errors import SealBroken
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database, open_database
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.versions import check_schema
from dispatcher.vault.keyring import load_keyring
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.record import RecordKeys
from dispatcher.vault.sealer import Vault
from dispatcher.vault.tokens import TokenKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The open stores and keys that commands and workers share."""

    config: Config
    clock: SystemClock
    providers: KeyProviders
    epoch_keys: EpochKeyStore
    vault: Vault
    tokens: TokenKeys
    audit: AuditLog
    registry_database: Database
    outbox_database: Database

    @property
    def registry(self) -> RegistryStore:
        """The registry's revisions and switches."""
        return RegistryStore(self.registry_database, self.audit)

    async def check_schema(self) -> None:
        """Raise `SchemaMismatch` unless both planes are as this release needs them."""
        await check_schema(self.registry_database, "registry")
        await check_schema(self.outbox_database, "outbox")

    def open_payload(self, blob: bytes, tenant: str, event_id: str) -> bytes | None:
        """Open a sealed payload; `None` when the seal is broken.

        Raises `KeyUnavailable` for a key that is not at hand, `KeyDestroyed` for one that is gone.
        """
        try:
            return self.vault.open(blob, payload_place(tenant, event_id))
        except SealBroken:
            return None


@asynccontextmanager
async def open_house(config: Config) -> AsyncIterator[House]:
    """Open everything a command or a worker needs, and close it afterwards."""
    clock = SystemClock()
    keyring = load_keyring(config.keyring_path)
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
    audit = AuditLog(registry, RecordKeys(keyring), keep_checkpoints(config.checkpoint_path))
    store, providers = EpochKeyStore(registry, audit), key_providers(config, keyring)
    house = House(
        config=config,
        clock=clock,
        providers=providers,
        epoch_keys=store,
        vault=Vault(keyring, epoch_keys(config, providers, store, clock.boot)),
        tokens=TokenKeys(keyring),
        audit=audit,
        registry_database=registry,
        outbox_database=outbox,
    )
    try:
        yield house
    finally:
        await registry.aclose()
        await outbox.aclose()


@asynccontextmanager
async def open_current(config: Config) -> AsyncIterator[House]:
    """Open everything a command needs, and make sure that both planes are as this release needs."""
    async with open_house(config) as house:
        await house.check_schema()
        yield house
