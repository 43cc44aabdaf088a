"""May a delivery go out under a snapshot?"""

import pytest

from dispatcher.model.letter import Cleared
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.preflight import preflight
from tests.unit.stages import builders

FULL = builders.snapshot().routes["acme-orders"].scopes["order.paid"]


def refusal_of(leased=None, policy=None) -> Refusal:
    verdict = preflight(leased or builders.leased(), policy or builders.snapshot(), FULL)
    assert isinstance(verdict, Refusal)
    return verdict


def test_what_policy_allows_is_cleared_with_revision_and_epoch():
    verdict = preflight(builders.leased(), builders.snapshot(revision=4, epoch=9), FULL)
    assert isinstance(verdict, Cleared)
    assert (4, 9, FULL) == (verdict.revision, verdict.epoch, verdict.scope)


def test_the_scope_is_what_both_filing_and_today_allow():
    filed = Scope.of(FULL.fields[:1])
    verdict = preflight(builders.leased(), builders.snapshot(), filed)
    assert isinstance(verdict, Cleared)
    assert filed == verdict.scope


def test_a_scope_filed_wider_than_today_is_narrowed_to_today():
    held = builders.registry(
        subscriptions=(builders.subscription(scope={"order.paid": ("$.id",)}),)
    )
    verdict = preflight(builders.leased(), builders.snapshot(held), FULL)
    assert isinstance(verdict, Cleared)
    assert [("id",)] == [field.path for field in verdict.scope.fields]


def test_an_unknown_subscription_is_refused():
    verdict = refusal_of(builders.leased(subscription="gone"))
    assert ((Reason.SUBSCRIPTION_UNKNOWN,), False) == (verdict.reasons, verdict.is_hold)


def test_a_closed_lane_holds_with_the_reasons_of_the_lane():
    policy = builders.snapshot(None, "connector:acme")
    verdict = refusal_of(policy=policy)
    assert policy.closed["acme-orders/order.paid"] is verdict
    assert verdict.is_hold


def test_a_tenant_that_is_not_served_is_refused():
    verdict = refusal_of(builders.leased(builders.event(tenant="south")))
    assert ((Reason.TENANT_NOT_SERVED,), False) == (verdict.reasons, verdict.is_hold)


def test_an_event_type_no_longer_subscribed_is_refused():
    verdict = refusal_of(builders.leased(builders.event(type="order.lost")))
    assert (Reason.EVENT_TYPE_NOT_SUBSCRIBED,) == verdict.reasons


def test_a_dropped_payload_is_refused():
    verdict = refusal_of(builders.leased(builders.event(None)))
    assert (Reason.PAYLOAD_GONE,) == verdict.reasons


def test_every_refusal_of_the_event_is_collected():
    verdict = refusal_of(builders.leased(builders.event(None, tenant="south")))
    assert (Reason.TENANT_NOT_SERVED, Reason.PAYLOAD_GONE) == verdict.reasons


SHARED = builders.registry(connectors=(builders.connector(tenants=("north", "south")),))


@pytest.mark.parametrize(("stop", "is_parked"), [("tenant:north", True), ("tenant:south", False)])
def test_a_tenant_switch_parks_that_tenant_alone_in_a_shared_lane(stop, is_parked):
    verdict = preflight(builders.leased(), builders.snapshot(SHARED, stop), FULL)
    assert is_parked == (isinstance(verdict, Refusal) and not verdict.is_hold)


def test_a_tenant_switch_closes_the_lanes_of_a_connector_of_that_tenant_alone():
    verdict = preflight(builders.leased(), builders.snapshot(None, "tenant:north"), FULL)
    assert isinstance(verdict, Refusal)
    assert verdict.is_hold
