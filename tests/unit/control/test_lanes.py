"""What closes a lane, told away from the workers: every kind of reason, from one reading."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dispatcher.control.lanes import LaneControl, Waiting
from dispatcher.model.credential import Credential
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.keys import KeyTimes
from dispatcher.model.paper import Agreement, ConnectorState
from dispatcher.model.registry import Destination, Encryption, Registry
from dispatcher.model.tls import Tls
from dispatcher.store.credentials import StoredCredential
from dispatcher.store.registry import PolicyNow
from dispatcher.store.revisions import Active
from dispatcher.store.signing_keys import StoredKey
from tests.unit.stages.builders import (
    NO_LOOPBACK,
    TODAY,
    connector,
    event_type,
    proofs_of,
    registry,
    subscription,
    switch,
    us_of,
)

MINE = Waiting("acme-orders", "order.paid", "north")
NOW_US = us_of(TODAY)
YESTERDAY_US = NOW_US - 1
CERTIFICATE = ClientCertificate(
    identity="acme-mtls", fingerprint="c0ffee", not_before_us=0, not_after_us=NOW_US + 1
)
HEADER = Credential(
    id="1",
    subscription="acme-orders",
    header="X-Api-Key",
    destination="https://hooks.acme.example:443/in",
    entered_by="pat",
    entered_us=1,
    approved_by="bea",
    approved_us=2,
)
KEY = StoredKey("acme-orders", "k1", b"sealed", connector="acme")


def policy(held: Registry | None = None, **more: Any) -> PolicyNow:
    """Give a policy by which the lane is open, but for what a test says."""
    held = registry() if held is None else held
    given: dict[str, Any] = {
        "active": Active(Revision(1), Epoch(1), "", held),
        "switches": (),
        "keys": tuple(replace(KEY, subscription=each.name) for each in held.subscriptions),
        "proofs": proofs_of(held),
        "token_keys": (),
        "key_sets": {},
        "credentials": (),
        "revoked_identities": {},
    }
    return PolicyNow(**given | more)


@dataclass
class Readings:
    """A registry that counts how often it is read."""

    now: PolicyNow
    count: int = field(default=0)

    async def policy_now(self) -> PolicyNow:
        self.count += 1
        return self.now


def lanes(readings: Readings, *certificates: ClientCertificate) -> LaneControl:
    return LaneControl(
        registry=readings,  # type: ignore[arg-type]
        certificates=lambda: certificates,
        loopback=NO_LOOPBACK,
        wall_us=lambda: NOW_US,
    )


async def codes(now: PolicyNow, *certificates: ClientCertificate, of: Waiting = MINE) -> list[str]:
    closed = await lanes(Readings(now), *certificates).closed({of})
    return [str(reason) for reason in closed.get(of, ())]


def with_connector(**more: Any) -> Registry:
    return registry(connectors=(connector(**more),))


def with_subscription(**more: Any) -> Registry:
    return registry(subscriptions=(subscription(**more),))


def asking(identity: str) -> Registry:
    entry = Destination(host="hooks.acme.example", reason="orders", tls=Tls(identity=identity))
    return with_connector(destinations=(entry,))


ENDED = replace(KEY, times=KeyTimes(until_us=YESTERDAY_US))
AHEAD = replace(KEY, times=KeyTimes(active_us=NOW_US + 1))
CASES: dict[str, tuple[PolicyNow, Iterable[str]]] = {
    "nothing is wrong": (policy(), ()),
    "no key": (policy(keys=()), ("signing_key_missing",)),
    "a key that ended": (policy(keys=(ENDED,)), ("signing_key_missing",)),
    "a key that is yet to sign": (policy(keys=(AHEAD,)), ("signing_key_missing",)),
    "a stored header": (policy(credentials=(StoredCredential(HEADER, b"s"),)), ()),
    "a stored header for another place": (
        policy(credentials=(StoredCredential(replace(HEADER, destination="https://x/"), b"s"),)),
        ("credentials_unbound",),
    ),
    "no proof": (policy(proofs=()), ("endpoint_unproven",)),
    "a switch": (policy(switches=(switch("connector:acme"),)), ("switch_on",)),
    "a certificate that nobody has": (policy(asking("acme-mtls")), ("client_identity_missing",)),
    "no key of the partner's": (
        policy(with_subscription(encryption=Encryption.JWE)),
        ("encryption_key_missing",),
    ),
    "an ended agreement": (
        policy(with_connector(agreement=Agreement(reference="A", until=TODAY.replace(year=2025)))),
        ("agreement_expired",),
    ),
    "several at once": (
        policy(with_connector(state=ConnectorState.DRAFT), keys=(), proofs=()),
        ("endpoint_unproven", "signing_key_missing", "connector_inactive"),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_every_reason_is_told_that_can_be_known_without_a_worker(case: str):
    now, wanted = CASES[case]
    assert await codes(now) == list(wanted)


async def test_a_client_certificate_counts_while_it_can_be_shown():
    assert await codes(policy(asking("acme-mtls")), CERTIFICATE) == []
    missing = ["client_identity_missing"]
    ended = replace(CERTIFICATE, not_after_us=NOW_US)
    assert await codes(policy(asking("acme-mtls")), ended) == missing
    revoked = policy(asking("acme-mtls"), revoked_identities={"c0ffee": 1})
    assert await codes(revoked, CERTIFICATE) == missing


async def test_a_tenant_that_is_served_no_more_hears_nothing_of_those_that_are():
    moved = with_connector(tenants=("south",))
    stopped = policy(moved, switches=(switch("tenant:south"),))
    assert await codes(stopped) == ["tenant_not_served"]
    assert await codes(stopped, of=MINE._replace(tenant="south")) == ["switch_on"]


async def test_one_reading_of_the_policy_is_enough_for_a_whole_answer_and_none_for_nothing():
    held = registry(
        event_types=(event_type(), event_type("order.sent")),
        subscriptions=(
            subscription(scope={"order.paid": ("$.id",), "order.sent": ("$.id",)}),
            subscription("acme-other"),
        ),
    )
    readings = Readings(policy(held, switches=(switch("event-type:order.sent"),)))
    assert await lanes(readings).closed(()) == {}
    assert readings.count == 0
    sent = MINE._replace(type="order.sent")
    asked = {MINE, sent, MINE._replace(subscription="acme-other"), MINE._replace(type="gone")}
    asked.add(MINE._replace(subscription="gone"))
    closed = await lanes(readings).closed(asked)
    assert {lane: [str(each) for each in found] for lane, found in closed.items()} == {
        sent: ["switch_on"]
    }
    assert readings.count == 1
