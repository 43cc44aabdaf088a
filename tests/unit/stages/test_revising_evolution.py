"""What another version of a schema means for whoever writes its events, and whoever reads them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.schema import compile_schema
from dispatcher.stages.revising.evolution import Side, compare_schemas
from tests.unit.stages.builders import leaf, record, text_of

PRODUCERS, CONSUMERS = ("producers",), ("consumers",)
BOTH = (*PRODUCERS, *CONSUMERS)
CLOSED = {"additionalProperties": False}


def each(of):
    return {"type": "array", "items": of}


def entries(of):
    return {"type": "object", "additionalProperties": of}


def differences(old, new):
    return [(d.kind.value, d.path, d.breaks) for d in compare_schemas(text_of(old), text_of(new))]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (record(a=leaf()), record(a=leaf()) | {"title": "x", "$comment": "y"}, []),
        (record(a=leaf()), record(a=leaf(), b=leaf()), [("added", "$.b", ())]),
        (
            record(a=leaf()),
            record(a=leaf(), b=leaf()) | {"required": ["b"]},
            [("added", "$.b", PRODUCERS)],
        ),
        (record(a=leaf(), b=leaf()), record(a=leaf()), [("removed", "$.b", CONSUMERS)]),
        (record(a=leaf()) | CLOSED, record() | CLOSED, [("removed", "$.a", BOTH)]),
        (record(a=leaf()), record(a=leaf("integer")), [("retyped", "$.a", BOTH)]),
        (record(a=leaf("integer")), record(a=leaf("number")), [("retyped", "$.a", CONSUMERS)]),
        (record(a=leaf("number")), record(a=leaf("integer")), [("retyped", "$.a", PRODUCERS)]),
        (record(a=leaf()), record(a=leaf(["string", "null"])), [("retyped", "$.a", CONSUMERS)]),
        (record(a=leaf()), record(a=record(b=leaf())), [("retyped", "$.a", BOTH)]),
        (
            record(a=leaf()),
            record(a=leaf()) | {"required": ["a"]},
            [("required", "$.a", PRODUCERS)],
        ),
        (
            record(a=leaf()) | {"required": ["a"]},
            record(a=leaf()),
            [("optional", "$.a", CONSUMERS)],
        ),
        (record(a=leaf()), record(a=leaf() | {"maxLength": 9}), [("tightened", "$.a", PRODUCERS)]),
        (record(a=leaf() | {"maxLength": 9}), record(a=leaf()), [("loosened", "$.a", CONSUMERS)]),
        (
            record(a=leaf() | {"enum": ["x"]}),
            record(a=leaf() | {"enum": ["x", "y"]}),
            [("loosened", "$.a", CONSUMERS)],
        ),
        (record(a=leaf()), record(a=leaf()) | CLOSED, [("tightened", "$", PRODUCERS)]),
        (record(a=leaf()) | CLOSED, record(a=leaf()), [("loosened", "$", ())]),
        (record(a=each(leaf())), record(a=each(leaf("null"))), [("retyped", "$.a[*]", BOTH)]),
        (record(a=entries(leaf())), record(a=entries(leaf("null"))), [("retyped", "$.a[*]", BOTH)]),
        (
            record(a=leaf(level="confidential")),
            record(a=leaf()),
            [("reclassified", "$.a", ())],
        ),
        (
            record(a=leaf()),
            record(a=leaf(level="confidential")),
            [("reclassified", "$.a", CONSUMERS)],
        ),
        (
            record(a=leaf(category="pii")),
            record(a=leaf(category="secret")),
            [("reclassified", "$.a", CONSUMERS)],
        ),
        (record(a={"type": "string"}), record(a=leaf()), [("reclassified", "$.a", ())]),
        (record(a={"anyOf": [leaf()]}), record(a={"anyOf": []}), [("changed", "$.a", BOTH)]),
        (record(a=True), record(a=leaf()), [("changed", "$.a", BOTH)]),
    ],
)
def test_each_difference_is_named_with_whom_it_breaks(old, new, found):
    assert found == differences(old, new)


def test_every_difference_says_in_words_what_it_is():
    old = record(a=leaf(), c=leaf(category="pii", level="restricted"))
    new = record(b=leaf("integer", level="confidential"), c=leaf(category="pii"))
    said = {d.path: d.what for d in compare_schemas(text_of(old), text_of(new))}
    assert {
        "$.a": "was string, public other",
        "$.b": "integer, confidential other",
        "$.c": "public pii, was restricted pii",
    } == said


NAMES = st.sampled_from("abc")
BOUNDS = st.sampled_from([{}, {"maxLength": 1}, {"enum": ["x", 1]}, {"minimum": 2}])
LEAVES = st.tuples(st.sampled_from(["string", "integer", "number", ["string", "null"]]), BOUNDS)


@st.composite
def objects(draw: st.DrawFn, inner: Any) -> Any:
    members = draw(st.dictionaries(NAMES, inner, max_size=3))
    schema = record(**members)
    if members and draw(st.booleans()):
        schema |= {"required": sorted(draw(st.sets(st.sampled_from(sorted(members)))))}
    return schema | draw(st.sampled_from([{}, {}, CLOSED, {"maxProperties": 2}]))


SCHEMAS = st.recursive(
    LEAVES.map(lambda parts: leaf(parts[0]) | parts[1]),
    lambda inner: st.one_of(objects(inner), inner.map(each), inner.map(entries)),
    max_leaves=5,
)
VALUES = {
    "string": st.sampled_from(["x", "xy"]),
    "integer": st.sampled_from([1, 3]),
    "number": st.sampled_from([1, 1.5, 3]),
    "null": st.none(),
}


@st.composite
def tweaked(draw: st.DrawFn, schema: Any) -> Any:
    """Change one thing of a schema, somewhere in it."""
    below = [word for word in ("items", "additionalProperties") if schema.get(word)]
    members = schema.get("properties", {})
    if members and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(members)))
        return schema | {"properties": members | {name: draw(tweaked(members[name]))}}
    if below:
        return schema | {below[0]: draw(tweaked(schema[below[0]]))}
    if schema["type"] != "object":
        parts = draw(LEAVES)
        return draw(st.sampled_from([leaf(parts[0]), schema | parts[1]]))
    changes = [{"required": sorted(members)}, {"required": []}, CLOSED, {"maxProperties": 1}]
    return schema | draw(st.sampled_from(changes))


@st.composite
def fitting(draw: st.DrawFn, schema: Any) -> Any:
    """Make a document that more or less fits a schema."""
    kind = (
        schema["type"] if isinstance(schema["type"], str) else draw(st.sampled_from(schema["type"]))
    )
    if kind == "array":
        return draw(st.lists(fitting(schema["items"]), max_size=2))
    if kind != "object":
        return draw(VALUES[kind])
    if isinstance(schema.get("additionalProperties"), dict):
        return draw(st.dictionaries(NAMES, fitting(schema["additionalProperties"]), max_size=2))
    members = schema["properties"]
    kept = draw(st.sets(st.sampled_from(sorted(members)))) if members else set()
    kept |= set(schema.get("required", ()))
    return {name: draw(fitting(members[name])) for name in sorted(kept)} | draw(
        st.sampled_from([{}, {"z": 1}])
    )


def cut(document: Any, schema: Any) -> Any:
    """Leave out the members that a schema does not declare."""
    if isinstance(document, list):
        return [cut(element, schema.get("items", {})) for element in document]
    if isinstance(document, dict):
        members, others = schema.get("properties", {}), schema.get("additionalProperties")
        return {
            name: cut(inner, members.get(name, others))
            for name, inner in document.items()
            if name in members or isinstance(others, dict)
        }
    return document


@given(st.data())
def test_whoever_is_not_said_to_break_does_not_break(data):
    old = data.draw(objects(SCHEMAS))
    new = data.draw(tweaked(old))
    broken = {side for d in compare_schemas(text_of(old), text_of(new)) for side in d.breaks}
    was, now = compile_schema(text_of(old)), compile_schema(text_of(new))
    if Side.PRODUCERS not in broken:
        told = cut(data.draw(fitting(old)), old)
        assert now.is_valid(told) or not was.is_valid(told)
    if Side.CONSUMERS not in broken:
        told = data.draw(fitting(new))
        assert was.is_valid(cut(told, old)) or not now.is_valid(told)
