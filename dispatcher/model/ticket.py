"""A ticket that a thin letter bore, who comes with it, and what they are told who get nothing.

Looked up by `store.tickets`, judged by `stages.gates.reading`, asked with by `partner`. A ticket's
own text is a secret of two: it is compared and never kept.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from dispatcher.model.caller import Known
from dispatcher.model.ids import DeliveryId, ScopeId, WebhookId


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it stands: for whom, the scope of its letter, its age, and what is left of it."""

    webhook_id: WebhookId
    delivery_id: DeliveryId
    sha256: str
    connector: str
    subscription: str
    scope_id: ScopeId
    uses_max: int
    reads: int
    age_us: int
    left_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Somebody who comes for what a letter named.

    `known` are the credentials shown, one for each connector they count for; `signature_id` names
    the signature by which, where that was how.
    """

    webhook_id: str
    ticket: str = field(repr=False)
    known: tuple[Known, ...]
    signature_id: str = ""
    address: str


def hash_ticket(ticket: str) -> str:
    """Give what is kept of a ticket."""
    return sha256(ticket.encode()).hexdigest()


class Denial(StrEnum):
    """What is told instead of an answer. Stable codes: add, never rename.

    `UNKNOWN` and `UNAVAILABLE` are for everybody and say nothing of a reference; the others are
    told to the partner whose ticket it is alone.
    """

    UNKNOWN = "ref_unknown"
    UNAVAILABLE = "unavailable"
    EXPIRED = "ticket_expired"
    USED_UP = "ticket_used_up"
    HELD = "held"
    GONE = "payload_gone"
