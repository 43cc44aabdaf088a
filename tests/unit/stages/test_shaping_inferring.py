"""What schema is proposed for sample events."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.schema import compile_schema
from dispatcher.stages.shaping.guessing import guess, recognise
from dispatcher.stages.shaping.inferring import infer_schema
from dispatcher.stages.shaping.linting import lint_schema
from tests.unit.stages.builders import text_of


def proposed(*samples: Any) -> dict[str, Any]:
    schema, _ = infer_schema(samples)
    text = text_of(schema)
    assert lint_schema(text) == ()
    for sample in samples:
        assert compile_schema(text).is_valid(sample)
    return schema


def member(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        schema = schema["items"] if name == "[*]" else schema["properties"][name]
    return schema


def classed(*names: str, value: Any = "x") -> tuple[str, str]:
    found = guess(names, [value])
    return found.category.value, found.sensitivity.value


@pytest.mark.parametrize(
    ("name", "category", "sensitivity"),
    [
        ("email", "contact", "confidential"),
        ("customerEmail", "contact", "confidential"),
        ("phone_numbers", "contact", "confidential"),
        ("iban", "financial", "confidential"),
        ("birthDate", "pii", "confidential"),
        ("date-of-birth", "pii", "confidential"),
        ("SSN", "government-id", "restricted"),
        ("national_id", "government-id", "restricted"),
        ("passwordHash", "credential", "restricted"),
        ("access_token", "credential", "restricted"),
        ("apiKey", "credential", "restricted"),
        ("API_KEY", "credential", "restricted"),
        ("client_secret", "secret", "restricted"),
        ("diagnosis", "health", "restricted"),
        ("sku", "other", "confidential"),
        ("quantity", "other", "confidential"),
    ],
)
def test_a_name_tells_what_a_field_is(name, category, sensitivity):
    assert (category, sensitivity) == classed(name)


def test_a_name_that_says_nothing_is_read_with_the_one_above_it():
    assert ("government-id", "restricted") == classed("passport", "number")
    assert ("contact", "confidential") == classed("passport", "email")


@pytest.mark.parametrize(
    ("value", "category", "sensitivity"),
    [
        ("ann@shop.example", "contact", "confidential"),
        ("+49 30 1234567", "contact", "confidential"),
        ("4111 1111 1111 1111", "financial", "restricted"),
        ("DE89 3704 0044 0532 0130 00", "financial", "confidential"),
        ("192.0.2.7", "pii", "confidential"),
        ("2001:db8::1", "pii", "confidential"),
        ("078-05-1120", "government-id", "restricted"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "credential", "restricted"),
        ("whsec_c2VjcmV0", "credential", "restricted"),
        ("-----BEGIN PRIVATE KEY-----", "credential", "restricted"),
        ("2024-02-29", "other", "confidential"),
        ("6f1d0a5e-6c2b-4a52-9d1c-111111111111", "other", "confidential"),
    ],
)
def test_a_value_tells_what_a_field_is_and_is_not_quoted(value, category, sensitivity):
    assert (category, sensitivity) == classed("a", value=value)
    assert value not in guess(["a"], [value]).why
    assert recognise(value)


def test_of_several_hints_the_gravest_counts():
    assert ("credential", "restricted") == classed("email", value="ghp_0123456789abcdef")


def test_the_rare_sample_counts_too():
    schema = proposed(*[{"a": "x"}] * 20, {"a": "ann@shop.example"})
    assert member(schema, "a")["x-data-classification"]["category"] == "contact"


def test_a_member_is_required_only_where_every_sample_has_it():
    schema = proposed({"a": 1, "b": {"c": 1}}, {"a": 1, "b": {}}, {"a": 2, "b": {"c": 1, "d": 1}})
    assert schema["required"] == ["a", "b"]
    assert "required" not in member(schema, "b")


def test_types_are_those_that_were_seen():
    schema = proposed(
        {"a": 1, "b": 1, "c": "x", "d": None, "e": True, "f": {"g": 1}},
        {"a": 2**70, "b": 1.5, "c": 1, "d": None, "e": False, "f": None},
    )
    kinds = {name: node["type"] for name, node in schema["properties"].items()}
    assert kinds == {
        "a": "integer",
        "b": "number",
        "c": ["integer", "string"],
        "d": "null",
        "e": "boolean",
        "f": ["object", "null"],
    }


@pytest.mark.parametrize(
    "keys",
    [
        ["ann@shop.example"],
        ["4111111111111111"],
        ["192.0.2.7", "192.0.2.8"],
        ["6f1d0a5e-6c2b-4a52-9d1c-111111111111"],
        ["Ann Smith"],
        ["deadbeefcafe"],
        ["it's"],
        [""],
        [f"m{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}" for n in range(90)],
    ],
)
def test_an_object_whose_keys_may_be_values_is_a_map(keys):
    schema = proposed({"by": dict.fromkeys(keys, 1)})
    assert member(schema, "by").keys() == {"type", "additionalProperties"}


def test_objects_that_share_no_key_and_hold_one_kind_are_a_map():
    schema = proposed({"scores": {"ann": 1}}, {"scores": {"bob": 2}})
    assert "ann" not in text_of(schema)


def test_the_keys_of_a_map_are_classed_with_its_values():
    schema = proposed({"by": {"ann@shop.example": 1}})
    inner = member(schema, "by")["additionalProperties"]
    assert inner["x-data-classification"]["category"] == "contact"


def test_what_no_plain_schema_can_say_is_left_undeclared_and_told():
    schema, reasons = infer_schema([{"a": 1, "b": "x", "odd key": 1}, {"a": {}, "b": "y"}])
    assert list(schema["properties"]) == ["b"]
    told = {reason.path: reason.why for reason in reasons}
    assert told["$.a"].startswith("left undeclared")
    assert told["$[*]"].startswith("left undeclared")


def test_events_of_which_nothing_can_be_declared_have_no_schema():
    with pytest.raises(ValueError, match="no member"):
        infer_schema([{"a": 1}, {"a": []}])


SECRET = st.sampled_from(["canary@shop.example", "canary one", "canary_0123456789"])
VALUES = st.one_of(SECRET, st.integers(-(2**70), 2**70), st.booleans(), st.none(), st.floats(0, 1))
KEYS = st.one_of(st.sampled_from(["id", "name", "rows", "x"]), SECRET, st.text(max_size=3))
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=4),
        inner.map(lambda each: [[{"id": each}]]),
    ),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(KEYS, DOCUMENTS, max_size=4), min_size=1, max_size=4))
def test_a_proposal_has_no_flaw_and_every_sample_fits_it_and_it_holds_no_value(samples):
    try:
        schema, reasons = infer_schema(samples)
    except ValueError:
        return
    text = text_of(schema)
    assert lint_schema(text) == ()
    for sample in samples:
        assert compile_schema(text).is_valid(sample)
    assert "canary" not in text + msgspec.json.encode(reasons).decode()


@pytest.mark.parametrize("depth", [10, 30, 62])
def test_a_deep_sample_is_declared_as_deep_as_a_schema_may_be(depth):
    document: Any = {"end": 1}
    for _ in range(depth):
        document = {"a": document, "b": 1}
    assert "b" in proposed(document)["properties"]
