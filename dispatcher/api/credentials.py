"""`/v1/credentials`: secret headers that partners want. A value goes in, and never comes out."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import Text, View, Why
from dispatcher.control.credentials import CredentialControl
from dispatcher.control.means import Means
from dispatcher.model.headers import CREDENTIAL_BYTES_MAX
from dispatcher.model.people import Right


class NewCredential(View):
    """Which header of which subscription, its value, and why."""

    subscription: Text
    header: Text
    value: Annotated[SecretStr, Field(min_length=1, max_length=CREDENTIAL_BYTES_MAX)]
    reason: Why


class Approval(View):
    """Which entry is agreed to, and why."""

    id: Text
    reason: Why


class Removal(View):
    """Which header of which subscription is sent no more, and why."""

    subscription: Text
    header: Text
    reason: Why


class CredentialView(View):
    """A stored header, without its value: where it may go, who entered it, who agreed."""

    id: str
    subscription: str
    header: str
    destination: str
    entered_by: str
    entered_us: int
    approved_by: str | None
    approved_us: int | None
    destroyed_us: int | None


class ListedView(CredentialView):
    """A stored header as it stands. An unbound one was entered for another place."""

    state: Literal["pending", "sent", "unbound", "destroyed"]


class Removed(View):
    """A header that is sent no more."""

    subscription: str
    header: str


async def list_credentials(means: Means, _ask: Ask) -> list[dict[str, Any]]:
    """List stored headers: whose, bound to where, and whether they are sent."""
    return [
        CredentialView.model_validate(each.credential).model_dump() | {"state": each.state}
        for each in await CredentialControl.over(means).list()
    ]


async def enter_credential(means: Means, ask: Ask) -> Any:
    """Store a header for where a subscription leads now; another person must agree to it."""
    body: NewCredential = ask.body
    value = body.value.get_secret_value()
    return await CredentialControl.over(means).enter(
        body.subscription, body.header, value, reason=body.reason, by=ask.principal
    )


async def approve_credential(means: Means, ask: Ask) -> Any:
    """Let a header be sent that somebody else entered."""
    body: Approval = ask.body
    return await CredentialControl.over(means).approve(
        body.id, reason=body.reason, by=ask.principal
    )


async def remove_credential(means: Means, ask: Ask) -> Removed:
    """Send a stored header no more, and forget it."""
    body: Removal = ask.body
    await CredentialControl.over(means).remove(
        body.subscription, body.header, reason=body.reason, by=ask.principal
    )
    return Removed(subscription=body.subscription, header=body.header.lower())


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/credentials",
        right=Right.READ,
        answer=list_credentials,
        reply=list[ListedView],
    ),
    # No reply is kept: its key would be told by a hash of the value.
    Route(
        method="POST",
        path="/v1/credentials",
        right=Right.KEYS,
        answer=enter_credential,
        body=NewCredential,
        reply=CredentialView,
        status=201,
        refusals=(404, 422),
    ),
    Route(
        method="POST",
        path="/v1/credentials/approvals",
        right=Right.APPROVE,
        answer=approve_credential,
        body=Approval,
        reply=CredentialView,
        refusals=(404, 409, 422),
    ),
    Route(
        method="POST",
        path="/v1/credentials/removals",
        right=Right.KEYS,
        answer=remove_credential,
        body=Removal,
        reply=Removed,
        refusals=(404, 422),
    ),
)
