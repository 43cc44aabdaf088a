"""A control plane over a test's database, and a way to call its API without a socket."""

import json
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dispatcher.api.calls import Call, Reply
from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.table import routes_at
from dispatcher.app.clock import mint_secret, mint_webhook_id
from dispatcher.control.changes import ChangeControl
from dispatcher.control.means import Means, WayOut
from dispatcher.control.producers import ProducerRule
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.store.database import Database
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.rows import PayloadOpener
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from dispatcher.vault.tokens import TokenKeys
from tests.support.databases import wall_us
from tests.support.records import KEYRING, audit_of
from tests.support.vaults import standing_vault


def person(
    name: str,
    *roles: Role,
    kind: PrincipalKind = PrincipalKind.HUMAN,
    tenant: str | None = None,
) -> Principal:
    return Principal(name=name, kind=kind, roles=frozenset(roles), tenant=tenant)


READS_PER_HOUR = 20
EVERYBODY = person("ann", *Role)


async def look_up(host: str, _is_private: bool) -> Resolved | Trouble:
    """Answer for the names of tests; whoever asks for one that no test lists is at fault."""
    looked_up.append(host)
    return NAMES.get(host, Trouble("dns_failed", is_begun=False))


NAMES = {
    "hooks.acme.example": Resolved(("8.8.8.8",), aliases=("edge.acme.example",)),
    "inside.acme.example": Resolved(("10.1.2.3",)),
}
looked_up: list[str] = []
certificates: list[ClientCertificate] = []
"""The client certificates that are listed; a test puts its own there, and takes them away."""


def opener(vault: Vault) -> PayloadOpener:
    """What opens payloads with the keys of a vault."""

    def opened(blob: bytes, tenant: str, event_id: str) -> bytes:
        return vault.open(blob, payload_place(tenant, event_id))

    return opened


open_payload = opener(standing_vault())


def means_of(database: Database, approvals: int = 2, *, independent: bool = False) -> Means:
    audit = audit_of(database)
    return Means(
        registry_database=database,
        outbox_database=database,
        audit=audit,
        vault=standing_vault(),
        tokens=TokenKeys(KEYRING),
        epoch_keys=EpochKeyStore(database, audit),
        providers=KeyProviders(LocalProvider(KEYRING)),
        open_payload=open_payload,
        producers=ProducerRule(RegistryStore(database, audit)),
        certificates=lambda: certificates,
        way_out=lambda: WayOut(rules=AddressRules(), look_up=look_up, source="198.51.100.7"),
        approvals=approvals,
        independent_approvers=independent,
        loopback=frozenset(),
        detokenisations_per_hour=READS_PER_HOUR,
        random_bytes=secrets.token_bytes,
        mint_secret=mint_secret,
        mint_webhook_id=mint_webhook_id,
        wall_us=wall_us,
    )


def with_own_keys(means: Means, keyring: Path | None = None) -> Means:
    """Means whose keys at rest are the registry's, the keyring in a file where one can be added."""
    providers = KeyProviders(LocalProvider(KEYRING, keyring))
    vault = Vault(KEYRING, EpochKeys(means.epoch_keys, providers, boot=time.monotonic))
    return replace(means, vault=vault, providers=providers, open_payload=opener(vault))


def control_of(
    database: Database, approvals: int = 2, *, independent: bool = False
) -> ChangeControl:
    return ChangeControl.over(means_of(database, approvals, independent=independent))


@dataclass
class Caller:
    """Calls the API over some means as somebody."""

    means: Means
    by: Principal = EVERYBODY
    front: Front = field(init=False)

    def __post_init__(self) -> None:
        self.front = Front(self.means, routes_at, description)

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        """Call once; `query`, `headers`, `by` and `raw` as given."""
        by = more.pop("by", self.by)
        headers = {"content-type": "application/json"} if body is not None else {}
        call = Call(
            method=method,
            path=path,
            query=tuple(more.pop("query", {}).items()),
            headers=headers | more.pop("headers", {}),
            body=more.pop("raw", None) or (json.dumps(body).encode() if body is not None else b""),
            **more,
        )

        async def who() -> Principal:
            return by

        reply, _ = await self.front.answer(call, who)
        return reply

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Call, and give the document of an answer that must be good."""
        reply = await self.call(method, path, body, **more)
        assert reply.status < 300, reply.body
        return json.loads(reply.body)

    async def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple:
        """Call, and give the status and code of an answer that must be a problem."""
        reply = await self.call(method, path, body, **more)
        document = json.loads(reply.body)
        assert reply.headers["content-type"] == "application/problem+json"
        assert document["status"] == reply.status
        assert document["why"]
        assert document["fix"] or reply.status == 503
        return reply.status, document["code"]
