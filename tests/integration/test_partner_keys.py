"""The real worker encrypts to the keys that a partner publishes, fetched over real TLS.

What a partner's server says is hostile here; whatever it says, nothing sensitive leaves in clear.
"""

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from jwcrypto import jwe, jwk

from dispatcher.model.classification import Sensitivity
from dispatcher.model.key_set import KeySet, KeySetMode
from dispatcher.model.letter import Sealed, Shaped
from dispatcher.model.paper import Agreement, Assessment
from dispatcher.model.registry import Encryption, Registry
from dispatcher.model.switch import Target
from dispatcher.model.tls import Tls
from dispatcher.producer import enqueue
from dispatcher.stages.sealing.seal import Encrypt
from dispatcher.worker import courier, key_fetcher
from tests.support.certificates import pem_of, serving
from tests.support.hostile import Receiver, Request, receiver
from tests.support.letters import change
from tests.support.opening import OTHER, PAIRS, header_of, partner_key, public_jwk
from tests.support.waiting import until
from tests.support.world_tls import HOST, World, registry_to, working
from tests.unit.stages import builders

IBAN = "DE89370400440532013000"
SCHEMA = builders.record(id=builders.leaf(), iban=builders.leaf(level="restricted"))
EC = PAIRS["EC"]
Answer = Callable[[Request], bytes]


