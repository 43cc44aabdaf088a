"""`/v1/connectors/{name}/keys`: the keys that a partner publishes, and which of them count."""

from typing import Any, Final

from dispatcher.api.blurring import blurred, may_see_reasons, reasons_for
from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import View
from dispatcher.control.means import Means
from dispatcher.control.partner_keys import PartnerKeyControl
from dispatcher.model.key_set import KeySetMode
from dispatcher.model.people import Right
from dispatcher.stages.gates.partner_keys import KeyUse, SetState


class PublishedKeyView(View):
    """A key of the set, in the partner's order: `use` says whether letters may be encrypted to it.

    `usable_us` is from when on, by its time of waiting, where it ever may. Nothing is encrypted to
    a set that does not count.
    """

    thumbprint: str
    kid: str
    kty: str
    crv: str | None
    use: KeyUse
    first_seen_us: int
    usable_us: int | None


class ExposedKeyView(View):
    """A key whose private half was published: it is never used again."""

    thumbprint: str
    kid: str
    first_seen_us: int
    exposed_us: int


class KeySetView(View):
    """A partner's set of keys as it was last found, at `found_us`; it counts until `stale_us`.

    `tried_us` is when it was last asked for, `fault` and `failures` how that went: several times in
    a row, if so. `forbidden_by` is what keeps workers from asking. 0 stands for never.
    """

    connector: str
    url: str
    mode: KeySetMode
    state: SetState
    found_us: int
    stale_us: int
    tried_us: int
    due_us: int
    failures: int
    fault: str
    forbidden_by: list[str]
    keys: list[PublishedKeyView]
    exposed: list[ExposedKeyView]


async def read_partner_keys(means: Means, ask: Ask) -> dict[str, Any]:
    """Give the set of keys that a partner publishes: what was found, and what of it may be used."""
    found = await PartnerKeyControl.over(means).read(ask.path["name"])
    tried_us, due_us, failures, fault = found.fetching or (0, 0, 0, "")
    return {
        "connector": found.connector,
        "url": found.url,
        "mode": found.mode,
        "state": found.state,
        "found_us": found.found_us,
        "stale_us": found.stale_us,
        "tried_us": tried_us,
        "due_us": due_us,
        "failures": failures,
        "fault": fault if may_see_reasons(ask.principal) else blurred(fault),
        "forbidden_by": reasons_for(ask.principal, found.forbidden_by),
        "keys": found.keys,
        "exposed": found.exposed,
    }


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/connectors/{name}/keys",
        right=Right.READ,
        answer=read_partner_keys,
        reply=KeySetView,
        refusals=(404,),
    ),
)
