"""May an endpoint be asked to show that it is its partner's own, and did it show it?

Called by `worker.prover` before anything is asked, again in the instant before the first byte, and
with what came back. A challenge goes only where a letter would go if the endpoint were proven:
whatever else closes a lane forbids it. It holds a random word of ours and nothing of the company.
"""

import hmac
import json
from collections.abc import Iterable
from typing import Final

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, EventId, LeaseToken, WebhookId, lane_of
from dispatcher.model.letter import Answer, Cleared, Leased, Stopped
from dispatcher.model.path import parse_path
from dispatcher.model.proof import TXT_PREFIX
from dispatcher.model.scope import Field, Scope
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.verdict import Reason, Refusal, hold

CHALLENGE_TYPE: Final = "dispatcher.ownership_challenge"
ECHO_BYTES_MAX: Final = 4096
_MEMBER: Final = "challenge"
_SCOPE: Final = Scope.of(
    (Field(parse_path(f"$.{_MEMBER}"), "pass", "string", Category.OTHER, Sensitivity.PUBLIC),)
)


def judge_challenge(snapshot: Snapshot, route: Route) -> Refusal | None:
    """Say what forbids asking, or nothing where at least one lane waits for the proof alone."""
    reasons: list[Reason] = []
    for event_type in route.scopes:
        closed = snapshot.closed.get(lane_of(route.subscription, event_type))
        others = () if closed is None else closed.reasons
        found = [reason for reason in others if reason is not Reason.ENDPOINT_UNPROVEN]
        if not found:
            return None
        reasons += found
    # A subscription without a lane has nothing to send, so there is nothing to ask for.
    return hold(*dict.fromkeys(reasons or [Reason.EVENT_TYPE_NOT_SUBSCRIBED]))


def clear_challenge(
    route: Route, snapshot: Snapshot, webhook_id: WebhookId, challenge: str, wall_us: int
) -> Cleared:
    """Make the letter that carries a challenge. Nobody's event: `seq` and `id` name nothing."""
    event = Event(
        seq=0,
        id=EventId(""),
        tenant="",
        type=CHALLENGE_TYPE,
        producer="dispatcher",
        subjects=(),
        occurred_us=wall_us,
        payload=json.dumps({_MEMBER: challenge}).encode(),
    )
    leased = Leased(
        id=DeliveryId(0),
        token=LeaseToken(""),
        attempt=1,
        failures=0,
        webhook_id=webhook_id,
        subscription=route.subscription,
        filed_scope=_SCOPE.id,
        lease_ends=0.0,
        event=event,
    )
    return Cleared(
        leased=leased,
        route=route,
        scope=_SCOPE,
        revision=snapshot.revision,
        epoch=snapshot.epoch,
    )


def may_challenge(
    route: Route, snapshot: Snapshot, *, now: float, policy_lease_ends: float
) -> Stopped | None:
    """Say why a challenge may not leave now, or nothing if it may: `may_begin` for challenges.

    `route` is the one it was made for; both times are seconds on the worker's boot clock.
    """
    if now >= policy_lease_ends:
        return Stopped(Reason.POLICY_LEASE_EXPIRED)
    if snapshot.routes.get(route.subscription) != route:
        return Stopped(Reason.POLICY_CHANGED)
    refusal = judge_challenge(snapshot, route)
    return None if refusal is None else Stopped(refusal.reasons[0])


def is_echo(answer: Answer, challenge: str) -> bool:
    """True for a 2xx that gives the challenge back: alone, or as all of a JSON object."""
    if not 200 <= answer.status <= 299 or len(answer.body) > ECHO_BYTES_MAX:
        return False
    wanted = challenge.encode()
    if hmac.compare_digest(answer.body, wanted):
        return True
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    # With other members it may be what was posted, sent back by whoever stores or shows anything.
    is_alone = isinstance(document, dict) and document.keys() == {_MEMBER}
    said = document[_MEMBER] if is_alone else None
    if not isinstance(said, str):
        return False
    return hmac.compare_digest(said.encode("utf-8", "surrogatepass"), wanted)


def has_token(texts: Iterable[str], token: str) -> bool:
    """True when one of a host's TXT records bears the connector's token."""
    wanted = f"{TXT_PREFIX}{token}".encode()
    found = [hmac.compare_digest(text.encode("utf-8", "replace"), wanted) for text in texts]
    return any(found)