@dataclass
class Partner:
    """A partner's server: an inbox, and the keys it publishes beside it."""

    publish: bytes = b""
    receiver: Receiver = field(init=False)

    async def script(self, request: Request, writer: asyncio.StreamWriter) -> None:
        is_set = request.head.startswith(b"GET ")
        writer.write(self.publish if is_set else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def show(self, *keys: dict[str, Any], headers: str = "") -> None:
        self.publish = answer(json.dumps({"keys": keys}).encode(), headers)

    @property
    def letters(self) -> list[Request]:
        return [each for each in self.receiver.requests if each.head.startswith(b"POST ")]

    @property
    def fetches(self) -> list[Request]:
        return [each for each in self.receiver.requests if each.head.startswith(b"GET ")]


def answer(body: bytes, headers: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def a_partner(own: trustme.CA, *keys: dict[str, Any]) -> AsyncIterator[Partner]:
    partner = Partner()
    partner.show(*keys)
    async with receiver(partner.script, tls=serving(own.issue_cert(HOST))) as partner.receiver:
        yield partner


def registry_of(own: trustme.CA, partner: Partner, **more: Any) -> Registry:
    """A partner that is sent restricted fields, encrypted, unless `more` says otherwise."""
    held = registry_to(partner.receiver, Tls(ca=pem_of(own)))
    (connector,), (subscription,) = held.connectors, held.subscriptions
    url = f"https://{HOST}:{partner.receiver.port}/jwks.json?v=1"
    terms: dict[str, Any] = {
        "key_set": KeySet(url=url, mode=KeySetMode.FOLLOW, hold_hours=0),
        "clearance": Sensitivity.RESTRICTED,
        "agreement": Agreement(reference="A-1", until=builders.FAR),
        "assessment": Assessment(reference="PIA-1", until=builders.FAR, covers=("*",)),
    }
    wanted = {"encryption": Encryption.JWE} | more.pop("wanted", {})
    return replace(
        held,
        event_types=(builders.event_type(schema=SCHEMA),),
        connectors=(replace(connector, **terms | more),),
        subscriptions=(replace(subscription, scope={"order.paid": ("$.id", "$.iban")}, **wanted),),
    )


async def put(world: World, number: int = 1) -> None:
    async with world.house.outbox_database.begin() as connection:
        payload = {"id": f"o{number}", "iban": IBAN}
        await enqueue(connection, "order.paid", payload, tenant="north", subjects=[])


async def fault(world: World) -> str:
    found = await world.rows("SELECT fault FROM {partner_key_sets}")
    return found[0]["fault"] if found else ""


async def make_due(world: World) -> None:
    """Let the time until the next fetch be over."""
    sql = "UPDATE {partner_key_sets} SET due_us = 0, tried_us = 0"
    await change(world.house.registry_database, sql)


async def fetched_again(world: World, partner: Partner) -> None:
    count = len(partner.fetches)
    await make_due(world)
    await until(lambda: len(partner.fetches) > count)
    await until(lambda: is_settled(world))


async def is_settled(world: World) -> bool:
    (row,) = await world.rows("SELECT holder FROM {partner_key_sets}")
    return not row["holder"]


def opened(request: Request, pair: Any = EC) -> dict[str, Any]:
    """Open a letter with a library that the product does not use."""
    token = jwe.JWE(algs=["ECDH-ES+A256KW", "A256GCM", "RSA-OAEP-256"])
    token.deserialize(request.body.decode(), jwk.JWK(**pair.as_dict(private=True)))
    found: dict[str, Any] = json.loads(token.payload)
    return found


def assert_nothing_in_clear(partner: Partner) -> None:
    for each in partner.receiver.requests:
        for word in (IBAN.encode(), b"order.paid", b"iban"):
            assert word not in each.head + each.body


@pytest.fixture
def own() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_fetcher, "LOOK_SECONDS", 0.05)


async def test_letters_are_encrypted_to_the_key_a_partner_publishes(
    own: trustme.CA, tmp_path: Path
):
    async with (
        a_partner(own, public_jwk(EC, "2026-11")) as partner,
        working(tmp_path, partner.receiver, registry_of(own, partner)) as world,
    ):
        await put(world)
        await until(lambda: world.is_last("delivered"))
        (letter,), (fetch,) = partner.letters, partner.fetches
        assert b"Content-Type: application/jose\r\n" in letter.head
        assert "2026-11" == header_of(letter.body)["kid"]
        inside = opened(letter)
        assert {"id": "o1", "iban": IBAN} == inside["data"]
        assert "acme-orders" == inside["subscriber"]
        assert f"webhook-id: {inside['id']}\r\n".encode() in letter.head
        assert_nothing_in_clear(partner)
        assert fetch.head.startswith(b"GET /jwks.json?v=1 HTTP/1.1\r\n")
        assert (b"", False) == (fetch.body, b"webhook" in fetch.head)
        (row,) = await world.rows("SELECT key_ids, body_sha256 FROM {disclosures}")
        assert f"jwe:{EC.thumbprint()}" in row["key_ids"].split(",")


async def test_a_key_of_the_registry_serves_without_any_fetch(own: trustme.CA, tmp_path: Path):
    async with a_partner(own) as partner:
        keys = (partner_key(EC, "first"), partner_key(OTHER, "second"))
        held = registry_of(own, partner, key_set=None, keys=keys)
        async with working(tmp_path, partner.receiver, held) as world:
            await put(world)
            await until(lambda: world.is_last("delivered"))
            assert ("first", []) == (header_of(partner.letters[0].body)["kid"], partner.fetches)


async def test_with_a_sensitive_field_in_scope_nothing_leaves_in_clear(
    own: trustme.CA, tmp_path: Path
):
    async with a_partner(own) as partner:
        held = registry_of(own, partner, key_set=None, wanted={"encryption": Encryption.NONE})
        async with working(tmp_path, partner.receiver, held) as world:
            await put(world)
            await until(lambda: world.is_last("waiting"))
            await asyncio.sleep(0.3)
            assert [] == await world.rows("SELECT * FROM {disclosures}")
            assert [] == partner.letters
            keys = (partner_key(EC),)
            await world.apply(registry_of(own, partner, key_set=None, keys=keys))
            await until(lambda: world.is_last("delivered"))
            assert IBAN == opened(partner.letters[0])["data"]["iban"]
            assert_nothing_in_clear(partner)


async def test_a_fault_of_ours_that_seals_in_clear_sends_nothing(
    own: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def forget_to_encrypt(shaped: Shaped, encrypt: Encrypt) -> Sealed:
        return Sealed(
            shaped=shaped,
            body=shaped.plaintext,
            body_sha256=hashlib.sha256(shaped.plaintext).digest(),
            content_type=shaped.content_type,
        )

    monkeypatch.setattr(courier, "seal", forget_to_encrypt)
    async with a_partner(own) as partner:
        held = registry_of(own, partner, key_set=None, keys=(partner_key(EC),))
        async with working(tmp_path, partner.receiver, held) as world:
            await put(world)
            await until(lambda: world.is_last("parked"))
            (row,) = await world.rows("SELECT code FROM {deliveries}")
            (told,) = await world.rows("SELECT outcome FROM {disclosures}")
            assert ("encryption_broken", "not_begun") == (row["code"], told["outcome"])
            assert [] == partner.receiver.requests


async def test_when_a_key_is_taken_away_deliveries_wait_and_go_on_with_the_next(
    own: trustme.CA, tmp_path: Path
):
    async with (
        a_partner(own, public_jwk(EC, "a")) as partner,
        working(tmp_path, partner.receiver, registry_of(own, partner)) as world,
    ):
        await put(world)
        await until(lambda: world.is_last("delivered"))
        partner.show(public_jwk(EC, "a", use="sig"))
        await fetched_again(world, partner)
        await put(world, 2)
        await until(lambda: world.is_last("waiting"))
        await asyncio.sleep(0.3)
        assert (1, True) == (len(partner.letters), await world.is_last("waiting"))
        partner.show(public_jwk(OTHER, "b"))
        await fetched_again(world, partner)
        await until(lambda: world.is_last("delivered"))
        assert "o2" == opened(partner.letters[1], OTHER)["data"]["id"]
        assert_nothing_in_clear(partner)


async def test_a_partner_that_publishes_a_private_key_gets_nothing_until_it_has_another(
    own: trustme.CA, tmp_path: Path, said: io.StringIO
):
    async with (
        a_partner(own, public_jwk(EC, "a")) as partner,
        working(tmp_path, partner.receiver, registry_of(own, partner)) as world,
    ):
        await put(world)
        await until(lambda: world.is_last("delivered"))
        private = {**EC.as_dict(private=True), "kid": "a", "use": "enc"}
        partner.show(private)
        await fetched_again(world, partner)
        partner.show(public_jwk(EC, "a"))
        await fetched_again(world, partner)
        await put(world, 2)
        await until(lambda: world.is_last("waiting"))
        await asyncio.sleep(0.3)
        assert 1 == len(partner.letters)
        partner.show(public_jwk(OTHER, "b"))
        await fetched_again(world, partner)
        await until(lambda: world.is_last("delivered"))
        assert "b" == header_of(partner.letters[1].body)["kid"]
        lines = [json.loads(line) for line in said.getvalue().splitlines()]
        (alarm,) = [each for each in lines if each["event"] == "key_set_exposed"]
        assert ("error", "acme") == (alarm["level"], alarm["connector"])
        labels = {"connector": "acme", "code": "private_key_published"}
        count = world.metrics.registry.get_sample_value("dispatcher_key_fetches_total", labels)
        assert count == 1
        for table in ("audit_log", "partner_keys", "partner_key_sets"):
            held = await world.rows(f"SELECT * FROM {{{table}}}")
            assert private["d"] not in str(held) + said.getvalue()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "a redirect": (
        answer(b"", "Location: https://127.0.0.1/jwks.json\r\n", "302 Found"),
        "http_302",
    ),
    "too many bytes": (answer(b" " * 65_537), "key_set_unreadable"),
    "nothing": (answer(b""), "key_set_unreadable"),
    "no JSON": (answer(b"<html>"), "key_set_malformed"),
    "compressed": (answer(b"\x1f\x8b\x08", "Content-Encoding: gzip\r\n"), "key_set_malformed"),
    "an error": (answer(b"{}", status="500 X"), "http_500"),
    "half an answer": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "key_set_unreadable"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "answer_malformed"),
}


