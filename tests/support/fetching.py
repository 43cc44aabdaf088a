"""A company that sends thin letters, and a partner that fetches what they name, all over real TLS.

The worker and the partner listener run in this process, as `dispatcher run` has them.
"""

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from dispatcher.app.config import Config, load_config
from dispatcher.app.house import House, open_house
from dispatcher.app.means import means_of
from dispatcher.app.partners import served_partners
from dispatcher.app.wiring import open_kit
from dispatcher.control.changes import ChangeControl
from dispatcher.model.caller import Caller, CallerKind
from dispatcher.model.keys import KeyKind
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.model.registry import (
    Destination,
    OwnershipProof,
    Policy,
    Registry,
    Style,
    Subscription,
)
from dispatcher.model.switch import Target
from dispatcher.producer import enqueue
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.telemetry import log
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.keyring import create_keyring
from dispatcher.vault.places import signing_key_place
from dispatcher.worker.kit import Kit, Step
from dispatcher.worker.loop import Worker
from tests.support.certificates import pem_of, pin_of, write_identity
from tests.support.hostile import Receiver, answers, receiver
from tests.support.letters import rows
from tests.support.signing import Key, pem_of_key, sign_get
from tests.support.waiting import until
from tests.unit.stages import builders

BASE_URL = "https://events.north.example"
ANN = Principal(name="ann", kind=PrincipalKind.HUMAN, roles=frozenset(Role))
OURS, THEIRS, SOMEBODYS = trustme.CA(), trustme.CA(), trustme.CA()
CLIENT = THEIRS.issue_cert("client.acme.example")
BROOKS = SOMEBODYS.issue_cert("client.brook.example")
KEY, BROOK_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
CALLERS = (
    Caller(kid="acme-key", kind=CallerKind.SIGNATURE, key=pem_of_key(KEY)),
    Caller(kid="acme-mtls", kind=CallerKind.CERTIFICATE, pin=pin_of(CLIENT), ca=pem_of(THEIRS)),
)
BROOKS_CALLERS = (
    Caller(kid="brook-key", kind=CallerKind.SIGNATURE, key=pem_of_key(BROOK_KEY)),
    Caller(kid="brook-mtls", kind=CallerKind.CERTIFICATE, pin=pin_of(BROOKS), ca=pem_of(SOMEBODYS)),
)
PAYLOAD = {"id": "o1", "total": 7, "customer": {"email": "ada@acme.example"}, "lines": []}
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
policy_lease_seconds = {lease}
policy_poll_seconds = 0.05
poll_idle_seconds = 0.05
upkeep_seconds = 0.2
[network]
loopback_inboxes = [{inboxes}]
[api]
port = 0
[partner]
port = 0
base_url = "{base_url}"
certificate = "{identity.certificate}"
key = "{identity.key}"
{more}
"""
_numbers = itertools.count()


@dataclass(frozen=True)
class Got:
    """One answer of the partner listener."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def face(self) -> tuple[int, dict[str, str], bytes]:
        """All that tells one answer from another, but for the time of day."""
        return self.status, {k: v for k, v in self.headers.items() if k != "date"}, self.body


