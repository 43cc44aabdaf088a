"""What is read of a certificate, whoever made it."""

import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.text import is_readable
from dispatcher.model.tls import Peer
from dispatcher.network.certificates import ISSUER_CHARACTERS_MAX, read_certificate
from tests.support.certificates import pin_of

LEAF = trustme.CA(organization_name="A\nB\x1b[2J" + "x" * 30).issue_cert("inbox.test")
DER = load_pem_x509_certificate(LEAF.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)


def test_t9_a_certificate_says_who_made_it_until_when_and_for_which_key() -> None:
    peer = read_certificate("192.0.2.1", DER)
    assert (peer.address, peer.spki) == ("192.0.2.1", pin_of(LEAF))
    assert peer.not_after_us > 0
    assert "A?B?[2J" in peer.issuer


@given(st.integers(0, len(DER) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_t6_a_hostile_certificate_never_stops_us_and_never_fits_a_pin_it_should_not(
    place: int, put_in: bytes, taken_out: int
) -> None:
    mangled = DER[:place] + put_in + DER[place + taken_out :]
    peer = read_certificate("192.0.2.1", mangled)
    assert is_readable(peer.issuer)
    assert len(peer.issuer) <= ISSUER_CHARACTERS_MAX
    assert peer.spki == "" or peer.spki.startswith("sha256/")


@given(st.binary(max_size=200))
def test_t6_what_is_no_certificate_has_no_key(garbage: bytes) -> None:
    assert read_certificate("192.0.2.1", garbage) == Peer("192.0.2.1")
