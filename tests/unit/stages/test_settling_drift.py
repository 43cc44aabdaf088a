"""What counts as drift: another network, another issuer, than any met before."""

import pytest

from dispatcher.model.tls import Met, Peer
from dispatcher.stages.settling.drift import Drift, find_drift, network_of

KNOWN = (
    Peer("192.0.2.10", "CN=One", 1, "sha256/a"),
    Peer("2001:db8:1::1", "CN=Two", 2, "sha256/b"),
)


def test_the_first_peer_of_all_differs_from_nobody():
    assert find_drift((), KNOWN[0]) == ()


@pytest.mark.parametrize(
    ("address", "issuer", "drifts"),
    [
        ("192.0.2.10", "CN=One", ()),
        ("192.0.2.200", "CN=Two", ()),
        ("2001:db8:1:ffff::9", "CN=One", ()),
        ("::ffff:192.0.2.77", "CN=One", ()),
        ("192.0.3.10", "CN=One", (Drift.NETWORK,)),
        ("2001:db8:2::1", "CN=Two", (Drift.NETWORK,)),
        ("192.0.2.11", "CN=Three", (Drift.ISSUER,)),
        ("192.0.2.11", "", (Drift.ISSUER,)),
        ("198.51.100.1", "CN=Three", (Drift.NETWORK, Drift.ISSUER)),
    ],
)
def test_drift_is_what_no_known_peer_has_in_common(address, issuer, drifts):
    assert find_drift(KNOWN, Peer(address, issuer, 9, "sha256/c")) == drifts


def test_a_renewed_certificate_with_another_key_is_no_drift():
    assert find_drift(KNOWN, Peer("192.0.2.10", "CN=One", 99, "sha256/new")) == ()


def test_networks_are_as_wide_as_partners_move_about_in():
    assert network_of("192.0.2.10") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"


def test_t9_a_peer_is_named_by_all_that_is_known_of_it():
    facts = ("acme", "hooks.acme.example", KNOWN[0])
    one = Met.at(*facts)
    assert one == Met.at(*facts)
    assert len(one.id) == 32
    others = {
        Met.at("bolt", *facts[1:]).id,
        Met.at("acme", "other.example", KNOWN[0]).id,
        Met.at("acme", "hooks.acme.example", KNOWN[1]).id,
        Met.at("acme", "hooks.acme.example", Peer("192.0.2.10", "CN=One", 2, "sha256/a")).id,
    }
    assert len(others | {one.id}) == 5
