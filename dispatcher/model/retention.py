"""How long what is kept stays: the policy's windows, and the rules they come to.

Written in the registry's policy, made into rules by `stages.revising.retention`, followed by
`worker.purging`, shown to auditors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal

from dispatcher.model.paper import STRICT

FOREVER: Final = "forever"
Span = float | Literal["forever"]
"""A number of hours or days, as the key's name says, or no end at all."""


class Store(StrEnum):
    """What has a window of its own. The names are a public contract: add, never rename."""

    PAYLOADS = "payloads"
    DEAD_PAYLOADS = "dead_payloads"
    ENVELOPES = "envelopes"
    FINDINGS = "findings"
    TICKETS = "tickets"
    LEDGER = "ledger"
    TRIAGE = "triage"
    PURGES = "purges"

    @property
    def is_personal(self) -> bool:
        """True for what is kept about events, and so about persons: it must end."""
        return self not in (Store.TRIAGE, Store.PURGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The longest that anything of an event type may stay which has fields of a class."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    payload_hours: Span | None = None
    dead_payload_days: Span | None = None
    envelope_days: Span | None = None
    finding_days: Span | None = None
    ticket_days: Span | None = None
    ledger_days: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """An order to keep: nothing about these events is purged from `since` through `until`.

    It covers a tenant, an event type, or that event type of that tenant. `owner` answers for it.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    owner: str
    reason: str
    since: date
    until: date
    tenant: str = ""
    event_type: str = ""

    def is_in_force(self, today: date) -> bool:
        """True on the days it names."""
        return self.since <= today <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long each store keeps what it has.

    Windows about an event count from when it came to rest: when its last delivery was final.
    `payload_hours` is for payloads, `dead_payload_days` for those of which a delivery is dead.
    `envelope_days` is for what else an event's row says: its idempotency key, its trace context.
    `ledger_days` is for all that is left then: disclosures, deliveries and the event itself.
    `finding_days` counts from the finding, `ticket_days` from a ticket's end, `triage_days` from
    when a place was last seen, `purge_days` from the purge that a record is of.
    `classes` map a category, a sensitivity and what is above it, or `personal`, to ceilings.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    payload_hours: Span = 24.0
    dead_payload_days: Span = 14.0
    envelope_days: Span = 30.0
    finding_days: Span = 90.0
    ticket_days: Span = 1.0
    ledger_days: Span = 400.0
    triage_days: Span = 30.0
    purge_days: Span = 1095.0
    classes: Mapping[str, Ceiling] = field(default_factory=dict)
    holds: tuple[LegalHold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is purged of one store: what is older than `kept_us`, of these event types.

    `said` is the policy's own word for it. With `is_rest` it is of every event type but these.
    `holds` are the tenants and event types that must be kept; an empty text is any.
    """

    store: Store
    said: str
    kept_us: int
    event_types: tuple[str, ...] = ()
    is_rest: bool = True
    holds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a rule would purge now, and what it would not though its window is over.

    `held` rows are under a legal hold. `moving` ones are of events that have not come to rest.
    """

    store: Store
    rule: str
    due: int
    held: int
    moving: int
    oldest_us: int | None
