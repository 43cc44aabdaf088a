"""What of the granted paths ends up in a scope."""

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.stages.shaping.schema import CLASSIFICATION, Unfit
from dispatcher.stages.shaping.scopes import Withheld, resolve_scope
from tests.unit.stages.builders import ORDER, UNCLASSED, leaf, record, text_of

SCHEMA = text_of(ORDER)
ALL = frozenset(Category)
RESTRICTED = leaf(level="restricted")


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
        ("$.customer.token", Unfit.SECRET),
    ],
)
def test_what_cannot_be_granted_is_withheld_with_the_reason(path, why):
    scope, withheld = resolve(path)
    assert ((), (Withheld(path, why),)) == (scope.fields, withheld)


def test_an_action_does_not_lower_the_class_of_a_map_whose_names_leave_as_they_are():
    schema = text_of(record(rates={"type": "object", "additionalProperties": RESTRICTED}))
    grants = ("$.rates[*] mask(last=2)", "$.rates[*] const(1)")
    for grant in grants:
        _, withheld = resolve_scope(schema, (grant,), Sensitivity.CONFIDENTIAL, ALL)
        assert (Withheld(grant, Unfit.OVER_CLEARANCE),) == withheld


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


@pytest.mark.parametrize("grant", ["$.customer.note", "$.customer.note mask(last=1)"])
def test_a_leaf_without_a_class_is_withheld_whatever_registered_it(grant):
    scope, withheld = resolve_scope(text_of(UNCLASSED), (grant,), Sensitivity.RESTRICTED, ALL)
    assert ((), (Withheld(grant, Unfit.UNCLASSIFIED),)) == (scope.fields, withheld)


def test_a_broken_schema_grants_nothing():
    scope, _ = resolve_scope("{", ("$.id",), Sensitivity.RESTRICTED, ALL)
    assert () == scope.fields


@pytest.mark.parametrize("grant", ["$.customer.email siv(a)", "@subject siv(a)"])
def test_what_is_about_a_person_is_not_given_a_token_that_nobody_can_erase(grant):
    scope, withheld = resolve(grant)
    assert ((), (Withheld(grant, Unfit.PERSONAL),)) == (scope.fields, withheld)
    assert resolve(grant.replace("siv", "vault"))[1] == ()
    assert resolve("$.id siv(a)")[1] == ()


@pytest.mark.parametrize(
    ("grant", "clearance"),
    [
        ("$.customer.email pseudonym(a)", Sensitivity.INTERNAL),
        ("$.customer.email mask(first=1)", Sensitivity.INTERNAL),
        ("$.customer.email const(0)", Sensitivity.PUBLIC),
        ("@subject", Sensitivity.INTERNAL),
        ("@subject pass", Sensitivity.CONFIDENTIAL),
    ],
)
def test_the_class_after_the_action_is_what_the_clearance_is_for(grant, clearance):
    scope, withheld = resolve(grant, clearance=clearance)
    assert () == withheld
    assert [clearance] == [field.effective for field in scope.fields]
    lower = list(Sensitivity)[: clearance.rank]
    for level in lower[-1:]:
        assert (Withheld(grant, Unfit.OVER_CLEARANCE),) == resolve(grant, clearance=level)[1]


@pytest.mark.parametrize(
    ("grant", "why"),
    [
        ("$.customer.token pseudonym(a)", Unfit.SECRET),
        ("$.customer.token const(0)", Unfit.SECRET),
        ("$.customer.token mask(last=1)", Unfit.SECRET),
        ("$.customer mask(last=1)", Unfit.CONTAINER),
        ("$.total mask(last=1)", Unfit.UNSUITED),
        ("$.id generalise(bucket=10)", Unfit.UNSUITED),
        ("$.id upper", Unfit.MALFORMED),
        ("$.id  pass", Unfit.MALFORMED),
        ("@person", Unfit.MALFORMED),
    ],
)
def test_no_action_frees_what_may_not_leave(grant, why):
    scope, withheld = resolve(grant)
    assert ((), (Withheld(grant, why),)) == (scope.fields, withheld)


@pytest.mark.parametrize("grant", ["$.customer.email pseudonym(a)", "$.customer.email const(0)"])
def test_whatever_is_made_of_a_field_must_be_within_the_purpose(grant):
    _, withheld = resolve(grant, categories=frozenset({Category.OTHER}))
    assert (Withheld(grant, Unfit.OUT_OF_PURPOSE),) == withheld


def test_the_person_an_event_is_about_is_personal():
    _, withheld = resolve("@subject", categories=frozenset({Category.OTHER, Category.CONTACT}))
    assert (Withheld("@subject", Unfit.OUT_OF_PURPOSE),) == withheld


def test_a_retry_takes_the_narrower_of_two_actions():
    raw, masked = resolve("$.id", "$.total")[0], resolve("$.id mask(last=1)")[0]
    assert raw.intersect(masked) == masked == masked.intersect(raw)


def test_a_retry_takes_neither_of_two_actions_that_tell_different_things():
    raw, token = resolve("$.id", "$.total")[0], resolve("$.id pseudonym(a)", "$.total")[0]
    assert resolve("$.total")[0] == raw.intersect(token) == token.intersect(raw)


def test_a_letter_that_was_thin_stays_thin():
    full = resolve("$.id")[0]
    thin, _ = resolve_scope(SCHEMA, ("$.id",), Sensitivity.RESTRICTED, ALL, is_thin=True)
    assert full.id != thin.id
    assert full.intersect(thin) == thin == thin.intersect(full)


@pytest.mark.parametrize("action", ["const(1)", "mask(last=1)", "pseudonym(mail)"])
def test_no_action_lowers_the_class_of_a_map_for_its_names_leave_as_they_are(action):
    leaf = {"type": "string", CLASSIFICATION: {"category": "pii", "sensitivity": "restricted"}}
    each = {"type": "object", "properties": {"note": leaf}}
    schema = {
        "plain": {"type": "object", "additionalProperties": leaf},
        "deep": {"type": "object", "additionalProperties": each},
    }
    text = text_of({"type": "object", "properties": schema})
    grants = (f"$.plain[*] {action}", f"$.deep[*].note {action}")
    scope, withheld = resolve_scope(text, grants, Sensitivity.CONFIDENTIAL, ALL)
    assert () == scope.fields
    assert {Unfit.OVER_CLEARANCE} == {each.why for each in withheld}
