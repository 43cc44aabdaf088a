"""`/v1/revisions` and `/v1/registry`: what could flow when, who let it, and the way back."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.change_sets import OutcomeView, outcome_view
from dispatcher.api.routes import Route
from dispatcher.api.views import NumberPageQuery, Page, Remark, View, page
from dispatcher.control.changes import ChangeControl
from dispatcher.control.means import Means
from dispatcher.model.ids import Revision
from dispatcher.model.people import Right
from dispatcher.model.registry import Registry


class RevisionView(View):
    """A revision, without its content; the hash is of the content and of the revision before."""

    number: int
    parent_hash: str
    hash: str
    author: str
    approver: str
    reason: str
    created_us: int


class RegistryView(View):
    """Everything that may flow under a revision, in the form a change set takes."""

    revision: int
    registry: Registry


class Rollback(View):
    """Why."""

    reason: Remark = ""


async def list_revisions(means: Means, ask: Ask) -> dict[str, Any]:
    """List revisions, the newest first: who made each, who agreed, and why."""
    query: NumberPageQuery = ask.query
    rows = await means.registry.revisions(before=query.before, limit=query.limit + 1)
    return page(rows, query.limit, "number")


async def read_revision(means: Means, ask: Ask) -> dict[str, Any]:
    """Give one revision: who made it, who agreed, and why."""
    return await ChangeControl.over(means).made(Revision(int(ask.path["number"])))


async def read_revision_registry(means: Means, ask: Ask) -> dict[str, Any]:
    """Give everything that could flow under one revision."""
    number = Revision(int(ask.path["number"]))
    return {"revision": number, "registry": await ChangeControl.over(means).earlier(number)}


async def read_registry(means: Means, _ask: Ask) -> dict[str, Any]:
    """Give everything that may flow today."""
    active = await means.registry.active()
    return {"revision": active.revision, "registry": active.registry}


async def roll_back(means: Means, ask: Ask) -> dict[str, Any]:
    """Propose what an earlier revision held: judged like any other change set."""
    number = Revision(int(ask.path["number"]))
    return outcome_view(
        await ChangeControl.over(means).rollback(number, by=ask.principal, reason=ask.body.reason)
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/registry",
        right=Right.READ,
        answer=read_registry,
        reply=RegistryView,
    ),
    Route(
        method="GET",
        path="/v1/revisions",
        right=Right.READ,
        answer=list_revisions,
        query=NumberPageQuery,
        reply=Page[RevisionView],
        links={
            name: {"number": "$response.body#/items/0/number"}
            for name in ("read_revision", "read_revision_registry", "roll_back")
        },
    ),
    Route(
        method="GET",
        path="/v1/revisions/{number}",
        right=Right.READ,
        answer=read_revision,
        reply=RevisionView,
        refusals=(404,),
    ),
    Route(
        method="GET",
        path="/v1/revisions/{number}/registry",
        right=Right.READ,
        answer=read_revision_registry,
        reply=RegistryView,
        refusals=(404,),
    ),
    Route(
        method="POST",
        path="/v1/revisions/{number}/rollback",
        right=Right.PROPOSE,
        answer=roll_back,
        body=Rollback,
        reply=OutcomeView,
        refusals=(404, 409, 422),
        keeps_replies=True,
    ),
)
