"""TLS as it is enforced: the right name, a trusted root, a modern version, nothing from outside."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.letter import Answer, Trouble
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.tls import make_context
from dispatcher.network.transport import Transport
from tests.support.hostile import Receiver, answers, depart, go, make_letter, receiver, serving

TLS_FAILED = Trouble("tls_failed", is_begun=False)
HOST = "inbox.test"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA) -> Iterator[str]:
    with authority.cert_pem.tempfile() as path:
        yield path


def transport_to(partner: Receiver, ca_file: str | None) -> Transport:
    return Transport(NetworkSettings(loopback_inboxes=partner.inboxes, ca_file=ca_file))


async def test_letters_over_tls_share_a_connection(authority: trustme.CA, ca_file: str) -> None:
    tls = serving(authority.issue_cert(HOST))
    async with receiver(answers(200), tls=tls) as partner:
        door = transport_to(partner, ca_file)
        letter = make_letter(partner.url(HOST), "127.0.0.1", body=bytes(100_000))
        for _ in range(5):
            assert await door.post(letter, depart, go) == Answer(200)
            await asyncio.sleep(0.01)
        assert partner.connections == 1
        assert len(partner.requests[0].body) == 100_000
        await door.aclose()


async def test_c9_nothing_but_http_1_1_is_offered(authority: trustme.CA, ca_file: str) -> None:
    tls = serving(authority.issue_cert(HOST))
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with receiver(answers(200), tls=tls) as partner:
        door = transport_to(partner, ca_file)
        assert await door.post(make_letter(partner.url(HOST), "127.0.0.1"), depart, go) == (
            Answer(200)
        )
        spoken = partner.writers[-1].get_extra_info("ssl_object")
        assert spoken.selected_alpn_protocol() == "http/1.1"
        await door.aclose()


async def test_c5_an_answer_pushed_over_tls_is_not_taken_either(
    authority: trustme.CA, ca_file: str
) -> None:
    tls = serving(authority.issue_cert(HOST))
    async with receiver(answers(200, 201), tls=tls) as partner:
        door = transport_to(partner, ca_file)
        letter = make_letter(partner.url(HOST), "127.0.0.1")
        assert await door.post(letter, depart, go) == Answer(200)
        partner.writers[-1].write(b"HTTP/1.1 299 Pushed\r\nContent-Length: 0\r\n\r\n")
        assert await door.post(letter, depart, go) == Answer(201)
        assert partner.connections == 2
        await door.aclose()


async def test_a_certificate_for_an_address_is_checked_as_one(
    authority: trustme.CA, ca_file: str
) -> None:
    tls = serving(authority.issue_cert("127.0.0.1"))
    async with receiver(answers(200), tls=tls) as partner:
        door = transport_to(partner, ca_file)
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        await door.aclose()


async def expect_refusal(tls: ssl.SSLContext, ca_file: str | None) -> None:
    async with receiver(answers(200), tls=tls) as partner:
        door = transport_to(partner, ca_file)
        assert (
            await door.post(make_letter(partner.url(HOST), "127.0.0.1"), depart, go) == TLS_FAILED
        )
        assert partner.bytes_received == 0
        assert door.open_connections() == 0
        await door.aclose()


async def test_a_certificate_for_another_name_is_refused(
    authority: trustme.CA, ca_file: str
) -> None:
    await expect_refusal(serving(authority.issue_cert("other.test")), ca_file)


async def test_a_certificate_of_an_unknown_authority_is_refused(ca_file: str) -> None:
    await expect_refusal(serving(trustme.CA().issue_cert(HOST)), ca_file)


async def test_the_systems_roots_do_not_include_a_private_authority(authority: trustme.CA) -> None:
    await expect_refusal(serving(authority.issue_cert(HOST)), None)


async def test_an_expired_certificate_is_refused(authority: trustme.CA, ca_file: str) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    await expect_refusal(serving(authority.issue_cert(HOST, not_after=past)), ca_file)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_t1_an_old_version_of_tls_is_refused(authority: trustme.CA, ca_file: str) -> None:
    tls = serving(authority.issue_cert(HOST))
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = ssl.TLSVersion.TLSv1
    tls.maximum_version = ssl.TLSVersion.TLSv1_1
    await expect_refusal(tls, ca_file)


async def test_a_partner_that_does_not_speak_tls_gets_nothing(ca_file: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    inboxes = frozenset({("127.0.0.1", port)})
    door = Transport(NetworkSettings(loopback_inboxes=inboxes, ca_file=ca_file))
    letter = make_letter(f"https://{HOST}:{port}/in", "127.0.0.1")
    assert await door.post(letter, depart, go) == TLS_FAILED
    await door.aclose()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


async def test_a_handshake_that_never_ends_is_bounded(ca_file: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    inboxes = frozenset({("127.0.0.1", port)})
    settings = NetworkSettings(loopback_inboxes=inboxes, ca_file=ca_file, connect_seconds=0.2)
    door = Transport(settings)
    letter = make_letter(f"https://{HOST}:{port}/in", "127.0.0.1")
    assert await door.post(letter, depart, go) == Trouble("connect_timeout", is_begun=False)
    await door.aclose()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


def test_t2_the_context_takes_nothing_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA, ca_file: str
) -> None:
    own = make_context(NetworkSettings())
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    context = make_context(NetworkSettings())
    assert not context.keylog_filename
    assert not (tmp_path / "keys").exists()
    assert context.cert_store_stats() == own.cert_store_stats()


def test_t3_the_context_always_verifies(ca_file: str) -> None:
    context = make_context(NetworkSettings(ca_file=ca_file))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_roots_that_cannot_be_read_are_a_fault_of_the_configuration(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigInvalid) as raised:
        make_context(NetworkSettings(ca_file=str(path)))
    assert raised.value.reason == "ca_file"
    assert raised.value.where == str(path)
