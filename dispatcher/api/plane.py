"""What the API speaks for: the control plane of one registry, and one outbox.

Filled by `app`; every noun works through it and opens nothing by itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

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
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.model.registry import Registry
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.findings import FindingStore
from dispatcher.store.history import HistoryStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.replies import ReplyStore
from dispatcher.store.retention import RetentionStore
from dispatcher.store.triage import TriageStore
from dispatcher.vault.sealer import Vault


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
class Plane:
    """Everything that can be asked for."""

    registry: RegistryStore
    changes: ChangeControl
    people: People
    switches: SwitchControl
    keys: KeyControl
    identities: IdentityControl
    revoking: Revoking
    credentials: CredentialControl
    lanes: LaneControl
    proofs: ProofControl
    partner_keys: PartnerKeyControl
    producers: ProducerRule
    previews: PreviewControl
    detokenising: Detokenising
    erasing: Erasing
    replaying: Replaying
    vault_keys: VaultKeys
    history: HistoryStore
    triage: TriageStore
    findings: FindingStore
    retention: RetentionStore
    audit: AuditLog
    replies: ReplyStore
    outbox: Database
    vault: Vault
    way_out: WayOut
    wall_us: Callable[[], int]

    async def active(self) -> Registry:
        """Give what may flow today."""
        return (await self.registry.active()).registry
