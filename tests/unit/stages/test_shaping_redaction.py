"""Of a redacted document nothing is left that somebody wrote, but what the schema declares."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.stages.shaping.redaction import HIDDEN_NAME, redact
from tests.unit.stages import builders

SCHEMA = builders.text_of(builders.ORDER)
KNOWN = (
    "id",
    "total",
    "customer",
    "name",
    "email",
    "token",
    "note",
    "lines",
    "sku",
    "qty",
    "rates",
)
CANARY = st.uuids().map(str)
SCALARS = st.one_of(CANARY, st.integers(10**30, 10**31), st.none(), st.booleans())
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KNOWN) | CANARY, inner, max_size=4)
    ),
    max_leaves=12,
)


def scalars(document: object) -> set[str]:
    """Everything in a document that came from whoever wrote it."""
    match document:
        case dict():
            names = {name for name in document if name not in KNOWN}
            return names.union(*(scalars(each) for each in document.values()))
        case list():
            return set[str]().union(*(scalars(each) for each in document))
        case None | bool():
            return set()
        case _:
            return {str(document)}


@given(DOCUMENTS)
def test_nothing_that_was_written_is_in_what_is_shown(document):
    shown = msgspec.json.encode(redact(document, SCHEMA)).decode()
    assert [each for each in scalars(document) if each in shown] == []


def test_names_that_are_declared_stay_and_others_and_keys_of_maps_go():
    document = {
        "id": "o-1", "rates": {"asa": 1.5, "bo": 2.5}, "vip": True, "customer": {"who": {"x": 1}},
    }  # fmt: skip
    assert redact(document, SCHEMA) == {
        "id": "<text, up to 16 characters>",
        "rates": {HIDDEN_NAME: "<number>", "<names>": "<up to 16 of them>"},
        HIDDEN_NAME: "<true or false>",
        "customer": {HIDDEN_NAME: {HIDDEN_NAME: "<whole number>"}},
    }


def test_of_a_list_the_first_element_and_a_class_of_sizes_is_told():
    found = redact({"lines": [{"sku": "a"}, {"qty": 1}]}, SCHEMA)
    assert found == {"lines": [{"sku": "<text, up to 16 characters>"}, "<up to 16 elements>"]}
    assert redact({"lines": []}, SCHEMA) == {"lines": ["<up to 16 elements>"]}


def test_two_texts_of_one_class_look_alike():
    assert redact("a" * 17, SCHEMA) == redact("b" * 64, SCHEMA) != redact("b" * 65, SCHEMA)


def test_without_a_sound_schema_no_name_is_shown():
    assert redact({"id": 1}, "no schema") == {HIDDEN_NAME: "<whole number>"}


def test_what_is_very_deep_ends_somewhere():
    document: object = "canary"
    for _ in range(900):
        document = {"customer": document}
    assert "canary" not in str(redact(document, SCHEMA))
