"""What an event carries that nobody classed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.path import format_path, parse_path
from dispatcher.stages.shaping.schema import Leaf, flatten
from dispatcher.stages.shaping.surveying import (
    STRAYS_MAX,
    Lack,
    Stray,
    classed_places,
    survey,
)
from tests.unit.stages.builders import ORDER, leaf, record, text_of

BARE = {"type": "string"}


def found(document, schema=ORDER):
    strays = survey(document, text_of(schema))
    return {format_path(stray.path): stray.lack.value for stray in strays}


def test_what_is_classed_is_no_stray():
    document = {
        "id": "o",
        "customer": {"name": "Ann"},
        "lines": [{"sku": "s"}, {}],
        "rates": {"any name": 1.5},
    }
    assert {} == found(document)


def test_what_has_no_class_and_what_is_not_declared_are_told_apart():
    schema = record(a=BARE, b=record(c=BARE), each={"type": "array", "items": BARE})
    document = {"a": "x", "b": {"c": "x", "d": 1}, "each": ["x", "y"], "e": None}
    assert {
        "$.a": "unclassified",
        "$.b.c": "unclassified",
        "$.b.d": "undeclared",
        "$.each[*]": "unclassified",
        "$.e": "undeclared",
    } == found(document, schema)


def test_of_something_undeclared_only_the_top_is_told():
    assert {"$.customer.home": "undeclared"} == found(
        {"customer": {"home": {"street": {"name": "canary"}}}}
    )


@pytest.mark.parametrize("name", ["vip", "_id", "line_2", "address2", "sha256", "billTo", "a-b"])
def test_a_member_that_a_producer_added_is_named(name):
    assert {f"$.{name}": "undeclared"} == found({name: 1})


@pytest.mark.parametrize(
    "name",
    [
        *("", "odd key", "a@b.example", "4929123456789012", "x" * 65, "é"),
        *("cus_9f8a7b", "a3bb189e-8bf9-3888-9912-ace4e6543002", "user-2024118", "Zq7bR"),
    ],
)
def test_a_member_whose_name_may_be_a_value_is_not_named(name):
    assert {"$[*]": "undeclared"} == found({name: 1})
    assert {"$.lines[*][*]": "undeclared"} == found({"lines": [{name: 1}]})


def test_what_cannot_be_followed_and_what_says_nothing_of_its_members_is_told():
    schema = record(a={"anyOf": [leaf()]}, b={"type": "object"}, c={"type": "array"}, d=True)
    document = {"a": "x", "b": {"in": 1}, "c": [1], "d": {"deep": 1}}
    assert {
        "$.a": "unclassified",
        "$.b.in": "undeclared",
        "$.c[*]": "undeclared",
        "$.d": "unclassified",
    } == found(document, schema)


def test_an_empty_or_absent_container_is_no_stray():
    schema = record(a={"type": ["object", "null"]}, c={"type": "array"})
    assert {} == found({"a": None, "c": []}, schema)
    assert {} == found({"a": {}}, schema)


def test_one_event_tells_no_more_than_so_much():
    assert STRAYS_MAX == len(survey({"lines": [{f"m{n}": 1} for n in range(500)]}, text_of(ORDER)))
    assert (
        len(survey({"lines": [{f"m{n}": 1} for n in range(50_000)]}, text_of(ORDER))) <= STRAYS_MAX
    )


def test_many_undeclared_members_in_one_place_are_the_keys_of_a_map_and_not_named():
    people = {f"person_{sign}": 1 for sign in "abcdef"}
    assert {"$.customer[*]": "undeclared"} == found({"customer": people})
    few = dict(list(people.items())[:2])
    assert {f"$.customer.{name}": "undeclared" for name in few} == found({"customer": few})


NAMES = st.sampled_from(["a", "b", "odd key"])
SCHEMAS = st.recursive(
    st.sampled_from([leaf(), BARE, leaf(["string", "null"])]),
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=2).map(lambda members: record(**members)),
        inner.map(lambda each: {"type": "array", "items": each}),
        inner.map(lambda each: {"type": "object", "additionalProperties": each}),
    ),
    max_leaves=6,
)
DOCUMENTS = st.recursive(
    st.sampled_from(["canary-1", None, 7]),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, SCHEMAS, max_size=3), st.dictionaries(NAMES, DOCUMENTS, max_size=3))
def test_no_stray_can_be_granted_and_none_tells_a_value(members, document):
    schema = text_of(record(**members))
    for stray in survey(document, schema):
        declared = flatten(schema).get(stray.path)
        assert not isinstance(declared, Leaf)
        assert format_path(stray.path) not in classed_places(schema)
        assert "canary" not in msgspec.json.encode(stray.path).decode()


def test_classing_a_place_takes_it_off_the_list():
    before, after = record(a=BARE), record(a=leaf(), b=record(c=leaf()))
    (stray,) = survey({"a": "x"}, text_of(before))
    assert stray == Stray(parse_path("$.a"), Lack.UNCLASSIFIED)
    assert "$.a" not in classed_places(text_of(before))
    assert {"$", "$.a", "$.b", "$.b.c"} == classed_places(text_of(after))
