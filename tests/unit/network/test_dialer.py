"""What the dialer decides without a socket: same address or not, and names for what went wrong."""

import errno
import ssl

import pytest
from aiohttp.client_exceptions import ClientConnectionError

from dispatcher.model.endpoint import Endpoint, parse_endpoint
from dispatcher.network.dialer import VettedResolver, is_among, make_dial
from dispatcher.network.troubles import AddressForbidden, ConnectionSpoiled, connect_trouble

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize(
    ("peer", "addresses", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1",), True),
        ("192.0.2.1", ("192.0.2.2", "192.0.2.1"), True),
        ("192.0.2.1", ("192.0.2.11",), False),
        ("192.0.2.1", (), False),
        ("2001:db8::1", ("2001:0db8:0::1",), True),
        ("::ffff:192.0.2.1", ("::ffff:c000:201",), True),
        ("::ffff:192.0.2.1", ("192.0.2.1",), False),
    ],
)
def test_an_address_is_known_however_it_is_spelled(
    peer: str, addresses: tuple[str, ...], expected: bool
) -> None:
    assert is_among(peer, addresses) is expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssl.SSLCertVerificationError("name"), "tls_failed"),
        (AddressForbidden(), "address_forbidden"),
        (TimeoutError(), "connect_timeout"),
        (OSError(errno.ETIMEDOUT, "late"), "connect_timeout"),
        (OSError(errno.ECONNREFUSED, "no"), "connect_refused"),
        (ConnectionSpoiled(), "connection_lost"),
        (OSError(errno.EHOSTUNREACH, "no route"), "connect_failed"),
        (ClientConnectionError("closed"), "connect_failed"),
        (RuntimeError("loop"), "connect_failed"),
    ],
)
def test_every_failure_before_the_first_byte_has_a_name(error: Exception, code: str) -> None:
    trouble = connect_trouble(error)
    assert trouble.code == code
    assert not trouble.is_begun


async def test_without_a_letter_there_is_nothing_to_dial() -> None:
    resolver = VettedResolver()
    with pytest.raises(AddressForbidden):
        await resolver.resolve("a.test", 443)
    await resolver.close()


@pytest.mark.parametrize("url", ["https://a.test/in", "http://[::1]:8080/", "http://192.0.2.1:1/"])
async def test_the_connector_reads_an_endpoint_as_we_do(url: str) -> None:
    endpoint = parse_endpoint(url)
    request = make_dial(endpoint, 5, CONTEXT).request
    assert (request.host, request.port) == (endpoint.host, endpoint.port)
    assert request.is_ssl() is (endpoint.scheme == "https")


async def test_a_host_that_two_parsers_read_differently_is_refused() -> None:
    folded = Endpoint(scheme="http", host="①②⑦.0.0.1", port=80, target="/")
    with pytest.raises(ValueError, match="differently"):
        make_dial(folded, 5, CONTEXT)
