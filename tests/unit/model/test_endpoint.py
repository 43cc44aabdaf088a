"""Destination URLs: one reading, or none. Each test names the rule of the egress spec it shows."""

import pytest

from dispatcher.model.endpoint import Endpoint, parse_endpoint
from dispatcher.model.host import Unreadable


def rule_of(url):
    with pytest.raises(Unreadable) as refused:
        parse_endpoint(url)
    assert not url or url not in str(refused.value)
    return refused.value.rule


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hooks.acme.example", ("https", "hooks.acme.example", 443, "/")),
        ("HTTPS://Hooks.Acme.Example./in", ("https", "hooks.acme.example", 443, "/in")),
        ("https://hooks.acme.example?k=v", ("https", "hooks.acme.example", 443, "/?k=v")),
        ("https://hooks.acme.example:8443/a%20b?c=%2F", (
            "https", "hooks.acme.example", 8443, "/a%20b?c=%2F"
        )),
        ("http://hooks.acme.example/in", ("http", "hooks.acme.example", 80, "/in")),
        ("https://8.8.8.8:00443/", ("https", "8.8.8.8", 443, "/")),
        ("https://[2001:DB8::1]:8443/in", ("https", "2001:db8::1", 8443, "/in")),
        ("https://hooks.acme.example/größe/日", (
            "https", "hooks.acme.example", 443, "/gr%C3%B6%C3%9Fe/%E6%97%A5"
        )),
    ],
)  # fmt: skip
def test_a_plain_url_is_read_into_its_parts(url, parts):
    scheme, host, port, target = parts
    assert parse_endpoint(url) == Endpoint(scheme=scheme, host=host, port=port, target=target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.acme.example/in",
        "//hooks.acme.example/in",
        "ftp://hooks.acme.example/",
        "ws://hooks.acme.example/",
        "wss://hooks.acme.example/",
        "file:///etc/passwd",
        "gopher://hooks.acme.example/",
        "javascript:alert(1)",
        "https:hooks.acme.example/",
        "https:/hooks.acme.example/",
        "httpsx://hooks.acme.example/",
        "ｈttps://hooks.acme.example/",
    ],
)
def test_u1_only_https_and_http_are_schemes(url):
    assert rule_of(url) == "U1"


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.acme.example/\n",
        " https://hooks.acme.example/",
        "https://hooks.acme.example/ in",
        "https://127.0\n.0.1/",
        "https://127.\t0.0.1/",
        "https://hooks.acme.example\r\n/",
        "https://good.example\\@bad.example/",
        "https:\\\\hooks.acme.example/",
        "https://hooks.acme.example/\x00",
        "https://hooks.acme.example/\x7f",
        "https://hooks.acme.example/?q=ü",
        "https://hooks.acme.example/a\u202eb",
        "https://hooks.acme.example/a\u00a0b",
        "https://hooks.acme.example/a\ud800b",
        "https://hooks.acme.example/%",
        "https://hooks.acme.example/%zz",
        'https://hooks.acme.example/"',
        "https://hooks.acme.example/{x}",
        "https://hooks.acme.example/<x>",
    ],
)
def test_u2_what_steers_a_parser_is_refused(url):
    assert rule_of(url) == "U2"


@pytest.mark.parametrize(
    "url",
    [
        "https://user@hooks.acme.example/",
        "https://user:secret@hooks.acme.example/",
        "https://@hooks.acme.example/",
        "https://good.example@bad.example/",
        "https://good.example:443@bad.example/",
        "https://a@b@bad.example/",
    ],
)
def test_u3_users_and_passwords_are_refused(url):
    assert rule_of(url) == "U3"


@pytest.mark.parametrize(
    "port", ["", "0", "00000", "65536", "99999", "+80", "-1", "8O", "٨٠", "0x50", "080080", "80:80"]
)
def test_u4_a_port_is_a_plain_number_in_range(port):
    assert rule_of(f"https://hooks.acme.example:{port}/") in ("U4", "U5")
    assert rule_of(f"https://[2001:db8::1]:{port}/") == "U4"


@pytest.mark.parametrize(
    "host",
    [
        "[::1",
        "::1]",
        "[]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v1.fe80::a]",
        "[127.0.0.1]",
        "[hooks.acme.example]",
        "[::1].good.example",
        "good.example[::1]",
        "[[::1]]",
        "[::1]]",
        "::1",
        "2001:db8::1",
        "[1:2:3:4:5:6:7:8:9]",
        "[:::1]",
        "[::ffff:999.1.1.1]",
    ],
)
def test_u5_brackets_hold_an_ipv6_address_and_nothing_else(host):
    assert rule_of(f"https://{host}/") in ("U4", "U5")


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "0",
        "256.1.1.1",
        "1.2.3.4.5",
        "hooks.acme.0x",
        "hooks.acme.1",
        "hooks_.acme!.example",
        "-hooks.acme.example",
        "hooks-.acme.example",
        "*.acme.example",
        "a,b.example",
    ],
)
def test_u6_a_number_is_a_dotted_quad_and_a_label_is_letters_digits_hyphens(host):
    assert rule_of(f"https://{host}/") == "U6"


@pytest.mark.parametrize("host", ["127.0.0.1%2f", "%6c%6f.example", "hooks.acme.example%00"])
def test_u7_a_percent_sign_in_the_host_is_refused(host):
    assert rule_of(f"https://{host}/") == "U7"


@pytest.mark.parametrize(
    "url",
    ["https://hooks.acme.example/#x", "https://hooks.acme.example#@bad.example/",
     "https://hooks.acme.example/in?x#y"],
)  # fmt: skip
def test_u8_a_fragment_is_refused(url):
    assert rule_of(url) == "U8"


def test_u9_urls_names_and_labels_have_limits():
    head = "https://hooks.acme.example/"
    assert len(str(parse_endpoint(head + "a" * (2048 - len(head))))) >= 2048
    assert rule_of(head + "a" * (2049 - len(head))) == "U9"
    assert rule_of(f"https://{'a' * 64}.example/") == "U9"
    assert parse_endpoint(f"https://{'a' * 63}.example/")
    longest = ".".join(["a" * 49] * 5) + ".b"
    assert len(longest) == 251
    assert parse_endpoint(f"https://{longest}/")
    assert rule_of(f"https://{longest}bbb/") == "U9"
    assert rule_of(f"https://{'ü' * 60}.example/") in ("U9", "N1")
    assert rule_of(head + "日" * 300) == "U9"


def test_u10_the_text_is_rebuilt_from_the_parts():
    assert str(parse_endpoint("HTTPS://HOOKS.acme.example.:443")) == (
        "https://hooks.acme.example:443/"
    )
    assert str(parse_endpoint("https://[0:0::1]/x?y")) == "https://[::1]:443/x?y"
