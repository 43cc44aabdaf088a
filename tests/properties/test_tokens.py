"""Tokens of random values at random places: alike exactly where they should be."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.token import (
    TokenKey,
    TokenKind,
    canonical,
    parse_token,
    read_value,
    write_value,
)
from dispatcher.vault.tokens import Recipient, TokenKeys
from tests.support.records import KEYRING

KEYS = TokenKeys(KEYRING)
# Few signs, so that places and values often are the same, or look it.
NAMES = st.text(alphabet="ab", max_size=3)
TEXTS = st.text() | st.text(alphabet="aA \u00e9e\u0301\u0130\u00df7", max_size=4)
VALUES = TEXTS | st.integers() | st.booleans() | st.integers(-9, 9)
PLACES = st.tuples(NAMES, NAMES, st.integers(1, 3), NAMES)
KINDS = st.sampled_from(["pseudonym", "siv", "blind"])


def at(place: tuple[str, str, int, str]) -> tuple[Recipient, str]:
    tenant, connector, version, domain = place
    # One secret for all, so that nothing but the place tells them apart.
    return KEYS.recipient(tenant, TokenKey(connector, version, b"s" * 32)), domain


@given(kind=KINDS, here=PLACES, there=PLACES, one=VALUES, two=VALUES)
def test_tokens_are_the_same_for_the_same_value_at_the_same_place_and_nowhere_else(
    kind, here, there, one, two
):
    (made, domain), (other, elsewhere) = at(here), at(there)
    written, again = write_value(one), write_value(two)
    is_same = here == there and canonical(domain, written) == canonical(domain, again)
    tokens = getattr(made, kind)(domain, written), getattr(other, kind)(elsewhere, again)
    assert (tokens[0] == tokens[1]) is is_same
    assert getattr(made, kind)(domain, written) == tokens[0]


@given(here=PLACES, there=PLACES, value=VALUES)
def test_a_siv_token_opens_where_it_was_made_and_nowhere_else(here, there, value):
    (made, domain), (other, elsewhere) = at(here), at(there)
    token = made.siv(domain, write_value(value))
    assert parse_token(token).kind is TokenKind.SIV
    opened = made.open_siv(domain, token)
    assert opened == canonical(domain, write_value(value))
    assert (other.open_siv(elsewhere, token) is None) is (here != there)


@given(domain=st.sampled_from(["email", "customer", ""]), value=VALUES)
def test_the_canonical_spelling_is_one_and_reads_as_the_same_kind_of_value(domain, value):
    text = canonical(domain, write_value(value))
    assert canonical(domain, text) == text
    assert type(read_value(text)) is type(value)
    if isinstance(value, str):
        for form in ("NFC", "NFD"):
            other = f" {unicodedata.normalize(form, value)}\n"
            assert canonical(domain, write_value(other)) == text
    else:
        assert read_value(text) == value
