"""The bytes of a request head, and what is refused in them."""

import pytest

from dispatcher.model.endpoint import Endpoint, parse_endpoint
from dispatcher.network.wire import write_headers, write_prefix

JSON = "application/json"


def test_the_head_names_the_port_only_where_it_is_not_the_schemes_own() -> None:
    assert b"\r\nHost: a.test\r\n" in write_prefix(parse_endpoint("https://a.test/in"), (), JSON)
    assert b"\r\nHost: a.test:8443\r\n" in write_prefix(
        parse_endpoint("https://a.test:8443/in"), (), JSON
    )


def test_the_head_ends_where_the_length_begins() -> None:
    assert write_prefix(parse_endpoint("https://a.test"), (), JSON).endswith(
        b"\r\nContent-Length: "
    )


@pytest.mark.parametrize("content_type", ["a\r\nb: c", "a\nb", "ä", "a\x00"])
def test_a_content_type_cannot_end_its_line(content_type: str) -> None:
    with pytest.raises(ValueError, match=r"header|ascii"):
        write_prefix(parse_endpoint("https://a.test/in"), (), content_type)


@pytest.mark.parametrize(
    ("host", "target"), [("a.test", "/a b"), ("a.test", "/a\r\nb"), ("a\r\nb", "/"), ("a", "x")]
)
def test_an_endpoint_made_past_the_parser_cannot_split_the_head(host: str, target: str) -> None:
    endpoint = Endpoint(scheme="https", host=host, port=443, target=target)
    with pytest.raises(ValueError, match="header"):
        write_prefix(endpoint, (), JSON)


def test_h2_a_subscriptions_headers_stand_before_the_length() -> None:
    head = write_prefix(parse_endpoint("https://a.test"), (("X-Account", "north 42"),), JSON)
    assert b"\r\nX-Account: north 42\r\nContent-Length: " in head


@pytest.mark.parametrize("header", [("X-A", "a\r\nHost: b"), ("X-A\r\nB", "a"), ("X A", "a")])
def test_h2_a_header_that_slipped_past_the_registry_is_refused_at_the_wire(
    header: tuple[str, str],
) -> None:
    with pytest.raises(ValueError, match="header"):
        write_prefix(parse_endpoint("https://a.test"), (header,), JSON)


def test_h3_a_reserved_header_that_slipped_past_the_registry_is_refused_at_the_wire() -> None:
    for name in ("Host", "transfer_encoding", "Webhook-Signature"):
        with pytest.raises(ValueError, match="header"):
            write_prefix(parse_endpoint("https://a.test"), ((name, "x"),), JSON)


def test_headers_stand_one_to_a_line() -> None:
    assert write_headers((("a", "1"), ("b", "x\ty"))) == b"a: 1\r\nb: x\ty\r\n"
    assert write_headers(()) == b""


@pytest.mark.parametrize(
    ("name", "value"),
    [("a", "b\r\nc: d"), ("a", "b\r"), ("a", "\x00"), ("a: b\r\nc", "d"), ("a:", "b"), ("", "b")],
)
def test_a_header_cannot_become_two(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        write_headers(((name, value),))
