"""What keeps a schema from being used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.path import format_path
from dispatcher.stages.shaping.linting import FlawCode, lint_schema
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten
from tests.unit.stages.builders import ORDER, leaf, record, text_of


def flaws(schema):
    return [(flaw.path, flaw.code) for flaw in lint_schema(text_of(schema))]


def test_a_schema_that_says_of_every_leaf_what_it_is_has_no_flaw():
    assert [] == flaws(ORDER)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": False},
        record(a=record(b=leaf()) | {"additionalProperties": False, "required": ["b"]}),
        record(a={"type": "array", "items": False}),
        record(a=False, b=leaf()),
        record(a={"type": ["array", "null"], "items": leaf(["string", "null"])}),
        record(**{"x-data-classification": leaf()}),
        {"properties": {"a": leaf() | {"enum": ["x", {"type": "odd"}]}}},
        record(a={"type": "string", "x-data-classification": {"category": "pii"}}),
    ],
)
def test_what_is_plain_is_no_flaw(schema):
    assert [] == flaws(schema)


@pytest.mark.parametrize(
    ("node", "path", "code"),
    [
        ({"type": "string"}, "$.a", FlawCode.CLASS_MISSING),
        (True, "$.a", FlawCode.CLASS_MISSING),
        (leaf(category="misc"), "$.a", FlawCode.CLASS_UNKNOWN),
        (leaf(level="ultra"), "$.a", FlawCode.CLASS_UNKNOWN),
        ({"type": "string", "x-data-classification": None}, "$.a", FlawCode.CLASS_UNKNOWN),
        (
            {"type": "string", "x-data-classification": {"sensitivity": "public"}},
            "$.a",
            FlawCode.CLASS_UNKNOWN,
        ),
        (
            {
                "type": "string",
                "x-data-classification": {"category": "pii", "sensitivty": "restricted"},
            },
            "$.a",
            FlawCode.CLASS_UNKNOWN,
        ),
        (record(b=leaf()) | {"x-data-classification": {}}, "$.a", FlawCode.CLASS_MISPLACED),
        (
            {"type": "array", "items": leaf(), "x-data-classification": {"category": "pii"}},
            "$.a",
            FlawCode.CLASS_MISPLACED,
        ),
        ({"x-data-classification": {"category": "pii"}}, "$.a", FlawCode.TYPE_MISSING),
        (leaf(["string", "object"]), "$.a", FlawCode.TYPE_MIXED),
        (leaf(["array", "object"]), "$.a", FlawCode.TYPE_MIXED),
        (leaf("nonsense"), "$.a", FlawCode.TYPE_MIXED),
        (leaf() | {"$ref": "#/x"}, "$.a", FlawCode.NOT_FOLLOWED),
        (leaf() | {"anyOf": [leaf()]}, "$.a", FlawCode.NOT_FOLLOWED),
        (record(b=leaf()) | {"patternProperties": {}}, "$.a", FlawCode.NOT_FOLLOWED),
        ({"type": "object"}, "$.a", FlawCode.MEMBERS_MISSING),
        ({"type": "object", "additionalProperties": True}, "$.a", FlawCode.MEMBERS_MISSING),
        ({"type": "array"}, "$.a", FlawCode.MEMBERS_MISSING),
        ({"type": "array", "items": True}, "$.a[*]", FlawCode.CLASS_MISSING),
        ({"type": "array", "items": {"type": "object"}}, "$.a[*]", FlawCode.MEMBERS_MISSING),
        (record(**{"": leaf()}), "$.a", FlawCode.NAME_UNWRITABLE),
        (record(**{"it's": leaf()}), "$.a", FlawCode.NAME_UNWRITABLE),
        (
            record(b=leaf()) | {"additionalProperties": leaf()},
            "$.a[*]",
            FlawCode.MAP_WITH_MEMBERS,
        ),
    ],
)
def test_each_flaw_is_named_where_it_is_with_its_code(node, path, code):
    assert [(path, code)] == flaws(record(a=node, b=leaf()))


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ([], FlawCode.SCHEMA_BROKEN),
        ({}, FlawCode.ROOT_NOT_OBJECT),
        (leaf(), FlawCode.ROOT_NOT_OBJECT),
        ({"type": "array", "items": leaf()}, FlawCode.ROOT_NOT_OBJECT),
        ({"$ref": "https://example.com/x.json"}, FlawCode.NOT_FOLLOWED),
        (record(a=leaf() | {"pattern": "(?=x)"}), FlawCode.SCHEMA_BROKEN),
        (record(a=leaf() | {"minLength": "x"}), FlawCode.SCHEMA_BROKEN),
    ],
)
def test_a_schema_that_is_none_of_a_payload_is_named_at_its_root(schema, code):
    assert [("$", code)] == flaws(schema)


def test_every_flaw_says_why_and_what_to_do():
    for flaw in lint_schema(text_of(record(a=True, b={"type": "object"}, c={"anyOf": []}))):
        assert flaw.why
        assert flaw.fix


NODES = st.recursive(
    st.sampled_from(
        [
            leaf(),
            leaf(category="misc"),
            {"type": "string"},
            True,
            False,
            {},
            leaf(["null", "object"]),
        ]
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(lambda m: record(**m)),
        inner.map(lambda each: {"type": "array", "items": each}),
        inner.map(lambda each: {"type": "object", "additionalProperties": each}),
        inner.map(lambda each: {"anyOf": [each]}),
        st.just({"type": "object"}),
    ),
    max_leaves=8,
)


@given(NODES)
def test_what_has_no_flaw_leaves_nothing_that_cannot_be_granted(node):
    schema = text_of(record(a=node))
    flawed = {flaw.path for flaw in lint_schema(schema)}
    for path, found in flatten(schema).items():
        if not isinstance(found, Leaf) and found is not Unfit.CONTAINER:
            assert format_path(path) in flawed
