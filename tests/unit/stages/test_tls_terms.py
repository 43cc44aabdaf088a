"""TLS terms of a destination: which hold, what is wrong with them, what a change of them does."""

import tomllib
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest
import trustme

from dispatcher.control.documents import read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.letter import Stopped
from dispatcher.model.registry import Destination
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.departure import may_begin
from dispatcher.stages.gates.paper import coming_due
from dispatcher.stages.gates.terms import find_terms
from dispatcher.stages.revising.compiling import compile_snapshot
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from tests.unit.stages import builders
from tests.unit.stages.builders import FAR, NO_LOOPBACK, TODAY, connector, registry

YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
PINS = tuple(f"sha256/{b64encode(bytes([n] * 32)).decode()}" for n in range(3))
PINNED = Tls(pins=PINS[:2], pins_until=FAR)
CAS = [trustme.CA().cert_pem.bytes().decode() for _ in range(2)]
OWN = Tls(ca=CAS[0])
INBOX = Destination(host="hooks.acme.example", reason="orders")


def listed(*tls: Tls | Destination):
    entries = [replace(INBOX, tls=each) if isinstance(each, Tls) else each for each in tls]
    return registry(connectors=(connector(destinations=tuple(entries)),))


def route_of(held, today=TODAY):
    return builders.snapshot(held, today=today).routes["acme-orders"]


# Which terms hold.


def test_without_terms_of_its_own_a_destination_is_reached_by_the_usual_ones():
    assert route_of(registry()).tls == Tls()
    assert not route_of(registry()).close_after_each


def test_the_narrowest_entry_that_has_not_expired_gives_the_terms():
    wide = replace(INBOX, host="*.acme.example", tls=Tls(minimum="1.3"), close_after_each=True)
    near = replace(INBOX, path_prefix="/in", tls=PINNED, expires=TODAY)
    for entries in ((INBOX, wide, near), (near, wide, INBOX)):
        assert find_terms(entries, TODAY) == near
        assert route_of(listed(*entries)).tls == PINNED
        assert route_of(listed(*entries), today=TOMORROW).tls == INBOX.tls
        assert not route_of(listed(*entries), today=TOMORROW).close_after_each
    assert route_of(listed(wide)).tls.minimum == "1.3"
    assert route_of(listed(wide)).close_after_each
    assert route_of(listed(replace(near, expires=YESTERDAY))).tls == Tls()


def test_t6_pins_are_only_reported_until_the_day_that_says_so_is_over():
    terms = replace(PINNED, pins_report_until=TODAY)
    assert route_of(listed(terms)).tls.is_reporting
    later = route_of(listed(terms), today=TOMORROW).tls
    assert later == PINNED
    assert not later.is_reporting


def closed_by(held, today=TODAY, identities=frozenset()):
    snapshot = compile_snapshot(
        held,
        revision=1,
        epoch=1,
        switches=(),
        proofs=builders.proofs_of(held, today),
        today=today,
        loopback=NO_LOOPBACK,
        identities=frozenset(identities),
    )
    (refusal,) = snapshot.closed.values() or (None,)
    return refusal.reasons if refusal else ()


def test_t6_pins_that_have_ended_close_the_lane_and_keep_what_waits():
    held = listed(replace(PINNED, pins_until=TODAY))
    assert closed_by(held) == ()
    assert closed_by(held, today=TOMORROW) == (Reason.PINS_EXPIRED,)
    (refusal,) = builders.snapshot(held, today=TOMORROW).closed.values()
    assert refusal.is_hold


def test_t6_the_end_of_pins_is_announced_like_that_of_other_papers():
    held = listed(replace(PINNED, pins_until=TODAY + timedelta(days=14)))
    (due,) = coming_due(held, TODAY)
    assert (due.days_left, due.paper) == (14, "pins of hooks.acme.example")


def test_t5_a_worker_without_the_identity_asked_for_keeps_the_lane_closed():
    held = listed(Tls(identity="acme-mtls"))
    assert closed_by(held) == (Reason.CLIENT_IDENTITY_MISSING,)
    assert closed_by(held, identities={"other"}) == (Reason.CLIENT_IDENTITY_MISSING,)
    assert closed_by(held, identities={"acme-mtls"}) == ()


