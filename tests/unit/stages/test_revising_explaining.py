"""What is said of a URL: verdict, rule, entry and fix; and the same of whole lists."""

import json
from datetime import date

import pytest

from dispatcher.control.url_lists import UrlList
from dispatcher.model.letter import Admitted, Resolved
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Destination, Policy
from dispatcher.stages.gates.addresses import AddressRules, admit
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.revising.explaining import Found, find, judge
from tests.unit.stages import builders

GROUND = Ground(Policy(), builders.TODAY, frozenset())
PUBLIC = ("8.8.8.8",)


def entry(host="hooks.acme.example", **more):
    return Destination(host=host, reason="orders", **more)


def said(url, *entries, answers=PUBLIC, aliases=(), ground=GROUND, rules=None, **more):
    connector = builders.connector(destinations=entries or (entry(),), **more)
    found = find(url, (connector,), ground)
    if not isinstance(found, Found):
        return found
    return judge(found, answers, rules or AddressRules(), aliases)


def test_an_allowed_url_names_its_entry_and_connector():
    found = said("https://Hooks.ACME.example/in")
    assert (found.is_allowed, found.code, found.rule) == (True, "allowed", "listed")
    assert (found.connector, found.entry, found.addresses) == ("acme", entry(), PUBLIC)


@pytest.mark.parametrize(
    ("url", "entries", "answers", "code", "rule"),
    [
        ("https://u@hooks.acme.example/", (), PUBLIC, "url_invalid", "U3"),
        ("https://other.example/", (), PUBLIC, "destination_unlisted", "listed"),
        ("https://hooks.acme.example:444/", (), PUBLIC, "destination_unlisted", "listed"),
        ("http://hooks.acme.example/", (), PUBLIC, "destination_plaintext", "U1"),
        ("https://hooks.acme.example/", (entry(expires=date(2020, 1, 1)),), PUBLIC,
         "destination_expired", "expires"),
        ("https://db.internal/", (entry("db.internal"),), PUBLIC, "destination_inside", "N6"),
        ("https://hooks.acme.example/", (), (), "address_none", "D4"),
        ("https://hooks.acme.example/", (), ("8.8.8.8", "10.0.0.1"), "address_forbidden", "A1"),
        ("https://hooks.acme.example/", (entry(private_range="10.20.0.0/16"),), ("10.21.0.1",),
         "address_forbidden", "A3"),
        ("https://hooks.acme.example/", (entry(private_range="10.20.0.0/16"),), ("127.0.0.1",),
         "address_forbidden", "A2"),
        ("https://hooks.acme.example/", (), ("fe80::1%eth0",), "address_forbidden", "A4"),
        ("https://169.254.169.254/", (entry("169.254.169.254"),), None, "address_forbidden", "A2"),
    ],
)  # fmt: skip
def test_a_blocked_url_names_the_rule_and_a_fix(url, entries, answers, code, rule):
    found = said(url, *entries, answers=answers)
    assert (found.is_allowed, found.code, found.rule) == (False, code, rule)
    assert found.why
    assert found.fix


def test_d7_a_name_outside_the_zones_of_aliases_is_said():
    zoned, aliases = entry(alias_zones=("cdn.example",)), ("edge.cdn.example", "evil.example")
    found = said("https://hooks.acme.example/", zoned, aliases=aliases)
    assert (found.is_allowed, found.code, found.rule) == (False, "alias_outside", "D7")
    assert said("https://hooks.acme.example/", zoned, aliases=aliases[:1]).is_allowed
    assert said("https://hooks.acme.example/", aliases=aliases).is_allowed


def test_what_nobody_asked_for_is_not_known():
    assert said("https://hooks.acme.example/", answers=None).code == "unresolved"


def test_a_revoked_host_and_an_inactive_connector_are_said():
    ground = Ground(Policy(revoked_hosts=("*.acme.example",)), builders.TODAY, frozenset())
    assert said("https://hooks.acme.example/", ground=ground).rule == "revoked"
    found = said("https://hooks.acme.example/", state=ConnectorState.RETIRED)
    assert (found.code, found.rule) == ("connector_inactive", "active")


def test_report_only_is_said_and_ends():
    url = "https://other.example/"
    assert said(url, report_only_until=builders.TODAY).code == "reported"
    assert said(url, report_only_until=builders.TODAY, answers=("10.0.0.1",)).is_allowed is False
    assert said(url, report_only_until=date(2020, 1, 1)).code == "destination_unlisted"


