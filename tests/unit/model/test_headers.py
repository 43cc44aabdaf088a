"""The headers a subscription may have of its own, and everything that is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.headers import (
    BYTES_MAX,
    COUNT_MAX,
    VALUE_BYTES_MAX,
    compile_headers,
    find_header_faults,
    is_reserved,
)
from dispatcher.network.wire import write_headers

RESERVED = [
    "Host",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Content-Digest",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Accept-Encoding",
    "Cookie",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Via",
    "Metadata",
    "Metadata-Flavor",
    "X-aws-ec2-metadata-token",
    "X-Google-Metadata-Request",
    "webhook-id",
    "webhook-signature",
    "Signature",
    "Signature-Input",
    "Authorization",
    "User-Agent",
    "X-HTTP-Method-Override",
    "X-Real-IP",
]


def whys(headers: dict[str, str]) -> list[str]:
    return [fault.why for fault in find_header_faults(headers)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Account": "north"},
        {"x": ""},
        {"X-Note": 'a b  c, "d"; e=f'},
        {"Date": "x", "Accept": "*/*", "traceparent": "00-1"},
        {f"X-{number}": "a" for number in range(COUNT_MAX)},
        {"X-Long": "a" * VALUE_BYTES_MAX},
    ],
)
def test_h2_plain_headers_are_taken_in_a_fixed_order(headers: dict[str, str]) -> None:
    assert compile_headers(headers) == tuple(sorted(headers.items()))


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-Ä", "X\r\nHost", "X\x00", "X(a)", "[::1]"])
def test_h2_a_name_is_a_token(name: str) -> None:
    assert whys({name: "a"}) == ["not a header's name"]
    assert compile_headers({name: "a"}) is None


@pytest.mark.parametrize(
    "value", [" a", "a ", "\ta", "a\r\nHost: b", "a\nb", "\x00", "ä", "a\x7f", " ", "a\tb", "a\n"]
)
def test_h2_a_value_is_visible_ascii_with_spaces_inside(value: str) -> None:
    assert whys({"X-A": value}) == ["the value holds what no header's value may hold"]
    assert compile_headers({"X-A": value}) is None


def test_h2_headers_are_few_and_short() -> None:
    assert whys({"X-A": "a" * (VALUE_BYTES_MAX + 1)}) == ["the value is too long"]
    assert whys({f"X-{number}": "a" for number in range(COUNT_MAX + 1)}) == ["too many headers"]
    full = {f"X-{number}": "a" * 1000 for number in range(4)}
    spare = BYTES_MAX - sum(len(f"{name}: {value}\r\n") for name, value in full.items())
    fits = "a" * (spare - len("X-4: \r\n"))
    assert not whys(full | {"X-4": fits})
    assert whys(full | {"X-4": fits + "a"}) == ["too long, all together"]


@pytest.mark.parametrize("twice", [("X-A", "x-a"), ("X-A", "X_A"), ("x_a", "X-a")])
def test_h2_no_name_stands_twice_in_any_spelling(twice: tuple[str, str]) -> None:
    assert whys(dict.fromkeys(twice, "a")) == ["written 2 times"]


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("spell", [str, str.upper, str.lower, lambda n: n.replace("-", "_")])
def test_h3_a_reserved_name_is_refused_in_every_spelling(name: str, spell: object) -> None:
    spelled = spell(name)  # type: ignore[operator]
    assert is_reserved(spelled)
    assert whys({spelled: "a"}) == ["reserved"]
    assert compile_headers({spelled: "a"}) is None


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_h2_what_is_taken_is_written_as_exactly_those_lines(headers: dict[str, str]) -> None:
    taken = compile_headers(headers)
    if taken is None:
        return
    lines = write_headers(taken).decode("ascii").split("\r\n")
    assert lines == [*(f"{name}: {value}" for name, value in taken), ""]
    assert all(set(name) <= set(string.printable) for name, _ in taken)
