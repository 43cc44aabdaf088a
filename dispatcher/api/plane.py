"""What the API speaks for: the control plane of one registry, and one outbox.

Every noun works through it and opens nothing by itself. A part is loaded when it is first asked
for: `hold` must be quick at three in the morning, and needs none of the others. What it works with
is opened by `app`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from dispatcher.model.ids import WebhookId
    from dispatcher.model.letter import Resolved, Trouble
    from dispatcher.model.registry import Registry
    from dispatcher.stages.gates.addresses import AddressRules
    from dispatcher.store.audit import AuditLog
    from dispatcher.store.database import Database
    from dispatcher.store.epoch_keys import EpochKeyStore
    from dispatcher.store.findings import FindingStore
    from dispatcher.store.history import HistoryStore
    from dispatcher.store.registry import RegistryStore
    from dispatcher.store.replies import ReplyStore
    from dispatcher.store.retention import RetentionStore
    from dispatcher.store.rows import PayloadOpener
    from dispatcher.store.triage import TriageStore
    from dispatcher.store.workers import WorkerStore
    from dispatcher.vault.provider import KeyProviders
    from dispatcher.vault.sealer import Vault
    from dispatcher.vault.tokens import TokenKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """What the way out is like, for those who ask about it; nothing is sent from here.

    `look_up` asks the resolver that deliveries use; `source` says from which addresses
    letters leave.
    """

    rules: AddressRules
    look_up: Callable[[str, bool], Awaitable[Resolved | Trouble]]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a plane works with: open databases and keys, who must agree, chance and the clock.

    `certificates` reads our client certificates; `way_out` says what the way out is like. Neither
    is called before somebody asks.
    """

    registry_database: Database
    outbox_database: Database
    audit: AuditLog
    vault: Vault
    tokens: TokenKeys
    epoch_keys: EpochKeyStore
    providers: KeyProviders
    open_payload: PayloadOpener
    certificates: Callable[[], Sequence[ClientCertificate]]
    way_out: Callable[[], WayOut]
    approvals: int
    independent_approvers: bool
    loopback: frozenset[tuple[str, int]]
    detokenisations_per_hour: int
    random_bytes: Callable[[int], bytes]
    mint_webhook_id: Callable[[], WebhookId]
    wall_us: Callable[[], int]


