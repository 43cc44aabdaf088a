"""What becomes of a letter in which the leak guard finds something."""

from dataclasses import replace

import msgspec
import pytest

from dispatcher.model.delivery import Move
from dispatcher.model.leak import Confidence, Detector, LeakAction, LeakRule, rules_in_force
from dispatcher.model.letter import Shaped
from dispatcher.model.path import format_path
from dispatcher.model.registry import Policy
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.settling.settle import settle
from dispatcher.stages.shaping.shape import shape
from tests.unit.stages import builders
from tests.unit.stages.builders import TOKENS, admitted, leaf, record

SCHEMA = record(
    id=leaf(),
    note=leaf(),
    mail=leaf(category="contact"),
    amount=leaf("integer"),
    share=leaf("number"),
    ssn=leaf("integer"),
    lines={"type": "array", "items": record(note=leaf())},
    tags={"type": "array", "items": leaf()},
    rates={"type": "object", "additionalProperties": leaf("number")},
)
ALL = ("$.id", "$.note", "$.mail", "$.amount", "$.share", "$.ssn", "$.lines[*].note", "$.tags[*]")
KEY = "sk_live_exampleexampleexample00"
CARD = "4111 1111 1111 1111"


def rule(detector, action, **more):
    return LeakRule(detector=Detector(detector), action=LeakAction(action), **more)


def shaped_of(payload, *rules, paths=(*ALL, "$.rates[*]"), subjects=()):
    letter = admitted(msgspec.json.encode(payload), *paths, schema=SCHEMA)
    route = replace(letter.cleared.route, leak_rules=rules_in_force(rules))
    leased = letter.cleared.leased
    leased = replace(leased, event=replace(leased.event, subjects=subjects))
    cleared = replace(letter.cleared, route=route, leased=leased)
    return shape(replace(letter, cleared=cleared), TOKENS)


def data_of(shaped):
    assert isinstance(shaped, Shaped)
    return msgspec.json.decode(shaped.plaintext)["data"]


def told(shaped):
    return [
        (str(f.detector), format_path(f.path), f.length, str(f.action)) for f in shaped.findings
    ]


def test_an_alert_lets_the_letter_go_as_it_is_and_says_where():
    shaped = shaped_of({"note": "write to ada@example.com"})
    assert data_of(shaped) == {"note": "write to ada@example.com"}
    assert told(shaped) == [("email", "$.note", 15, "alert")]


def test_a_mask_stands_in_the_leaf_and_the_rest_leaves_as_it_is():
    shaped = shaped_of(
        {"note": "to ada@example.com.", "tags": ["a", "b@example.com"], "id": "o1"},
        rule("email", "mask"),
    )
    assert data_of(shaped) == {"note": "to ***.", "tags": ["a", "***"], "id": "o1"}
    assert shaped_of({"id": "o1"}, rule("email", "mask")).findings == ()


def test_a_whole_number_is_looked_at_however_it_is_spelled_and_however_coarse_it_is_called():
    low = rule("card", "mask", confidence=Confidence.LOW)
    paths = ("$.amount generalise(bucket=2)", "$.share")
    payload = {"amount": 4012888888880008, "share": 4012888888880008.0}
    assert data_of(shaped_of(payload, low, paths=paths)) == {"amount": "***", "share": "***"}


def test_a_masked_number_becomes_a_text():
    shaped = shaped_of(
        {"amount": 4111111111111111, "share": 0.5}, rule("card", "mask", confidence=Confidence.LOW)
    )
    assert data_of(shaped) == {"amount": "***", "share": 0.5}


def test_a_parked_letter_names_detector_and_field_and_never_the_value():
    refused = shaped_of(
        {"lines": [{"note": "x"}, {"note": CARD}], "note": KEY, "id": "a@b.example"}
    )
    assert isinstance(refused, Refusal)
    assert refused.reasons == (Reason.LEAK_SUSPECTED,)
    assert refused.detail == "api_key in $.note, card in $.lines[*].note"
    assert min(told(refused)) == ("api_key", "$.note", 31, "park")
    assert {each[0] for each in told(refused)} == {"api_key", "card", "email"}
    for shown in (repr(refused), refused.detail):
        assert KEY not in shown
        assert "1111" not in shown


