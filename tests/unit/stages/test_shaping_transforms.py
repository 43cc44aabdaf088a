"""What each action makes of a value: golden answers, the same on every machine, every year."""

import json
from pathlib import Path

import pytest

from dispatcher.model.action import ActionKind, parse_action
from dispatcher.model.scope import Scope
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.transforms import DROPPED, compile_action, suits
from tests.unit.stages.builders import TOKENS

VECTORS = Path(__file__).parents[2] / "vectors" / "transforms.json"
GOLDEN = [
    (each["action"], each["in"], DROPPED if each.get("dropped") else each["out"])
    for each in json.loads(VECTORS.read_text(encoding="utf-8"))
]


def made(action: str, value: object) -> object:
    return compile_action(parse_action(action))(value, Draft(Scope.of(()), TOKENS))


@pytest.mark.parametrize(("action", "given", "wanted"), GOLDEN)
def test_the_same_value_gives_the_golden_answer(action, given, wanted):
    found = made(action, given)
    assert (wanted, type(wanted)) == (found, type(found))


@pytest.mark.parametrize("value", ["x", 7, -0.5, True])
def test_a_constant_tells_nothing_of_the_value(value):
    assert made('const("yes")', value) == "yes"


def test_a_number_and_a_text_of_the_same_digits_are_two_tokens():
    assert made("pseudonym(a)", 7) != made("pseudonym(a)", "7")
    assert made("siv(a)", 7) != made("siv(a)", "7")


def test_a_value_whose_random_token_is_not_minted_is_asked_for():
    draft = Draft(Scope.of(()), TOKENS)
    assert compile_action(parse_action("vault(card)"))("4111", draft) is DROPPED
    assert draft.wanted == {("card", "s4111")}


@pytest.mark.parametrize(
    ("action", "types"),
    [
        ("mask(last=4)", "integer"),
        ("truncate(3)", "number|string"),
        ("generalise(year)", "integer"),
        ("generalise(ip)", "boolean"),
        ("generalise(bucket=10)", "string"),
        ("pseudonym(a)", "boolean"),
        ("pseudonym(a)", "number"),
        ("vault(a)", "null"),
    ],
)
def test_an_action_does_not_suit_what_it_is_not_made_for(action, types):
    assert not suits(parse_action(action), types)


@pytest.mark.parametrize(
    ("action", "types"),
    [
        ("pass", "boolean|null"),
        ("mask(last=4)", "null|string"),
        ("pseudonym(a)", "integer|string"),
        ("generalise(bucket=10)", "integer|number"),
        ("const(1)", "boolean"),
        ("encrypt(k)", "number"),
    ],
)
def test_an_action_suits_the_types_it_is_made_for(action, types):
    assert suits(parse_action(action), types)


def test_every_action_is_covered_by_the_grammar_and_has_a_function():
    examples = {
        "mask(last=4)",
        "pseudonym(a)",
        "vault(a)",
        "siv(a)",
        "truncate(3)",
        "generalise(year)",
        "const(1)",
        "encrypt(k)",
    }
    kinds = {parse_action(each).kind for each in examples}
    assert kinds == {
        kind for kind in ActionKind if kind is not ActionKind.PASS and not kind.sums_up
    }
    assert all(callable(compile_action(parse_action(each))) for each in examples)
