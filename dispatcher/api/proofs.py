"""`/v1/subscriptions/{name}/proof`: is the endpoint the partner's own, and have it asked now."""

from datetime import date
from typing import Any, Final

from dispatcher.api.blurring import DESTINATION_REFUSED, blurred, may_see_reasons
from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import View, WaitSeconds
from dispatcher.control.means import Means
from dispatcher.control.proofs import ProofControl, ProofState, Standing
from dispatcher.model.people import Principal, Right
from dispatcher.model.proof import ProofMethod, Unproven

PATH: Final = "/v1/subscriptions/{name}/proof"


class Prove(View):
    """How long to wait for the workers."""

    wait_seconds: WaitSeconds = 20.0


class ProofView(View):
    """Where a proof stands: since when and until when it counts, or why there is none.

    `echo` and `dns` say why the last try failed, `forbidden_by` what keeps workers from trying. A
    DNS record of this name and value would prove the endpoint too; an address has no such record.
    """

    subscription: str
    connector: str
    endpoint: str
    state: ProofState
    method: ProofMethod | None
    proven_us: int | None
    proven_by: str | None
    until: date | None
    forbidden_by: list[str]
    has_workers: bool
    asked_us: int
    tried_us: int
    echo: str
    dns: str
    txt_name: str | None
    txt_value: str | None


async def read_proof(means: Means, ask: Ask) -> dict[str, Any]:
    """Say whether the endpoint of a subscription is proven, and what would prove it."""
    return _view(await ProofControl.over(means).read(ask.path["name"]), ask.principal)


async def prove(means: Means, ask: Ask) -> dict[str, Any]:
    """Have the workers ask an unproven endpoint now, and answer with what came of it."""
    standing = await ProofControl.over(means).prove(
        ask.path["name"], actor=ask.principal.name, wait_seconds=ask.body.wait_seconds
    )
    return _view(standing, ask.principal)


def _view(standing: Standing, principal: Principal) -> dict[str, Any]:
    proof, asking, found = standing.proof, standing.asking, standing.asking.found
    forbidden_by = [str(each) for each in standing.forbidden_by]
    if not may_see_reasons(principal):
        found, forbidden_by = _blurred(found), sorted(map(blurred, forbidden_by))
    connector, endpoint = standing.key
    return {
        "subscription": standing.subscription,
        "connector": connector,
        "endpoint": endpoint,
        "state": standing.state,
        "method": proof.method if proof is not None else None,
        "proven_us": proof.proven_us if proof is not None else None,
        "proven_by": proof.proven_by if proof is not None else None,
        "until": standing.until,
        "forbidden_by": forbidden_by,
        "has_workers": standing.has_workers,
        "asked_us": asking.asked_us,
        "tried_us": asking.ended_us,
        "echo": found.echo,
        "dns": found.dns,
        "txt_name": standing.txt_name,
        "txt_value": standing.txt_value,
    }


def _blurred(found: Unproven) -> Unproven:
    """Tell a submitter the same of every refused destination, also by what was not asked then."""
    echo = blurred(found.echo)
    return Unproven(echo, "" if DESTINATION_REFUSED in echo else found.dns)


ROUTES: Final = (
    Route(
        method="GET",
        path=PATH,
        right=Right.READ,
        answer=read_proof,
        reply=ProofView,
        refusals=(404,),
    ),
    Route(
        method="POST",
        path=PATH,
        right=Right.PROVE,
        answer=prove,
        body=Prove,
        reply=ProofView,
        refusals=(404,),
        keeps_replies=True,
    ),
)
