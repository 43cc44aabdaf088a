"""May a delivery be filed once more, and what may the new one tell at most?

Called by `control.replaying` before anything is filed, and once more in the transaction that files.
Whether policy lets it go out is not asked here: a replay takes the road of every delivery.
"""

from collections.abc import Sequence
from functools import reduce

from dispatcher.model.delivery import State
from dispatcher.model.replay import Ancestor
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, Refusal, refuse


def judge_replay(ancestor: Ancestor) -> Refusal | None:
    """Say why a delivery cannot be replayed, or nothing if it can.

    What may still be sent is not filed beside itself: each of the two could disclose what narrows
    the other.
    """
    if ancestor.moving is not None:
        return refuse(Reason.DELIVERY_MOVING, detail=str(ancestor.moving))
    if ancestor.state is State.DROPPED:
        return refuse(Reason.DELIVERY_DROPPED)
    return None if ancestor.is_kept else refuse(Reason.PAYLOAD_GONE)


def ceiling_of(scopes: Sequence[Scope | None]) -> Scope | Refusal:
    """Give what all of these allow: what its relatives were filed under and may have told."""
    known = [scope for scope in scopes if scope is not None]
    if not known or len(known) < len(scopes):
        return refuse(Reason.SCOPE_UNKNOWN)
    return reduce(Scope.intersect, known)
