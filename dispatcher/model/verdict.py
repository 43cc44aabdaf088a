"""What policy says: allow is the value passed on, refuse is a `Refusal` with stable reason codes.

Made by `stages.gates` and `stages.fanout`, obeyed by the worker, stored with parked rows and shown
to people. The codes are a public contract: add, never rename.
"""

from dataclasses import dataclass
from enum import StrEnum

from dispatcher.model.leak import Finding


class Reason(StrEnum):
    """Stable codes for why something does not leave."""

    SWITCH_ON = "switch_on"
    SUBSCRIPTION_UNKNOWN = "subscription_unknown"
    EVENT_TYPE_UNKNOWN = "event_type_unknown"
    EVENT_TYPE_NOT_SUBSCRIBED = "event_type_not_subscribed"
    PRODUCER_NOT_ALLOWED = "producer_not_allowed"
    SCHEMA_INVALID = "schema_invalid"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_RECORDS = "too_many_records"
    TOO_MANY_SUBJECTS = "too_many_subjects"
    SUMMARY_ONLY = "summary_only"
    WINDOW_UNAVAILABLE = "window_unavailable"
    TOKENS_UNAVAILABLE = "tokens_unavailable"
    LEAK_SUSPECTED = "leak_suspected"
    LEAK_BLOCKED = "leak_blocked"
    PAYLOAD_GONE = "payload_gone"
    DELIVERY_MOVING = "delivery_moving"
    DELIVERY_DROPPED = "delivery_dropped"
    PAYLOAD_UNREADABLE = "payload_unreadable"
    EVENT_UNREADABLE = "event_unreadable"
    SUBJECTS_INVALID = "subjects_invalid"
    SCOPE_UNKNOWN = "scope_unknown"
    INTERNAL_FAULT = "internal_fault"
    TENANT_MISSING = "tenant_missing"
    TENANT_NOT_SERVED = "tenant_not_served"
    DESTINATION_UNLISTED = "destination_unlisted"
    DESTINATION_EXPIRED = "destination_expired"
    DESTINATION_REVOKED = "destination_revoked"
    DESTINATION_PLAINTEXT = "destination_plaintext"
    DESTINATION_INSIDE = "destination_inside"
    DESTINATION_DRIFTED = "destination_drifted"
    PINS_EXPIRED = "pins_expired"
    PIN_MISMATCH = "pin_mismatch"
    CLIENT_IDENTITY_MISSING = "client_identity_missing"
    ENDPOINT_UNPROVEN = "endpoint_unproven"
    CONNECTOR_INACTIVE = "connector_inactive"
    AGREEMENT_MISSING = "agreement_missing"
    AGREEMENT_EXPIRED = "agreement_expired"
    ASSESSMENT_MISSING = "assessment_missing"
    ASSESSMENT_EXPIRED = "assessment_expired"
    ASSESSMENT_NOT_COVERING = "assessment_not_covering"
    COUNTRY_FORBIDDEN = "country_forbidden"
    OWNER_UNCONFIRMED = "owner_unconfirmed"
    ADDRESS_FORBIDDEN = "address_forbidden"
    ADDRESS_NONE = "address_none"
    ALIAS_OUTSIDE = "alias_outside"
    ENDPOINT_GONE = "endpoint_gone"
    SIGNING_KEY_MISSING = "signing_key_missing"
    ENCRYPTION_KEY_MISSING = "encryption_key_missing"
    ENCRYPTION_REQUIRED = "encryption_required"
    ENCRYPTION_BROKEN = "encryption_broken"
    CREDENTIALS_UNBOUND = "credentials_unbound"
    POLICY_CHANGED = "policy_changed"
    POLICY_LEASE_EXPIRED = "policy_lease_expired"
    DELIVERY_LEASE_SHORT = "delivery_lease_short"
    DRAINING = "draining"
    DESTINATION_RESTS = "destination_rests"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    KEY_UNAVAILABLE = "key_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Policy said no. `detail` is for people and holds names from the registry, never values.

    `is_hold` tells the two kinds of no apart: a closed lane (the row simply keeps waiting) from a
    refusal of this event alone (the row is parked). `findings` are what the leak guard found.
    """

    reasons: tuple[Reason, ...]
    detail: str = ""
    is_hold: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def code(self) -> str:
        """All codes as one string, for a row or a log line."""
        return ",".join(self.reasons)


def refuse(*reasons: Reason, detail: str = "") -> Refusal:
    """Say no to this event: it will be parked."""
    return Refusal(reasons=reasons, detail=detail)


def hold(*reasons: Reason, detail: str = "") -> Refusal:
    """Close a lane: whatever waits in it keeps waiting."""
    return Refusal(reasons=reasons, detail=detail, is_hold=True)
