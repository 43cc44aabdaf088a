"""Is a lane open?"""

from datetime import date

import pytest

from dispatcher.model.classification import Sensitivity
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.paper import Agreement
from dispatcher.model.registry import Destination, Policy
from dispatcher.model.scope import Scope
from dispatcher.model.switch import Target, TargetKind
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.lanes import judge_lane, plain_target
from dispatcher.stages.gates.listing import Ground, judge_listing
from dispatcher.stages.revising.compiling import plan_routes
from tests.unit.stages import builders


def judge(url="https://hooks.acme.example/in", stops=(), loopback=(), policy=None, **more):
    connector, endpoint = builders.connector(**more), parse_endpoint(url)
    held = builders.registry(
        connectors=(connector,), subscriptions=(builders.subscription(url=url),)
    )
    ground = Ground(policy or Policy(), builders.TODAY, frozenset(loopback))
    ((_, route, _),) = plan_routes(held, ground)
    return judge_lane(
        connector,
        route,
        judge_listing(connector, endpoint, ground),
        "order.paid",
        Scope.of(()),
        [builders.switch(target) for target in stops],
        ground,
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


def test_u1_plain_http_takes_an_entry_that_grants_it():
    url = "http://hooks.acme.example:80/in"
    assert judge(url, **entry(scheme="http", port=80)) is None
    verdict = judge(url, **entry(port=80))
    assert verdict is not None
    assert (Reason.DESTINATION_PLAINTEXT,) == verdict.reasons
    assert judge("https://hooks.acme.example:80/in", **entry(scheme="http", port=80)) is not None


@pytest.mark.parametrize("wildcard", ["*.example", "*.com", "*.co.uk", "*.github.io"])
def test_n5_a_wildcard_over_everybody_lists_nobody(wildcard):
    host = wildcard.replace("*", "acme")
    assert judge(f"https://{host}/in", **entry(wildcard)) is not None
    # Revoked is revoked, however wide.
    verdict = judge(f"https://{host}/in", policy=Policy(revoked_hosts=(wildcard,)), **entry(host))
    assert verdict is not None


def test_n5_a_wildcard_does_not_list_its_own_name():
    assert judge("https://acme.example/in", **entry("*.acme.example")) is not None


@pytest.mark.parametrize("host", ["intranet", "db.internal", "printer.local", "api.svc"])
def test_n6_a_name_of_the_inside_takes_a_private_range(host):
    verdict = judge(f"https://{host}/in", **entry(host))
    assert verdict is not None
    assert (Reason.DESTINATION_INSIDE,) == verdict.reasons
    assert judge(f"https://{host}/in", **entry(host, private_range="10.20.0.0/16")) is None
    assert judge(f"https://{host}/in", **entry(host, private_range="10.0.0.0/8")) is not None


@pytest.mark.parametrize(
    ("network", "host", "is_open"),
    [
        ("10.20.0.0/16", "10.20.3.4", True),
        ("10.20.0.0/16", "10.21.3.4", False),
        ("10.20.0.0/16", "[::ffff:10.20.3.4]", True),
        ("10.0.0.0/8", "10.20.3.4", False),
        ("fd12:3456:789a::/48", "[fd12:3456:789a::1]", True),
        ("fd12:3456:789a::/48", "[fd12:3456:789b::1]", False),
        ("127.0.0.0/16", "127.0.0.1", False),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("8.8.8.0/24", "8.8.8.8", True),
        ("10.20.0.0/16", "hooks.acme.example", False),
    ],
)
def test_a3_a_network_lists_its_literal_addresses_within_limits(network, host, is_open):
    assert is_open == (judge(f"https://{host}/in", **entry(network)) is None)


def test_report_only_reports_what_is_not_listed_and_nothing_else():
    until = {"report_only_until": builders.TODAY}
    assert judge("https://other.example/in", **until) is None
    for url in ("http://other.example/in", "https://intranet/in"):
        assert judge(url, **until) is not None
    revoked = Policy(revoked_hosts=("other.example",))
    assert judge("https://other.example/in", policy=revoked, **until) is not None
    verdict = judge("https://hooks.acme.example/in", **until, **entry(expires=date(2026, 5, 31)))
    assert verdict is not None
    assert (Reason.DESTINATION_EXPIRED,) == verdict.reasons
    countries = Policy(countries={"DE": Sensitivity.PUBLIC})
    assert judge("https://other.example/in", policy=countries, **until) is not None


def test_report_only_past_its_last_day_refuses():
    verdict = judge("https://other.example/in", report_only_until=date(2026, 5, 31))
    assert verdict is not None
    assert (Reason.DESTINATION_UNLISTED,) == verdict.reasons


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
    verdict = judge(policy=Policy(revoked_hosts=(host,)))
    assert verdict is not None
    assert (Reason.DESTINATION_REVOKED,) == verdict.reasons


def test_a4_a_switch_on_an_address_stops_it_in_every_spelling():
    listed = entry("8.8.8.8")
    for url in ("https://8.8.8.8/in", "https://[::ffff:8.8.8.8]/in", "https://[::ffff:808:808]/in"):
        assert judge(url, **listed) is None
        for target in ("host:8.8.8.8", "host:::ffff:8.8.8.8"):
            assert judge(url, stops=[target], **listed) is not None