@pytest.mark.parametrize("terms", [PINNED, OWN, Tls(minimum="1.3")])
def test_terms_that_changed_since_the_letter_was_judged_stop_it(terms):
    before = builders.cleared()
    moved = builders.snapshot(listed(terms), revision=2)
    verdict = may_begin(before, before.scope, moved, now=10.0, policy_lease_ends=12.0)
    assert verdict == Stopped(Reason.POLICY_CHANGED)
    closing = builders.snapshot(listed(replace(INBOX, close_after_each=True)), revision=2)
    verdict = may_begin(before, before.scope, closing, now=10.0, policy_lease_ends=12.0)
    assert verdict == Stopped(Reason.POLICY_CHANGED)
    assert not isinstance(verdict, Refusal)


# What is wrong with them.


def faults_of(entry):
    return [
        fault.where.removeprefix("connector 'acme': destinations 'hooks.acme.example': ")
        for fault in find_faults(listed(entry))
    ]


@pytest.mark.parametrize(
    "tls",
    [
        PINNED,
        OWN,
        Tls(ca="".join(CAS)),
        Tls(ca=f"The authority of acme:\n{CAS[0]}"),
        Tls(minimum="1.3", identity="acme-mtls"),
        replace(PINNED, pins=PINS, pins_report_until=TODAY),
    ],
)
def test_sound_terms_have_no_fault(tls):
    assert faults_of(tls) == []


KEY = trustme.CA().private_key_pem.bytes().decode()
SHORT = f"sha256/{b64encode(bytes(31)).decode()}"


@pytest.mark.parametrize(
    ("tls", "key"),
    [
        (Tls(ca="not a certificate"), "tls ca"),
        (Tls(ca=KEY), "tls ca"),
        (Tls(ca=CAS[0] + KEY), "tls ca"),
        (Tls(ca=CAS[0].replace("MII", "MIX")), "tls ca"),
        (Tls(ca=CAS[0] + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), "tls ca"),
        (Tls(ca=CAS[0] + "\x1b[2J"), "tls ca"),
        (Tls(ca=CAS[0] * 100), "tls ca"),
        (Tls(identity="Not A Name"), "tls identity"),
        (replace(PINNED, pins=PINS[:1]), "tls pins"),
        (replace(PINNED, pins=PINS[:1] * 2), "tls pins"),
        (replace(PINNED, pins=(PINS[0], "sha256/AAAA")), "tls pins"),
        (replace(PINNED, pins=(PINS[0], SHORT)), "tls pins"),
        (replace(PINNED, pins=(PINS[0], PINS[1].replace("sha256", "sha1"))), "tls pins"),
        (replace(PINNED, pins=(PINS[0], PINS[1][:-2] + "F=")), "tls pins"),
        (replace(PINNED, pins=tuple(f"{p[:-3]}{c}A=" for p in PINS for c in "abcdef")), "tls pins"),
        (replace(PINNED, pins_until=None), "tls pins_until"),
        (replace(PINNED, pins_report_until=FAR), "tls pins_report_until"),
        (Tls(pins_until=FAR), "tls"),
        (Tls(pins_report_until=FAR), "tls"),
    ],
)
def test_t6_terms_that_do_not_hold_together_are_a_fault(tls, key):
    assert set(faults_of(tls)) == {key}


@pytest.mark.parametrize("terms", [{"tls": PINNED}, {"close_after_each": True}])
def test_there_are_no_tls_terms_over_plain_http(terms):
    entry = Destination(host="127.0.0.1", port=9001, scheme="http", reason="a demo", **terms)
    found = find_faults(listed(entry))
    assert [fault.where for fault in found] == ["connector 'acme': destinations '127.0.0.1': tls"]


# What a change to them does.


def said(old, new):
    changes = diff(old, new, TODAY, NO_LOOPBACK).changes
    return {
        (str(each.direction), each.what.partition(": ")[2])
        for each in changes
        if str(each.aspect) == "tls"
    }


STEPS = [
    (Tls(minimum="1.3"), Tls(), "TLS 1.2 or later, was 1.3"),
    (PINNED, Tls(), "any public key will do, was pinned"),
    (PINNED, replace(PINNED, pins=PINS), f"the public key may be {PINS[2]}"),
    (replace(PINNED, pins_until=TOMORROW), PINNED, f"pinned through {FAR}"),
    (
        PINNED,
        replace(PINNED, pins_report_until=TOMORROW),
        f"a wrong public key is only reported through {TOMORROW}",
    ),
    (OWN, Tls(ca="".join(CAS)), "trusts another authority"),
]


