"""Host names in their one canonical form. Each test names the rule of the egress spec it shows."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from dispatcher.model.host import (
    Unreadable,
    as_address,
    as_typed,
    canonical_host,
    is_special,
    parse_host,
    parse_network,
)


def rule_of(host):
    with pytest.raises(Unreadable) as refused:
        parse_host(host)
    return refused.value.rule


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Hooks.ACME.example", "hooks.acme.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("STRASSE.example", "strasse.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("ａｃｍｅ.example", "acme.example"),
        ("日本。example", "xn--wgv71a.example"),
        ("under_score.acme.example", "under_score.acme.example"),
        ("r3---sn-1.acme.example", "r3---sn-1.acme.example"),
    ],
)
def test_n1_spellings_of_one_name_have_one_form(typed, canonical):
    assert parse_host(typed) == canonical
    assert parse_host(canonical) == canonical


@pytest.mark.parametrize(
    "host",
    [
        "😀.example",
        "_x.ς.example",
        "a\u0301\u0301\u0fff.example",
        "\u0640.example",
    ],
)
def test_n1_what_idna_2008_does_not_know_is_refused(host):
    assert rule_of(host) in ("N1", "N3")


@pytest.mark.parametrize(
    "host",
    ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "0ｘ7f000001", "acme.example.①"],
)
def test_n2_what_turns_into_a_number_is_refused(host):
    assert rule_of(host) == "N2"


@pytest.mark.parametrize(
    "host",
    [
        "ac\u00adme.example",
        "ac\u200bme.example",
        "ac\u200dme.example",
        "ac\u2060me.example",
        "ac\ufeffme.example",
        "ac\u202eme.example",
        "ac\u2066me.example",
        "ac\ufe0fme.example",
        "ac\u034fme.example",
        "ac\u3164me.example",
        "ac\u3000me.example",
        "ac\ud800me.example",
        "xn--a.example",
        "xn--.example",
        "xn--a-\u00fc.example",
        "xn--zzzzzzzz99999.example",
        "xn--acme-.example",
    ],
)
def test_n3_what_is_not_seen_and_what_does_not_decode_is_refused(host):
    assert rule_of(host) in ("N3", "N1")


def test_n4_a_look_alike_is_another_name_and_is_shown_as_what_it_is():
    cyrillic = parse_host("\u0430cme.example")
    assert cyrillic == "xn--cme-5cd.example"
    assert cyrillic != parse_host("acme.example")
    assert as_typed(cyrillic) == "\u0430cme.example"


@pytest.mark.parametrize(
    "name", ["localhost", "intranet", "a.localhost", "printer.local", "db.internal", "x.onion",
             "nas.home.arpa", "api.svc", "api.default.svc.cluster.local", "router.lan"],
)  # fmt: skip
def test_n6_names_of_the_inside_are_special(name):
    assert is_special(name)
    assert not is_special(f"{name}.acme.example")


@pytest.mark.parametrize("name", ["", ".", "..", "a..example", ".acme.example", "acme.example.."])
def test_n7_dots_side_by_side_are_refused(name):
    assert rule_of(name) == "N7"


def test_n7_one_trailing_dot_is_the_same_name():
    assert parse_host("acme.example.") == parse_host("acme.example")


def test_a4_an_address_carried_in_ipv6_is_unwrapped():
    assert parse_host("::ffff:808:808") == parse_host("::FFFF:8.8.8.8") == "8.8.8.8"
    assert as_address("2001:db8::1") == IPv6Address("2001:db8::1")
    assert as_address("8.8.8.8") == IPv4Address("8.8.8.8")
    assert as_address("acme.example") is None


@pytest.mark.parametrize("host", ["fe80::1%eth0", "fe80::1%251", "::1%", ":", "1::2::3"])
def test_a4_an_address_with_a_scope_is_no_host(host):
    assert rule_of(host) == "U5"


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.1",
        "fd00::1/8",
        "FD00::/8",
        "fd00::%eth0/64",
    ],
)
def test_a_network_is_written_in_its_canonical_form(text):
    with pytest.raises(ValueError, match=r"."):
        parse_network(text)


def test_a_text_that_is_far_too_long_is_no_host_and_is_not_kept():
    for text in ("a" * 2_000_000, ":" * 2_000_000):
        assert rule_of(text) == "U9"
        assert canonical_host(text) is None
