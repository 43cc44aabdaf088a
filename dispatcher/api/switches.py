"""`/v1/switches`: what is stopped, by whom, and why; stop and start."""

from typing import Annotated, Any, Final

from pydantic import Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import other_tenant
from dispatcher.api.views import Remark, Text, View, WaitSeconds, Written
from dispatcher.control.means import Means
from dispatcher.control.switches import Held, SwitchControl
from dispatcher.model.errors import InvalidInput
from dispatcher.model.people import Principal, Right
from dispatcher.model.switch import Switch, Target, TargetKind


class Hold(View):
    """What to stop: `everything` or `KIND:NAME`; why; and how long to wait for the workers."""

    target: Text
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    wait_seconds: WaitSeconds = 30.0


class Release(View):
    """What to start again, written as it was stopped."""

    target: Text
    reason: Remark = ""


class SwitchView(View):
    """A switch that is on."""

    id: int
    target: Written
    reason: str
    actor: str
    tripped_us: int


class HeldView(View):
    """A confirmed stop: by how many workers, how fast, and what was on the wire by then."""

    switch: int
    epoch: int
    target: Written
    confirmed_us: int
    confirmed_ms: float
    workers_confirmed: int
    workers_fenced: int
    in_flight: int
    lanes: int


class ReleasedView(View):
    """How many switches on a target were taken off."""

    target: str
    released: int


async def list_switches(means: Means, _ask: Ask) -> tuple[Switch, ...]:
    """List the switches that are on."""
    return await means.registry.switches()


async def hold(means: Means, ask: Ask) -> Held:
    """Stop everything that matches a target, and answer once it has stopped."""
    body: Hold = ask.body
    return await SwitchControl.over(means).hold(
        _target(body.target, ask.principal),
        reason=body.reason,
        actor=ask.principal.name,
        wait_seconds=body.wait_seconds,
    )


async def release(means: Means, ask: Ask) -> dict[str, Any]:
    """Take off the switches on exactly one target; others stay on."""
    target = _target(ask.body.target, ask.principal)
    released = await SwitchControl.over(means).release(
        target, reason=ask.body.reason, actor=ask.principal.name
    )
    return {"target": str(target), "released": released}


def _target(text: str, principal: Principal) -> Target:
    try:
        target = Target.parse(text)
    except ValueError as error:
        raise InvalidInput(
            str(error), where="TARGET", fix="see 'dispatcher hold --help'", code="target_unknown"
        ) from None
    if principal.tenant is None or target == Target(TargetKind.TENANT, principal.tenant):
        return target
    raise other_tenant(principal, "target")


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/switches",
        right=Right.READ,
        answer=list_switches,
        reply=list[SwitchView],
    ),
    Route(
        method="POST",
        path="/v1/switches",
        right=Right.HOLD,
        answer=hold,
        body=Hold,
        reply=HeldView,
        refusals=(422, 504),
        is_tenant_bound=True,
        keeps_replies=True,
    ),
    Route(
        method="POST",
        path="/v1/switches/release",
        right=Right.RELEASE,
        answer=release,
        body=Release,
        reply=ReleasedView,
        refusals=(404, 422),
        is_tenant_bound=True,
        keeps_replies=True,
    ),
)
