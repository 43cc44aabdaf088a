"""TLS terms of a destination as they are kept: floor, own authority, pins, identity, revision."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as form

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.letter import Answer, Sealed, Stopped, Trouble
from dispatcher.model.tls import Peer, Tls
from dispatcher.model.verdict import Reason
from dispatcher.network.settings import Identity, NetworkSettings
from dispatcher.network.tls import Contexts
from dispatcher.network.transport import Transport
from tests.support.certificates import pem_of, pin_of, serving, write_identity
from tests.support.hostile import (
    Receiver,
    Request,
    Script,
    answers,
    depart,
    go,
    make_letter,
    receiver,
    says,
)
from tests.support.waiting import until

HOST = "inbox.test"
TLS_FAILED = Trouble("tls_failed", is_begun=False)
PIN_MISMATCH = Stopped(Reason.PIN_MISMATCH)
OTHER_PIN = f"sha256/{'A' * 43}="
END = dt.date(2099, 12, 31)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA) -> Iterator[str]:
    with authority.cert_pem.tempfile() as path:
        yield path


@pytest.fixture
def door_to(ca_file: str) -> Callable[..., Transport]:
    def make(partner: Receiver, **settings: Any) -> Transport:
        given: dict[str, Any] = {"ca_file": ca_file} | settings
        return Transport(NetworkSettings(loopback_inboxes=partner.inboxes, **given))

    return make


def letter_to(partner: Receiver, tls: Tls | None = None, **more: Any) -> Sealed:
    return make_letter(partner.url(HOST), "127.0.0.1", tls=tls or Tls(), **more)


def answers_after(moment: asyncio.Event) -> Script:
    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        await moment.wait()
        await answers(200)(request, writer)

    return script


def pinned(*pins: str, **more: Any) -> Tls:
    return Tls(pins=pins, pins_until=END, **more)


# The floor and the authority.


async def test_t1_a_floor_of_its_own_refuses_what_the_usual_one_allows(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    tls = serving(authority.issue_cert(HOST))
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with receiver(answers(200), tls=tls) as partner:
        door = door_to(partner)
        assert await door.post(letter_to(partner), depart, go) == Answer(200)
        received = partner.bytes_received
        assert await door.post(letter_to(partner, Tls(minimum="1.3")), depart, go) == TLS_FAILED
        assert partner.bytes_received == received
        await door.aclose()


async def test_t4_an_authority_of_its_own_is_trusted_there_and_there_alone(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    own = trustme.CA()
    async with receiver(answers(200), tls=serving(own.issue_cert(HOST))) as partner:
        door = door_to(partner)
        assert await door.post(letter_to(partner), depart, go) == TLS_FAILED
        terms = Tls(ca=pem_of(own))
        assert await door.post(letter_to(partner, terms), depart, go) == Answer(200)
        assert await door.post(letter_to(partner), depart, go) == TLS_FAILED
        assert len(partner.requests) == 1
        await door.aclose()


async def test_t4_where_it_has_an_authority_of_its_own_no_other_is_trusted(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as partner:
        door = door_to(partner)
        terms = Tls(ca=pem_of(trustme.CA()))
        assert await door.post(letter_to(partner, terms), depart, go) == TLS_FAILED
        assert partner.bytes_received == 0
        await door.aclose()


@pytest.mark.parametrize("terms", [Tls(), Tls(minimum="1.3"), Tls(identity="acme"), "own"])
def test_t3_every_context_verifies_strictly_whatever_the_terms(
    authority: trustme.CA, ca_file: str, tmp_path: Path, terms: Tls | str
) -> None:
    identity = write_identity(tmp_path, authority.issue_cert("acme.client"))
    contexts = Contexts(NetworkSettings(ca_file=ca_file, identities={"acme": identity}))
    wanted = terms if isinstance(terms, Tls) else Tls(ca=pem_of(trustme.CA()))
    context = contexts.context(wanted)
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509"] == 1
    assert contexts.context(wanted) is context


@pytest.mark.parametrize("ca", ["nothing", "\u00e4", "-----BEGIN CERTIFICATE-----\nAA\n"])
async def test_terms_that_do_not_load_send_nothing(
    authority: trustme.CA, door_to: Callable[..., Transport], ca: str
) -> None:
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as partner:
        door = door_to(partner)
        for terms in (Tls(ca=ca), Tls(identity="nobody")):
            assert await door.post(letter_to(partner, terms), depart, go) == TLS_FAILED
        assert partner.connections == 0
        await door.aclose()


# Pins.


async def test_t6_a_wrong_pin_sends_no_byte(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    certificate = authority.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        door = door_to(partner)
        result = await door.post(letter_to(partner, pinned(OTHER_PIN)), depart, go)
        assert result == PIN_MISMATCH
        assert isinstance(result, Stopped)
        assert result.peer is not None
        assert result.peer.spki == pin_of(certificate)
        await asyncio.sleep(0.02)
        assert (partner.connections, partner.bytes_received) == (1, 0)
        assert door.open_connections() == 0
        await door.aclose()


async def test_t6_the_current_pin_and_the_next_one_both_let_a_letter_go(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    certificate = authority.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        door = door_to(partner)
        for terms in (
            pinned(pin_of(certificate), OTHER_PIN),
            pinned(OTHER_PIN, pin_of(certificate)),
        ):
            for _ in range(2):
                assert await door.post(letter_to(partner, terms), depart, go) == Answer(200)
        assert partner.connections == 1
        await door.aclose()


async def test_t6_a_pooled_connection_is_asked_for_the_letters_own_pins(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    certificate = authority.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        door = door_to(partner)
        right = pinned(pin_of(certificate))
        assert await door.post(letter_to(partner, right), depart, go) == Answer(200)
        wrong = letter_to(partner, pinned(OTHER_PIN))
        assert await door.post(wrong, depart, go) == PIN_MISMATCH
        assert len(partner.requests) == 1
        await door.aclose()


async def test_t6_a_wrong_pin_that_is_only_reported_lets_the_letter_go_and_says_who_it_met(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    certificate = authority.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        door = door_to(partner)
        terms = pinned(OTHER_PIN, pins_report_until=END)
        answer = await door.post(letter_to(partner, terms), depart, go)
        assert answer == Answer(200)
        assert isinstance(answer, Answer)
        assert answer.peer is not None
        assert not terms.has_pin(answer.peer.spki)
        await door.aclose()


async def test_t6_a_certificate_swapped_between_two_letters_is_met_on_the_next_connection(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    first, second = authority.issue_cert(HOST), authority.issue_cert(HOST)
    tls = serving(first)
    async with receiver(answers(200), tls=tls) as partner:
        door = door_to(partner)
        letter = letter_to(partner, pinned(pin_of(first), OTHER_PIN))
        assert await door.post(letter, depart, go) == Answer(200)
        second.configure_cert(tls)
        assert await door.post(letter, depart, go) == Answer(200)  # who was met is still there
        partner.writers[-1].close()
        await asyncio.sleep(0.05)
        received = partner.bytes_received
        assert await door.post(letter, depart, go) == PIN_MISMATCH
        await asyncio.sleep(0.02)
        assert (partner.connections, partner.bytes_received) == (2, received)
        both = letter_to(partner, pinned(pin_of(first), pin_of(second)))
        assert await door.post(both, depart, go) == Answer(200)
        await door.aclose()


LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("fault", ["expired", "wrong host", "untrusted"])
async def test_t7_the_right_pin_excuses_no_other_fault_of_a_certificate(
    authority: trustme.CA, door_to: Callable[..., Transport], fault: str
) -> None:
    issuer = trustme.CA() if fault == "untrusted" else authority
    name = "other.test" if fault == "wrong host" else HOST
    ends = {"not_after": LONG_AGO} if fault == "expired" else {}
    certificate = issuer.issue_cert(name, **ends)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        door = door_to(partner)
        letter = letter_to(partner, pinned(pin_of(certificate), OTHER_PIN))
        assert await door.post(letter, depart, go) == TLS_FAILED
        assert partner.bytes_received == 0
        await door.aclose()


# Who we say we are.


async def test_t5_two_identities_at_one_endpoint_do_not_mix(
    authority: trustme.CA, door_to: Callable[..., Transport], tmp_path: Path
) -> None:
    clients = trustme.CA()
    identities = {
        name: write_identity(tmp_path, clients.issue_cert(f"{name}.client"), name)
        for name in ("one", "two")
    }
    tls = serving(authority.issue_cert(HOST), clients=clients)
    async with receiver(answers(200), tls=tls) as partner:
        door = door_to(partner, identities=identities)
        order = ["one", "two", "one", "two"]
        for name in order:
            letter = letter_to(partner, Tls(identity=name))
            assert await door.post(letter, depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 2, 1, 2]
        shown = [writer.get_extra_info("peercert") for writer in partner.writers]
        names = [dict(each["subjectAltName"])["DNS"] for each in shown]
        assert names == ["one.client", "two.client"]
        await door.aclose()


async def test_t5_a_letter_without_an_identity_borrows_no_connection_that_has_one(
    authority: trustme.CA, door_to: Callable[..., Transport], tmp_path: Path
) -> None:
    clients = trustme.CA()
    identity = write_identity(tmp_path, clients.issue_cert("one.client"))
    tls = serving(authority.issue_cert(HOST), clients=clients)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # under 1.3 the refusal comes after the handshake
    async with receiver(answers(200), tls=tls) as partner:
        door = door_to(partner, identities={"one": identity})
        letter = letter_to(partner, Tls(identity="one"))
        assert await door.post(letter, depart, go) == Answer(200)
        assert await door.post(letter_to(partner), depart, go) == TLS_FAILED
        assert len(partner.requests) == 1
        await door.aclose()


async def test_t5_an_identity_with_nothing_to_show_is_met_with_no_connection_at_all(
    authority: trustme.CA, door_to: Callable[..., Transport], tmp_path: Path
) -> None:
    identity = write_identity(tmp_path, authority.issue_cert("one.client"))
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as partner:
        door = door_to(partner, identities={"one": identity})
        named = letter_to(partner, Tls(identity="one"))
        for letter in (letter_to(partner), named):
            assert await door.post(letter, depart, go) == Answer(200)
        door.show(())
        assert await door.post(named, depart, go) == TLS_FAILED
        assert await door.post(letter_to(partner), depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 2, 1]
        await until(lambda: door.open_connections() == 1)
        await door.aclose()


async def test_t5_a_letter_on_its_way_ends_under_the_old_certificate_and_no_other_follows_it(
    authority: trustme.CA, door_to: Callable[..., Transport], tmp_path: Path
) -> None:
    clients, answered = trustme.CA(), asyncio.Event()
    identity = write_identity(tmp_path, clients.issue_cert("one.client"))

    tls = serving(authority.issue_cert(HOST), clients=clients)
    async with receiver(answers_after(answered), tls=tls) as partner:
        door = door_to(partner, identities={"one": identity})
        letter = letter_to(partner, Tls(identity="one"))
        first = asyncio.create_task(door.post(letter, depart, go))
        await until(partner.arrived.is_set)
        write_identity(tmp_path, clients.issue_cert("two.client"))
        assert (await door.look()).is_changed
        door.show(door.certificates)
        answered.set()
        assert await first == Answer(200)
        assert await door.post(letter, depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 2]
        await until(lambda: door.open_connections() == 1)
        await door.aclose()


async def test_t5_a_letter_that_waits_while_a_certificate_is_revoked_never_goes_under_it(
    authority: trustme.CA, door_to: Callable[..., Transport], tmp_path: Path
) -> None:
    clients, answered = trustme.CA(), asyncio.Event()
    identity = write_identity(tmp_path, clients.issue_cert("one.client"))

    tls = serving(authority.issue_cert(HOST), clients=clients)
    async with receiver(answers_after(answered), tls=tls) as partner:
        door = door_to(partner, identities={"one": identity}, connections_per_partner_max=1)
        letter = letter_to(partner, Tls(identity="one"))
        first = asyncio.create_task(door.post(letter, depart, go))
        await until(partner.arrived.is_set)
        second = asyncio.create_task(door.post(letter, depart, go))
        await asyncio.sleep(0)  # it waits for a place in the pool
        door.show(())
        answered.set()
        assert await first == Answer(200)
        assert await second == Stopped(Reason.POLICY_CHANGED)
        assert len(partner.requests) == 1
        await door.aclose()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_t5_a_key_that_others_may_read_is_a_fault_of_the_configuration(
    authority: trustme.CA, tmp_path: Path, mode: int
) -> None:
    identity = write_identity(tmp_path, authority.issue_cert("one.client"))
    Path(identity.key).chmod(mode)
    with pytest.raises(ConfigInvalid) as raised:
        Transport(NetworkSettings(identities={"acme": identity}))
    assert (raised.value.reason, raised.value.where) == ("client_identity", identity.key)
    assert raised.value.fix == f"chmod 600 {identity.key}"


def test_t5_an_identity_that_is_no_pair_of_files_is_a_fault_of_the_configuration(
    authority: trustme.CA, tmp_path: Path
) -> None:
    one = write_identity(tmp_path, authority.issue_cert("one.client"), "one")
    two = write_identity(tmp_path, authority.issue_cert("two.client"), "two")
    locked = write_identity(tmp_path, authority.issue_cert("three.client"), "three")
    _lock(Path(locked.key))
    for bad in (
        Identity(one.certificate, two.key),
        Identity(one.key, one.key),
        Identity(one.certificate, one.certificate),
        Identity(str(tmp_path / "gone.pem"), one.key),
        Identity(one.certificate, str(tmp_path / "gone.pem")),
        locked,
    ):
        with pytest.raises(ConfigInvalid) as raised:
            Transport(NetworkSettings(identities={"acme": bad}))
        assert raised.value.reason == "client_identity"
        assert "acme" in raised.value.why
        assert raised.value.fix
        assert "PRIVATE" not in str(raised.value)


def _lock(path: Path) -> None:
    """Put a password on a key."""
    key = form.load_pem_private_key(path.read_bytes(), None)
    kind = form.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, kind))


# The revision a connection was dialled under.


async def test_c4_a_connection_of_an_earlier_revision_is_dropped_and_another_dialled(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as partner:
        door = door_to(partner)
        for revision in (1, 1, 2, 2, 3):
            letter = letter_to(partner, revision=revision)
            assert await door.post(letter, depart, go) == Answer(200)
        assert [request.connection for request in partner.requests] == [1, 1, 2, 2, 3]
        await until(lambda: door.open_connections() == 1)
        await door.aclose()


async def test_c4_a_letter_judged_under_an_earlier_revision_may_take_a_later_connection(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as partner:
        door = door_to(partner)
        for revision in (2, 1, 2):
            letter = letter_to(partner, revision=revision)
            assert await door.post(letter, depart, go) == Answer(200)
        assert partner.connections == 1
        await door.aclose()


async def test_c4_no_forbidden_byte_leaves_on_a_connection_of_an_earlier_revision(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    async with receiver(answers(200), tls=serving(authority.issue_cert(HOST))) as partner:
        door = door_to(partner)
        assert await door.post(letter_to(partner), depart, go) == Answer(200)
        received = partner.bytes_received
        moved = Stopped(Reason.POLICY_CHANGED)
        late = letter_to(partner, revision=2)
        assert await door.post(late, depart, lambda: moved) == moved
        await asyncio.sleep(0.02)
        assert (partner.connections, partner.bytes_received) == (2, received)
        await door.aclose()


async def test_c4_many_idle_connections_of_an_earlier_revision_all_die_on_their_next_use() -> None:
    async with receiver(answers(200)) as partner:
        door = Transport(NetworkSettings(loopback_inboxes=partner.inboxes))
        old, new = (make_letter(partner.url(), revision=number) for number in (1, 2))
        await asyncio.gather(*(door.post(old, depart, go) for _ in range(5)))
        assert door.open_connections() == 5
        assert await door.post(new, depart, go) == Answer(200)
        await until(lambda: door.open_connections() == 1)
        await door.aclose()


# Who was met.


async def test_t9_an_answer_says_who_gave_it(
    authority: trustme.CA, door_to: Callable[..., Transport]
) -> None:
    end = dt.datetime(2031, 5, 4, tzinfo=dt.UTC)
    certificate = authority.issue_cert(HOST, not_after=end)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        door = door_to(partner)
        peers = []
        for _ in range(2):
            answer = await door.post(letter_to(partner), depart, go)
            assert isinstance(answer, Answer)
            peers.append(answer.peer)
        first, second = peers
        assert first is second  # read once for a connection, not once for a letter
        assert first is not None
        assert (first.address, first.spki) == ("127.0.0.1", pin_of(certificate))
        assert first.not_after_us == int(end.timestamp()) * 1_000_000
        assert "Testing CA" in first.issuer
        await door.aclose()


async def test_t9_trouble_after_the_connection_says_whom_it_was_with() -> None:
    async with receiver(says(b"nonsense\r\n\r\n")) as partner:
        door = Transport(NetworkSettings(loopback_inboxes=partner.inboxes))
        trouble = await door.post(make_letter(partner.url()), depart, go)
        assert trouble == Trouble("answer_malformed", is_begun=True)
        assert isinstance(trouble, Trouble)
        assert trouble.peer == Peer("127.0.0.1")
        await door.aclose()
