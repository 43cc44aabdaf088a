"""How tokens are written and read, and which spellings of a value are one."""

import pytest

from dispatcher.model.token import (
    TokenKind,
    canonical,
    parse_token,
    read_value,
    write_value,
)

CODE = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("text", "kind", "version"),
    [
        (f"tok_1_{CODE}", TokenKind.PSEUDONYM, 1),
        (f"vlt_9999_{CODE}", TokenKind.VAULT, 9999),
        (f"siv_12_{CODE}ab", TokenKind.SIV, 12),
    ],
)
def test_a_token_says_its_kind_and_version_and_hides_the_rest(text, kind, version):
    token = parse_token(text)
    assert (token.kind, token.version, token.text) == (kind, version, text)
    assert CODE not in repr(token)
    assert CODE not in token.fingerprint
    assert len(token.fingerprint) == 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"tok_0_{CODE}",
        f"tok_01_{CODE}",
        f"tok_10000_{CODE}",
        f"tok_1_{CODE}a",
        f"vlt_1_{CODE[:-1]}",
        f"vlt_1_{CODE[:-1]}1",
        f"siv_1_{CODE}",
        f"TOK_1_{CODE}",
        f"tok_1_{CODE}\n",
        f" tok_1_{CODE}",
        f"tok_\u0661_{CODE}",
        f"abc_1_{CODE}",
    ],
)
def test_what_is_no_token_is_not_read_as_one(text):
    assert parse_token(text) is None


@pytest.mark.parametrize("value", ["", "7", "ann", 7, -1, 2**200, 0.1, -1e-9, 1.5e300, True, False])
def test_a_value_is_read_as_it_was_written(value):
    again = read_value(write_value(value))
    assert again == value
    assert isinstance(value, float) or type(again) is type(value)


def test_a_text_and_a_number_and_a_boolean_are_never_the_same():
    values = ["7", 7, "true", True, "n7", "s7", "\x007", 1, "1", ""]
    assert len({write_value(value) for value in values}) == len(values)


def test_a_whole_number_is_the_same_however_it_is_written():
    assert write_value(7.0) == write_value(7)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("ann", " ann\t\n"),
        ("Zo\u00eb", "Zoe\u0308"),
        ("\u1e69", "\u0073\u0323\u0307"),
    ],
)
def test_spellings_that_people_cannot_tell_apart_are_one(one, two):
    assert canonical("name", f"s{one}") == canonical("name", f"s{two}")


def test_capitals_count_in_every_domain_but_that_of_email():
    assert canonical("customer", "sAnn") != canonical("customer", "sann")
    assert canonical("email", "sAnn@X.example") == canonical("email", "sann@x.example")
    assert canonical("email", "sSTRASSE") == canonical("email", "sstra\u00dfe")


@pytest.mark.parametrize("domain", ["customer", "email"])
def test_a_canonical_spelling_stays_as_it_is(domain):
    for text in ("sAnn", "s \u0130\u0307 ", "s\u1e9e", "s", "s  ", "n7", "btrue", "s\ufb03A\u030a"):
        once = canonical(domain, text)
        assert canonical(domain, once) == once
