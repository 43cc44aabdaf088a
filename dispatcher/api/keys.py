"""`/v1/keys`: what letters are signed with; another takes its place, it ends early, or at once.

Client certificates, and what partners fetch by, are listed and revoked beside signing keys.

A secret is answered once, when it is made, and nothing answers it again.
"""

from operator import itemgetter
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import (
    NamePageQuery,
    Page,
    Text,
    View,
    WaitSeconds,
    Why,
    Written,
    page,
    whole_number,
)
from dispatcher.control.identities import IdentityControl, ListedCaller, ListedCertificate
from dispatcher.control.key_changes import Turn
from dispatcher.control.keys import KeyControl, ListedKey
from dispatcher.control.means import Means
from dispatcher.control.revoking import Aim, Revoking
from dispatcher.control.signing_keys import public_text
from dispatcher.model.errors import InvalidInput
from dispatcher.model.keys import KeyKind, KeyState
from dispatcher.model.people import Right
from dispatcher.stages.sealing.rotation import (
    AHEAD_SECONDS_MAX,
    OVERLAP_SECONDS,
    OVERLAP_SECONDS_MAX,
)

Overlap = Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX), BeforeValidator(whole_number)]
Ahead = Annotated[int, Field(ge=0, le=AHEAD_SECONDS_MAX), BeforeValidator(whole_number)]


class KeyQuery(NamePageQuery):
    """Which keys: of one subscription, or all there are; ended ones on demand."""

    subscription: Text | None = None
    ended: bool = False


class KeyView(View):
    """A key, by its fingerprint. It signs from `active_us` until `until_us`, if that is known.

    The partner of `connector` knows it, and it counts for no other; null where nobody knows whose
    it was. `public_key` is that of an Ed25519 key. Its endpoint has proven a key `proofs` times in
    a row; `trial_fault` says why it did not when last asked. A client certificate has an
    `identity` and the `destinations` that ask for it in place of a subscription. What a partner
    fetches by, a `caller`, has neither, and no times of its own.
    """

    name: str
    subscription: str | None
    connector: str | None
    identity: str | None
    destinations: list[str]
    fingerprint: str
    kind: KeyKind | Literal["certificate", "caller"]
    state: KeyState
    public_key: str
    created_us: int | None
    active_us: int | None
    until_us: int | None
    revoked_us: int | None
    age_days: int | None
    proofs: int
    trial_fault: str


class Rotation(View):
    """Whose key, and when it signs.

    The new key signs in `ahead_seconds` (default: at once; a day for an Ed25519 key that another
    one signs until), and the others `overlap_seconds` beside it: at most, unless `keep_overlap`,
    for they end once the endpoint has proven the new one. `kind` where there are several.
    """

    subscription: Text
    kind: KeyKind | None = None
    overlap_seconds: Overlap = OVERLAP_SECONDS
    ahead_seconds: Ahead | None = None
    keep_overlap: bool = False
    reason: Why


class Ending(View):
    """A key that signs until then."""

    name: str
    until_us: int


class RotatedView(View):
    """A new key: `secret` or `public_key` is for the partner, the secret this once."""

    name: str
    subscription: str
    fingerprint: str
    kind: KeyKind
    secret: str
    public_key: str
    active_us: int
    ending: list[Ending]
    epoch: int


class Retirement(View):
    """Which key ends now, by its fingerprint or name, and why."""

    key: Text
    reason: Why


class Revocation(View):
    """What to revoke, why, and how long to wait: a key, or all of a subscription or connector.

    `identity` is the fingerprint of a client certificate, or of what a partner fetches by.
    """

    key: Text | None = None
    subscription: Text | None = None
    connector: Text | None = None
    identity: Text | None = None
    reason: Why
    wait_seconds: WaitSeconds = 30.0


class LeftView(View):
    """An identity that a revoked connector asks for, why it was not revoked too, and what does it.

    Other `connectors` ask for it, or no certificate of it can be read where this is answered: then
    it has no `fingerprint`.
    """

    identity: str
    fingerprint: str | None
    connectors: list[str]
    why: str
    fix: str


class RevokedView(View):
    """What nothing is signed with, shown or taken any more, confirmed by the workers.

    `headers` are stored ones, SUBSCRIPTION/HEADER, which must be entered again. `certificates` are
    ours, `callers` what partners fetch by. `unsigned` subscriptions wait for a new key. Where it
    was a connector, `held` is the switch target that was put on, so many of its `tickets` ended,
    and somebody must look at what is `left`.
    """

    keys: list[str]
    headers: list[str]
    certificates: list[str]
    callers: list[str]
    left: list[LeftView]
    unsigned: list[str]
    held: Written | None
    tickets: int
    epoch: int
    confirmed_us: int
    confirmed_ms: float
    workers_confirmed: int
    workers_fenced: int
    in_flight: int


