"""What the doctor says of the partner listener: its identity, its address, and who needs it."""

import asyncio
import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from dispatcher.app.config import Config, load_config
from dispatcher.app.finding import Remark
from dispatcher.app.partner_checks import (
    OFF,
    describe_need,
    look_at_address,
    look_at_identity,
    look_at_need,
)
from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.keys import SigningProfile
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Style
from dispatcher.network.own_listener import is_free, is_ours, names_of
from tests.support.certificates import serving, write_identity
from tests.unit.stages.builders import connector, registry, subscription

HOST = "fetch.example"
OURS = trustme.CA()
CERTIFICATE = OURS.issue_cert(HOST)


def chain_of(certificate: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in certificate.cert_chain_pems)


def configured(folder: Path, certificate: trustme.LeafCert = CERTIFICATE, **more: Any) -> Config:
    """Give a configuration whose listener has this certificate."""
    write_identity(folder, certificate, "own")
    named = {"port": 0, "base_url": f"https://{HOST}", "certificate": "own.pem"} | more
    lines = ["[partner]", 'key = "own-key.pem"']
    lines += [f"{key} = {value!r}" for key, value in named.items()]
    (folder / "dispatcher.toml").write_text("\n".join(lines))
    return load_config(folder / "dispatcher.toml")


def ending(**apart: int) -> trustme.LeafCert:
    """Give a certificate that ends so long from now."""
    return OURS.issue_cert(HOST, not_after=datetime.now(UTC) + timedelta(**apart))


async def refused(look: Any, config: Config) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as raised:
        await look(config)
    assert raised.value.fix
    assert raised.value.where
    return raised.value


# Its identity.


async def test_a_certificate_that_fits_is_named_with_its_host_and_its_end(tmp_path: Path):
    said = await look_at_identity(configured(tmp_path, ending(days=90, hours=1)))
    assert re.fullmatch(r"[0-9a-f]{16} is for fetch\.example, ends in 90 days", str(said))


async def test_a_certificate_that_ends_soon_is_a_warning(tmp_path: Path):
    said = await look_at_identity(configured(tmp_path, ending(days=12, hours=1)))
    assert isinstance(said, Remark)
    assert said.code == "certificate_ends_soon"
    assert said.said.endswith("ends in 12 days")
    assert "start the listener anew" in said.fix


@pytest.mark.parametrize("apart", [{"days": -3}, {"seconds": -30}])
async def test_a_certificate_that_has_ended_is_a_fault(tmp_path: Path, apart: dict[str, int]):
    fault = await refused(look_at_identity, configured(tmp_path, ending(**apart)))
    assert fault.reason == "certificate_ended"


async def test_a_certificate_that_is_not_valid_yet_is_a_fault(tmp_path: Path):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    later = OURS.issue_cert(HOST, not_before=tomorrow, not_after=tomorrow + timedelta(days=90))
    fault = await refused(look_at_identity, configured(tmp_path, later))
    assert fault.reason == "certificate_not_yet"


@pytest.mark.parametrize("name", ["*.example", "*.EXAMPLE", HOST])
async def test_a_certificate_may_be_for_all_hosts_beside_the_one_that_partners_call(
    tmp_path: Path, name: str
):
    said = await look_at_identity(configured(tmp_path, OURS.issue_cert(name)))
    assert isinstance(said, str)


@pytest.mark.parametrize("name", ["other.example", "*.fetch.example", "*.other", "203.0.113.5"])
async def test_a_certificate_for_another_host_than_partners_call_is_a_warning(
    tmp_path: Path, name: str
):
    said = await look_at_identity(configured(tmp_path, OURS.issue_cert(name)))
    assert isinstance(said, Remark)
    assert said.code == "certificate_name"
    assert f"is for {name}, and partners call {HOST}" in said.said


async def test_a_key_of_another_certificate_is_a_fault(tmp_path: Path):
    config = configured(tmp_path)
    (tmp_path / "own-key.pem").write_bytes(OURS.issue_cert(HOST).private_key_pem.bytes())
    fault = await refused(look_at_identity, config)
    assert fault.reason == "client_identity"
    assert "not a pair" in fault.why


async def test_a_key_that_others_may_read_is_a_fault(tmp_path: Path):
    config = configured(tmp_path)
    (tmp_path / "own-key.pem").chmod(0o640)
    fault = await refused(look_at_identity, config)
    assert fault.fix == f"chmod 600 {tmp_path / 'own-key.pem'}"


@pytest.mark.parametrize("file", ["own.pem", "own-key.pem"])
async def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path, file: str):
    config = configured(tmp_path)
    (tmp_path / file).unlink()
    fault = await refused(look_at_identity, config)
    assert fault.where == str(tmp_path / file)
    assert "cannot be read" in fault.why


# Its address.