@pytest.mark.parametrize(
    "payload",
    [
        {"tags": ["fine", KEY]},
        {"lines": [{"note": f"token={KEY}"}]},
        {"ssn": 219099999},
        {"note": '{"a":"' + CARD + '"}'},
        {"rates": {KEY: 1}},
        {"mail": KEY},
    ],
    ids=str,
)
def test_every_leaf_that_leaves_as_it_is_is_looked_at(payload):
    assert isinstance(shaped_of(payload), Refusal)


@pytest.mark.parametrize("action", ["mask(last=4)", "pseudonym(person)", 'const("x")'])
def test_a_leaf_that_does_not_leave_as_it_is_is_not_looked_at(action):
    assert isinstance(shaped_of({"note": KEY}, paths=(f"$.note {action}",)), Shaped)


def test_a_truncated_leaf_is_looked_at_as_it_leaves():
    assert isinstance(shaped_of({"note": KEY}, paths=("$.note truncate(31)",)), Refusal)
    assert isinstance(shaped_of({"note": KEY}, paths=("$.note truncate(9)",)), Shaped)


def test_a_field_that_declares_what_it_holds_is_no_finding():
    assert shaped_of({"mail": "ada@example.com, tel 030 23125012"}).findings == ()


def test_the_name_of_a_maps_entry_cannot_be_masked_and_parks():
    refused = shaped_of({"rates": {"ada@example.com": 1}}, rule("email", "mask"))
    assert isinstance(refused, Refusal)
    assert refused.detail == "email in $.rates[*]"


def test_a_subject_that_leaves_raw_is_looked_at_too():
    paths = ("$.id", "@subject pass")
    shaped = shaped_of({}, rule("email", "mask"), paths=paths, subjects=("ada@example.com",))
    assert isinstance(shaped, Shaped)
    assert msgspec.json.decode(shaped.plaintext)["subject"] == "***"
    both = shaped_of({}, rule("email", "mask"), paths=paths, subjects=("u1", "a@b.example"))
    assert msgspec.json.decode(both.plaintext)["subjects"] == ["u1", "***"]


def test_block_wins_over_park_and_ends_the_delivery_at_once():
    refused = shaped_of({"note": KEY, "id": CARD}, rule("api_key", "block"))
    assert refused.reasons == (Reason.LEAK_BLOCKED,)
    assert refused.detail == "api_key in $.note"
    ended = settle(builders.leased(), None, refused, (5.0,), 0.5, 0)
    assert (ended.move, ended.code, ended.failures) == (Move.GIVE_UP, "leak_blocked", 0)


def test_a_suspected_leak_waits_for_a_person():
    ended = settle(builders.leased(), None, refuse(Reason.LEAK_SUSPECTED), (5.0,), 0.5, 0)
    assert (ended.move, ended.code) == (Move.PARK, "leak_suspected")


def test_a_count_is_over_the_whole_letter():
    rules = (rule("email", "park", count=3), rule("email", "alert", confidence=Confidence.LOW))
    two = {"tags": ["a@b.example", "c@d.example"]}
    assert [each[3] for each in told(shaped_of(two, *rules))] == ["alert", "alert"]
    assert isinstance(shaped_of({**two, "note": "e@f.example"}, *rules), Refusal)


def test_an_exception_is_for_its_event_type_and_field_alone():
    excepted = rule("api_key", "park", exceptions=("order.paid $.note",))
    assert isinstance(shaped_of({"note": KEY}, excepted), Shaped)
    assert isinstance(shaped_of({"id": KEY}, excepted), Refusal)
    other = rule("api_key", "park", exceptions=("order.shipped $.note",))
    assert isinstance(shaped_of({"note": KEY}, other), Refusal)
    every = rule("api_key", "park", exceptions=("* $.note",))
    assert shaped_of({"note": KEY}, every).findings == ()


def test_a_detector_without_a_rule_keeps_its_default():
    assert isinstance(shaped_of({"note": KEY}, rule("email", "block")), Refusal)


def test_the_same_letter_gives_the_same_bytes():
    payload = {"note": "a@b.example", "tags": ["c@d.example"], "rates": {"x": 1}}
    first, second = (shaped_of(payload, rule("email", "mask")) for _ in range(2))
    assert first.plaintext == second.plaintext


def test_the_rules_of_a_snapshot_are_those_of_its_policy():
    blocking = rule("email", "block")
    held = builders.registry(policy=Policy(leak_rules=(blocking,)))
    rules = builders.snapshot(held).routes["acme-orders"].leak_rules
    assert rules == rules_in_force((blocking,))
    assert [each for each in rules if each.detector is Detector.EMAIL] == [blocking]
