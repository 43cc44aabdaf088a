"""A delivery that somebody wants sent again, and what is known of it and its relatives.

Relatives are all deliveries of one event to one subscription: the first one, and every replay. They
share a ceiling, and at most one of them is on the road. Read by `store.replays`, judged by
`stages.gates.replaying`.
"""

from dataclasses import dataclass
from typing import Final

from dispatcher.model.delivery import State
from dispatcher.model.ids import DeliveryId, ScopeId, WebhookId

REPLAYS_MAX: Final = 10_000
"""Deliveries that one request may replay at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """What a replay would be of.

    `moving` is a relative, or itself, that may still be sent. `is_kept`: every event that its
    letter is made of still has its payload.
    """

    id: DeliveryId
    event_seq: int
    type: str
    subscription: str
    state: State
    is_kept: bool
    moving: DeliveryId | None

    @property
    def family(self) -> tuple[int, str]:
        """What relatives have in common."""
        return self.event_seq, self.subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReplay:
    """A replay to file: of which delivery, and under which ceiling.

    With a `webhook_id` it is a message of its own for the partner; without, the ancestor's again.
    """

    ancestor: DeliveryId
    scope_id: ScopeId
    webhook_id: WebhookId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledReplay:
    """A replay that was filed."""

    delivery: DeliveryId
    replay_of: DeliveryId
    webhook_id: WebhookId