def at(folder: Path, port: int, **more: Any) -> Config:
    return configured(folder, host="127.0.0.1", port=port, **more)


async def test_a_free_address_is_said_to_be_free_and_is_free_afterwards(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = at(tmp_path, port)
    assert await look_at_address(config) == f"127.0.0.1:{port} is free"
    assert await look_at_address(config) == f"127.0.0.1:{port} is free"
    with socket.socket() as unshared:  # which a socket that was left there would stop
        unshared.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)):
        assert not await is_free("127.0.0.1", port)


@pytest.mark.parametrize("shown", [CERTIFICATE, ending(days=2)], ids=["long", "short"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_an_address_that_is_served_with_our_certificate_is_well(
    tmp_path: Path, host: str, shown: trustme.LeafCert
):
    server = await asyncio.start_server(lambda *_: None, host, 0, ssl=serving(shown))
    async with server:
        port = server.sockets[0].getsockname()[1]
        config = configured(tmp_path, shown, host=host, port=port)
        assert await look_at_address(config) == f"{host}:{port} is served with this certificate"


@pytest.mark.parametrize("name", [HOST, "other.example"])
async def test_an_address_that_is_served_with_another_certificate_is_a_fault(
    tmp_path: Path, name: str
):
    # Also one of the same authority, for the same host: what we were before our renewal.
    context = serving(OURS.issue_cert(name))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        fault = await refused(look_at_address, at(tmp_path, server.sockets[0].getsockname()[1]))
    assert fault.reason == "address_in_use"
    assert "start the listener anew" in fault.fix


async def test_an_address_where_something_else_listens_is_a_fault(tmp_path: Path):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        fault = await refused(look_at_address, at(tmp_path, server.sockets[0].getsockname()[1]))
    assert fault.reason == "address_in_use"


async def test_a_silent_listener_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with asyncio.timeout(10):
            assert not await is_ours("127.0.0.1", port, chain_of(CERTIFICATE), 0.1)


async def test_an_address_that_this_machine_does_not_have_is_a_fault(tmp_path: Path):
    fault = await refused(look_at_address, configured(tmp_path, host="203.0.113.7"))
    assert fault.reason == "address_unusable"
    assert "cannot listen on 203.0.113.7:0" in fault.why


async def test_where_the_identity_cannot_be_read_that_is_told_once(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = at(tmp_path, taken.getsockname()[1])
        (tmp_path / "own-key.pem").unlink()
        assert (await look_at_address(config)).endswith("see the listener identity")


def test_a_certificate_names_hosts_and_addresses_or_nobody(tmp_path: Path):
    named = OURS.issue_cert("A.example", "203.0.113.5")
    assert names_of(chain_of(named)) == ("a.example", "203.0.113.5")
    assert names_of(b"no certificate") == ()


# Who needs it.


def needing(**more: Any) -> Any:
    state = more.pop("state", ConnectorState.ACTIVE)
    return registry(connectors=(connector(state=state),), subscriptions=(subscription(**more),))


@pytest.mark.parametrize(
    ("more", "need"),
    [
        ({}, ""),
        ({"signing": SigningProfile.V1A}, "for the public keys of acme-orders"),
        ({"signing": SigningProfile.RFC9421_ED25519}, "for the public keys of acme-orders"),
        ({"signing": SigningProfile.RFC9421_HMAC}, ""),
        # Whoever has the secret may verify by that.
        ({"signing": SigningProfile.V1_V1A}, ""),
        ({"style": Style.THIN}, "for the tickets of acme-orders"),
        ({"style": Style.THIN, "ticket_seconds": 0}, ""),
        (
            {"style": Style.THIN, "signing": SigningProfile.V1A},
            "for the public keys of acme-orders and the tickets of acme-orders",
        ),
        ({"signing": SigningProfile.V1A, "state": ConnectorState.RETIRED}, ""),
    ],
)
def test_public_keys_and_tickets_need_the_listener(more: dict[str, Any], need: str):
    assert describe_need(needing(**more)) == need


def test_of_many_the_first_are_named():
    many = tuple(subscription(f"s-{n:02}", signing=SigningProfile.V1A) for n in range(30))
    need = describe_need(registry(connectors=(connector(),), subscriptions=many))
    assert need.endswith("s-18, s-19 ...")


async def test_without_its_databases_the_need_is_not_known_and_the_rest_is_said(tmp_path: Path):
    (tmp_path / "dispatcher.toml").write_text("")
    config = load_config(tmp_path / "dispatcher.toml")
    assert str(await look_at_need(config)).startswith("off; who needs it was not read")
    assert await look_at_identity(config) == await look_at_address(config) == OFF
    config = configured(tmp_path)
    said = str(await look_at_need(config))
    assert said.startswith("partners call https://fetch.example; who needs it was not read")
