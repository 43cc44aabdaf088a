"""Stand-ins for tokens have the form of those that a partner is sent."""

import pytest

from dispatcher.model.token import TokenKind, parse_token
from dispatcher.testing.stand_ins import StandIns


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (StandIns.pseudonym, TokenKind.PSEUDONYM),
        (StandIns.siv, TokenKind.SIV),
        (StandIns.vault, TokenKind.VAULT),
    ],
)
def test_a_stand_in_is_read_as_the_token_it_stands_for(make, kind):
    found = parse_token(make(StandIns("north", "acme", frozenset()), "customer", "sann"))
    assert found is not None
    assert (kind, 1) == (found.kind, found.version)
