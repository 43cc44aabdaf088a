"""The registry's objects: what may flow, to whom, and where, as plain frozen documents.

They are read from TOML files by `control`, stored whole in an immutable revision, and compiled into
a snapshot by `stages.revising`. Their shape is the shape of the files. Unknown keys are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal

from dispatcher.model.caller import Caller
from dispatcher.model.classification import Sensitivity
from dispatcher.model.key_set import KeySet
from dispatcher.model.keys import CompatSignature, SigningProfile
from dispatcher.model.leak import LeakRule
from dispatcher.model.paper import STRICT, Agreement, Assessment, ConnectorState, Purpose
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.retention import Retention
from dispatcher.model.tls import Tls

SUBJECTS_MAX: Final = 100
SUMMARY_SUBJECTS_MAX: Final = 10_000
STANDARD_RETRY_SECONDS: Final = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Waits between attempts after Standard Webhooks' example: 10 attempts in about 3 days."""
WINDOW_SECONDS: Final = 3600
GROUP_MIN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A dotted name in the past tense, its JSON Schema, and how much one event may hold.

    Every leaf of the schema carries `x-data-classification`. Another schema is another `version`,
    so that a version means one thing to whoever names it. One event is about `subjects_max`
    different subjects at most.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    schema: str
    payload_bytes_max: int = 65536
    subjects_max: int = SUBJECTS_MAX
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """One product service, and what it may enqueue.

    `event_types` and `tenants` are exact names, or `*` for all. `database_roles` are the roles of
    PostgreSQL it logs in as; `principals` are those who may enqueue in its name over HTTP.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    event_types: tuple[str, ...]
    tenants: tuple[str, ...]
    database_roles: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One entry of the allowlist: scheme, host, port and path prefix, with a reason and an end.

    `host` is a name, `*.` before a name for every name one label below it, an address, or a network
    for its literal addresses. `private_range` is the one range inside which the host may answer.
    `scheme = "http"` is the grant to do without TLS. `country` is where the data then lies, as the
    partner declared it (ISO 3166-1 alpha-2). `close_after_each` gives every letter a connection of
    its own.
    `alias_zones` are the zones that every alias of the host must lie in; none: no such rule.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    host: str
    reason: str
    scheme: str = "https"
    port: int = 443
    path_prefix: str = "/"
    private_range: str = ""
    alias_zones: tuple[str, ...] = ()
    country: str = ""
    expires: date | None = None
    tls: Tls = field(default=Tls())
    close_after_each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One partner: who owns the integration, what it may know, and where it may be reached.

    The owning team confirms by `owner_confirmed_until` that it still answers for the integration;
    `escalation` is the person to turn to when it no longer does. Through `report_only_until` an
    https destination that nothing lists is reported and not refused; all else is judged as ever.
    `keys` are the partner's own, for what only they shall read: single fields, and whole letters
    unless there is a `key_set`, which they publish themselves. `callers` are the credentials that
    their services fetch by. Another `token_version` gives it other tokens from then on.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    owner: str
    contact: str
    tenants: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    destinations: tuple[Destination, ...]
    state: ConnectorState = ConnectorState.ACTIVE
    escalation: str = ""
    report_only_until: date | None = None
    owner_confirmed_until: date | None = None
    clearance: Sensitivity = Sensitivity.INTERNAL
    agreement: Agreement | None = None
    assessment: Assessment | None = None
    keys: tuple[PartnerKey, ...] = ()
    key_set: KeySet | None = None
    token_version: int = 1
    callers: tuple[Caller, ...] = ()

    def purpose(self, name: str) -> Purpose | None:
        """Find a purpose by name."""
        return next((each for each in self.purposes if each.name == name), None)


class Style(StrEnum):
    """How much of an event a letter carries.

    Full: what is granted. Thin: where to fetch that. Summary: one letter for all events of a window
    of time, which tells only of groups.
    """

    FULL = "full"
    THIN = "thin"
    SUMMARY = "summary"


class WireFormat(StrEnum):
    """How a body is laid out: as Standard Webhooks have it, or as a structured CloudEvent."""

    STANDARD = "standard"
    CLOUDEVENTS = "cloudevents"


class Encryption(StrEnum):
    """Whether a letter is encrypted to its partner: not, or whole, as a compact JWE."""

    NONE = "none"
    JWE = "jwe"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one letter may hold: bytes of its body, people, and records of one list."""

    body_bytes_max: int = 1_048_576
    subjects_max: int = SUBJECTS_MAX
    records_max: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Which event types one endpoint of a connector receives, and which fields of each.

    `scope` maps event types to grants (see `model.grant`); an empty list sends the envelope alone.
    Letters are signed as `signing` says; `compat_signature` is a second one, in an older style.
    A letter beyond `body_bytes_max`, `subjects_max` or `records_max` is parked, never cut; where no
    `subjects_max` is said, a summary may be about more people than a single event.
    A summary sums up `window_seconds` of events, and tells nothing about fewer than `group_min`
    people.
    `retry_seconds` are the longest waits before each further attempt; the wait taken is drawn
    evenly between zero and that (full jitter). `headers` are sent with every request as they are.
    Each worker begins at most `rate_per_second` attempts. The ticket of a thin letter counts for
    `ticket_seconds` (0: it bears none) and for `ticket_uses` reads.
    Where `encryption` says so, letters are encrypted to the connector's first key that may be used,
    or to the one named `encryption_kid`, and to no other.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    connector: str
    purpose: str
    url: str
    scope: Mapping[str, tuple[str, ...]]
    style: Style = Style.FULL
    window_seconds: int = WINDOW_SECONDS
    group_min: int = GROUP_MIN
    format: WireFormat = WireFormat.STANDARD
    encryption: Encryption = Encryption.NONE
    encryption_kid: str = ""
    signing: SigningProfile = SigningProfile.V1
    compat_signature: CompatSignature | None = None
    body_bytes_max: int = Limits().body_bytes_max
    subjects_max: int | None = None
    records_max: int = Limits().records_max
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_seconds: tuple[float, ...] = STANDARD_RETRY_SECONDS
    attempt_seconds: float = 15.0
    concurrency: int = 32
    rate_per_second: float | None = None
    ticket_seconds: int = 900
    ticket_uses: int = 5

    @property
    def group(self) -> int:
        """The fewest people a letter may tell about; 0 where letters are of single events."""
        return self.group_min if self.style is Style.SUMMARY else 0


