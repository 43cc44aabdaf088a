"""A worker's desk of tokens over a test's database, beside the control plane that it obeys."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.letter import Admitted, Cleared, Shaped
from dispatcher.model.paper import Agreement, Assessment, LegalBasis, Purpose
from dispatcher.model.people import Role
from dispatcher.model.registry import Connector, OwnershipProof, Policy, Registry
from dispatcher.model.verdict import Refusal
from dispatcher.stages.gates.preflight import preflight
from dispatcher.store.database import Database
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.store.workers import WorkerStore
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.tokens import TokenKeys
from dispatcher.worker.kit import WorkerSettings
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.tokens import LetterTokens, TokenDesk
from tests.support.databases import wall_us
from tests.support.planes import Caller, control_of, means_of, person
from tests.support.records import KEYRING
from tests.support.vaults import standing_vault
from tests.unit.stages.builders import (
    FAR,
    connector,
    event,
    event_type,
    leaf,
    leased,
    record,
    subscription,
)

PRIVACY = person("priya", Role.PRIVACY)
SCHEMA = record(
    ref=leaf(),
    person=leaf(category="pii", level="confidential"),
    number=leaf("integer", category="pii", level="confidential"),
    email=leaf(category="contact", level="confidential"),
)
GRANTS = (
    "@subject",
    "$.ref siv(order)",
    "$.person pseudonym(subject)",
    "$.number pseudonym(subject)",
    "$.email vault(email)",
)


def partner(name: str, **more: Any) -> Connector:
    return connector(
        name,
        tenants=("north", "south"),
        clearance=Sensitivity.RESTRICTED,
        agreement=Agreement(reference="A-1", until=FAR),
        assessment=Assessment(reference="PIA-1", until=FAR),
        purposes=(
            Purpose(name="fulfilment", categories=tuple(Category), legal_basis=LegalBasis.CONTRACT),
        ),
        **more,
    )


def held(*partners: Connector, grants: tuple[str, ...] = GRANTS) -> Registry:
    """Give a registry in which each partner is sent orders, by default two of them."""
    listed = partners or (partner("acme"), partner("bolt"))
    return Registry(
        event_types=(event_type(schema=SCHEMA),),
        connectors=listed,
        subscriptions=tuple(
            subscription(f"{each.name}-orders", connector=each.name, scope={"order.paid": grants})
            for each in listed
        ),
        policy=Policy(ownership_proof=OwnershipProof.WAIVED),
    )


class Log:
    """Keeps every line, to be searched for what must not be in it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __getattr__(self, _level: str) -> Any:
        return lambda name, **more: self.lines.append(f"{name} {more}")


class CountingVault(VaultStore):
    """The vault, counting the times it was asked; `broken` makes the next times fail."""

    asked = 0
    broken: Exception | None = None

    async def mint(self, wanted: Any) -> list[str]:
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        return await super().mint(wanted)


class Office:
    """One worker's policy and tokens, and the API that it obeys."""

    def __init__(self, database: Database, name: str = "w1") -> None:
        self.api = Caller(means_of(database))
        self.control = control_of(database, approvals=1)
        self.vault = CountingVault(database)
        self.log = Log()
        loop = asyncio.get_running_loop()
        self.kit: Any = SimpleNamespace(
            id=name,
            host="h",
            pid=1,
            clock=SimpleNamespace(boot=loop.time, wall_us=wall_us),
            workers=WorkerStore(database),
            registry=self.api.means.registry,
            vault_tokens=self.vault,
            settings=WorkerSettings(policy_poll_seconds=0.02),
            metrics=Metrics(CollectorRegistry()),
            log=self.log,
            report=lambda line, error: self.log.warning(line, error=str(error)),
            resolver=SimpleNamespace(forget=lambda: None),
            identities=SimpleNamespace(certificates=(), show=lambda _shown: None),
            vault=standing_vault(),
            tokens=TokenKeys(KEYRING),
        )
        self.policy = PolicyWatch(self.kit)
        self.desk = TokenDesk(self.kit, self.policy)

    async def apply(self, registry: Registry) -> Any:
        """Make a registry the active one, and have the worker obey it."""
        outcome = await self.control.propose(
            registry, by=person("pat", *Role), reason="a test", where="files"
        )
        await self.policy.start()
        return outcome

    @asynccontextmanager
    async def obeying(self) -> AsyncIterator[None]:
        """Have the worker read its policy while the block lasts."""
        leaving = asyncio.Event()
        running = asyncio.create_task(self.policy.run(leaving))
        try:
            yield
        finally:
            leaving.set()
            await running

    def admit(
        self, payload: Any, *subjects: str, to: str = "acme", tenant: str = "north"
    ) -> Admitted:
        of = event(json.dumps(payload).encode(), subjects=subjects, tenant=tenant)
        snapshot, name = self.policy.snapshot, f"{to}-orders"
        scope = snapshot.routes[name].scopes["order.paid"]
        letter = replace(leased(of), subscription=name, filed_scope=scope.id)
        cleared = preflight(letter, snapshot, scope)
        assert isinstance(cleared, Cleared), cleared
        return Admitted(cleared=cleared, addresses=("8.8.8.8",))

    async def shape(
        self, payload: Any, *subjects: str, **where: str
    ) -> tuple[Shaped | Refusal, LetterTokens]:
        admitted = self.admit(payload, *subjects, **where)
        tokens = self.desk.of(admitted.cleared)
        return await self.desk.shape(admitted, tokens), tokens

    async def send(self, payload: Any, *subjects: str, **where: str) -> Any:
        """Give the body that a letter would have."""
        shaped, tokens = await self.shape(payload, *subjects, **where)
        assert isinstance(shaped, Shaped), shaped
        assert self.desk.is_current(tokens)
        return json.loads(shaped.plaintext)

    async def ask(self, token: str, **more: Any) -> Any:
        """Ask what a token stands for."""
        by = more.pop("by", PRIVACY)
        return await self.api.ask("POST", "/v1/detokenisations", asked(token, **more), by=by)

    async def refused(self, token: str, **more: Any) -> tuple[int, str]:
        by = more.pop("by", PRIVACY)
        body = asked(token, **more)
        found: tuple[int, str] = await self.api.refused("POST", "/v1/detokenisations", body, by=by)
        return found

    async def erase(self, subject: str, tenant: str = "north", **more: Any) -> Any:
        body = {"tenant": tenant, "subject": subject, "reason": "Art. 17"}
        return await self.api.ask("POST", "/v1/erasures", body, by=PRIVACY, **more)


def asked(token: str, connector: str = "acme", **more: Any) -> dict[str, Any]:
    return {"token": token, "connector": connector, "reason": "a complaint"} | more
