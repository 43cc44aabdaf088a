"""Real events with nobody left in them."""

import math
import re

import pytest

from dispatcher.stages.shaping.masking import mask_event
from tests.unit.stages.builders import leaf, record, text_of

PERSONAL = {"category": "contact", "level": "confidential"}


def masked(node, value, seed="key"):
    return mask_event({"a": value}, text_of(record(a=node)), seed).get("a", "left out")


@pytest.mark.parametrize("level", ["public", "internal"])
def test_what_is_harmless_stays_as_it_is(level):
    for kind, value in (("string", "SKU-1"), ("integer", 7), ("boolean", True), ("number", 1.5)):
        assert value == masked(leaf(kind, level=level), value)


@pytest.mark.parametrize(
    "node",
    [
        leaf(level="confidential"),
        leaf(level="restricted"),
        leaf(category="pii", level="public"),
        leaf(category="health", level="internal"),
        leaf(category="secret", level="public"),
        {"type": "string"},
        True,
        {"anyOf": [{"type": "string"}]},
        leaf("integer"),
    ],
)
def test_everything_else_is_replaced(node):
    value = masked(node, "Anna Ahrens")
    assert "Anna" not in str(value)
    assert "Ahrens" not in str(value)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("ann@acme.org", r"person-[0-9a-f]{12}@example\.com"),
        ("1980-03-04", r"19[789]\d-\d\d-\d\d"),
        ("1980-03-04T12:30:00+02:00", r"19[789]\d-\d\d-\d\dT00:00:00Z"),
        ("10.1.2.3", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}"),
        ("https://acme.org/ann", r"https://example\.com/[0-9a-f]+"),
        ("9b2f4f1e-1c5e-4a52-b9b1-8f3f1a7d2c55", r"00000000-0000-4000-8000-[0-9a-f]{12}"),
        ("Ahrens, Anna-Lena 42", r"[A-Z][a-z]{5}, [A-Z][a-z]{3}-[A-Z][a-z]{3} \d\d"),
        ("Łukasz 北京", r"X[a-z]{5} xx"),
    ],
)
def test_a_fake_has_the_form_of_its_value(value, form):
    found = masked(leaf(**PERSONAL), value)
    assert re.fullmatch(form, found)
    assert value != found


def test_a_text_of_signs_alone_is_replaced_too():
    assert "xxx" == masked(leaf(**PERSONAL), "---")


def test_the_same_value_has_the_same_fake_wherever_it_stands_and_whatever_else_there_is():
    schema = text_of(record(a=leaf(**PERSONAL), b=leaf(level="confidential"), c=leaf()))
    one = mask_event({"a": "Anna Ahrens", "b": "Anna Ahrens"}, schema, "key")
    other = mask_event({"a": "Anna Ahrens", "c": "x"}, schema, "key")
    assert one["a"] == one["b"] == other["a"]


def test_another_key_gives_other_fakes():
    node = leaf(**PERSONAL)
    assert masked(node, "Anna Ahrens", "one") != masked(node, "Anna Ahrens", "two")


@pytest.mark.parametrize(
    ("node", "values"),
    [
        (leaf("boolean", level="confidential"), [True, False]),
        (leaf(level="confidential") | {"enum": ["f", "m", "x"]}, ["f", "m", "x"]),
        (leaf("integer", level="confidential"), [0, 1, 2, 42]),
        (
            leaf("integer", level="confidential") | {"minimum": 1990, "maximum": 1999},
            [1990, 1994],
        ),
        (leaf(category="pii"), ["f", "m", "DE", ""]),
    ],
)
def test_one_of_few_values_cannot_be_told_by_its_fake(node, values):
    assert 1 == len({masked(node, value) for value in values})


def test_a_number_keeps_its_size_and_sign():
    found = masked(leaf("integer", level="confidential"), -123456)
    assert -999_999 <= found <= -100_000
    assert found != -123456
    assert isinstance(masked(leaf("number", level="confidential"), 1234.5), float)


def test_a_number_keeps_to_the_bounds_of_its_schema():
    node = leaf("integer", level="confidential") | {"minimum": 1000, "maximum": 1200}
    assert 1000 <= masked(node, 1100) <= 1200


def test_null_and_absent_are_as_they_were():
    node = leaf(["string", "null"], level="confidential")
    assert masked(node, None) is None
    assert {} == mask_event({}, text_of(record(a=node)), "key")


def test_what_is_not_declared_is_left_out():
    schema = text_of(record(a=record(b=leaf())))
    document = {"a": {"b": "x", "email": "ann@acme.org"}, "note": "Anna"}
    assert {"a": {"b": "x"}} == mask_event(document, schema, "key")


@pytest.mark.parametrize(
    ("node", "value", "left"),
    [
        ({"type": "array"}, ["Anna", {"name": "Anna"}], []),
        ({"type": "object"}, {"name": "Anna"}, {}),
        ({"type": "object", "additionalProperties": True}, {"name": "Anna"}, {}),
    ],
)
def test_what_stands_in_a_container_that_declares_nothing_is_left_out(node, value, left):
    assert left == masked(node, value)


@pytest.mark.parametrize("value", [{"name": "Anna"}, ["Anna"]])
def test_a_container_where_a_leaf_was_declared_is_left_out(value):
    assert "left out" == masked(leaf(), value)


def test_a_value_that_is_not_what_was_declared_harmless_is_replaced():
    assert "Anna Ahrens" != masked(leaf("integer"), "Anna Ahrens")


def test_names_of_a_map_are_replaced_unless_all_they_name_is_harmless():
    schema = text_of(
        record(
            rates={"type": "object", "additionalProperties": leaf("number")},
            people={"type": "object", "additionalProperties": record(name=leaf(**PERSONAL))},
        )
    )
    document = {"rates": {"EUR": 1.5}, "people": {"ann@acme.org": {"name": "Anna"}}}
    found = mask_event(document, schema, "key")
    assert {"EUR": 1.5} == found["rates"]
    [name] = found["people"]
    assert re.fullmatch("key-[0-9a-f]{16}", name)


def test_what_fits_nothing_that_can_be_made_is_left_out():
    node = leaf(level="confidential") | {"pattern": "^(?:ann|bob)$"}
    assert "left out" == masked(node, "ann")


@pytest.mark.parametrize("document", [[], "x", None])
def test_what_is_no_event_is_refused(document):
    with pytest.raises(ValueError, match="JSON object"):
        mask_event(document, text_of(record(a=leaf())), "key")


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 10**400, -(10**400)])
def test_a_number_that_is_none_to_json_or_to_a_float_is_masked_like_any_other(number: float):
    schema = text_of(record(salary=leaf("number", "financial", "confidential")))
    assert mask_event({"salary": number}, schema, "seed")["salary"] != number