def test_the_connector_that_lists_a_url_answers_for_it():
    first = builders.connector("first", destinations=(entry(expires=date(2020, 1, 1)),))
    second = builders.connector("second", destinations=(entry(),))
    found = find("https://hooks.acme.example/", (first, second), GROUND)
    assert isinstance(found, Found)
    assert found.connector.name == "second"
    nearest = find("https://hooks.acme.example/", (builders.connector("third", destinations=()),
                                                   first), GROUND)  # fmt: skip
    assert not isinstance(nearest, Found)
    assert nearest.connector == "first"
    nobody = find("https://hooks.acme.example/", (), GROUND)
    assert not isinstance(nobody, Found)
    assert nobody.code == "destination_unlisted"


@pytest.mark.parametrize("answers", [PUBLIC, ("10.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("x",), ()])
def test_what_is_said_is_what_is_done(answers):
    verdict = admit(builders.cleared(), Resolved(answers), AddressRules())
    assert isinstance(verdict, Admitted) == said("https://hooks.acme.example/in",
                                                 answers=answers).is_allowed  # fmt: skip


LIST = UrlList.of(AddressRules(), builders.TODAY)


def verdict_of(line):
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    found = LIST.judge(text)
    return found.id, found.verdict, found.code


@pytest.mark.parametrize(
    ("url", "dns", "allowed", "verdict"),
    [
        ("https://h.acme.example/", {"h.acme.example": ["8.8.8.8"]},
         {"host": "h.acme.example", "port": 443}, "allow"),
        ("https://h.acme.example./", {"h.acme.example": ["8.8.8.8"]},
         {"host": "*.acme.example", "port": 443}, "allow"),
        ("https://bücher.example/", {"xn--bcher-kva.example": ["8.8.8.8"]},
         {"host": "BÜCHER.example", "port": 443}, "allow"),
        ("https://a.b.acme.example/", {"a.b.acme.example": ["8.8.8.8"]},
         {"host": "*.acme.example", "port": 443}, "block"),
        ("https://h.acme.example/", {"h.acme.example": ["10.20.0.1"]},
         {"host": "h.acme.example", "port": 443, "cidr": "10.20.0.0/16"}, "allow"),
        ("https://h.acme.example/", {"h.acme.example": ["10.21.0.1"]},
         {"host": "h.acme.example", "port": 443, "cidr": "10.20.0.0/16"}, "block"),
        ("https://10.20.0.1/", None, {"cidr": "10.20.0.0/16", "port": 443}, "allow"),
        ("https://10.21.0.1/", None, {"cidr": "10.20.0.0/16", "port": 443}, "block"),
        ("https://10.20.0.1:8443/", None, {"cidr": "10.20.0.0/16", "port": 443}, "block"),
        ("http://10.20.0.1/", None, {"cidr": "10.20.0.0/16", "port": 80}, "block"),
        ("http://10.20.0.1/", None, {"cidr": "10.20.0.0/16", "port": 80, "scheme": "http"},
         "allow"),
        ("https://h.acme.example/", None, {"host": "h.acme.example", "port": 443}, "block"),
        ("https://h.acme.example/", {"h.acme.example": ["8.8.8.8"]}, None, "block"),
        ("https://h.acme.example/", {"h.acme.example": []},
         {"host": "h.acme.example", "port": 443}, "block"),
    ],
)  # fmt: skip
def test_a_line_is_judged_by_its_own_answers_and_entry(url, dns, allowed, verdict):
    line = {"id": "x", "url": url, "dns": dns, "allow_entry": allowed}
    assert verdict_of(line)[:2] == ("x", verdict)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b'"x"', b"null", b'{"id": 1}', b'{"id": 1, "url": 7}', b"\xff\xfe",
     b"[" * 100_000, b'{"url": "x", "dns": {"a": "8.8.8.8"}}',
     b'{"url": "x", "allow_entry": {"hosts": "a"}}', b" " * 2_000_000,
     b'{"\\ud800": 1}', b'"\\ud800"', b'{"url": "x", "dns": "\\ud800"}',
     b'{"url": "x", "allow_entry": {"port": "\\ud800"}}'],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_blocked(line):
    assert verdict_of(line)[1:] == ("block", "line_invalid")


def test_a_line_keeps_its_id_whatever_it_holds():
    assert verdict_of(b'{"id": [1, {"a": null}], "url": "x"}') == (
        [1, {"a": None}], "block", "url_invalid"
    )  # fmt: skip
    assert verdict_of(b'{"id": 5, "url": 7}')[0] == 5
    assert verdict_of(b'{"id": 6, "url": "https://a\\ud800.example/"}') == (
        6, "block", "url_invalid"
    )  # fmt: skip
