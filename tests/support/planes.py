"""A control plane over a test's database, and a way to call its API without a socket."""

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.api.calls import Call, Reply
from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.plane import Plane, WayOut
from dispatcher.api.table import ROUTES
from dispatcher.app.clock import mint_webhook_id
from dispatcher.control.changes import ChangeControl
from dispatcher.control.credentials import CredentialControl
from dispatcher.control.detokenising import Detokenising
from dispatcher.control.erasing import Erasing
from dispatcher.control.identities import IdentityControl
from dispatcher.control.keys import KeyControl
from dispatcher.control.lanes import LaneControl
from dispatcher.control.partner_keys import PartnerKeyControl
from dispatcher.control.people import People
from dispatcher.control.previews import PreviewControl
from dispatcher.control.producers import ProducerRule
from dispatcher.control.proofs import ProofControl
from dispatcher.control.replaying import Replaying
from dispatcher.control.revoking import Revoking
from dispatcher.control.switches import SwitchControl
from dispatcher.control.vault_keys import VaultKeys
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.changes import ChangeStore
from dispatcher.store.credentials import CredentialStore
from dispatcher.store.database import Database
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.findings import FindingStore
from dispatcher.store.history import HistoryStore
from dispatcher.store.key_trials import KeyTrialStore
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.partner_keys import PartnerKeyStore
from dispatcher.store.payloads import PayloadStore
from dispatcher.store.people import PeopleStore
from dispatcher.store.proofs import ProofStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.replays import ReplayStore
from dispatcher.store.replies import ReplyStore
from dispatcher.store.retention import RetentionStore
from dispatcher.store.shredding import ShredStore
from dispatcher.store.token_keys import TokenReads
from dispatcher.store.triage import TriageStore
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.store.workers import WorkerStore
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


def control_of(
    database: Database, approvals: int = 2, *, independent: bool = False
) -> ChangeControl:
    audit = audit_of(database)
    return ChangeControl(
        registry=RegistryStore(database, audit),
        changes=ChangeStore(database, audit),
        catalogue=CatalogueStore(database),
        vault=standing_vault(),
        approvals=approvals,
        independent_approvers=independent,
        loopback=frozenset(),
        mint_secret=lambda: secrets.token_bytes(32),
        wall_us=wall_us,
    )


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
"""The client certificates that planes list; a test puts its own there, and takes them away."""


def open_payload(blob: bytes, tenant: str, event_id: str) -> bytes | None:
    return standing_vault().open(blob, payload_place(tenant, event_id))


def previews_of(database: Database) -> PreviewControl:
    return PreviewControl(
        registry=RegistryStore(database, audit_of(database)),
        payloads=PayloadStore(database, open_payload),
        scope_of=OutboxStore(database, open_payload).scope,
        vault=standing_vault(),
        tokens=TokenKeys(KEYRING),
        vault_tokens=VaultStore(database),
        certificates=lambda: certificates,
        loopback=frozenset(),
        mint=mint_webhook_id,
        wall_us=wall_us,
    )


def vault_keys_of(database: Database, keyring: Path | None = None) -> VaultKeys:
    """Keys at rest, the keyring in memory or in a file, where it can be added to."""
    audit = audit_of(database)
    keys, providers = EpochKeyStore(database, audit), KeyProviders(LocalProvider(KEYRING, keyring))
    return VaultKeys(
        keys=keys,
        providers=providers,
        vault=Vault(KEYRING, EpochKeys(keys, providers, boot=time.monotonic)),
        registry=RegistryStore(database, audit),
        outbox=ShredStore(database),
        workers=WorkerStore(database),
        audit=audit,
        wall_us=wall_us,
    )


def plane_of(database: Database) -> Plane:
    audit = audit_of(database)
    registry = RegistryStore(database, audit)
    return Plane(
        registry=registry,
        changes=control_of(database),
        people=People(store=PeopleStore(database, audit), mint=secrets.token_bytes),
        switches=SwitchControl(registry=registry, workers=WorkerStore(database), wall_us=wall_us),
        keys=KeyControl(
            registry=registry,
            trials=KeyTrialStore(database),
            vault=standing_vault(),
            mint_secret=lambda: secrets.token_bytes(32),
            wall_us=wall_us,
        ),
        identities=IdentityControl(registry=registry, read=lambda: certificates, wall_us=wall_us),
        revoking=Revoking(
            registry=registry,
            workers=WorkerStore(database),
            outbox=database,
            read=lambda: certificates,
            wall_us=wall_us,
        ),
        credentials=CredentialControl(
            registry=registry,
            store=CredentialStore(database, audit),
            vault=standing_vault(),
            approvals=2,
            independent_approvers=False,
            mint_id=lambda: secrets.token_hex(4),
        ),
        lanes=LaneControl(
            registry=registry,
            certificates=lambda: certificates,
            loopback=frozenset(),
            wall_us=wall_us,
        ),
        proofs=ProofControl(
            registry=registry,
            proofs=ProofStore(database, audit),
            workers=WorkerStore(database),
            vault=standing_vault(),
            loopback=frozenset(),
            wall_us=wall_us,
        ),
        partner_keys=PartnerKeyControl(
            registry=registry,
            partner_keys=PartnerKeyStore(database, audit),
            loopback=frozenset(),
            wall_us=wall_us,
        ),
        producers=ProducerRule(registry),
        previews=previews_of(database),
        detokenising=Detokenising(
            registry=registry,
            tokens=VaultStore(database),
            reads=TokenReads(database, audit),
            vault=standing_vault(),
            keys=TokenKeys(KEYRING),
            per_hour=READS_PER_HOUR,
        ),
        erasing=Erasing(
            registry=registry,
            workers=WorkerStore(database),
            tokens=VaultStore(database),
            audit=audit,
            vault=standing_vault(),
            wall_us=wall_us,
        ),
        replaying=Replaying(replays=ReplayStore(database), audit=audit, mint=mint_webhook_id),
        vault_keys=vault_keys_of(database),
        history=HistoryStore(database),
        triage=TriageStore(database),
        findings=FindingStore(database),
        retention=RetentionStore(database),
        audit=audit,
        replies=ReplyStore(database),
        outbox=database,
        vault=standing_vault(),
        way_out=WayOut(rules=AddressRules(), look_up=look_up, source="198.51.100.7"),
        wall_us=wall_us,
    )


@dataclass
class Caller:
    """Calls the API of one plane as somebody."""

    plane: Plane
    by: Principal = EVERYBODY
    front: Front = field(init=False)

    def __post_init__(self) -> None:
        self.front = Front(self.plane, ROUTES, description)

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
