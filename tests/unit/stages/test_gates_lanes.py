"""Is a lane open?"""

from datetime import date

import pytest

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.paper import Agreement
from dispatcher.model.registry import Destination, Policy
from dispatcher.model.scope import Scope
from dispatcher.model.switch import Target, TargetKind
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.lanes import Ground, judge_lane, plain_target
from tests.unit.stages import builders


def judge(url="https://hooks.acme.example/in", stops=(), loopback=(), **more):
    return judge_lane(
        builders.connector(**more),
        "acme-orders",
        parse_endpoint(url),
        "order.paid",
        Scope.of(()),
        [builders.switch(target) for target in stops],
        Ground(Policy(), builders.TODAY, frozenset(loopback)),
    )


def entry(host="hooks.acme.example", **more):
    return {"destinations": (Destination(host=host, reason="orders", **more),)}


def test_a_lane_with_everything_in_order_is_open():
    assert judge() is None


@pytest.mark.parametrize(
    "stop",
    [
        "everything",
        "connector:acme",
        "host:hooks.acme.example",
        "host:Hooks.ACME.example.",
        "subscription:acme-orders",
        "event-type:order.paid",
    ],
)
def test_every_kind_of_switch_closes_the_lane(stop):
    verdict = judge(stops=[stop])
    assert verdict is not None
    assert ((Reason.SWITCH_ON,), True) == (verdict.reasons, verdict.is_hold)


@pytest.mark.parametrize(
    "stop",
    ["connector:acm", "host:acme.example", "subscription:acme", "event-type:order", "tenant:acme"],
)
def test_a_switch_on_something_else_leaves_the_lane_open(stop):
    assert judge(stops=[stop]) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/in",
        "https://sub.hooks.acme.example/in",
        "https://hooks.acme.example:8443/in",
        "https://hooks.acme.example.evil.example/in",
    ],
)
def test_a_destination_that_is_not_listed_closes_the_lane(url):
    verdict = judge(url)
    assert verdict is not None
    assert (Reason.DESTINATION_UNLISTED,) == verdict.reasons


@pytest.mark.parametrize(
    ("prefix", "path", "is_open"),
    [
        ("/in", "/in", True),
        ("/in", "/in/x?y=1", True),
        ("/in", "/in?y=/../", True),
        ("/in", "/inbox", False),
        ("/in", "/IN", False),
        ("/in/", "/in/x", True),
        ("/in/", "/in", False),
        ("/in", "/in/../out", False),
        ("/in", "/in/..;a=b/out", False),
        ("/in", "/in/%2e%2e/out", False),
        ("/in", "/in/%252E./out", False),
        ("/in", "/in/x%2fy", False),
        ("/in", "/in/x%5Cy", False),
        ("/in", "/in/v1.2/x..y", True),
        ("/", "/./in", False),
        ("in", "/in", False),
    ],
)
def test_a_path_is_listed_by_whole_segments_only(prefix, path, is_open):
    verdict = judge(f"https://hooks.acme.example{path}", **entry(path_prefix=prefix))
    assert is_open == (verdict is None)


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("a.acme.example", True),
        ("acme.example", False),
        ("a.b.acme.example", False),
        ("aacme.example", False),
    ],
)
def test_a_wildcard_is_exactly_one_label_deep(host, is_open):
    assert is_open == (judge(f"https://{host}/in", **entry("*.acme.example")) is None)


def test_a_wildcard_never_lists_an_address():
    assert judge("https://8.8.8.8/in", **entry("*.8.8.8")) is not None


def test_plain_http_is_closed_even_where_it_is_listed():
    verdict = judge("http://hooks.acme.example:80/in", **entry(scheme="http", port=80))
    assert verdict is not None
    assert (Reason.DESTINATION_PLAINTEXT,) == verdict.reasons


@pytest.mark.parametrize(("port", "is_open"), [(9001, True), (9002, False)])
def test_plain_http_is_open_to_an_exact_loopback_inbox(port, is_open):
    listed = entry("127.0.0.1", scheme="http", port=port)
    verdict = judge(f"http://127.0.0.1:{port}/in", loopback=[("127.0.0.1", 9001)], **listed)
    assert is_open == (verdict is None)


@pytest.mark.parametrize(
    ("last_day", "is_open"), [(date(2026, 6, 1), True), (date(2026, 5, 31), False)]
)
def test_a_destination_is_good_through_its_last_day(last_day, is_open):
    assert is_open == (judge(**entry(expires=last_day)) is None)


def test_all_reasons_are_collected_each_once():
    verdict = judge(
        "http://hooks.acme.example:81/in",
        ["everything", "connector:acme"],
        owner="",
        agreement=Agreement(reference="A-1", until=date(2026, 1, 1)),
    )
    assert verdict is not None
    assert (
        Reason.SWITCH_ON,
        Reason.DESTINATION_UNLISTED,
        Reason.DESTINATION_PLAINTEXT,
        Reason.OWNER_UNCONFIRMED,
        Reason.AGREEMENT_EXPIRED,
    ) == verdict.reasons
    assert "everything" in verdict.detail
    assert "connector:acme" in verdict.detail


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("Hooks.ACME.example.", "hooks.acme.example"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::0:1]", "2001:db8::1"),
        ("no host", "no host"),
    ],
)
def test_a_host_is_compared_in_its_canonical_form(written, host):
    assert Target(TargetKind.HOST, host) == plain_target(Target(TargetKind.HOST, written))


@pytest.mark.parametrize("host", ["hooks.acme.example", "*.acme.example", "HOOKS.acme.example."])
def test_a_revoked_host_closes_the_lane_whoever_lists_it(host):
    ground = Ground(Policy(revoked_hosts=(host,)), builders.TODAY, frozenset())
    verdict = judge_lane(
        builders.connector(),
        "acme-orders",
        parse_endpoint("https://hooks.acme.example/in"),
        "order.paid",
        Scope.of(()),
        (),
        ground,
    )
    assert verdict is not None
    assert (Reason.DESTINATION_REVOKED,) == verdict.reasons
