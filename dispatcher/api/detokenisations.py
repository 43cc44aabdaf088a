"""`/v1/detokenisations`: what one token of a partner stands for, for a reason that is recorded."""

from typing import Annotated, Final

from pydantic import Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import Text, View, Why
from dispatcher.control.detokenising import Detokenising, Opened, TokenAsked
from dispatcher.control.means import Means
from dispatcher.model.people import Right
from dispatcher.model.token import TokenKind, TokenValue

TOKEN_CHARACTERS_MAX: Final = 200_010


class Detokenise(View):
    """Which token, of which partner, and why. `ticket` names where the wish is filed.

    A siv token does not say its tenant and domain: those that the partner has today are tried.
    """

    token: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARACTERS_MAX)]
    connector: Text
    reason: Why
    ticket: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    tenant: Text | None = None
    domain: Text | None = None


class OpenedView(View):
    """What a token stands for: composed, without blanks at its ends, an e-mail in small letters."""

    value: TokenValue
    kind: TokenKind
    tenant: str
    connector: str
    domain: str
    version: int


async def detokenise(means: Means, ask: Ask) -> Opened:
    """Say what a token stands for. It is on the record first, and the answer is kept nowhere."""
    body: Detokenise = ask.body
    asked = TokenAsked(
        token=body.token,
        connector=body.connector,
        tenant=of_one_tenant(ask.principal, body.tenant),
        domain=body.domain,
    )
    return await Detokenising.over(means).open(
        asked, reason=body.reason, ticket=body.ticket, by=ask.principal
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/detokenisations",
        right=Right.DETOKENISE,
        answer=detokenise,
        body=Detokenise,
        reply=OpenedView,
        refusals=(404, 409, 422),
        is_tenant_bound=True,
        is_shown_once=True,
    ),
)
