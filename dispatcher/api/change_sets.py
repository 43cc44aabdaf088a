"""`/v1/change-sets` and `/v1/plans`: propose what may flow, read what it would change, decide."""

from typing import Annotated, Any, Final

from pydantic import Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import NumberPageQuery, Page, Remark, View, page
from dispatcher.control.changes import ChangeControl, Outcome
from dispatcher.control.means import Means
from dispatcher.model.change_set import ChangeSet, ChangeState
from dispatcher.model.disclosure import Aspect, Direction, DisclosureDiff
from dispatcher.model.people import Right
from dispatcher.model.registry import Registry
from dispatcher.store.changes import ChangeStore

_REQUEST: Final = "the request"


class NewPlan(View):
    """A registry to hold against the active one."""

    registry: Registry


class NewChangeSet(View):
    """A registry that is to be the active one, and why."""

    registry: Registry
    reason: Remark = ""


class Approval(View):
    """A yes to exactly the content with this hash."""

    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    reason: Remark = ""


class Rejection(View):
    """A no."""

    reason: Remark = ""


class ChangeView(View):
    """One change: the object it is about, and what becomes of it."""

    direction: Direction
    aspect: Aspect
    where: str
    what: str


class DiffView(View):
    """Everything a change would let flow, or no longer: what widens comes first."""

    direction: Direction
    changes: list[ChangeView]


class OutcomeView(DiffView):
    """What became of a proposal; `change_set` is the number it waits under, if it waits.

    `secrets` are the signing secrets of new subscriptions, given this once; `public_keys` are those
    of new Ed25519 keys.
    """

    revision: int
    epoch: int
    changed: bool
    active: bool
    change_set: int | None
    secrets: dict[str, str]
    public_keys: dict[str, str]


class ChangeSetQuery(NumberPageQuery):
    """Which change sets: of one state, or all."""

    state: ChangeState | None = None


class ChangeSetView(DiffView):
    """A change set, without the registry it proposes."""

    number: int
    state: ChangeState
    base: int
    hash: str
    author: str
    reason: str
    proposed_us: int
    decided_by: str | None
    decided_us: int | None
    decision: str | None
    revision: int | None


class Rejected(View):
    """A change set that ended without effect."""

    change_set: int
    state: ChangeState


async def plan(means: Means, ask: Ask) -> DisclosureDiff:
    """Say what a registry would let flow, or no longer, and change nothing."""
    return await ChangeControl.over(means).plan(ask.body.registry, _REQUEST)


async def propose(means: Means, ask: Ask) -> dict[str, Any]:
    """Make a registry the active one, or file it for approval where it lets more flow."""
    return outcome_view(
        await ChangeControl.over(means).propose(
            ask.body.registry, by=ask.principal, reason=ask.body.reason, where=_REQUEST
        )
    )


async def amend(means: Means, ask: Ask) -> dict[str, Any]:
    """Put another registry into a change set of one's own; the hash that was read is void."""
    return outcome_view(
        await ChangeControl.over(means).propose(
            ask.body.registry,
            by=ask.principal,
            reason=ask.body.reason,
            where=_REQUEST,
            amends=int(ask.path["number"]),
        )
    )


async def list_change_sets(means: Means, ask: Ask) -> dict[str, Any]:
    """List change sets, the newest first."""
    query: ChangeSetQuery = ask.query
    changes = ChangeStore(means.registry_database, means.audit)
    rows = await changes.list(query.state, before=query.before, limit=query.limit + 1)
    return page([_view(each) for each in rows], query.limit, "number")


async def read_change_set(means: Means, ask: Ask) -> dict[str, Any]:
    """Give one change set: who proposed it, why, and what it would change."""
    return _view(await ChangeControl.over(means).read(int(ask.path["number"])))


async def approve(means: Means, ask: Ask) -> dict[str, Any]:
    """Activate what another person proposed, if it is still what was read."""
    body: Approval = ask.body
    return outcome_view(
        await ChangeControl.over(means).approve(
            int(ask.path["number"]), body.hash, by=ask.principal, reason=body.reason
        )
    )


async def reject(means: Means, ask: Ask) -> dict[str, Any]:
    """End a change set without effect."""
    number = int(ask.path["number"])
    await ChangeControl.over(means).reject(number, by=ask.principal, reason=ask.body.reason)
    return {"change_set": number, "state": ChangeState.REJECTED}


def outcome_view(outcome: Outcome) -> dict[str, Any]:
    """Give what became of a proposal, as it is answered."""
    return {
        "revision": outcome.revision,
        "epoch": outcome.epoch,
        "changed": outcome.is_active and bool(outcome.diff.changes),
        "active": outcome.is_active,
        "change_set": outcome.change_set,
        "secrets": outcome.secrets,
        "public_keys": outcome.public_keys,
        **diff_view(outcome.diff),
    }


def diff_view(diff: DisclosureDiff) -> dict[str, Any]:
    """Give a diff, as it is answered within something else."""
    return {"direction": diff.direction, "changes": diff.changes}


def _view(change: ChangeSet) -> dict[str, Any]:
    names = ChangeSetView.model_fields.keys() - DiffView.model_fields.keys()
    return {**{name: getattr(change, name) for name in names}, **diff_view(change.diff)}


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/plans",
        right=Right.READ,
        answer=plan,
        body=NewPlan,
        reply=DiffView,
        refusals=(422,),
    ),
    Route(
        method="GET",
        path="/v1/change-sets",
        right=Right.READ,
        answer=list_change_sets,
        query=ChangeSetQuery,
        reply=Page[ChangeSetView],
        links={
            name: {"number": "$response.body#/items/0/number"}
            for name in ("read_change_set", "amend", "approve", "reject")
        },
    ),
    Route(
        method="POST",
        path="/v1/change-sets",
        right=Right.PROPOSE,
        answer=propose,
        body=NewChangeSet,
        reply=OutcomeView,
        refusals=(409, 422),
        keeps_replies=True,
    ),
    Route(
        method="GET",
        path="/v1/change-sets/{number}",
        right=Right.READ,
        answer=read_change_set,
        reply=ChangeSetView,
        refusals=(404,),
    ),
    Route(
        method="PUT",
        path="/v1/change-sets/{number}",
        right=Right.PROPOSE,
        answer=amend,
        body=NewChangeSet,
        reply=OutcomeView,
        refusals=(404, 409, 422),
    ),
    Route(
        method="POST",
        path="/v1/change-sets/{number}/approval",
        right=Right.APPROVE,
        answer=approve,
        body=Approval,
        reply=OutcomeView,
        refusals=(404, 409, 422),
        keeps_replies=True,
    ),
    Route(
        method="POST",
        path="/v1/change-sets/{number}/rejection",
        right=Right.REJECT,
        answer=reject,
        body=Rejection,
        reply=Rejected,
        refusals=(404, 409, 422),
        keeps_replies=True,
    ),
)
