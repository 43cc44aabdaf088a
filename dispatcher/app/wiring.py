"""Fills the kit of a worker: the stores of an open house, and the real clock, chance and network.

Every serving process starts here, and so do the demonstration, the benchmarks and the drills.
"""

import os
import platform
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from dispatcher.app.clock import chance, mint_challenge, mint_token, mint_webhook_id
from dispatcher.app.house import House
from dispatcher.app.own_networks import find_own_networks
from dispatcher.app.way_out import network_settings, resolver_settings
from dispatcher.model.ids import WorkerId
from dispatcher.network.resolver import Resolver as OwnResolver
from dispatcher.network.transport import Transport
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.claims import ClaimStore
from dispatcher.store.database import Database
from dispatcher.store.enqueueing import OUTBOX_CHANNEL
from dispatcher.store.epoch import POLICY_CHANNEL
from dispatcher.store.findings import FindingStore
from dispatcher.store.key_trials import KeyTrialStore
from dispatcher.store.ledger import LedgerStore
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.partner_keys import PartnerKeyStore
from dispatcher.store.peers import PeerStore
from dispatcher.store.proofs import ProofStore
from dispatcher.store.retention import RetentionStore
from dispatcher.store.tickets import TicketStore
from dispatcher.store.triage import TriageStore
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.store.wakeup import listen, watch_epoch
from dispatcher.store.windows import WindowStore
from dispatcher.store.workers import WorkerStore
from dispatcher.telemetry.log import logger
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.kit import Kit, Resolver, Step, WorkerSettings


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
    config, registry, outbox = house.config, house.registry_database, house.outbox_database
    host, pid = platform.node(), os.getpid()
    worker = WorkerId(f"{host}-{pid}-{secrets.token_hex(3)}")
    network = network_settings(config)
    network = replace(network, forbidden=network.forbidden | await find_own_networks(house))
    settings = WorkerSettings(
        **config.worker.model_dump(),
        address_rules=network.address_rules,
        remind_after_days=config.keys.remind_after_days,
    )
    transport = Transport(network)
    own = OwnResolver(resolver_settings(config), clock=house.clock.boot)
    ledger = LedgerStore(outbox, worker)
    kit = Kit(
        id=worker,
        host=host,
        pid=pid,
        settings=settings,
        outbox=OutboxStore(outbox, house.open_payload),
        claims=ClaimStore(outbox, house.open_payload),
        ledger=ledger,
        tickets=TicketStore(outbox, house.open_payload, ledger),
        peers=PeerStore(outbox),
        findings=FindingStore(outbox),
        catalogue=CatalogueStore(outbox),
        retention=RetentionStore(outbox),
        triage=TriageStore(outbox),
        windows=WindowStore(outbox, house.open_payload),
        registry=house.registry,
        proofs=ProofStore(registry, house.audit),
        key_trials=KeyTrialStore(registry),
        partner_keys=PartnerKeyStore(registry, house.audit),
        vault_tokens=VaultStore(outbox),
        workers=WorkerStore(registry),
        vault=house.vault,
        tokens=house.tokens,
        resolver=resolver or own,
        transport=transport,
        identities=transport,
        clock=house.clock,
        chance=chance,
        mint_webhook_id=mint_webhook_id,
        mint_token=mint_token,
        mint_challenge=mint_challenge,
        metrics=metrics or Metrics(),
        log=logger(),
        step=step,
        listen_policy=_policy_listener(registry),
        listen_outbox=partial(listen, outbox, OUTBOX_CHANNEL),
    )
    try:
        yield kit
    finally:
        await transport.aclose()
        own.close()


def _policy_listener(registry: Database) -> Callable[[Callable[[], None]], Any]:
    if registry.is_sqlite:
        return partial(watch_epoch, registry)
    return partial(listen, registry, POLICY_CHANNEL)
