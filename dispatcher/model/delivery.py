"""The life cycle of a delivery, as a table; the diagram in the docs is made from it.

*Held* is not a state: a lane is open or closed in the snapshot, and rows of a closed lane simply
wait. A replay never resurrects a final row: it files a new delivery.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    LEASED = "leased"
    PARKED = "parked"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"

    @property
    def is_final(self) -> bool:
        """True when nothing more will happen to the row."""
        return self in (State.DELIVERED, State.DEAD, State.DROPPED)


class Move(StrEnum):
    """What can happen to a delivery."""

    LEASE = "lease"
    DELIVERED = "delivered"
    AGAIN = "again"
    NOT_BEGUN = "not begun"
    PARK = "park"
    GIVE_UP = "give up"
    RESCUE = "rescue"
    REJUDGE = "rejudge"
    DROP = "drop"


LIFE_CYCLE: Final[dict[tuple[State, Move], State]] = {
    (State.WAITING, Move.LEASE): State.LEASED,
    (State.LEASED, Move.DELIVERED): State.DELIVERED,
    (State.LEASED, Move.AGAIN): State.WAITING,
    (State.LEASED, Move.NOT_BEGUN): State.WAITING,
    (State.LEASED, Move.PARK): State.PARKED,
    (State.LEASED, Move.GIVE_UP): State.DEAD,
    (State.LEASED, Move.RESCUE): State.WAITING,
    (State.PARKED, Move.REJUDGE): State.WAITING,
    (State.WAITING, Move.DROP): State.DROPPED,
    (State.PARKED, Move.DROP): State.DROPPED,
}


class Outcome(StrEnum):
    """What the ledger says of one attempt; an empty outcome means "begun, possibly disclosed"."""

    DELIVERED = "delivered"
    ANSWERED = "answered"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    NOT_BEGUN = "not_begun"

    @property
    def is_disclosed(self) -> bool:
        """True when the partner has, or may have, the bytes."""
        return self in (Outcome.DELIVERED, Outcome.ANSWERED, Outcome.UNKNOWN)
