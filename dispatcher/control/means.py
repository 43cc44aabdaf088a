"""What the control plane works with: open databases and keys, who must agree, chance, the clock.

Opened by `app`, handed through `api`. Each control takes of it what it needs, by its `over`, and so
nothing is loaded that nobody asks for: `hold` must be quick at three in the morning.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dispatcher.control.producers import ProducerRule
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.ids import WebhookId
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.model.registry import Registry
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.rows import PayloadOpener
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
    """The means of one registry and one outbox.

    `producers` remembers those of the active revision. `certificates` reads our client
    certificates, and `way_out` says what the way out is like: neither is called before somebody
    asks.
    """

    registry_database: Database
    outbox_database: Database
    audit: AuditLog
    vault: Vault
    tokens: TokenKeys
    epoch_keys: EpochKeyStore
    providers: KeyProviders
    open_payload: PayloadOpener
    producers: ProducerRule
    certificates: Callable[[], Sequence[ClientCertificate]]
    way_out: Callable[[], WayOut]
    approvals: int
    independent_approvers: bool
    loopback: frozenset[tuple[str, int]]
    detokenisations_per_hour: int
    random_bytes: Callable[[int], bytes]
    mint_secret: Callable[[], bytes]
    mint_webhook_id: Callable[[], WebhookId]
    wall_us: Callable[[], int]

    @property
    def registry(self) -> RegistryStore:
        """The registry's revisions, keys and switches."""
        return RegistryStore(self.registry_database, self.audit)

    @property
    def workers(self) -> WorkerStore:
        """The rows of the workers."""
        return WorkerStore(self.registry_database)

    async def active(self) -> Registry:
        """Give what may flow today."""
        return (await self.registry.active()).registry
