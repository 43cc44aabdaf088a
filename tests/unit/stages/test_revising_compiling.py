"""From a registry to a snapshot."""

import time

import pytest

from dispatcher.model.registry import Style
from dispatcher.model.switch import Target
from dispatcher.model.verdict import Reason
from dispatcher.stages.revising.compiling import count_lanes
from tests.unit.stages import builders


def test_a_sound_subscription_gets_a_route_and_an_open_lane():
    policy = builders.snapshot()
    route = policy.routes["acme-orders"]
    assert ("acme", "https://hooks.acme.example:443/in", frozenset({"north"})) == (
        route.connector,
        str(route.endpoint),
        route.tenants,
    )
    assert (("acme-orders/order.paid", route),) == policy.open_lanes
    assert {"order.paid": (route,)} == policy.routes_by_type
    assert {} == policy.closed


def test_a_closed_lane_is_not_open():
    policy = builders.snapshot(None, "host:hooks.acme.example")
    assert () == policy.open_lanes
    assert (Reason.SWITCH_ON,) == policy.closed["acme-orders/order.paid"].reasons


def test_a_tenant_switch_leaves_a_shared_lane_open_but_is_carried_along():
    shared = builders.registry(connectors=(builders.connector(tenants=("north", "south")),))
    policy = builders.snapshot(shared, "tenant:north")
    assert 1 == len(policy.open_lanes)
    assert 1 == len(policy.switches)


def test_a_switch_on_one_event_type_closes_only_its_lanes():
    held = builders.registry(
        event_types=(builders.event_type(), builders.event_type("order.sent")),
        subscriptions=(builders.subscription(scope={"order.paid": (), "order.sent": ()}),),
    )
    policy = builders.snapshot(held, "event-type:order.paid")
    assert ["acme-orders/order.sent"] == [lane for lane, _ in policy.open_lanes]
    assert ["acme-orders/order.paid"] == list(policy.closed)


def test_subscribers_are_listed_by_name_whatever_the_order_of_the_files():
    names = ("b", "c", "a")
    held = builders.registry(subscriptions=tuple(map(builders.subscription, names)))
    routes = builders.snapshot(held).routes_by_type["order.paid"]
    assert ["a", "b", "c"] == [route.subscription for route in routes]


def test_what_does_not_hold_together_gets_no_route():
    held = builders.registry(
        subscriptions=(
            builders.subscription("no-connector", connector="ghost"),
            builders.subscription("no-url", url="ftp://x"),
            builders.subscription("no-type", scope={"ghost": ("$.id",)}),
            builders.subscription("no-purpose", purpose="ghost"),
        )
    )
    policy = builders.snapshot(held)
    assert ["no-purpose", "no-type"] == sorted(policy.routes)
    assert {} == policy.routes["no-type"].scopes
    assert () == policy.routes["no-purpose"].scopes["order.paid"].fields


def test_ten_thousand_subscriptions_under_a_thousand_switches_compile_in_seconds():
    held = builders.registry(
        subscriptions=tuple(builders.subscription(f"s{number}") for number in range(10_000))
    )
    began = time.process_time()
    policy = builders.snapshot(held, *(f"subscription:s{number}" for number in range(1000)))
    assert 9_000 == len(policy.open_lanes)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("target", "lanes"),
    [
        ("everything", 3),
        ("connector:acme", 2),
        ("connector:acmee", 0),
        ("tenant:north", 3),
        ("tenant:south", 1),
        ("tenant:west", 0),
        ("host:HOOKS.acme.example.", 3),
        ("host:hooks.brook.example", 0),
        ("subscription:brook-orders", 1),
        ("event-type:order.sent", 1),
        ("event-type:ghost", 0),
    ],
)
def test_the_lanes_that_a_switch_touches_are_counted(target, lanes):
    held = builders.registry(
        event_types=(builders.event_type(), builders.event_type("order.sent")),
        connectors=(
            builders.connector(),
            builders.connector("brook", tenants=("north", "south")),
        ),
        subscriptions=(
            builders.subscription(scope={"order.paid": (), "order.sent": (), "ghost": ()}),
            builders.subscription("brook-orders", connector="brook"),
            builders.subscription("no-connector", connector="ghost"),
        ),
    )
    assert lanes == count_lanes(held, Target.parse(target))


def test_h3_a_subscription_whose_headers_nobody_may_send_gets_no_route():
    for headers in ({"Host": "evil.example"}, {"X-A": "b\r\nc: d"}):
        held = builders.registry(subscriptions=(builders.subscription(headers=headers),))
        assert builders.snapshot(held).routes == {}
    plain = builders.subscription(headers={"X-B": "b", "X-A": ""})
    held = builders.registry(subscriptions=(plain,))
    assert builders.snapshot(held).routes["acme-orders"].headers == (("X-A", ""), ("X-B", "b"))


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        ({}, 100),
        ({"subjects_max": 7}, 7),
        ({"style": Style.SUMMARY}, 10_000),
        ({"style": Style.SUMMARY, "subjects_max": 7}, 7),
    ],
)
def test_a_summary_may_be_about_more_people_where_nobody_says_how_many(wanted, most):
    held = builders.registry(subscriptions=(builders.subscription(**wanted),))
    assert most == builders.snapshot(held).routes["acme-orders"].limits.subjects_max
