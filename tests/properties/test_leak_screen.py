"""One look at all texts of a letter finds what a look at each would."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.leak import DEFAULT_RULES
from dispatcher.model.path import Path
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping import numbers
from dispatcher.stages.shaping.detectors import glance
from dispatcher.stages.shaping.guard import inspect

PIECES = st.sampled_from(
    (
        *("4111 1111 1111 1111", "card 4111111111111111", "DE89 3704 0044 0532 0130 00", "|", "||"),
        *("+49 170 1234567", "ann@x.example", "ssn", "078-05-1120", "eyJhbGciOi.eyJzdWIi.x", "é"),
        *("sk_live_0123456789abcdefghij", "1234567890123", "\uff14\uff11", " ", "a", "9", "\n"),
    )
)
TEXTS = st.lists(st.lists(PIECES, max_size=4).map("".join), min_size=1, max_size=8)
CLASSES = (Category.OTHER, Category.CONTACT, Category.FINANCIAL, Category.GOVERNMENT_ID)
NAMES = ("note", "card", "ssn", "email", "ref")
SCOPE = Scope.of(
    Field(Path((f"{name}_{category}",)), "pass", "string", category, Sensitivity.INTERNAL)
    for category in CLASSES
    for name in NAMES
)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_what_is_found_among_many_texts_is_what_is_found_in_each_alone(texts, chance):
    places = [chance.randrange(len(SCOPE.fields)) for _ in texts]
    alone = [
        finding
        for text, place in zip(texts, places, strict=True)
        for finding in inspect(SCOPE, [text], [place], "order.paid", DEFAULT_RULES)
    ]
    assert list(inspect(SCOPE, texts, places, "order.paid", DEFAULT_RULES)) == alone


GROUPS = st.sampled_from(
    (
        *("4111111111111111", "4111", "1111", "378282246310005", "501801234567", "3782", "822463"),
        *("10005", "DE89", "37040044053201300", "GB82WEST12345698765432", "FR14", "+49", "a", "7"),
        *("482915374206", "0", "6304", "5018"),
    )
)
RUNS = st.lists(st.tuples(GROUPS, st.sampled_from(("", " ", "-", ". ", ".", "|", "x"))), max_size=9)


@settings(max_examples=500, deadline=None)
@given(RUNS.map(lambda run: "".join(map("".join, run))))
def test_no_card_and_no_account_is_missed_at_a_glance(text):
    cards = list(numbers.find_cards(text))
    if cards:
        assert numbers.may_hold_card(text)
    if cards or list(numbers.find_ibans(text)):
        assert glance(text, None)
