"""Is an endpoint proven today, and is it time to ask again?"""

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.proof import proof_key, txt_name
from dispatcher.model.registry import OwnershipProof, Policy
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.ownership import Ownership, is_proof_asked
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, proof, us_of

LANE = "acme-orders/order.paid"
INBOX = frozenset({("127.0.0.1", 9001)})


def judge(url="https://hooks.acme.example/in", connector="acme", day=TODAY, **more):
    policy = Policy(**more)
    ownership = Ownership.of(policy, frozenset(), [proof()], day)
    endpoint = parse_endpoint(url)
    return (
        ownership.is_unproven(connector, endpoint),
        ownership.wants_proof(connector, endpoint),
    )


def test_an_unproven_endpoint_closes_its_lanes_and_its_proof_opens_them():
    closed = builders.snapshot(proofs=())
    assert closed.closed[LANE].reasons == (Reason.ENDPOINT_UNPROVEN,)
    assert closed.closed[LANE].is_hold
    assert closed.open_lanes == ()
    assert [route.subscription for route in closed.proving] == ["acme-orders"]
    opened = builders.snapshot(proofs=[proof()])
    assert not opened.closed
    assert opened.proving == ()


@pytest.mark.parametrize(
    ("url", "is_unproven"),
    [
        ("https://hooks.acme.example/in", False),
        ("https://hooks.acme.example/in?key=1", False),
        ("https://hooks.acme.example:443/in", False),
        ("https://hooks.acme.example/in/", True),
        ("https://hooks.acme.example/other", True),
        ("https://hooks.acme.example:8443/in", True),
        ("https://other.acme.example/in", True),
        ("http://hooks.acme.example:443/in", True),
    ],
)
def test_a_proof_is_for_one_scheme_host_port_and_path(url, is_unproven):
    assert judge(url) == (is_unproven, is_unproven)


def test_a_proof_is_for_one_connector():
    assert judge(connector="brook") == (True, True)


@pytest.mark.parametrize(
    ("days", "is_unproven", "wants"),
    [
        (0, False, False),
        (165, False, False),
        (166, False, True),
        (180, False, True),
        (181, True, True),
    ],
)
def test_a_proof_counts_through_its_last_day_and_is_renewed_before(days, is_unproven, wants):
    assert judge(day=TODAY + timedelta(days=days)) == (is_unproven, wants)


@pytest.mark.parametrize(("days", "wants"), [(0, False), (1, True)])
def test_a_proof_that_counts_for_a_day_is_not_sought_anew_the_day_it_was_won(days, wants):
    assert judge(day=TODAY + timedelta(days=days), proof_days=1) == (False, wants)


@pytest.mark.parametrize(
    ("asked", "in_development", "in_production"),
    [
        (OwnershipProof.REQUIRED, True, True),
        (OwnershipProof.OUTSIDE_DEV, False, True),
        (OwnershipProof.WAIVED, False, False),
    ],
)
def test_the_policy_says_where_a_proof_is_asked(asked, in_development, in_production):
    policy = Policy(ownership_proof=asked)
    assert is_proof_asked(policy, INBOX) is in_development
    assert is_proof_asked(policy, frozenset()) is in_production


def test_a_proof_is_asked_in_production_unless_the_policy_says_otherwise():
    assert builders.snapshot(proofs=()).closed
    waived = builders.registry(policy=Policy(ownership_proof=OwnershipProof.WAIVED))
    opened = builders.snapshot(waived, proofs=())
    assert (opened.closed, opened.proving) == ({}, ())


def test_a_proof_of_yesterday_s_url_is_none_of_today_s():
    moved = builders.registry(
        subscriptions=(builders.subscription(url="https://hooks.acme.example/in/new"),)
    )
    assert builders.snapshot(moved, proofs=[proof()]).closed[LANE].reasons == (
        Reason.ENDPOINT_UNPROVEN,
    )


def test_a_proof_of_long_ago_opens_nothing():
    old = replace(proof(), proven_us=us_of(TODAY - timedelta(days=400)))
    assert builders.snapshot(proofs=[old]).closed


def test_a_query_is_no_part_of_a_place_and_an_address_has_no_record():
    endpoint = parse_endpoint("https://hooks.acme.example/in?key=secret")
    assert proof_key("acme", endpoint) == ("acme", "https://hooks.acme.example:443/in")
    assert txt_name(endpoint) == "_dispatcher-challenge.hooks.acme.example"
    assert txt_name(parse_endpoint("https://8.8.8.8/in")) is None