class Plane:
    """Everything that can be asked for, each part made when it is first wanted."""

    def __init__(self, means: Means):
        self._means = means
        self._registry_database = means.registry_database
        self.audit = means.audit
        self.outbox = means.outbox_database
        self.vault = means.vault
        self.wall_us = means.wall_us

    def load(self) -> None:
        """Load every part now: for a process that serves, so that nobody waits for it later."""
        for name, part in vars(type(self)).items():
            if isinstance(part, cached_property):
                getattr(self, name)

    async def active(self) -> Registry:
        """Give what may flow today."""
        return (await self.registry.active()).registry

    @cached_property
    def registry(self) -> RegistryStore:
        """The registry's revisions and switches."""
        from dispatcher.store.registry import RegistryStore

        return RegistryStore(self._registry_database, self.audit)

    @cached_property
    def history(self) -> HistoryStore:
        """What the outbox remembers."""
        from dispatcher.store.history import HistoryStore

        return HistoryStore(self.outbox)

    @cached_property
    def findings(self) -> FindingStore:
        """What the leak guard found."""
        from dispatcher.store.findings import FindingStore

        return FindingStore(self.outbox)

    @cached_property
    def way_out(self) -> WayOut:
        """What the way out is like."""
        return self._means.way_out()

    @cached_property
    def people(self) -> People:
        """Who may ask, and their tokens."""
        from dispatcher.control.people import People
        from dispatcher.store.people import PeopleStore

        return People(
            store=PeopleStore(self._registry_database, self.audit),
            mint=self._means.random_bytes,
        )

    @cached_property
    def switches(self) -> SwitchControl:
        """What stops and starts things."""
        from dispatcher.control.switches import SwitchControl

        return SwitchControl(
            registry=self.registry,
            workers=self._workers,
            wall_us=self.wall_us,
        )

    @cached_property
    def changes(self) -> ChangeControl:
        """What changes the registry."""
        from dispatcher.control.changes import ChangeControl
        from dispatcher.store.catalogue import CatalogueStore
        from dispatcher.store.changes import ChangeStore

        return ChangeControl(
            registry=self.registry,
            changes=ChangeStore(self._registry_database, self.audit),
            catalogue=CatalogueStore(self.outbox),
            vault=self.vault,
            approvals=self._means.approvals,
            independent_approvers=self._means.independent_approvers,
            loopback=self._means.loopback,
            mint_secret=lambda: self._means.random_bytes(32),
            wall_us=self.wall_us,
        )

    @cached_property
    def previews(self) -> PreviewControl:
        """What shows what a partner would get."""
        from dispatcher.control.previews import PreviewControl
        from dispatcher.store.outbox import OutboxStore
        from dispatcher.store.payloads import PayloadStore
        from dispatcher.store.vault_tokens import VaultStore

        return PreviewControl(
            registry=self.registry,
            payloads=PayloadStore(self.outbox, self._means.open_payload),
            scope_of=OutboxStore(self.outbox, self._means.open_payload).scope,
            vault=self.vault,
            tokens=self._means.tokens,
            vault_tokens=VaultStore(self.outbox),
            certificates=self._means.certificates,
            loopback=self._means.loopback,
            mint=self._means.mint_webhook_id,
            wall_us=self.wall_us,
        )

    @cached_property
    def credentials(self) -> CredentialControl:
        """What stores the secret headers of partners."""
        from dispatcher.control.credentials import CredentialControl
        from dispatcher.store.credentials import CredentialStore

        return CredentialControl(
            registry=self.registry,
            store=CredentialStore(self._registry_database, self.audit),
            vault=self.vault,
            approvals=self._means.approvals,
            independent_approvers=self._means.independent_approvers,
            mint_id=lambda: self._means.random_bytes(4).hex(),
        )

    @cached_property
    def keys(self) -> KeyControl:
        """What has signing keys take turns."""
        from dispatcher.control.keys import KeyControl
        from dispatcher.store.key_trials import KeyTrialStore

        return KeyControl(
            registry=self.registry,
            trials=KeyTrialStore(self._registry_database),
            vault=self.vault,
            mint_secret=lambda: self._means.random_bytes(32),
            wall_us=self.wall_us,
        )

    @cached_property
    def identities(self) -> IdentityControl:
        """What lists client certificates, and what partners fetch by."""
        from dispatcher.control.identities import IdentityControl

        return IdentityControl(
            registry=self.registry, read=self._means.certificates, wall_us=self.wall_us
        )

    @cached_property
    def revoking(self) -> Revoking:
        """What revokes our keys, and those shown to us."""
        from dispatcher.control.revoking import Revoking

        return Revoking(
            registry=self.registry,
            workers=self._workers,
            outbox=self.outbox,
            read=self._means.certificates,
            wall_us=self.wall_us,
        )

    @cached_property
    def lanes(self) -> LaneControl:
        """What says why lanes are closed."""
        from dispatcher.control.lanes import LaneControl

        return LaneControl(
            registry=self.registry,
            certificates=self._means.certificates,
            loopback=self._means.loopback,
            wall_us=self.wall_us,
        )

    @cached_property
    def proofs(self) -> ProofControl:
        """What says where the proofs of endpoints stand."""
        from dispatcher.control.proofs import ProofControl
        from dispatcher.store.proofs import ProofStore

        return ProofControl(
            registry=self.registry,
            proofs=ProofStore(self._registry_database, self.audit),
            workers=self._workers,
            vault=self.vault,
            loopback=self._means.loopback,
            wall_us=self.wall_us,
        )

    @cached_property
    def partner_keys(self) -> PartnerKeyControl:
        """What shows the keys that partners publish."""
        from dispatcher.control.partner_keys import PartnerKeyControl
        from dispatcher.store.partner_keys import PartnerKeyStore

        return PartnerKeyControl(
            registry=self.registry,
            partner_keys=PartnerKeyStore(self._registry_database, self.audit),
            loopback=self._means.loopback,
            wall_us=self.wall_us,
        )

    @cached_property
    def producers(self) -> ProducerRule:
        """What says who may enqueue what."""
        from dispatcher.control.producers import ProducerRule

        return ProducerRule(self.registry)

    @cached_property
    def detokenising(self) -> Detokenising:
        """What says what a token stands for."""
        from dispatcher.control.detokenising import Detokenising
        from dispatcher.store.token_keys import TokenReads
        from dispatcher.store.vault_tokens import VaultStore

        return Detokenising(
            registry=self.registry,
            tokens=VaultStore(self.outbox),
            reads=TokenReads(self._registry_database, self.audit),
            vault=self.vault,
            keys=self._means.tokens,
            per_hour=self._means.detokenisations_per_hour,
        )

    @cached_property
    def erasing(self) -> Erasing:
        """What erases a person from the vault of tokens."""
        from dispatcher.control.erasing import Erasing
        from dispatcher.store.vault_tokens import VaultStore

        return Erasing(
            registry=self.registry,
            workers=self._workers,
            tokens=VaultStore(self.outbox),
            audit=self.audit,
            vault=self.vault,
            wall_us=self.wall_us,
        )

    @cached_property
    def replaying(self) -> Replaying:
        """What sends again."""
        from dispatcher.control.replaying import Replaying
        from dispatcher.store.replays import ReplayStore

        return Replaying(
            replays=ReplayStore(self.outbox), audit=self.audit, mint=self._means.mint_webhook_id
        )

    @cached_property
    def vault_keys(self) -> VaultKeys:
        """What looks after the keys at rest."""
        from dispatcher.control.vault_keys import VaultKeys
        from dispatcher.store.shredding import ShredStore

        return VaultKeys(
            keys=self._means.epoch_keys,
            providers=self._means.providers,
            vault=self.vault,
            registry=self.registry,
            outbox=ShredStore(self.outbox),
            workers=self._workers,
            audit=self.audit,
            wall_us=self.wall_us,
        )

    @cached_property
    def triage(self) -> TriageStore:
        """What the dead letters have in common."""
        from dispatcher.store.triage import TriageStore

        return TriageStore(self.outbox)

    @cached_property
    def retention(self) -> RetentionStore:
        """What was removed in time, or is due."""
        from dispatcher.store.retention import RetentionStore

        return RetentionStore(self.outbox)

    @cached_property
    def replies(self) -> ReplyStore:
        """The answers that are kept for who asks again."""
        from dispatcher.store.replies import ReplyStore

        return ReplyStore(self._registry_database)

    @cached_property
    def _workers(self) -> WorkerStore:
        from dispatcher.store.workers import WorkerStore

        return WorkerStore(self._registry_database)
