"""What becomes of each place of an event, told to whoever answers for it."""

from typing import Any

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.stages.shaping.account import UNDECLARED_MAX, Fate, Part, Shown, Terms, account
from dispatcher.stages.shaping.scopes import resolve_scope
from tests.unit.stages import builders

SCHEMA = builders.text_of(builders.ORDER)
UNCLASSED = builders.text_of(builders.UNCLASSED)


def told(document: Any, *grants: str, today: tuple[str, ...] = (), **more: Any) -> list[Part]:
    """Account for a document when these grants were shaped; `today` are those of the registry."""
    terms = Terms(
        schema=more.pop("schema", SCHEMA),
        grants=today or grants,
        clearance=more.pop("clearance", Sensitivity.CONFIDENTIAL),
        categories=frozenset({Category.OTHER, Category.CONTACT}),
    )
    scope, _ = resolve_scope(terms.schema, grants, Sensitivity.RESTRICTED, frozenset(Category))
    shown = Shown(scope=scope, **{"disclosed": scope.fields} | more)
    return list(account(document, False, terms, shown))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"id": "o"}, ["ungranted"]),
        ({"customer": {"token": "t"}}, ["ungranted", "secret"]),
        ({"customer": "n"}, ["ungranted", "container"]),
        ({"customer": {"vip": {"since": 1}}}, ["undeclared"]),
        ({"more": 1}, ["undeclared"]),
        ({"rates": {"asa": 1}}, ["ungranted"]),
    ],
)
def test_what_was_not_granted_says_so_and_what_forbids_it_besides(document, why):
    (part,) = told(document)
    assert (part.fate, list(part.why)) == (Fate.WITHHELD, why)


@pytest.mark.parametrize(
    ("grant", "more", "why"),
    [
        ("$.customer.email", {"clearance": Sensitivity.INTERNAL}, "over_clearance"),
        ("$.customer.token", {}, "secret"),
        ("$.customer.note", {"schema": UNCLASSED}, "unclassified"),
        ("$.total mask(last=2)", {}, "unsuited"),
    ],
)
def test_what_was_granted_in_vain_says_why(grant, more, why):
    document = {"customer": {"email": "e", "token": "t", "note": "n"}, "total": 1}
    path = grant.partition(" ")[0]
    found = {each.text(is_redacted=False): each for each in told(document, today=(grant,), **more)}
    assert found[path].why == (why,)


def test_a_leaf_without_a_class_says_so():
    (part,) = told({"customer": {"note": "n"}}, schema=UNCLASSED)
    assert (part.fate, list(part.why)) == (Fate.WITHHELD, ["ungranted", "unclassified"])


def test_what_was_granted_after_the_filing_says_so():
    (first, second) = told({"id": "o", "total": 1}, "$.id", today=("$.id", "$.total"))
    assert (first.fate, second.fate) == (Fate.LEAVES, Fate.WITHHELD)
    assert second.why == ("not_filed",)


def test_what_was_dropped_is_of_the_wrong_type_and_what_is_missing_is_absent():
    scope, _ = resolve_scope(SCHEMA, ("$.id", "$.total"), Sensitivity.PUBLIC, frozenset(Category))
    dropped, granted = scope.fields[:1], ("$.id", "$.total")
    first, second = told({"id": 5}, *granted, disclosed=(), dropped=dropped)
    assert (first.fate, first.why) == (Fate.WITHHELD, ("wrong_type",))
    assert (second.fate, second.action) == (Fate.ABSENT, "pass")


def test_of_what_partly_left_both_is_told():
    scope, _ = resolve_scope(SCHEMA, ("$.lines[*].sku",), Sensitivity.PUBLIC, frozenset(Category))
    document = {"lines": [{"sku": "a"}, {"sku": 5}]}
    (part,) = told(document, "$.lines[*].sku", dropped=scope.fields)
    assert (part.fate, part.why) == (Fate.LEAVES, ("wrong_type",))


def test_what_a_refusal_keeps_here_gives_its_code():
    (part,) = told({"id": "o"}, "$.id", disclosed=(), refused=("body_too_large",))
    assert (part.fate, part.why) == (Fate.WITHHELD, ("body_too_large",))


def test_a_name_that_came_with_the_event_is_hidden_where_values_are():
    (part,) = told({"customer": {"asa@people.example": 1}})
    assert "asa" in part.text(is_redacted=False)
    assert part.text(is_redacted=True) == "$.customer['<name>']"


def test_undeclared_places_are_told_up_to_a_number():
    document = {f"name{number}": 1 for number in range(UNDECLARED_MAX + 50)}
    assert len(told(document)) == UNDECLARED_MAX
