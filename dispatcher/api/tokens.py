"""`/v1/tokens`: what principals show; of a token that was given, only its id can be seen."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import Days, NamePageQuery, Page, Text, View, page
from dispatcher.control.means import Means
from dispatcher.control.people import People
from dispatcher.model.people import DAYS_DEFAULT, Right


class NewToken(View):
    """Whose token, how long it is good, and the one tenant it is for (none: all of them)."""

    principal: Text
    days: Days = DAYS_DEFAULT
    tenant: Text | None = None


class Issued(View):
    """A token: it is given this once. Its id is what it is revoked by."""

    principal: str
    id: str
    token: str


class TokenQuery(NamePageQuery):
    """Which tokens: of one principal, or all."""

    principal: Text | None = None


class TokenView(View):
    """A token, without its secret."""

    id: str
    principal: str
    tenant: str | None
    created_us: int
    created_by: str
    expires_us: int
    revoked_us: int | None
    revoked_by: str | None


class Revoked(View):
    """A token that is worthless from now on."""

    token: str
    revoked: bool


async def list_tokens(means: Means, ask: Ask) -> dict[str, Any]:
    """List tokens: whose, from whom, until when."""
    query: TokenQuery = ask.query
    rows = await People.over(means).store.tokens(
        principal=query.principal, after=query.cursor or "", limit=query.limit + 1
    )
    return page(rows, query.limit, "id")


async def issue_token(means: Means, ask: Ask) -> dict[str, Any]:
    """Make another token for a principal."""
    body: NewToken = ask.body
    token = await People.over(means).issue(
        body.principal, days=body.days, tenant=body.tenant, by=ask.principal
    )
    return {"principal": body.principal, "id": token.split("_")[1], "token": token}


async def revoke_token(means: Means, ask: Ask) -> dict[str, Any]:
    """Make a token worthless at once. The id is its middle part."""
    await People.over(means).revoke(ask.path["token"], by=ask.principal)
    return {"token": ask.path["token"], "revoked": True}


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/tokens",
        right=Right.READ,
        answer=list_tokens,
        query=TokenQuery,
        reply=Page[TokenView],
        links={"read_principal": {"name": "$response.body#/items/0/principal"}},
    ),
    Route(
        method="POST",
        path="/v1/tokens",
        right=Right.PEOPLE,
        answer=issue_token,
        body=NewToken,
        reply=Issued,
        status=201,
        links={"revoke_token": {"token": "$response.body#/id"}},
        refusals=(404, 422),
        keeps_replies=True,
    ),
    Route(
        method="DELETE",
        path="/v1/tokens/{token}",
        right=Right.PEOPLE,
        answer=revoke_token,
        reply=Revoked,
        refusals=(404,),
    ),
)
