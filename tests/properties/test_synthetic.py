"""What is made of a schema is valid, what is masked holds nothing of what it stands for."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.schema import compile_schema
from dispatcher.stages.shaping.masking import mask_event
from dispatcher.stages.shaping.synthetic import synthesise
from tests.unit.stages.builders import leaf, text_of

NAMES = st.sampled_from(["id", "email", "phone", "born", "card", "odd key", "ip"])
CATEGORIES = st.sampled_from(["other", "pii", "contact", "financial", "secret"])
LEVELS = st.sampled_from(["public", "internal", "confidential", "restricted"])
SEEDS = st.text(max_size=4)
HARMLESS = ("public", "internal")
SOLE = re.compile(r"synthetic-.{8}|person-|https:|00000000|[A-Z]{2,6}-\d{6}")
"""Texts that no other leaf has by chance; of cards, telephones and days there are only so many."""


@st.composite
def texts(draw: st.DrawFn) -> dict[str, Any]:
    least = draw(st.integers(0, 30))
    bounds = {"minLength": least, "maxLength": least + draw(st.integers(0, 30))}
    formats = ["date", "date-time", "email", "ipv4", "ipv6", "uri", "uuid", "unheard-of"]
    more = draw(
        st.sampled_from([{}, bounds, {"pattern": "^[A-Z]{2,6}-[0-9]+$"}])
        | st.sampled_from(formats).map(lambda name: {"format": name})
        | st.lists(st.text(), min_size=1, max_size=3).map(lambda names: {"enum": names})
    )
    return leaf(draw(st.sampled_from(["string", ["string", "null"]]))) | more


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    least = draw(st.integers(-(10**6), 10**6))
    most = least + draw(st.integers(0, 10**6))
    more = draw(
        st.sampled_from(
            [
                {},
                {"minimum": least},
                {"maximum": most},
                {"minimum": least, "maximum": most},
                {"exclusiveMinimum": least, "exclusiveMaximum": most + 2},
                {"minimum": least, "maximum": most + 7, "multipleOf": 7},
            ]
        )
    )
    return leaf(draw(st.sampled_from(["integer", "number"]))) | more


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    node = draw(texts() | numbers() | st.sampled_from([leaf("boolean"), leaf("null")]))
    return node | {
        "x-data-classification": {"category": draw(CATEGORIES), "sensitivity": draw(LEVELS)}
    }


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    members = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=4))
    required = [name for name in members if draw(st.booleans())]
    closed = draw(st.sampled_from([{}, {"additionalProperties": False}]))
    return {"type": "object", "properties": members, "required": required} | closed


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    counts = st.sampled_from([{}, {"minItems": 3}, {"maxItems": 1}, {"minItems": 1, "maxItems": 4}])
    return st.builds(lambda each, count: {"type": "array", "items": each} | count, inner, counts)


def maps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    counts = st.sampled_from([{}, {"minProperties": 3}, {"maxProperties": 1}])
    return st.builds(
        lambda each, count: {"type": "object", "additionalProperties": each} | count, inner, counts
    )


SCHEMAS = objects(
    st.recursive(leaves(), lambda inner: objects(inner) | arrays(inner) | maps(inner), max_leaves=6)
)


@given(SCHEMAS, SEEDS)
def test_an_event_made_of_a_schema_is_valid_and_always_the_same(schema, seed):
    made = synthesise(text_of(schema), seed)
    assert compile_schema(text_of(schema)).is_valid(made)
    assert made == synthesise(text_of(schema), seed)


def masked_texts(value: Any, node: Any) -> list[str]:
    """Give every text that must not be seen again, by a walk of the schema of its own."""
    if isinstance(value, dict):
        members, each = node.get("properties", {}), node.get("additionalProperties")
        pairs = [(inner, members.get(name, each)) for name, inner in value.items()]
        return [found for inner, below in pairs for found in masked_texts(inner, below)]
    if isinstance(value, list):
        return [found for inner in value for found in masked_texts(inner, node["items"])]
    said = node["x-data-classification"]
    is_kept = said["category"] == "other" and said["sensitivity"] in HARMLESS
    is_free = not is_kept and isinstance(value, str) and "enum" not in node
    return [value] if is_free and SOLE.match(value) else []


@st.composite
def events(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw a schema, and an event of it."""
    schema = draw(SCHEMAS)
    return schema, synthesise(text_of(schema), draw(SEEDS))


@given(events(), SEEDS)
def test_no_text_of_a_masked_leaf_is_seen_again(case, seed):
    schema, event = case
    written = text_of(mask_event(event, text_of(schema), seed))
    for value in masked_texts(event, schema):
        assert value not in written


@given(events(), SEEDS)
def test_a_masked_event_is_valid_where_the_event_was_and_always_the_same(case, seed):
    schema, event = case
    found = mask_event(event, text_of(schema), seed)
    assert compile_schema(text_of(schema)).is_valid(found)
    assert found == mask_event(event, text_of(schema), seed)


@given(
    SCHEMAS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    ).map(lambda value: {"id": value, "email": value, "odd key": value}),
)
def test_any_event_can_be_masked(schema, event):
    mask_event(event, text_of(schema), "key")
