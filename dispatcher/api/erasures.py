"""`/v1/erasures`: a person is taken out of the vault, and every token about them means nothing."""

from typing import Annotated, Final

from pydantic import Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import other_tenant
from dispatcher.api.views import Text, View, WaitSeconds, Why
from dispatcher.control.erasing import ErasedPerson, Erasing
from dispatcher.control.means import Means
from dispatcher.model.people import Right


class Erase(View):
    """Whom to erase, as events name them, and why; and how long to wait for the workers."""

    tenant: Text
    subject: Annotated[str, Field(min_length=1, max_length=1000)]
    reason: Why
    wait_seconds: WaitSeconds = 30.0


class ErasureView(View):
    """What was erased of the person whom the ledger calls `subject`: tokens, and links to them.

    `shared` of the tokens were about others too. `workers` have forgotten what they remembered.
    """

    subject: str
    tokens: int
    shared: int
    links: int
    epoch: int
    workers: int


async def erase(means: Means, ask: Ask) -> ErasedPerson:
    """Erase a person from the vault, and answer once no letter can bear a token of theirs.

    To ask again erases what has come since, and says 0 where nothing has. Refused under a legal
    hold.
    """
    body: Erase = ask.body
    if ask.principal.tenant not in (None, body.tenant):
        raise other_tenant(ask.principal, "tenant")
    return await Erasing.over(means).erase(
        body.tenant,
        body.subject,
        reason=body.reason,
        by=ask.principal,
        wait_seconds=body.wait_seconds,
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/erasures",
        right=Right.ERASE,
        answer=erase,
        body=Erase,
        reply=ErasureView,
        refusals=(409, 422, 504),
        is_tenant_bound=True,
    ),
)
