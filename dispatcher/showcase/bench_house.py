"""The bench's own house: a folder with config, keyring and registry, on a database of its own.

Used by `dispatcher bench`. The configuration is made here whole: neither a file nor the environment
of whoever runs the bench is read, so that nothing can lead it to a database that is in use.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

import msgspec
from pydantic import SecretStr
from sqlalchemy import Connection

from dispatcher.app.config import Config, OutboxSection, RegistrySection
from dispatcher.app.house import open_house
from dispatcher.app.means import means_of
from dispatcher.app.migration import migrate_house
from dispatcher.app.network_section import NetworkSection
from dispatcher.app.vault_section import VaultSection
from dispatcher.control.changes import ChangeControl
from dispatcher.control.documents import named, read_registry
from dispatcher.model.event import SEALED_SUBJECTS, Content
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.showcase.bench_goods import EVENT_TYPE, TENANT, payload, subject, write_registry
from dispatcher.store.enqueueing import EventRow, insert_many
from dispatcher.vault.keyring import create_keyring
from dispatcher.vault.places import payload_place
from dispatcher.vault.sealer import Vault

_AT_ONCE: Final = 1000


def make_config(folder: Path, url: str, port: int) -> Config:
    """Make the configuration of a house in `folder`, whose one inbox is on this port."""
    return Config.model_construct(
        environment="dev",
        registry=RegistrySection(url=SecretStr(url), approvals=1),
        outbox=OutboxSection(url=SecretStr(url)),
        vault=VaultSection(keyring=Path("keyring.json")),
        network=NetworkSection(loopback_inboxes=(f"127.0.0.1:{port}",)),
        base=folder,
    )


async def furnish(config: Config, port: int, window: int) -> None:
    """Make keyring and tables, and apply the registry."""
    await asyncio.to_thread(create_keyring, config.keyring_path)
    files = config.base / "registry"
    write_registry(files, port, window)
    async with open_house(config) as house:
        await migrate_house(house)
        by = Principal(name="bench", kind=PrincipalKind.HUMAN, roles=frozenset({Role.PLATFORM}))
        await ChangeControl.over(means_of(house)).propose(
            read_registry([files]), by=by, reason="bench", where=named([files])
        )


async def enqueue_many(config: Config, events: int) -> None:
    """Put events into the outbox as a producer does that seals, many in one transaction."""
    async with open_house(config) as house:
        await house.vault.ready(TENANT)
        for first in range(0, events, _AT_ONCE):
            rows = [
                _row(house.vault, number) for number in range(first, min(first + _AT_ONCE, events))
            ]
            async with house.outbox_database.begin() as connection:
                await connection.run_sync(_insert, rows)


def _insert(connection: Connection, rows: list[EventRow]) -> None:
    insert_many(connection, rows)


def _row(vault: Vault, number: int) -> EventRow:
    event_id, now_us = f"evt_{os.urandom(16).hex()}", time.time_ns() // 1000
    subjects = msgspec.json.encode([subject(number)]).decode()
    content = Content(subjects, None, msgspec.json.encode(payload(number)))
    return EventRow(
        id=event_id,
        tenant=TENANT,
        type=EVENT_TYPE,
        producer="bench",
        subjects=SEALED_SUBJECTS,
        payload=vault.seal(content.pack(EVENT_TYPE), payload_place(TENANT, event_id)),
        is_sealed=True,
        idempotency_key=None,
        payload_digest=None,
        ordering_key=None,
        traceparent=None,
        occurred_us=now_us,
        enqueued_us=now_us,
    )
