"""Who gets a copy of an event."""

from itertools import count

from dispatcher.model.ids import WebhookId
from dispatcher.model.letter import Planned
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.fanout.plan import plan
from tests.unit.stages import builders


def minting():
    numbers = count()
    return lambda: WebhookId(f"msg_{next(numbers)}")


def test_each_subscriber_gets_one_delivery_with_its_own_webhook_id():
    held = builders.registry(subscriptions=(builders.subscription("b"), builders.subscription("a")))
    planned = plan(builders.event(), builders.snapshot(held), minting())
    assert isinstance(planned, tuple)
    assert [("a", "a/order.paid", "msg_0"), ("b", "b/order.paid", "msg_1")] == [
        (each.subscription, each.lane, each.webhook_id) for each in planned
    ]


def test_a_delivery_is_filed_under_the_scope_of_its_event_type():
    policy = builders.snapshot()
    planned = plan(builders.event(), policy, minting())
    assert isinstance(planned, tuple)
    assert policy.routes["acme-orders"].scopes["order.paid"] == planned[0].scope
    assert isinstance(planned[0], Planned)


def test_a_connector_that_does_not_serve_the_tenant_is_not_planned_for():
    assert () == plan(builders.event(tenant="south"), builders.snapshot(), minting())


def test_an_event_type_nobody_subscribed_to_plans_nothing():
    held = builders.registry(subscriptions=())
    assert () == plan(builders.event(), builders.snapshot(held), minting())


def test_an_unknown_event_type_is_refused():
    verdict = plan(builders.event(type="order.lost"), builders.snapshot(), minting())
    assert refuse(Reason.EVENT_TYPE_UNKNOWN) == verdict


def test_an_event_without_a_tenant_is_refused():
    verdict = plan(builders.event(tenant="  "), builders.snapshot(), minting())
    assert refuse(Reason.TENANT_MISSING) == verdict


def test_a_closed_lane_is_planned_for_all_the_same():
    planned = plan(builders.event(), builders.snapshot(None, "everything"), minting())
    assert 1 == len(planned)  # type: ignore[arg-type]


def test_nothing_is_planned_for_an_event_whose_producer_has_no_right_to_it():
    listed = (builders.producer("shop", database_roles=("shop_app",)),)
    policy = builders.snapshot(builders.registry(producers=listed))
    for allowed in (
        builders.event(producer="shop"),
        builders.event(producer="whatever", role="shop_app"),
    ):
        assert 1 == len(plan(allowed, policy, minting()))  # type: ignore[arg-type]
    for forged in (
        builders.event(producer="nobody"),
        builders.event(producer="shop", tenant="south"),
        builders.event(producer="shop", role="stranger"),
        builders.event(producer="shop", role=""),
    ):
        verdict = plan(forged, policy, minting())
        assert isinstance(verdict, Refusal)
        assert verdict.code == "producer_not_allowed"


def test_without_a_listed_producer_whoever_wrote_an_event_is_planned_for():
    event = builders.event(producer="nobody", role="stranger")
    assert 1 == len(plan(event, builders.snapshot(), minting()))  # type: ignore[arg-type]
