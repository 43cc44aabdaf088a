"""The short way to what a scope grants: which events take it, and what holds there too."""

from dataclasses import replace

import msgspec
import pytest

from dispatcher.model.leak import Detector, LeakAction, LeakRule, rules_in_force
from dispatcher.model.letter import Shaped
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.picking import pick
from dispatcher.stages.shaping.shape import shape
from tests.unit.stages.builders import TOKENS, admitted, leaf, record

SCHEMA = record(
    id=leaf(),
    note=leaf(["string", "null"]),
    total=leaf("number"),
    count=leaf("integer"),
    customer=record(name=leaf(), ssn=leaf()),
    lines={"type": "array", "items": record(sku=leaf(), tags={"type": "array", "items": leaf()})},
)
GRANTS = (
    *("$.id", "$.note", "$.total", "$.count", "$.customer.name mask(last=2)"),
    *("$.lines[*].sku", "$.lines[*].tags[*]"),
)
EVENT = {
    "id": "o1",
    "note": "a note",
    "total": 1.5,
    "count": 2,
    "customer": {"name": "Ada Example", "ssn": "canary"},
    "lines": [{"sku": "s1", "tags": ["a", "b"], "cost": 3}, {"sku": "s2", "tags": ["c"]}],
}


def picked_of(**changes):
    letter = admitted(msgspec.json.encode(EVENT | changes), *GRANTS, schema=SCHEMA)
    draft = Draft(letter.cleared.scope, TOKENS)
    return pick(letter.cleared.leased.event.payload, draft), draft


def test_an_event_as_it_was_declared_is_picked_and_nothing_else_of_it():
    picked, draft = picked_of()
    assert msgspec.to_builtins(picked) == {
        "id": "o1",
        "note": "a note",
        "total": 1.5,
        "count": 2,
        "customer": {"name": "***le"},
        "lines": [{"sku": "s1", "tags": ["a", "b"]}, {"sku": "s2", "tags": ["c"]}],
    }
    assert "canary" not in repr(picked)
    assert set(draft.raw) == {"o1", "a note", "s1", "s2", "a", "b", "c"}
    assert len(draft.disclosed) == len(GRANTS)
    assert draft.longest == 2


def test_where_a_text_may_be_nothing_nothing_is_looked_at():
    picked, draft = picked_of(note=None)
    assert msgspec.to_builtins(picked)["note"] is None
    assert None not in draft.raw


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 7},
        {"id": None},
        {"count": 1.5},
        {"count": 10**8},
        {"total": 2**70},
        {"total": -1e8},
        {"customer": {}},
        {"customer": []},
        {"lines": []},
        {"lines": [{"sku": "s1"}]},
        {"lines": [{"sku": "s1", "tags": []}]},
        {"lines": ["s1"]},
    ],
)
def test_any_other_event_goes_the_long_way(changes):
    assert picked_of(**changes)[0] is None


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"1", b'{"id":"o1"}', b"[" * 9999, b'{"a":' * 9999]
)
def test_what_is_no_such_event_is_not_picked(payload):
    letter = admitted(payload, *GRANTS, schema=SCHEMA)
    assert pick(payload, Draft(letter.cleared.scope, TOKENS)) is None


@pytest.mark.parametrize("path", ["$['\"']", "$.rates[*]", "$.tags[*] truncate(1)"])
def test_a_scope_without_a_type_goes_the_long_way(path):
    schema = record(
        **{
            '"': leaf(),
            "rates": {"type": "object", "additionalProperties": leaf()},
            "tags": {"type": "array", "items": leaf()},
        }
    )
    payload = b'{"\\"":"a","rates":{"a":"b"},"tags":["ab"]}'
    letter = admitted(payload, path, schema=schema)
    assert pick(payload, Draft(letter.cleared.scope, TOKENS)) is None
    assert isinstance(shape(letter, TOKENS), Shaped)


def test_a_value_that_is_not_made_for_its_action_goes_the_long_way_and_is_dropped():
    letter = admitted(b'{"id":"no date"}', "$.id generalise(month)", schema=SCHEMA)
    shaped = shape(letter, TOKENS)
    assert isinstance(shaped, Shaped)
    assert (shaped.disclosed, len(shaped.dropped)) == ((), 1)


def test_what_was_picked_is_masked_like_any_other():
    lines = [{"sku": "s1", "tags": ["a", "b@example.com"]}]
    payload = msgspec.json.encode(EVENT | {"note": "to ada@example.com.", "lines": lines})
    letter = admitted(payload, *GRANTS, schema=SCHEMA)
    rules = rules_in_force((LeakRule(detector=Detector.EMAIL, action=LeakAction.MASK),))
    route = replace(letter.cleared.route, leak_rules=rules)
    shaped = shape(replace(letter, cleared=replace(letter.cleared, route=route)), TOKENS)
    assert isinstance(shaped, Shaped)
    data = msgspec.json.decode(shaped.plaintext)["data"]
    assert (data["note"], data["lines"]) == ("to ***.", [{"sku": "s1", "tags": ["a", "***"]}])
