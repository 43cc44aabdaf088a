"""`/v1/principals`: who may ask, and for what."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import Days, NamePageQuery, Page, View, page
from dispatcher.control.means import Means
from dispatcher.control.people import People
from dispatcher.model.people import DAYS_DEFAULT, Principal, PrincipalKind, Right, Role


class NewPrincipal(View):
    """A person or a service, what they are here for, and how long their first token is good."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.@-]{0,63}$")]
    kind: Literal[PrincipalKind.HUMAN, PrincipalKind.SERVICE] = PrincipalKind.HUMAN
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
    days: Days = DAYS_DEFAULT


class PrincipalView(View):
    """A person or a service, and everything they may do."""

    name: str
    kind: PrincipalKind
    roles: list[Role]
    rights: list[Right]


class Added(View):
    """A new principal, and their first token: it is given this once."""

    principal: str
    kind: PrincipalKind
    roles: list[Role]
    token: str


async def list_principals(means: Means, ask: Ask) -> dict[str, Any]:
    """List everybody, and what they may do."""
    query: NamePageQuery = ask.query
    rows = await People.over(means).store.principals(
        after=query.cursor or "", limit=query.limit + 1
    )
    return page([_view(each) for each in rows], query.limit, "name")


async def read_principal(means: Means, ask: Ask) -> dict[str, Any]:
    """Give one principal."""
    return _view(await People.over(means).read(ask.path["name"]))


async def add_principal(means: Means, ask: Ask) -> dict[str, Any]:
    """Add a person or a service, with a first token.

    The first of all must be an admin, and is added at the machine itself.
    """
    body: NewPrincipal = ask.body
    people = People.over(means)
    is_first = ask.principal.is_here and not await people.store.principals(limit=1)
    by = None if is_first else ask.principal
    token = await people.add(body.name, body.kind, body.roles, by=by, days=body.days)
    return {
        "principal": body.name,
        "kind": body.kind,
        "roles": sorted(set(body.roles)),
        "token": token,
    }


def _view(principal: Principal) -> dict[str, Any]:
    return {
        "name": principal.name,
        "kind": principal.kind,
        "roles": sorted(principal.roles),
        "rights": sorted(principal.rights),
    }


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/principals",
        right=Right.READ,
        answer=list_principals,
        query=NamePageQuery,
        reply=Page[PrincipalView],
        links={"read_principal": {"name": "$response.body#/items/0/name"}},
    ),
    Route(
        method="GET",
        path="/v1/principals/{name}",
        right=Right.READ,
        answer=read_principal,
        reply=PrincipalView,
        refusals=(404,),
    ),
    Route(
        method="POST",
        path="/v1/principals",
        right=Right.PEOPLE,
        answer=add_principal,
        body=NewPrincipal,
        reply=Added,
        status=201,
        links={"read_principal": {"name": "$response.body#/principal"}},
        refusals=(409, 422),
        keeps_replies=True,
    ),
)