@dataclass
class World:
    """The company at work."""

    house: House
    kit: Kit
    worker: Worker
    inbox: Receiver
    port: int
    metrics: Metrics
    steps: list[Callable[[Step], None]] = field(default_factory=list)

    @property
    def config(self) -> Config:
        return self.house.config

    async def letter(self, **payload: Any) -> dict[str, Any]:
        """Put an event in, and give the thin letter that the partner gets."""
        count = len(self.inbox.requests)
        async with self.house.outbox_database.begin() as connection:
            await enqueue(
                connection, "order.paid", PAYLOAD | payload, tenant="north", subjects=["p-1"]
            )
        await until(lambda: len(self.inbox.requests) > count)
        letter = json.loads(self.inbox.requests[-1].body)
        await until(lambda: self._is_settled(letter["id"]))
        return dict(letter)

    async def _is_settled(self, webhook_id: str) -> bool:
        found = await self.ledger(webhook_id)
        return any(row["attempt"] > 0 and row["outcome"] for row in found)

    async def ledger(self, webhook_id: str) -> list[dict[str, Any]]:
        sql = "SELECT * FROM {disclosures} WHERE webhook_id = :id ORDER BY attempt"
        return await rows(self.house.outbox_database, sql, id=webhook_id)

    async def reads(self, webhook_id: str) -> list[dict[str, Any]]:
        """The rows of reads, the first one first."""
        return [row for row in reversed(await self.ledger(webhook_id)) if row["attempt"] < 0]

    async def apply(self, registry: Registry) -> None:
        control = ChangeControl.over(means_of(self.house))
        await control.propose(registry, by=ANN, reason="a test", where="here")
        await self.obeyed()

    async def hold(self, target: str) -> None:
        await self.house.registry.trip(Target.parse(target), reason="a test", actor="ann")
        await self.obeyed()

    async def release(self, target: str) -> None:
        await self.house.registry.release(Target.parse(target), reason="a test", actor="ann")
        await self.obeyed()

    async def obeyed(self) -> None:
        """Wait until the worker obeys what was just said."""
        active = await self.house.registry.active()
        await until(lambda: self.worker.policy.snapshot.epoch >= active.epoch)

    async def secret(self) -> bytes:
        keys = await self.house.registry.keys()
        (stored,) = [each for each in keys if each.kind is KeyKind.HMAC]
        place = signing_key_place(
            stored.connector, stored.subscription, stored.kind, stored.fingerprint
        )
        return self.house.vault.open(stored.sealed, place)

    async def get(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        client: trustme.LeafCert | None = None,
        method: str = "GET",
    ) -> Got:
        """Ask the partner listener, on a connection of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        OURS.configure_trust(context)
        if client is not None:
            client.configure_cert(context)
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(
                method, f"https://127.0.0.1:{self.port}{path}", headers=headers
            ) as answer,
        ):
            named = {name.lower(): value for name, value in answer.headers.items()}
            return Got(answer.status, named, await answer.read())

    def signed(
        self, letter: dict[str, Any], key: Key = KEY, kid: str = "acme-key", **more: Any
    ) -> dict[str, str]:
        """The headers of a signed GET for what a letter names."""
        terms = {"created": int(time.time()), "more": f';nonce="{next(_numbers)}"'} | more
        return sign_get(BASE_URL + letter["ref"], letter["ticket"], key, kid=kid, **terms)

    async def fetch(self, letter: dict[str, Any], **more: Any) -> Got:
        """Fetch as the partner does, by a signature."""
        return await self.get(letter["ref"], self.signed(letter, **more))

    async def fetch_certified(
        self, letter: dict[str, Any], client: trustme.LeafCert | None = CLIENT
    ) -> Got:
        """Fetch as the partner does, by its client certificate."""
        bearer = {"authorization": f"Bearer {letter['ticket']}"}
        return await self.get(letter["ref"], bearer, client=client)


def registry_of(inbox: Receiver, *, grants: Any = ("$.id", "$.total"), **more: Any) -> Registry:
    """A registry with one thin subscription, and a second partner that is sent nothing."""
    entry = Destination(host="127.0.0.1", scheme="http", port=inbox.port, reason="a test")
    terms: dict[str, Any] = {
        "url": f"http://127.0.0.1:{inbox.port}/in",
        "scope": {"order.paid": grants},
        "style": Style.THIN,
    }
    callers = more.pop("callers", CALLERS)
    wanted: Subscription = builders.subscription(**terms | more)
    return builders.registry(
        connectors=(
            builders.connector(destinations=(entry,), callers=callers),
            builders.connector("brook", callers=BROOKS_CALLERS),
        ),
        subscriptions=(wanted,),
        policy=Policy(ownership_proof=OwnershipProof.WAIVED),
    )


def write_config(
    folder: Path, url: str, inboxes: Iterable[Receiver], lease: float, more: str = ""
) -> Config:
    create_keyring(folder / "keyring.json")
    identity = write_identity(folder, OURS.issue_cert("events.north.example", "127.0.0.1"))
    file = folder / "dispatcher.toml"
    file.write_text(
        CONFIG.format(
            url=url,
            inboxes=", ".join(f'"127.0.0.1:{each.port}"' for each in inboxes),
            base_url=BASE_URL,
            identity=identity,
            lease=lease,
            more=more,
        )
    )
    return load_config(file)


@asynccontextmanager
async def fetching(
    folder: Path,
    url: str,
    *,
    config: str = "",
    status: int = 200,
    lease: float = 30.0,
    others: Sequence[Receiver] = (),
    **more: Any,
) -> AsyncIterator[World]:
    """Run the company on a migrated database, its partner answering with this status.

    The policy lease is long, so that a busy machine does not end it; tests of it shorten it. Of
    `others` a registry that is applied later may tell.
    """
    log.configure("critical")
    stop, metrics = asyncio.Event(), Metrics(CollectorRegistry())
    steps: list[Callable[[Step], None]] = []

    def step(here: Step) -> None:
        for each in steps:
            each(here)

    async with (
        receiver(answers(status)) as inbox,
        open_house(write_config(folder, url, (inbox, *others), lease, config)) as house,
        open_kit(house, metrics=metrics, step=step) as kit,
    ):
        registry = registry_of(inbox, **more)
        control = ChangeControl.over(means_of(house))
        await control.propose(registry, by=ANN, reason="a test", where="here")
        types, producers = registry.event_types, builders.snapshot(registry).producers
        await CatalogueStore(house.outbox_database).publish(
            types, producers, await house.registry.revision_now()
        )
        worker = Worker(replace(kit, chance=lambda: 1.0))  # each wait is as long as it may be
        async with served_partners(house.config, kit, worker.policy) as port:
            assert port is not None
            running = asyncio.create_task(worker.run(stop))
            try:
                world = World(house, kit, worker, inbox, port, metrics, steps)
                await world.obeyed()
                yield world
            finally:
                stop.set()
                await running
