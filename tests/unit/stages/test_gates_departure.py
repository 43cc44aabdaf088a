"""The last question before the first byte."""

import pytest

from dispatcher.model.keys import CompatSignature, CompatStyle, SigningProfile
from dispatcher.model.leak import Detector, LeakAction, LeakRule
from dispatcher.model.letter import Stopped
from dispatcher.model.registry import Destination, Policy
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.departure import may_begin
from tests.unit.stages import builders

BEFORE = builders.cleared()


def ask(policy=None, filed=None, now=10.0, policy_lease_ends=12.0):
    return may_begin(
        BEFORE,
        filed or BEFORE.scope,
        policy or builders.snapshot(),
        now=now,
        policy_lease_ends=policy_lease_ends,
    )


def test_a_letter_leaves_under_the_snapshot_it_was_judged_under():
    assert ask() is None


def test_nothing_leaves_from_the_instant_the_policy_lease_has_run_out():
    assert Stopped(Reason.POLICY_LEASE_EXPIRED) == ask(now=12.0)


def test_a_lease_must_last_as_long_as_the_attempt_may():
    assert ask(now=85.0, policy_lease_ends=99.0) is None
    assert Stopped(Reason.DELIVERY_LEASE_SHORT) == ask(now=85.1, policy_lease_ends=99.0)


def test_a_switch_tripped_since_stops_the_letter():
    policy = builders.snapshot(None, "everything", epoch=2)
    assert Stopped(Reason.SWITCH_ON) == ask(policy)


def test_a_tenant_switch_tripped_since_stops_the_letter():
    assert Stopped(Reason.SWITCH_ON) == ask(builders.snapshot(None, "tenant:north", epoch=2))


def test_a_switch_on_somebody_else_stops_nothing():
    assert ask(builders.snapshot(None, "connector:other", epoch=2)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://hooks.acme.example/other"},
        {"scope": {"order.paid": ("$.id",)}},
        {"attempt_seconds": 14.0},
        {"headers": {"X-Account": "south"}},
        {"signing": SigningProfile.RFC9421_HMAC},
        {"compat_signature": CompatSignature(header="X-Old", style=CompatStyle.SHA256)},
    ],
)
def test_other_terms_than_those_it_was_shaped_under_stop_the_letter(change):
    held = builders.registry(subscriptions=(builders.subscription(**change),))
    assert Stopped(Reason.POLICY_CHANGED) == ask(builders.snapshot(held, revision=2))


def test_another_version_of_tokens_stops_the_letter():
    held = builders.registry(connectors=(builders.connector(token_version=2),))
    assert Stopped(Reason.POLICY_CHANGED) == ask(builders.snapshot(held, revision=2))


def test_a_stricter_word_on_leaks_stops_the_letter_that_was_looked_at_under_another():
    block = LeakRule(detector=Detector.EMAIL, action=LeakAction.BLOCK)
    held = builders.registry(policy=Policy(leak_rules=(block,)))
    assert Stopped(Reason.POLICY_CHANGED) == ask(builders.snapshot(held, revision=2))


@pytest.mark.parametrize(
    "change",
    [{"private_range": "10.20.0.0/16"}, {"alias_zones": ("acme.example",)}],
)
def test_a3_where_a_host_may_answer_is_of_the_terms_too(change):
    host = "hooks.acme.example"
    entry = Destination(host=host, reason="orders", **change)
    held = builders.registry(connectors=(builders.connector(destinations=(entry,)),))
    assert Stopped(Reason.POLICY_CHANGED) == ask(builders.snapshot(held, revision=2))


def test_a_wider_scope_today_does_not_stop_a_letter_filed_under_the_narrow_one():
    wide = builders.subscription(scope={"order.paid": ("$.id", "$.lines[*].sku", "$.total")})
    held = builders.registry(subscriptions=(wide,))
    assert ask(builders.snapshot(held, revision=2)) is None


def test_a_subscription_removed_since_stops_the_letter():
    held = builders.registry(subscriptions=())
    assert Stopped(Reason.SUBSCRIPTION_UNKNOWN) == ask(builders.snapshot(held, revision=2))
