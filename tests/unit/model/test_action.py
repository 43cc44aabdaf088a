"""Actions as they are written: one normal form, and a class of what leaves."""

import pytest

from dispatcher.model.action import PASS, parse_action
from dispatcher.model.classification import Sensitivity

WRITTEN = (
    "pass",
    "mask(last=4)",
    "mask(first=1)",
    "mask(first=1,last=2)",
    "pseudonym(customer)",
    "vault(card-holder)",
    "siv(invoice_2)",
    "truncate(10)",
    "generalise(year)",
    "generalise(month)",
    "generalise(ip)",
    "generalise(postcode=2)",
    "generalise(bucket=10)",
    'const("a) b")',
    "const(null)",
    "const(true)",
    "const(18446744073709551617)",
    "encrypt(key-2026.1)",
    "sum",
    "latest",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_an_action_is_written_as_it_is_read(text):
    assert text == str(parse_action(text))


def test_a_constant_has_one_way_of_being_written():
    assert parse_action('const("\\u0061")') == parse_action('const( "a" )')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "upper",
        "Pass",
        "pass()",
        "mask",
        "mask()",
        "mask(4)",
        "mask(last=-1)",
        "mask(last=0)",
        "mask(first=0,last=0)",
        "mask(last=04)",
        "mask(last=2,first=1)",
        "mask(last=9999999999)",
        "pseudonym",
        "pseudonym()",
        "pseudonym(Customer)",
        "pseudonym(a b)",
        "truncate(0)",
        "truncate(-1)",
        "truncate(1.5)",
        "generalise(day)",
        "generalise(bucket=0)",
        "generalise(bucket=1)",
        "generalise(postcode=0)",
        "generalise(postcode=5)",
        "mask(last=9)",
        "mask(first=10,last=1)",
        "generalise(postcode=)",
        "const()",
        "const(text)",
        "const([1])",
        'const({"a":1})',
        "const(NaN)",
        "encrypt()",
        "encrypt(a key)",
        "pass(last=4)",
        "sum()",
        "latest(3)",
        "mask(last=4))",
        "mask(last=4) pass",
        "mask(last=\u0664)",
        "mask(last=4)\n",
    ],
)
def test_what_is_no_action_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_action(text)


@pytest.mark.parametrize(
    ("text", "restricted", "confidential", "internal"),
    [
        ("pass", "restricted", "confidential", "internal"),
        ("truncate(3)", "restricted", "confidential", "internal"),
        ("encrypt(k)", "restricted", "confidential", "internal"),
        ("sum", "restricted", "confidential", "internal"),
        ("latest", "restricted", "confidential", "internal"),
        ("mask(last=4)", "internal", "internal", "internal"),
        ("pseudonym(a)", "confidential", "internal", "internal"),
        ("vault(a)", "confidential", "internal", "internal"),
        ("siv(a)", "confidential", "internal", "internal"),
        ("generalise(year)", "confidential", "internal", "internal"),
        ("const(1)", "public", "public", "public"),
    ],
)
def test_what_leaves_has_the_class_of_what_the_action_makes(
    text, restricted, confidential, internal
):
    action = parse_action(text)
    assert (restricted, confidential, internal, "public") == tuple(
        action.effective(Sensitivity(given))
        for given in ("restricted", "confidential", "internal", "public")
    )


LESS = {
    ("mask(last=4)", "pass"),
    ("mask(last=2)", "pass"),
    ("truncate(3)", "pass"),
    ("truncate(5)", "pass"),
    ("generalise(month)", "pass"),
    ("truncate(3)", "truncate(5)"),
    ("generalise(year)", "pass"),
    ("generalise(bucket=10)", "pass"),
    ("generalise(year)", "generalise(month)"),
}
ALL = (
    "pass",
    "mask(last=4)",
    "mask(last=2)",
    "truncate(3)",
    "truncate(5)",
    "generalise(year)",
    "generalise(month)",
    "generalise(bucket=10)",
    "pseudonym(a)",
    "pseudonym(b)",
    "vault(a)",
    "siv(a)",
    "encrypt(k)",
    "sum",
    "latest",
)


def test_an_action_tells_no_more_only_where_it_can_be_made_of_the_other():
    found = {
        (one, other)
        for one in ALL
        for other in ALL
        if one != other and parse_action(one).tells_no_more_than(parse_action(other))
    }
    assert found == LESS


@pytest.mark.parametrize("text", ALL)
def test_a_constant_tells_no_more_than_what_is_told_of_every_value(text):
    is_told_always = not text.startswith(("generalise", "encrypt"))
    assert parse_action("const(0)").tells_no_more_than(parse_action(text)) is is_told_always
    assert not parse_action(text).tells_no_more_than(parse_action("const(0)"))


def test_without_an_action_a_value_passes():
    assert parse_action("pass") is PASS
