"""The policy's rules about leaks: their faults, which way a change goes, and what URLs may hold."""

import pytest

from dispatcher.model.leak import Confidence, Detector, LeakAction, LeakRule
from dispatcher.model.registry import Policy
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, subscription

PARK, ALERT, MASK, BLOCK = LeakAction.PARK, LeakAction.ALERT, LeakAction.MASK, LeakAction.BLOCK
EMAIL, KEY, CARD = Detector.EMAIL, Detector.API_KEY, Detector.CARD


def rule(detector=EMAIL, action=PARK, **more):
    return LeakRule(detector=detector, action=action, **more)


def faults(*rules, **more):
    found = find_faults(builders.registry(policy=Policy(leak_rules=rules), **more))
    return [(fault.where, fault.why) for fault in found]


def directions(old, new):
    was, now = (builders.registry(policy=Policy(leak_rules=rules)) for rules in (old, new))
    changes = diff(was, now, TODAY, frozenset()).changes
    return [str(each.direction) for each in changes if each.aspect == "leak"]


def test_rules_that_hold_together_have_no_fault():
    sound = rule(exceptions=("order.paid $.customer.name", "* $.anything.at.all"), count=3)
    assert faults(sound, rule(KEY, BLOCK), rule(confidence=Confidence.LOW)) == []


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ((rule(), rule(action=ALERT)), "two rules for high confidence"),
        ((rule(count=0),), "out of range"),
        ((rule(count=1001),), "out of range"),
        ((rule(exceptions=("order.paid",)),), "a path starts with"),
        ((rule(exceptions=("order.paid $..note",)),), "not understood"),
        ((rule(exceptions=("order.paid $['id']",)),), "not the usual spelling"),
        ((rule(exceptions=("order.gone $.id",)),), "there is no event type 'order.gone'"),
        ((rule(exceptions=("order.paid $.nothing",)),), "'order.paid' has no such field"),
        ((rule(exceptions=("order.paid $.customer",)),), "'order.paid' has no such field"),
    ],
)
def test_a_bad_rule_is_a_fault_that_says_why(rules, why):
    ((where, said),) = faults(*rules)
    assert where.startswith("policy: leak_rules email")
    assert why in said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((), (rule(KEY, ALERT),)),
        ((), (rule(KEY, MASK),)),
        ((), (rule(KEY, PARK, count=2),)),
        ((), (rule(KEY, PARK, exceptions=("order.paid $.id",)),)),
        ((rule(KEY, BLOCK),), ()),
        ((rule(CARD, PARK, confidence=Confidence.LOW),), ()),
        ((), (rule(CARD, BLOCK),)),  # what was told of at low confidence is no longer
        ((rule(exceptions=("order.paid $.id",)),), (rule(exceptions=("* $.id",)),)),
    ],
)
def test_a_laxer_rule_and_a_new_exception_widen(old, new):
    assert directions(old, new) == ["widens"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((), (rule(EMAIL, PARK),)),
        ((), (rule(KEY, BLOCK),)),
        ((rule(KEY, PARK, count=2),), ()),
        ((rule(exceptions=("* $.id",)),), (rule(exceptions=("order.paid $.id",)),)),
        ((), (rule(CARD, PARK, confidence=Confidence.LOW),)),
    ],
)
def test_a_stricter_rule_narrows(old, new):
    assert directions(old, new) == ["narrows"]


def test_a_rule_that_says_what_is_so_anyway_changes_nothing():
    assert directions((), (rule(EMAIL, ALERT), rule(KEY, PARK))) == []


def of_texts(**keys):
    found = find_faults(builders.registry(subscriptions=(subscription(**keys),)))
    return [(fault.where.partition(": ")[2], fault.why) for fault in found]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("ada@example.com", "holds what looks like email"),
        ("4242 4242 4242 4242", "holds what looks like card"),
        ("sk_live_exampleexampleexample00", "holds what looks like api_key"),
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", "holds what looks like jwt"),
        ("{{ email }}", "holds '{{', the mark of a template"),
        ("${email}", "holds '${', the mark of a template"),
        ("$.customer.email", "holds '$.', the mark of a template"),
    ],
)
def test_a_header_with_data_or_a_template_in_it_is_refused(value, why):
    assert of_texts(headers={"X-Account": value}) == [("headers 'X-Account'", why)]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("/in?to=ada@example.com", "holds what looks like email"),
        ("/in?to=ada%40example.com", "holds what looks like email"),
        ("/in?to=ada%2540example.com", "holds what looks like email"),
        ("/in?key=sk_live_exampleexampleexample00", "holds what looks like api_key"),
        ("/in/%7B%7Bemail%7D%7D", "holds '{{', the mark of a template"),
        ("/in?q=$.customer.email", "holds '$.', the mark of a template"),
    ],
)
def test_a_url_with_data_or_a_template_in_it_is_refused(url, why):
    found = of_texts(url=f"https://hooks.acme.example{url}")
    assert ("url", why) in found


def test_a_fault_never_repeats_what_was_found():
    assert "ada@" not in repr(of_texts(headers={"X-Account": "ada@example.com"}))


def test_plain_routing_texts_are_no_fault():
    headers = {"X-Account": "north-42", "X-Tenant": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}
    assert of_texts(url="https://hooks.acme.example/in/orders?account=42", headers=headers) == []