async def list_keys(means: Means, ask: Ask) -> dict[str, Any]:
    """List keys, client certificates and callers: whose, of what kind, in which state."""
    query: KeyQuery = ask.query
    found = [_listed(each) for each in await KeyControl.over(means).list()]
    certificates, callers = await IdentityControl.over(means).list()
    found += [_listed_certificate(each) for each in certificates]
    found += [_listed_caller(each) for each in callers]
    shown = [
        each
        for each in sorted(found, key=itemgetter("name"))
        if each["name"] > (query.cursor or "")
        and query.subscription in (None, each["subscription"])
        and (query.ended or each["state"] not in (KeyState.RETIRED, KeyState.REVOKED))
    ]
    return page(shown[: query.limit + 1], query.limit, "name")


async def rotate_key(means: Means, ask: Ask) -> dict[str, Any]:
    """Make a key that takes the place of those a subscription has, after an overlap."""
    body: Rotation = ask.body
    turn = Turn(
        subscription=body.subscription,
        kind=body.kind,
        overlap_seconds=body.overlap_seconds,
        ahead_seconds=body.ahead_seconds,
        is_overlap_kept=body.keep_overlap,
        reason=body.reason,
    )
    done = await KeyControl.over(means).rotate(turn, by=ask.principal)
    return {
        "name": done.key.name,
        "subscription": done.key.subscription,
        "fingerprint": done.key.fingerprint,
        "kind": done.key.kind,
        "secret": done.secret,
        "public_key": public_text(done.key),
        "active_us": done.key.times.active_us or done.key.times.created_us,
        "ending": [{"name": e.name, "until_us": e.times.until_us} for e in done.ending],
        "epoch": done.epoch,
    }


async def retire_key(means: Means, ask: Ask) -> Ending:
    """End a key now that another has taken the place of."""
    body: Retirement = ask.body
    ended = await KeyControl.over(means).retire(body.key, reason=body.reason, by=ask.principal)
    return Ending(name=ended.name, until_us=ended.times.until_us or 0)


async def revoke_keys(means: Means, ask: Ask) -> Any:
    """End keys at once, and answer when no worker obeys them. A connector is held, too."""
    body: Revocation = ask.body
    aim = Aim(
        key=body.key,
        subscription=body.subscription,
        connector=body.connector,
        identity=body.identity,
    )
    if [aim.key, aim.subscription, aim.connector, aim.identity].count(None) != 3:
        raise InvalidInput(
            "it must be one of key, subscription, connector and identity",
            where="key, subscription, connector, identity",
            fix="say which: a key, all of a subscription or of a connector, or an identity",
        )
    return await Revoking.over(means).revoke(
        aim, reason=body.reason, by=ask.principal, wait_seconds=body.wait_seconds
    )


_NOTHING: Final[dict[str, Any]] = {
    "subscription": None,
    "connector": None,
    "identity": None,
    "destinations": [],
    "public_key": "",
    "created_us": None,
    "active_us": None,
    "until_us": None,
    "age_days": None,
    "proofs": 0,
    "trial_fault": "",
}
"""What not everything has that is listed."""


def _listed(listed: ListedKey) -> dict[str, Any]:
    key, times = listed.key, listed.key.times
    return {
        **_NOTHING,
        "name": key.name,
        "subscription": key.subscription,
        "connector": key.connector or None,
        "fingerprint": key.fingerprint,
        "kind": key.kind,
        "state": listed.state,
        "public_key": public_text(key),
        "created_us": times.created_us,
        "active_us": times.active_us or times.created_us,
        "until_us": times.until_us,
        "revoked_us": times.revoked_us,
        "age_days": listed.age_days,
        "proofs": listed.trial.proofs,
        "trial_fault": listed.trial.fault,
    }


def _listed_certificate(listed: ListedCertificate) -> dict[str, Any]:
    found = listed.certificate
    return {
        **_NOTHING,
        "name": found.name,
        "identity": found.identity,
        "destinations": list(listed.destinations),
        "fingerprint": found.fingerprint,
        "kind": "certificate",
        "state": listed.state,
        "created_us": found.not_before_us,
        "active_us": found.not_before_us,
        "until_us": found.not_after_us,
        "revoked_us": listed.revoked_us,
        "age_days": listed.age_days,
    }


def _listed_caller(listed: ListedCaller) -> dict[str, Any]:
    return {
        **_NOTHING,
        "name": listed.key.name,
        "connector": listed.key.connector.name,
        "fingerprint": listed.key.fingerprint,
        "kind": "caller",
        "state": listed.state,
        "revoked_us": listed.revoked_us,
    }


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/keys",
        right=Right.READ,
        answer=list_keys,
        query=KeyQuery,
        reply=Page[KeyView],
    ),
    Route(
        method="POST",
        path="/v1/keys/rotations",
        right=Right.KEYS,
        answer=rotate_key,
        body=Rotation,
        reply=RotatedView,
        status=201,
        refusals=(404, 409, 422),
        is_shown_once=True,
        keeps_replies=True,
    ),
    Route(
        method="POST",
        path="/v1/keys/retirements",
        right=Right.KEYS,
        answer=retire_key,
        body=Retirement,
        reply=Ending,
        refusals=(404, 409, 422),
        keeps_replies=True,
    ),
    Route(
        method="POST",
        path="/v1/keys/revocations",
        right=Right.KEYS,
        answer=revoke_keys,
        body=Revocation,
        reply=RevokedView,
        refusals=(404, 409, 422, 504),
        keeps_replies=True,
    ),
)
