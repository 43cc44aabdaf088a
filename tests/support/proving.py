"""A real worker in this process, at a registry whose endpoints must be proven."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.api.calls import make_call
from dispatcher.app.calling import call_here
from dispatcher.app.config import Config, load_config
from dispatcher.app.house import House, open_house
from dispatcher.app.means import means_of
from dispatcher.app.wiring import open_kit
from dispatcher.control.proofs import ProofControl
from dispatcher.control.signing_keys import seal_key
from dispatcher.control.token_keys import new_token_keys
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.ids import Revision
from dispatcher.model.keys import KeyKind
from dispatcher.model.registry import Destination, OwnershipProof, Policy, Registry
from dispatcher.network.resolver import StaticResolver
from dispatcher.producer import enqueue
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.revisions import NewRevision
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring
from dispatcher.vault.places import REGISTRY
from dispatcher.worker.kit import Kit
from dispatcher.worker.loop import Worker
from tests.support.hostile import Receiver, Request
from tests.unit.stages import builders

SECRET = b"s" * 32
TOKEN_SECRET = b"t" * 32
CHALLENGE = "dispatcher.ownership_challenge"
CONFIG = """
environment = "dev"
[registry]
url = "{url}"
approvals = 1
[outbox]
url = "{url}"
[vault]
keyring = "keyring.json"
[worker]
policy_poll_seconds = 0.05
poll_idle_seconds = 0.05
[network]
loopback_inboxes = [{inboxes}]
{network}
"""


async def echo(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer a challenge with its word, and anything else with 200."""
    said = json.loads(request.body)
    is_one = said["type"] == CHALLENGE
    word = json.dumps({"challenge": said["data"]["challenge"]}) if is_one else ""
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(word)}\r\n\r\n{word}".encode())


def told(partner: Receiver, kind: str) -> list[dict[str, Any]]:
    """What a partner got of one type."""
    bodies = [json.loads(each.body) for each in partner.requests]
    return [each for each in bodies if each["type"] == kind]


@dataclass
class Lab:
    """One company: its configuration, its open house, and what its names resolve to."""

    config: Config
    house: House
    resolver: StaticResolver = field(default_factory=StaticResolver)

    @property
    def control(self) -> ProofControl:
        return ProofControl.over(means_of(self.house))

    async def apply(self, url: str, **policy: Any) -> Revision:
        """Make a registry with one subscription at this URL the active one."""
        return await self.activate(registry_at(url, **policy))

    async def activate(self, held: Registry) -> Revision:
        """Make a registry with the subscription acme-orders the active one."""
        base = await self.house.registry.active()
        await self.house.vault.ready(REGISTRY)
        key = seal_key(builders.subscription(), KeyKind.HMAC, SECRET, self.house.vault)
        new = NewRevision(
            base=base,
            registry=held,
            diff=DisclosureDiff(()),
            author="pat",
            approver="bea",
            reason="a test",
        )
        known = await self.house.registry.token_keys()
        token_keys = new_token_keys(held, known, self.house.vault, lambda: TOKEN_SECRET)
        keys = [] if base.revision else [key]
        number, _ = await self.house.registry.activate(new, keys, token_keys)
        await CatalogueStore(self.house.outbox_database).publish(
            held.event_types, builders.snapshot(held).producers, number
        )
        return number

    async def enqueue(self, count: int = 1) -> None:
        async with self.house.outbox_database.begin() as connection:
            for number in range(count):
                await enqueue(
                    connection, "order.paid", {"id": f"o{number}"}, tenant="north", subjects=[]
                )

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API as whoever sits at this machine."""
        raw = json.dumps(body).encode() if body is not None else None
        return await call_here(self.config, make_call(method, path, body=raw), with_token=False)

    @asynccontextmanager
    async def worker(self, change: Callable[[Kit], Kit] = lambda kit: kit) -> AsyncIterator[Worker]:
        """Run a real worker beside the block."""
        stop = asyncio.Event()
        metrics = Metrics(CollectorRegistry())
        async with open_kit(self.house, metrics=metrics, resolver=self.resolver) as kit:
            worker = Worker(change(replace(kit, chance=lambda: 0.0)))
            running = asyncio.create_task(worker.run(stop))
            try:
                yield worker
            finally:
                stop.set()
                await running


def registry_at(url: str, **policy: Any) -> Registry:
    """A registry whose one subscription leads to a URL on this machine."""
    snapshot = builders.snapshot(
        builders.registry(subscriptions=(builders.subscription(url=url),)), proofs=()
    )
    at = snapshot.routes["acme-orders"].endpoint
    entry = Destination(host=at.host, scheme=at.scheme, port=at.port, reason="a test")
    terms = {"ownership_proof": OwnershipProof.REQUIRED} | policy
    return builders.registry(
        connectors=(builders.connector(destinations=(entry,)),),
        subscriptions=(builders.subscription(url=url, attempt_seconds=2.0),),
        policy=Policy(**terms),
    )


@asynccontextmanager
async def a_lab(
    folder: Path, database_url: str, *inboxes: Receiver, network: str = ""
) -> AsyncIterator[Lab]:
    """Open a company in a folder, on a migrated database."""
    create_keyring(folder / "keyring.json")
    pairs = ", ".join(f'"127.0.0.1:{each.port}"' for each in inboxes)
    file = folder / "dispatcher.toml"
    file.write_text(CONFIG.format(url=database_url, inboxes=pairs, network=network))
    config = load_config(file)
    async with open_house(config) as house:
        yield Lab(config, house)
