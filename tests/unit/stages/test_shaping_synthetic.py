"""Events made of nothing but their schema."""

import re

import pytest

from dispatcher.model.schema import compile_schema
from dispatcher.stages.shaping.patterns import texts_of
from dispatcher.stages.shaping.synthetic import synthesise
from tests.unit.stages.builders import leaf, record, text_of

SEEDS = [str(number) for number in range(20)]


def made(node, seed="1"):
    schema = record(a=node) | {"required": ["a"]}
    found = synthesise(text_of(schema), seed)
    assert compile_schema(text_of(schema)).is_valid(found)
    return found["a"]


@pytest.mark.parametrize(
    ("name", "node", "form"),
    [
        ("email", leaf(category="contact"), r"person-[0-9a-f]{12}@example\.com"),
        ("mobilePhone", leaf(category="contact"), r"\+447700900\d{3}"),
        ("iban", leaf(category="financial"), r"(DE89|FR14|GB29|NL91)\w+"),
        ("card_number", leaf(category="financial"), r"(4111|4242|5555|3782)\d+"),
        ("contact", leaf() | {"format": "email"}, r"person-[0-9a-f]{12}@example\.com"),
        ("host", leaf() | {"format": "ipv4"}, r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}"),
        ("host", leaf() | {"format": "ipv6"}, r"2001:db8:[0-9a-f:]+"),
        ("site", leaf() | {"format": "uri"}, r"https://example\.com/[0-9a-f]+"),
        ("site", leaf() | {"format": "hostname"}, r"host-[0-9a-f]+\.example\.com"),
        ("born", leaf() | {"format": "date"}, r"19[789]\d-\d\d-\d\d"),
        ("at", leaf() | {"format": "date-time"}, r"19[789]\d-\d\d-\d\dT00:00:00Z"),
        ("id", leaf() | {"format": "uuid"}, r"00000000-0000-4000-8000-[0-9a-f]{12}"),
        ("email", leaf(), r"synthetic-[0-9a-f]{12}"),
        ("name", leaf(category="pii"), r"synthetic-[0-9a-f]{12}"),
    ],
)
def test_a_text_is_of_its_kind_and_nobodys(name, node, form):
    schema = text_of(record(**{name: node}) | {"required": [name]})
    for seed in SEEDS:
        assert re.fullmatch(form, synthesise(schema, seed)[name])


@pytest.mark.parametrize(
    "node",
    [
        leaf() | {"minLength": 40},
        leaf() | {"maxLength": 3},
        leaf() | {"maxLength": 0},
        leaf() | {"pattern": "^[A-Z]{3}-[0-9]{6}$"},
        leaf() | {"pattern": r"^ord_\w+$", "minLength": 15, "maxLength": 16},
        leaf() | {"pattern": r"^\d{4}\.\d{2,4}[^a-y]$"},
        leaf("integer") | {"minimum": 10, "maximum": 12, "multipleOf": 11},
        leaf("integer") | {"maximum": -5},
        leaf("integer") | {"exclusiveMinimum": 7, "exclusiveMaximum": 9},
        leaf("number") | {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        leaf("number") | {"minimum": 0.3, "maximum": 0.8, "multipleOf": 0.5},
        leaf(["null", "boolean"]),
        leaf("null"),
        {"const": {"x": 1}},
        {"enum": [3, "x", None]},
        {"type": "array", "items": leaf(), "minItems": 5, "uniqueItems": True},
        {"type": "array", "items": leaf("boolean"), "maxItems": 2, "uniqueItems": True},
        {"type": "array", "items": leaf(), "maxItems": 0},
        {"type": "object", "additionalProperties": leaf("integer"), "minProperties": 4},
        {"type": "object", "additionalProperties": leaf(), "maxProperties": 0},
        {"type": "object", "required": ["x"], "additionalProperties": record(b=leaf())},
        record(b=leaf(), c=False),
    ],
)
def test_what_the_schema_asks_for_is_kept_to(node):
    for seed in SEEDS:
        made(node, seed)


def test_the_same_seed_makes_the_same_event_and_another_seed_another():
    assert made(leaf(), "1") == made(leaf(), "1") != made(leaf(), "2")


def test_a_new_member_changes_no_other():
    old, new = record(a=leaf(), b=leaf("integer")), record(a=leaf(), b=leaf("integer"), c=leaf())
    before = [synthesise(text_of(old), seed) for seed in SEEDS]
    after = [synthesise(text_of(new), seed) for seed in SEEDS]
    assert before == [{k: v for k, v in each.items() if k != "c"} for each in after]


def test_members_that_may_be_left_out_sometimes_are():
    schema = text_of(record(a=leaf(), b=leaf()) | {"required": ["a"]})
    found = {tuple(synthesise(schema, seed)) for seed in SEEDS}
    assert {("a",), ("a", "b")} == found


def test_members_that_depend_on_others_are_tried_out():
    schema = text_of(record(a=leaf(), b=leaf()) | {"dependentRequired": {"a": ["b"]}})
    for seed in SEEDS:
        synthesise(schema, seed)


def test_an_example_stands_in_for_a_pattern_that_is_not_understood():
    assert "AB" == made(leaf() | {"pattern": "^(?:AB|CD)$", "examples": ["x", "AB"]})


def test_a_schema_of_which_nothing_can_be_made_is_named_by_its_place():
    with pytest.raises(ValueError, match=r"\$\.a asks by pattern .* write \"examples\" there"):
        made(leaf() | {"pattern": "^(?:AB|CD)$"})


@pytest.mark.parametrize("text", ["[]", "{", '{"type": 3}'])
def test_what_is_no_schema_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        synthesise(text, "1")


@pytest.mark.parametrize(
    "pattern",
    [r"^[a-f0-9]{8}$", r"^\w+\.\w+$", r"x?y*z+", r"^a\-b$", r"^[\d.-]{3,}$", r"^.{4}$", r"[^a-z]"],
)
def test_a_plain_pattern_is_matched(pattern):
    texts = list(texts_of(pattern, 2**200 // 7))
    assert texts
    assert all(re.search(pattern, each) for each in texts)


@pytest.mark.parametrize("pattern", ["(a)", "a|b", r"\bx", r"\p{L}", "^a^", "[z-a]", "a{99999}"])
def test_another_pattern_is_not_guessed_at(pattern):
    assert [] == list(texts_of(pattern, 1))
