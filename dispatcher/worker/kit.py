"""What one worker holds: its settings, and the few things of the world that can be replaced.

`app.wiring` fills it; every module of this room receives it. The clock, chance, the resolver and
the transport are protocols so that a seed and a drill can stand in for the world. `step` is called
at every boundary of the road, before the step of that name.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from dispatcher.model.errors import DispatcherError
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.ids import LeaseToken, WebhookId, WorkerId
from dispatcher.model.letter import (
    Admitted,
    Answer,
    Departure,
    Resolved,
    Sealed,
    Stopped,
    Trouble,
)
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.claims import ClaimStore
from dispatcher.store.findings import FindingStore
from dispatcher.store.key_trials import KeyTrialStore
from dispatcher.store.ledger import LedgerStore
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.partner_keys import PartnerKeyStore
from dispatcher.store.peers import PeerStore
from dispatcher.store.proofs import ProofStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.retention import RetentionStore
from dispatcher.store.tickets import TicketStore
from dispatcher.store.triage import TriageStore
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.store.windows import WindowStore
from dispatcher.store.workers import WorkerStore
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.sealer import Vault
from dispatcher.vault.tokens import TokenKeys


async def rest(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but no longer than this; say whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Step(StrEnum):
    """The boundaries of the road, in order."""

    CLAIM = "claim"
    FILE = "file"
    FILED = "filed"
    LEASE = "lease"
    PREFLIGHT = "preflight"
    RESOLVE = "resolve"
    ADMIT = "admit"
    SHAPE = "shape"
    SEAL = "seal"
    DISCLOSE = "disclose"
    POST = "post"
    SETTLE = "settle"
    SETTLED = "settled"


class Clock(Protocol):
    """The two clocks a worker needs."""

    def wall_us(self) -> int:
        """Give microseconds since the epoch, UTC."""

    def boot(self) -> float:
        """Give seconds that also pass while the machine or the process is suspended."""


class Resolver(Protocol):
    """Turns a listed host into addresses, once."""

    async def resolve(self, host: str, *, is_private: bool = False) -> Resolved | Trouble:
        """Give numeric addresses, or why there are none.

        `is_private` asks for a host that may lie in a private network.
        """

    async def texts(self, name: str) -> tuple[str, ...] | Trouble:
        """Give the TXT records of a name, or why there are none."""

    def forget(self) -> None:
        """Drop what was remembered: the registry moved."""


class Transport(Protocol):
    """Carries a sealed letter out, and nothing else."""

    async def post(
        self,
        sealed: Sealed,
        depart: Callable[[], Departure | Stopped],
        check: Callable[[], Stopped | None],
        keep_bytes: int = 0,
    ) -> Answer | Trouble | Stopped:
        """Sign with `depart`, ask `check`, and write, with no await between; read the answer.

        Its body is kept only where it has at most `keep_bytes`.
        """

    async def fetch(
        self, admitted: Admitted, check: Callable[[], Stopped | None], keep_bytes: int
    ) -> Answer | Trouble | Stopped:
        """Ask for what a partner publishes at its route, after `check`."""


class Look(Protocol):
    """What a look at the files of client certificates found."""

    @property
    def is_changed(self) -> bool:
        """True where any is another now."""

    @property
    def faults(self) -> Sequence[DispatcherError]:
        """What cannot be used, and leaves things as they were."""


class Identities(Protocol):
    """The client certificates of this process."""

    @property
    def certificates(self) -> tuple[ClientCertificate, ...]:
        """All that are at hand."""

    async def look(self) -> Look:
        """Look whether files changed."""

    def show(self, certificates: Iterable[ClientCertificate]) -> None:
        """Show these on every connection from now on, and no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The worker's knobs; `config.example.toml` says what each is for."""

    lease_seconds: float = 60.0
    policy_lease_seconds: float = 2.0
    policy_poll_seconds: float = 0.25
    claim_batch_max: int = 256
    queued_max: int = 1024
    poll_busy_seconds: float = 0.01
    poll_idle_seconds: float = 0.25
    commit_rows_max: int = 256
    commit_gather_seconds: float = 0.002
    upkeep_seconds: float = 1.0
    sweep_seconds: float = 300.0
    drain_seconds: float = 20.0
    rest_after_failures: int = 100
    rest_seconds: float = 30.0
    address_rules: AddressRules = field(default_factory=AddressRules)
    remind_after_days: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Everything one worker holds."""

    id: WorkerId
    host: str
    pid: int
    settings: WorkerSettings
    outbox: OutboxStore
    claims: ClaimStore
    ledger: LedgerStore
    tickets: TicketStore
    peers: PeerStore
    findings: FindingStore
    catalogue: CatalogueStore
    retention: RetentionStore
    triage: TriageStore
    windows: WindowStore
    registry: RegistryStore
    proofs: ProofStore
    key_trials: KeyTrialStore
    partner_keys: PartnerKeyStore
    vault_tokens: VaultStore
    workers: WorkerStore
    vault: Vault
    tokens: TokenKeys
    resolver: Resolver
    transport: Transport
    identities: Identities
    clock: Clock
    chance: Callable[[], float]
    mint_webhook_id: Callable[[], WebhookId]
    mint_token: Callable[[], LeaseToken]
    mint_challenge: Callable[[], str]
    metrics: Metrics
    log: Any
    step: Callable[[Step], None]
    listen_policy: Callable[[Callable[[], None]], Any]
    listen_outbox: Callable[[Callable[[], None]], Any]

    def report(self, line: str, error: Exception) -> None:
        """Log what went wrong: in full where the text is ours, else by its kind alone."""
        if isinstance(error, DispatcherError):
            self.log.warning(line, reason=error.reason, why=error.why)
        else:
            self.log.error(line, error=type(error).__name__)
