"""What our parser accepts, everybody reads alike: yarl, urllib and the socket (egress spec U10)."""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.host import Unreadable, parse_host
from dispatcher.network.dialer import url_of

LABELS = st.sampled_from(
    ["a", "acme", "xn--bcher-kva", "bücher", "straße", "0x7f", "127", "1", "①", "ａ", "。", "_x",
     "xn--a", "-", "٣", "localhost", "ς", "\u00ad", "\u0430", "i\u0307", "K", "ſ"],
)  # fmt: skip
PIECES = st.sampled_from(
    ["https://", "http://", "HTTPS://", "//", ":", "@", "[", "]", "::1", "::ffff:127.0.0.1", "%25",
     "%", "/", "\\", "?", "#", ".", "..", "443", "+80", "0", "٨٠", " ", "\t", "\n", "127.0.0.1",
     "0x7f.1", "017700000001", "a.example", "\u200b", "\u3002", "v1.fe80::a", "fe80::1%eth0"],
)  # fmt: skip
URLS = st.one_of(
    st.lists(st.one_of(PIECES, LABELS, st.text(max_size=3)), max_size=8).map("".join),
    st.lists(st.one_of(LABELS, st.text(max_size=4)), min_size=1, max_size=5).map(
        lambda labels: f"https://{'.'.join(labels)}/in"
    ),
    st.tuples(LABELS, PIECES, LABELS).map(lambda parts: f"https://a.{''.join(parts)}.example/"),
    st.ip_addresses().map(lambda ip: f"https://{f'[{ip}]' if ip.version == 6 else ip}:8443/x"),
)


@settings(max_examples=1500, deadline=None)
@given(URLS)
@example("https://①②⑦.⓪.⓪.①/")
@example("https://127.0.0.1\t/")
@example("https://[::1].good.example/")
@example("https://good.example\\@bad.example/")
@example("https://0x7f000001/")
@example("https://faß.de:443/x")
@example("https://_x.1ς.example/")
def test_u10_whatever_is_accepted_is_read_alike_by_yarl_urllib_and_the_socket(url: str) -> None:
    try:
        ours = parse_endpoint(url)
    except Unreadable:
        return
    # As it was typed: another parser may spell the host otherwise, and means the same one.
    others = urlsplit(url)
    assert others.port in (ours.port, None)
    assert others.port is not None or ours.port in (80, 443)
    assert parse_host(others.hostname or "") == ours.host
    typed = URL(url)
    assert (parse_host(typed.raw_host or ""), typed.port) == (ours.host, ours.port)
    # As it is rebuilt: letter for letter, by everybody.
    rebuilt = str(ours)
    assert rebuilt.isascii()
    assert parse_endpoint(rebuilt) == ours
    assert (urlsplit(rebuilt).hostname, urlsplit(rebuilt).port) == (ours.host, ours.port)
    assert url_of(ours).raw_host == ours.host
    _the_socket_agrees(ours.host)


def _the_socket_agrees(host: str) -> None:
    """Asked for numbers alone, the C library looks nothing up: a name must be no number to it."""
    try:
        found = socket.getaddrinfo(host, 443, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = []
    except UnicodeError:
        raise AssertionError(host) from None
    is_literal = parse_endpoint(f"https://{f'[{host}]' if ':' in host else host}/").literal
    assert bool(found) == (is_literal is not None)
    for line in found:
        assert ip_address(line[4][0]) == ip_address(host)
