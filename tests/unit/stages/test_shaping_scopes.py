"""What of the granted paths ends up in a scope."""

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.stages.shaping.schema import Unfit
from dispatcher.stages.shaping.scopes import Withheld, resolve_scope
from tests.unit.stages.builders import ORDER, text_of

SCHEMA = text_of(ORDER)
ALL = frozenset(Category)


def resolve(*paths, clearance=Sensitivity.RESTRICTED, categories=ALL):
    return resolve_scope(SCHEMA, paths, clearance, categories)


def test_no_path_grants_nothing():
    scope, withheld = resolve()
    assert ((), ()) == (scope.fields, withheld)


def test_a_granted_leaf_carries_its_type_and_class():
    scope, withheld = resolve("$.lines[*].qty", "$.customer.email")
    assert () == withheld
    assert [
        "$.customer.email pass string contact confidential",
        "$.lines[*].qty pass array/integer other public",
    ] == [field.line for field in scope.fields]


def test_the_order_and_repetition_of_paths_do_not_matter():
    assert resolve("$.id", "$.total")[0] == resolve("$.total", "$.id", "$['id']")[0]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("id", Unfit.MALFORMED),
        ("$..id", Unfit.MALFORMED),
        ("$.lines[0].sku", Unfit.MALFORMED),
        ("$.nothing", Unfit.UNKNOWN),
        ("$.id.x", Unfit.UNKNOWN),
        ("$.customer", Unfit.CONTAINER),
        ("$.lines", Unfit.CONTAINER),
        ("$.lines[*]", Unfit.CONTAINER),
        ("$.customer.note", Unfit.UNCLASSIFIED),
        ("$.customer.token", Unfit.SECRET),
    ],
)
def test_what_cannot_be_granted_is_withheld_with_the_reason(path, why):
    scope, withheld = resolve(path)
    assert ((), (Withheld(path, why),)) == (scope.fields, withheld)


def test_a_field_over_the_clearance_is_withheld():
    _, withheld = resolve("$.customer.email", clearance=Sensitivity.INTERNAL)
    assert (Withheld("$.customer.email", Unfit.OVER_CLEARANCE),) == withheld


def test_a_field_outside_the_purpose_is_withheld():
    _, withheld = resolve("$.customer.email", categories=frozenset({Category.OTHER}))
    assert (Withheld("$.customer.email", Unfit.OUT_OF_PURPOSE),) == withheld


def test_a_field_below_a_node_that_is_not_followed_is_withheld_as_such():
    schema = text_of({"type": "object", "properties": {"a": {"$ref": "#/x"}}})
    _, withheld = resolve_scope(schema, ("$.a.b",), Sensitivity.RESTRICTED, ALL)
    assert (Withheld("$.a.b", Unfit.UNFOLLOWED),) == withheld


def test_a_broken_schema_grants_nothing():
    scope, _ = resolve_scope("{", ("$.id",), Sensitivity.RESTRICTED, ALL)
    assert () == scope.fields
