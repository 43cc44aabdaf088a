"""What a schema lets be granted."""

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import Path
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten
from tests.unit.stages.builders import leaf, record, text_of


def found(schema, *steps):
    return flatten(text_of(schema)).get(Path(steps))


def public(kind):
    return Leaf(kind, Category.OTHER, Sensitivity.PUBLIC)


def test_leaves_are_found_below_objects_arrays_and_maps():
    schema = record(
        a=leaf(),
        rows={"type": "array", "items": record(n=leaf(["null", "integer"]))},
        by={"type": "object", "additionalProperties": {"type": "array", "items": leaf("number")}},
    )
    assert public("string") == found(schema, "a")
    assert public("array/integer|null") == found(schema, "rows", None, "n")
    assert public("map/array/number") == found(schema, "by", None, None)


def test_a_class_without_a_sensitivity_is_confidential():
    schema = record(a={"type": "string", "x-data-classification": {"category": "pii"}})
    assert Leaf("string", Category.PII, Sensitivity.CONFIDENTIAL) == found(schema, "a")


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ({"type": "string"}, Unfit.UNCLASSIFIED),
        ({"x-data-classification": {"category": "other"}}, Unfit.UNCLASSIFIED),
        (True, Unfit.UNCLASSIFIED),
        (leaf(category="misc"), Unfit.UNCLASSIFIED),
        (leaf(level="secretish"), Unfit.UNCLASSIFIED),
        ({"type": "string", "x-data-classification": "public"}, Unfit.UNCLASSIFIED),
        (
            {"type": "string", "x-data-classification": {"sensitivity": "public"}},
            Unfit.UNCLASSIFIED,
        ),
        (leaf("object"), Unfit.CONTAINER),
        (leaf("array"), Unfit.CONTAINER),
        (leaf(["string", "object"]), Unfit.CONTAINER),
        (leaf(["array", "object"]), Unfit.CONTAINER),
        (leaf() | {"$ref": "#/x"}, Unfit.UNFOLLOWED),
        (leaf() | {"anyOf": [{"minLength": 1}]}, Unfit.UNFOLLOWED),
    ],
)
def test_what_is_not_plainly_a_classified_scalar_is_no_leaf(node, why):
    assert why == found(record(a=node), "a")


@pytest.mark.parametrize("word", ["allOf", "if", "patternProperties", "prefixItems"])
def test_nothing_below_a_node_that_is_not_followed_is_a_leaf(word):
    schema = record(a=record(b=leaf()) | {word: []})
    assert found(schema, "a", "b") is None


def test_a_map_that_also_declares_members_cannot_be_granted_as_a_map():
    schema = record(m=record(ssn=leaf(level="restricted")) | {"additionalProperties": leaf()})
    assert Unfit.UNFOLLOWED == found(schema, "m", None)


@pytest.mark.parametrize("text", ["[]", "true", "{", ""])
def test_a_text_that_is_no_schema_object_raises_value_error(text):
    with pytest.raises(ValueError, match=r".+"):
        flatten(text)
