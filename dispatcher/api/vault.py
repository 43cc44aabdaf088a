"""`/v1/vault`: the keys that seal what is at rest, and how what they sealed is made unreadable."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.tenants import other_tenant
from dispatcher.api.views import Text, View, WaitSeconds, Why, whole_number
from dispatcher.control.means import Means
from dispatcher.control.vault_keys import (
    Ended,
    Rewrapped,
    ShredAsked,
    Shredded,
    VaultKeys,
    VaultStatus,
)
from dispatcher.model.people import Right

KEYS_AT_ONCE_MAX: Final = 500


class TenantKeysView(View):
    """The epoch keys of one tenant, live and destroyed; an empty name stands for the registry."""

    tenant: str
    keys: int
    destroyed: int
    oldest_us: int | None
    ends_us: int


class VaultView(View):
    """Which key of keys wraps now, how many keys each wraps, and what each tenant has."""

    provider: str
    wrapped_by: dict[str, int]
    tenants: tuple[TenantKeysView, ...]


class Rotate(View):
    """Why there is to be a new key of keys."""

    reason: Why


class RotatedView(View):
    """The key that wraps from now on."""

    provider: str


class EndEpoch(View):
    """Whose period is to end now, every tenant's where none is named, and why.

    `wait_seconds` is how long to wait for the workers.
    """

    reason: Why
    tenant: Text | None = None
    wait_seconds: WaitSeconds = 30.0


class EndedView(View):
    """How many periods ended, and the policy epoch from which nobody seals under their keys.

    Of the workers and partner listeners, `confirmed` obey it, `fenced` lost their policy lease.
    """

    ended: int
    epoch: int
    confirmed: tuple[str, ...]
    fenced: tuple[str, ...]


class Rewrap(View):
    """Where to go on, and how many keys to wrap anew at once."""

    after: Annotated[str, Field(max_length=100)] = ""
    limit: Annotated[int, Field(ge=1, le=KEYS_AT_ONCE_MAX), BeforeValidator(whole_number)] = 100


class RewrappedView(View):
    """How many keys were wrapped anew, of how many; `after` is where to go on, if there is more."""

    rewrapped: int
    total: int
    after: str | None


class Shred(View):
    """Whose payloads are to become unreadable, those sealed in periods that ended before when.

    `drop_waiting` lets deliveries be lost that wait for them; `is_rehearsal` destroys nothing.
    """

    tenant: Text
    before_us: Annotated[int, Field(ge=0, le=2**62), BeforeValidator(whole_number)]
    reason: Why
    drop_waiting: bool = False
    is_rehearsal: bool = False
    wait_seconds: WaitSeconds = 30.0


class ProofView(View):
    """That what a key sealed opens no more: `event` opened before, where there was one."""

    key: str
    begins_us: int
    ends_us: int
    event: str
    opened_before: bool
    opens_now: bool


class ShreddedView(View):
    """What was destroyed, with a proof for each key, or would be, where `is_done` is false.

    `undelivered`, `dropped`, `payloads` and the events of proofs are of this `outbox` alone. Of the
    workers and partner listeners, `confirmed` have forgotten the keys, `fenced` have lost their
    policy lease; the API looks before it opens anything.
    """

    tenant: str
    outbox: str
    is_done: bool
    keys: int
    undelivered: int
    dropped: int
    payloads: int
    proofs: tuple[ProofView, ...]
    epoch: int | None
    confirmed: tuple[str, ...]
    fenced: tuple[str, ...]


async def read_vault(means: Means, _ask: Ask) -> VaultStatus:
    """Say which keys seal what is at rest; asks the key provider which of its own wraps now."""
    return await VaultKeys.over(means).status()


async def rotate_vault(means: Means, ask: Ask) -> dict[str, str]:
    """Have the key provider make a new key of keys; those there are open what they wrapped."""
    made = await VaultKeys.over(means).rotate(reason=ask.body.reason, by=ask.principal)
    return {"provider": made}


async def end_epoch(means: Means, ask: Ask) -> Ended:
    """End the period that is now, and answer once new keys seal in its place."""
    body: EndEpoch = ask.body
    return await VaultKeys.over(means).end_epoch(
        body.tenant, reason=body.reason, by=ask.principal, wait_seconds=body.wait_seconds
    )


async def rewrap_vault(means: Means, ask: Ask) -> Rewrapped:
    """Wrap the next keys anew under the newest key of keys. No sealed record changes."""
    body: Rewrap = ask.body
    return await VaultKeys.over(means).rewrap(body.after, body.limit, by=ask.principal)


async def shred_vault(means: Means, ask: Ask) -> Shredded:
    """Destroy a tenant's keys of periods that are over, and show that nothing opens any more.

    Refused while deliveries wait for what they sealed, unless these may be lost.
    """
    body: Shred = ask.body
    if ask.principal.tenant not in (None, body.tenant):
        raise other_tenant(ask.principal, "tenant")
    asked: dict[str, Any] = body.model_dump()
    return await VaultKeys.over(means).shred(ShredAsked(**asked), by=ask.principal)


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/vault",
        right=Right.READ,
        answer=read_vault,
        reply=VaultView,
        refusals=(503,),
    ),
    Route(
        method="POST",
        path="/v1/vault/rotate",
        right=Right.KEYS,
        answer=rotate_vault,
        body=Rotate,
        reply=RotatedView,
        refusals=(422,),
    ),
    Route(
        method="POST",
        path="/v1/vault/epochs/end",
        right=Right.KEYS,
        answer=end_epoch,
        body=EndEpoch,
        reply=EndedView,
        refusals=(404, 422, 504),
    ),
    Route(
        method="POST",
        path="/v1/vault/rewrap",
        right=Right.KEYS,
        answer=rewrap_vault,
        body=Rewrap,
        reply=RewrappedView,
    ),
    Route(
        method="POST",
        path="/v1/vault/shred",
        right=Right.ERASE,
        answer=shred_vault,
        body=Shred,
        reply=ShreddedView,
        refusals=(404, 409, 422, 504),
        is_tenant_bound=True,
    ),
)