@pytest.mark.parametrize(("strict", "loose", "what"), STEPS)
def test_a_looser_term_widens_and_a_stricter_one_narrows(strict, loose, what):
    assert said(listed(strict), listed(loose)) == {("widens", what)}
    assert diff(listed(strict), listed(loose), TODAY, NO_LOOPBACK).direction == "widens"
    back = diff(listed(loose), listed(strict), TODAY, NO_LOOPBACK)
    assert back.direction == "narrows"


@pytest.mark.parametrize(
    ("old", "new"), [(Tls(), OWN), (OWN, Tls()), (OWN, Tls(ca=CAS[1])), (Tls(ca=CAS[1]), OWN)]
)
def test_t4_to_trust_another_authority_widens_both_ways(old, new):
    assert {direction for direction, _ in said(listed(old), listed(new))} == {"widens"}


def test_the_same_authorities_written_otherwise_change_nothing():
    other = Tls(ca=f"Acme\n{CAS[0].strip()}\n\n")
    assert said(listed(OWN), listed(other)) == set()


def test_a_time_of_reporting_that_is_over_changes_nothing():
    over = replace(PINNED, pins_report_until=YESTERDAY)
    assert said(listed(PINNED), listed(over)) == said(listed(over), listed(PINNED)) == set()


def test_t5_to_show_a_certificate_of_ours_somewhere_new_widens_and_to_show_none_is_neutral():
    first, second = (listed(Tls(identity=name)) for name in ("one", "two"))
    assert said(listed(Tls()), first) == {("widens", "identity one, was none")}
    assert said(first, second) == {("widens", "identity two, was one")}
    assert said(first, listed(Tls())) == {("neutral", "identity none, was one")}


def test_what_flows_is_compared_though_no_worker_is_asked_for_its_identities():
    less = listed(Tls(identity="acme-mtls"))
    wider = builders.subscription(scope={"order.paid": ("$.id", "$.lines[*].sku", "$.total")})
    more = replace(less, subscriptions=(wider,))
    assert diff(less, more, TODAY, NO_LOOPBACK).direction == "widens"


def test_c6_to_use_connections_again_widens_and_to_close_them_narrows():
    closing = listed(replace(INBOX, close_after_each=True))
    assert said(closing, registry()) == {("widens", "connections are used again")}
    assert said(registry(), closing) == {("narrows", "a connection for each letter")}


def test_an_entry_that_goes_and_leaves_an_endpoint_to_looser_terms_widens():
    near = replace(INBOX, path_prefix="/in", tls=PINNED)
    both, one = listed(INBOX, near), listed(INBOX)
    assert diff(both, one, TODAY, NO_LOOPBACK).direction == "widens"
    sooner = listed(INBOX, replace(near, expires=TOMORROW))
    assert diff(both, sooner, TODAY, NO_LOOPBACK).direction == "widens"


def test_an_entry_alone_that_ends_sooner_still_narrows():
    alone = replace(INBOX, tls=PINNED)
    sooner = replace(alone, expires=TOMORROW)
    assert diff(listed(alone), listed(sooner), TODAY, NO_LOOPBACK).direction == "narrows"


def test_terms_are_written_in_the_files_as_they_are_read(tmp_path):
    held = listed(replace(PINNED, ca=CAS[0], minimum="1.3", identity="acme-mtls"))
    export_registry(held, tmp_path / "out")
    text = (tmp_path / "out" / "acme.connector.toml").read_text()
    (partner,) = tomllib.loads(text)["connector"]
    assert partner["destinations"][0].keys() == {"host", "reason", "tls"}
    assert CAS[0] in text
    assert read_registry([tmp_path / "out"]).connectors == held.connectors


def test_one_place_is_listed_once_however_its_host_is_spelled():
    for other in ("Hooks.ACME.example", "hooks.acme.example."):
        twin = replace(INBOX, host=other, tls=PINNED)
        (fault,) = find_faults(listed(INBOX, twin))
        assert fault.why == "listed 2 times"
