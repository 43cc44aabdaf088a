"""What stands in a letter's way today, and the letter as it would be if nothing held it.

Asked by previews and by producers' tests alone. The judgement is `preflight`, as on the road. What
it clears is admitted without a single address, so no letter that was made here can be dialled. It
resolves nothing: what may become of a host's addresses is for `explain` to say.
"""

from dataclasses import dataclass, replace

from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, LeaseToken, WebhookId
from dispatcher.model.letter import Admitted, Leased
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Refusal
from dispatcher.stages.gates.preflight import preflight


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The letter, which never leaves, and why it may not today. No letter where it never may."""

    admitted: Admitted | None
    refusals: tuple[Refusal, ...] = ()


def rehearse(
    event: Event, subscription: str, webhook_id: WebhookId, filed: Scope, snapshot: Snapshot
) -> Rehearsed:
    """Judge one delivery of an event as if its attempt were due now.

    A closed lane or a switch is told, and the letter is then made as if there were none.
    """
    leased = Leased(
        id=DeliveryId(0),
        token=LeaseToken(""),
        attempt=1,
        failures=0,
        webhook_id=webhook_id,
        subscription=subscription,
        filed_scope=filed.id,
        lease_ends=0.0,
        event=event,
    )
    verdict = preflight(leased, snapshot, filed)
    refusals: tuple[Refusal, ...] = ()
    if isinstance(verdict, Refusal):
        refusals = (verdict,)
        verdict = preflight(leased, replace(snapshot, closed={}, switches=()), filed)
    if isinstance(verdict, Refusal):
        return Rehearsed(None, tuple(dict.fromkeys((*refusals, verdict))))
    return Rehearsed(Admitted(cleared=verdict, addresses=()), refusals)