async def test_whatever_a_hostile_server_says_letters_wait(
    own: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_leaves: None
):
    monkeypatch.setattr("dispatcher.stages.revising.key_routes.FETCH_SECONDS", 0.5)
    async with a_partner(own) as partner:
        partner.publish = answer(b"{}", status="404 X")
        async with working(tmp_path, partner.receiver, registry_of(own, partner)) as world:
            await put(world)
            await until(lambda: world.is_last("waiting"))
            for said, code in HOSTILE.values():
                partner.publish = said
                await fetched_again(world, partner)
                assert code == await fault(world)
            assert [] == partner.letters
            assert all(b"GET /jwks.json?v=1 " in each.head for each in partner.fetches)


async def test_keys_are_believed_of_nobody_who_only_has_the_address(
    own: trustme.CA, tmp_path: Path
):
    async with a_partner(own, public_jwk(EC)) as partner:
        held = registry_of(trustme.CA(), partner)
        async with working(tmp_path, partner.receiver, held) as world:
            await put(world)

            async def is_told() -> bool:
                return await fault(world) == "tls_failed"

            await until(is_told)
            assert [] == partner.receiver.requests


async def test_a_switch_stops_fetches_until_it_is_released(own: trustme.CA, tmp_path: Path):
    async with (
        a_partner(own, public_jwk(EC)) as partner,
        working(tmp_path, partner.receiver, registry_of(own, partner)) as world,
    ):
        await until(lambda: partner.fetches)
        target = Target.parse("connector:acme")
        await world.house.registry.trip(target, reason="a test", actor="ann")
        await asyncio.sleep(0.5)
        count = len(partner.fetches)
        await make_due(world)
        await asyncio.sleep(0.5)
        assert count == len(partner.fetches)
        await world.house.registry.release(target, reason="a test", actor="ann")
        await until(lambda: len(partner.fetches) > count)