class OwnershipProof(StrEnum):
    """Where an endpoint must be proven before its lanes open."""

    REQUIRED = "required"
    OUTSIDE_DEV = "outside_dev"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for every partner.

    `warn_days` are how many days ahead the end of a paper is announced. `owner_grace_days` is how
    long lanes stay open after an owner's confirmation has ended. `countries` maps a country, or
    `*` for all others, to the most sensitive field that may go there; empty: no such rule.
    `revoked_hosts` are never sent to, whoever lists them; a rollback does not forget them.
    `on_drift` says what happens when a destination is met in another network, or vouched for by
    another issuer, than ever before: warn, or also hold its subscriptions.
    `ownership_proof` says where endpoints must be proven; a proof counts for `proof_days`.
    A letter with a field of the class `encrypt_from`, or above it, leaves encrypted or not at all.
    `leak_rules` say what is done about what the leak guard finds; a detector that none of them
    names keeps its default. `retention` says how long anything is kept.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    warn_days: tuple[int, ...] = (30, 14, 3)
    owner_grace_days: int = 14
    countries: Mapping[str, Sensitivity] = field(default_factory=dict)
    revoked_hosts: tuple[str, ...] = ()
    on_drift: Literal["warn", "hold"] = "warn"
    ownership_proof: OwnershipProof = OwnershipProof.OUTSIDE_DEV
    proof_days: int = 180
    encrypt_from: Literal["public", "internal", "confidential", "restricted", "never"] = (
        "restricted"
    )
    leak_rules: tuple[LeakRule, ...] = ()
    retention: Retention = field(default=Retention())


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything that may flow: the content of one revision.

    Where no producer is listed, there is no rule about who may enqueue (see `model.producers`).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    event_types: tuple[EventType, ...] = field(default=())
    connectors: tuple[Connector, ...] = field(default=())
    subscriptions: tuple[Subscription, ...] = field(default=())
    producers: tuple[Producer, ...] = field(default=())
    policy: Policy = field(default=Policy())
