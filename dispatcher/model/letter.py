"""The letter that walks the road: one type per step, each made in exactly one room.

A later letter cannot be made without the earlier one, and the transport accepts only `Sealed`. The
grammar of the journey is this page; the order is performed in `worker.courier`.

    Leased     store.outbox / store.claims   a right to try, for a time
    Cleared    stages.gates                  policy allows it under one snapshot
    Resolved   network                       where its host is, nothing of it believed yet
    Admitted   stages.gates                  every address of the host is vetted
    Shaped     stages.shaping                the exact plaintext and the fields it discloses
    Sealed     stages.sealing                the final body and its hash
    Departure  stages.sealing                timestamp and signature, made at the last instant
    Answer | Trouble | Stopped               what the transport brings back
    Settlement stages.settling               next state, next due time, the ledger's outcome
"""

from dataclasses import dataclass, field

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.event import Event
from dispatcher.model.ids import (
    DeliveryId,
    Epoch,
    Lane,
    LeaseToken,
    Revision,
    ScopeId,
    WebhookId,
    WindowId,
)
from dispatcher.model.leak import Finding
from dispatcher.model.scope import Field, Scope
from dispatcher.model.snapshot import Route
from dispatcher.model.tls import Peer
from dispatcher.model.verdict import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One delivery that fan-out decided on; the relay files it."""

    subscription: str
    lane: Lane
    webhook_id: WebhookId
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A delivery this worker may try.

    `attempt` is the number the coming attempt will bear in the ledger; `failures` counts retries
    spent; `lease_ends` is seconds on the worker's boot clock. `window_id` is the window of
    events that the letter sums up, `event` then the first of them.
    """

    id: DeliveryId
    token: LeaseToken
    attempt: int
    failures: int
    webhook_id: WebhookId
    subscription: str
    filed_scope: ScopeId
    lease_ends: float
    event: Event
    window_id: WindowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """Policy allows the delivery under one revision and epoch; `scope` is its ceiling."""

    leased: Leased
    route: Route
    scope: Scope
    revision: Revision
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a host resolved to: numeric addresses, at least one, and the names on the way there.

    `aliases` are in the order they were followed and do not hold the host itself.
    """

    addresses: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Every address the host resolved to is allowed; only these may be dialled."""

    cleared: Cleared
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """The exact plaintext, and the leaves of it that were disclosed. Values never reach a repr.

    `dropped` are the granted leaves of which a value was not what was granted, and stayed.
    `findings` are what the leak guard found and let go, masked or not. A thin letter may bear a
    `ticket`. `subjects` are the people it is about.
    """

    admitted: Admitted
    plaintext: bytes = field(repr=False)
    disclosed: tuple[Field, ...]
    content_type: str = "application/json"
    dropped: tuple[Field, ...] = ()
    findings: tuple[Finding, ...] = ()
    ticket: str = field(default="", repr=False)
    subjects: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The body as it will leave, bound to the vetted addresses. The only letter the door takes."""

    shaped: Shaped
    body: bytes = field(repr=False)
    body_sha256: bytes
    content_type: str

    @property
    def cleared(self) -> Cleared:
        """The policy this letter was judged under."""
        return self.shaped.admitted.cleared

    @property
    def leased(self) -> Leased:
        """The delivery this letter is an attempt of."""
        return self.shaped.admitted.cleared.leased


@dataclass(frozen=True, slots=True)
class Departure:
    """Headers made in the instant before the first byte: id, timestamp, signature.

    `signed_by` names the keys, by their fingerprints.
    """

    headers: tuple[tuple[str, str], ...] = field(repr=False)
    signed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The partner answered. `retry_after` is the header as it came, not yet believed.

    `location_host` is where a redirect would have led: for its owner to read, never to follow.
    `peer` is who was at the other end, here and below; it is no part of what came back.
    `body` is empty unless it was asked for, came whole and was no longer than that; `cache_control`
    comes with it.
    """

    status: int
    retry_after: str | None = None
    peer: Peer | None = field(default=None, compare=False)
    location_host: str = ""
    body: bytes = field(default=b"", repr=False)
    cache_control: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The network failed. `is_begun` tells whether a byte of the request may have left."""

    code: str
    is_begun: bool
    peer: Peer | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last check before the first byte said no: nothing was sent."""

    reason: Reason
    peer: Peer | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How one turn of a delivery ends. `outcome` is empty when no ledger row was written."""

    id: DeliveryId
    token: LeaseToken
    attempt: int
    move: Move
    failures: int
    scope: ScopeId | None = None
    outcome: Outcome | None = None
    status: int | None = None
    location_host: str = ""
    code: str = ""
    delay_us: int = 0
    is_endpoint_gone: bool = False