async def test_letters_go_on_over_a_restart_while_the_partners_keys_cannot_be_fetched(
    own: trustme.CA, tmp_path: Path
):
    async with a_partner(own, public_jwk(EC)) as partner:
        held = registry_of(own, partner)
        async with working(tmp_path, partner.receiver, held) as world:
            await put(world)
            await until(lambda: world.is_last("delivered"))
        partner.publish = answer(b"", status="503 X")
        async with working(tmp_path, partner.receiver, held) as world:
            await make_due(world)
            await put(world, 2)
            await until(lambda: world.is_last("delivered"))
            assert "o2" == opened(partner.letters[1])["data"]["id"]


async def test_a_new_key_waits_where_it_must_and_counts_when_its_time_has_come(
    own: trustme.CA, tmp_path: Path
):
    async with a_partner(own, public_jwk(EC)) as partner:
        held = registry_of(own, partner)
        (connector,) = held.connectors
        assert connector.key_set is not None
        key_set = replace(connector.key_set, hold_hours=None)
        held = replace(held, connectors=(replace(connector, key_set=key_set),))
        async with working(tmp_path, partner.receiver, held) as world:
            await put(world)
            await until(lambda: partner.fetches)
            await until(lambda: world.is_last("waiting"))
            await asyncio.sleep(0.3)
            assert [] == partner.letters
            almost_a_day_us = 24 * 3_600_000_000 - 500_000
            await change(
                world.house.registry_database,
                f"UPDATE {{partner_keys}} SET first_seen_us = first_seen_us - {almost_a_day_us}",
            )
            await world.house.registry.trip(
                Target.parse("connector:other"), reason="read anew", actor="ann"
            )
            await until(lambda: world.is_last("delivered"))
            assert_nothing_in_clear(partner)
