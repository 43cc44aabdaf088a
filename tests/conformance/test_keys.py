"""Keys over time, by the API on every engine: rotated, retired, revoked, and on the record."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatcher.model.identity import ClientCertificate
from dispatcher.model.ids import WorkerId
from dispatcher.model.keys import KeyKind, SigningProfile
from dispatcher.model.registry import Registry
from dispatcher.model.tls import Tls
from dispatcher.stages.sealing.standard_webhooks import format_secret
from dispatcher.store.database import Database
from dispatcher.store.workers import WorkerStore
from dispatcher.vault.places import signing_key_place
from dispatcher.worker.ended_keys import destroy_ended_keys
from tests.conformance.test_api import activate, registry_document
from tests.support import planes
from tests.support.letters import change, rows
from tests.support.planes import Caller, means_of
from tests.support.vaults import standing_vault
from tests.unit.stages import builders

DAY_S, HOUR_US, MINUTE_US = 86_400, 3_600_000_000, 60_000_000
DAY_US = DAY_S * 1_000_000
NAME = "acme-orders"
TICKET = """
INSERT INTO {tickets} (webhook_id, delivery_id, event_seq, sha256, tenant, connector, subscription,
    scope_id, issued_us, expires_us, uses_max, reads)
VALUES (:id, 1, 1, 'x', 'north', :connector, 's', 's', {now}, {now} + 60000000, 5, 0)
"""


@pytest.fixture
async def api(database: Database) -> Caller:
    found = Caller(means_of(database))
    await activate(found, builders.registry())
    return found


async def narrow(api: Caller, held: Registry) -> None:
    """Make a registry the active one that widens nothing."""
    body = {"registry": registry_document(held), "reason": "less"}
    assert (await api.ask("POST", "/v1/change-sets", body))["active"]


async def rotate(api: Caller, **more: Any) -> Any:
    body = {"subscription": NAME, "reason": "yearly"} | more
    return await api.ask("POST", "/v1/keys/rotations", body)


async def revoke(api: Caller, **more: Any) -> Any:
    return await api.ask("POST", "/v1/keys/revocations", {"reason": "it leaked"} | more)


async def states(api: Caller) -> dict[str, str]:
    """Give the state of every key there ever was, by its fingerprint."""
    found = (await api.ask("GET", "/v1/keys", query={"ended": "true"}))["items"]
    return {each["fingerprint"]: each["state"] for each in found}


async def only_key(api: Caller) -> Any:
    (found,) = (await api.ask("GET", "/v1/keys"))["items"]
    return found


async def age(database: Database, us: int) -> None:
    """Let time pass for the keys there are."""
    await change(
        database,
        "UPDATE {signing_keys} SET created_us = created_us - :us, until_us = until_us - :us, "
        "active_us = CASE WHEN active_us = 0 THEN 0 ELSE active_us - :us END",
        us=us,
    )


async def test_a_new_key_signs_at_once_and_the_old_one_beside_it_for_a_day(
    api: Caller, database: Database
):
    old = await only_key(api)
    assert (old["state"], old["connector"], old["until_us"]) == ("active", "acme", None)
    made = await rotate(api)
    assert await states(api) == {old["fingerprint"]: "retiring", made["fingerprint"]: "active"}
    (ending,) = made["ending"]
    assert ending["name"] == old["name"]
    assert 0 <= made["active_us"] + DAY_US - ending["until_us"] < 1_000_000
    stored = await rows(
        database,
        "SELECT sealed FROM {signing_keys} WHERE fingerprint = :f",
        f=made["fingerprint"],
    )
    place = signing_key_place("acme", NAME, KeyKind.HMAC, made["fingerprint"])
    opened = standing_vault().open(bytes(stored[0]["sealed"]), place)
    assert format_secret(opened) == made["secret"]
    await age(database, DAY_US)
    assert await states(api) == {old["fingerprint"]: "retired", made["fingerprint"]: "active"}


async def test_a_key_that_opens_no_more_is_replaced_at_once_without_being_opened(
    api: Caller, database: Database
):
    old = await only_key(api)
    await change(database, "UPDATE {signing_keys} SET sealed = :blob", blob=b"of an earlier build")
    made = await rotate(api, overlap_seconds=0)
    assert made["secret"].startswith("whsec_")
    assert await states(api) == {old["fingerprint"]: "retired", made["fingerprint"]: "active"}


async def test_an_ed25519_key_is_told_of_a_day_before_it_signs(api: Caller, database: Database):
    signed = builders.subscription(signing=SigningProfile.V1A)
    done = await activate(api, builders.registry(subscriptions=(signed,)))
    old = next(e for e in (await api.ask("GET", "/v1/keys"))["items"] if e["kind"] == "ed25519")
    assert (done["secrets"], done["public_keys"]) == ({}, {NAME: old["public_key"]})
    made = await rotate(api)
    assert (made["kind"], made["secret"]) == ("ed25519", "")
    assert made["ending"] == [{"name": old["name"], "until_us": made["active_us"] + DAY_US}]
    now = await states(api)
    assert (now[old["fingerprint"]], now[made["fingerprint"]]) == ("retiring", "pending")
    (row,) = await rows(
        database,
        "SELECT sealed, public FROM {signing_keys} WHERE fingerprint = :f",
        f=made["fingerprint"],
    )
    place = signing_key_place("acme", NAME, KeyKind.ED25519, made["fingerprint"])
    seed = standing_vault().open(bytes(row["sealed"]), place)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert made["public_key"] == "whpk_" + base64.b64encode(public).decode()
    assert row["public"] == base64.b64encode(public).decode()
    refused = await api.refused(
        "POST", "/v1/keys/rotations", {"subscription": NAME, "reason": "again"}
    )
    assert refused == (409, "key_pending")
    await age(database, DAY_US)
    now = await states(api)
    assert (now[old["fingerprint"]], now[made["fingerprint"]]) == ("retiring", "active")


async def test_where_a_key_that_was_to_come_is_revoked_the_one_before_it_goes_on(api: Caller):
    old = await only_key(api)
    made = await rotate(api, ahead_seconds=3600)
    await revoke(api, key=made["fingerprint"])
    assert (await only_key(api))["name"] == old["name"]
    assert await states(api) == {old["fingerprint"]: "active", made["fingerprint"]: "revoked"}


async def test_three_keys_are_live_at_most_and_one_ends_early_to_make_room(api: Caller):
    first = await only_key(api)
    await rotate(api)
    third = await rotate(api)
    path, body = "/v1/keys/rotations", {"subscription": NAME, "reason": "again"}
    assert await api.refused("POST", path, body) == (409, "keys_too_many")
    ended = {"key": first["fingerprint"], "reason": "they changed over"}
    assert (await api.ask("POST", "/v1/keys/retirements", ended))["name"] == first["name"]
    assert (await states(api))[first["fingerprint"]] == "retired"
    path = "/v1/keys/retirements"
    assert await api.refused("POST", path, ended) == (409, "key_not_retiring")
    ended["key"] = third["name"]
    assert await api.refused("POST", path, ended) == (409, "key_not_retiring")
    await rotate(api)


async def test_without_an_overlap_the_old_key_ends_as_the_new_one_begins(api: Caller):
    old = await only_key(api)
    made = await rotate(api, overlap_seconds=0)
    assert await states(api) == {old["fingerprint"]: "retired", made["fingerprint"]: "active"}
    longer = {"subscription": NAME, "reason": "r", "overlap_seconds": 7 * DAY_S + 1}
    assert (await api.call("POST", "/v1/keys/rotations", longer)).status == 400


async def test_the_secret_of_a_key_that_ended_an_hour_ago_is_destroyed_once_and_on_the_record(
    api: Caller, database: Database
):
    registry, old = api.means.registry, await only_key(api)
    kit: Any = SimpleNamespace(registry=registry, log=MagicMock())
    await rotate(api)
    await age(database, DAY_US + HOUR_US - MINUTE_US)
    epoch = (await registry.active()).epoch
    assert (await states(api))[old["fingerprint"]] == "retired"
    await destroy_ended_keys(kit)
    assert (await registry.active()).epoch == epoch
    await age(database, MINUTE_US)
    await asyncio.gather(destroy_ended_keys(kit), destroy_ended_keys(kit))
    found = await rows(database, "SELECT fingerprint, sealed FROM {signing_keys}")
    assert {row["fingerprint"] for row in found if row["sealed"] is None} == {old["fingerprint"]}
    assert (await states(api))[old["fingerprint"]] == "retired"
    entries = (await api.ask("GET", "/v1/audit", query={"kind": "key.destroyed"}))["items"]
    assert [each["detail"]["keys"] for each in entries] == [[old["name"]]]
    kit.log.info.assert_called_once_with("keys_destroyed", count=1)
    # Workers read the keys anew, and have the secret no more.
    assert (await registry.active()).epoch == epoch + 1


async def test_a_revoked_key_is_gone_from_the_database_and_the_subscription_waits_for_another(
    api: Caller, database: Database
):
    old = await only_key(api)
    done = await revoke(api, key=old["fingerprint"])
    assert (done["keys"], done["unsigned"], done["held"]) == ([old["name"]], [NAME], None)
    assert await rows(database, "SELECT sealed FROM {signing_keys}") == [{"sealed": None}]
    body = {"key": old["fingerprint"], "reason": "again"}
    assert await api.refused("POST", "/v1/keys/revocations", body) == (409, "key_revoked")
    made = await rotate(api)
    assert await states(api) == {old["fingerprint"]: "revoked", made["fingerprint"]: "active"}
    # Nothing brings a revoked key back: not even the revision that it came with.
    await narrow(api, builders.registry(event_types=(builders.event_type(payload_bytes_max=9),)))
    assert (await only_key(api))["fingerprint"] == made["fingerprint"]


async def test_all_keys_of_a_partner_end_with_its_tickets_and_a_hold_in_one_act(
    api: Caller, database: Database
):
    for ticket, whose in (("msg_1", "acme"), ("msg_2", "acme"), ("msg_3", "other")):
        await change(database, TICKET, id=ticket, connector=whose)
    await rotate(api)
    done = await revoke(api, connector="acme")
    assert (len(done["keys"]), done["unsigned"]) == (2, [NAME])
    assert (done["held"], done["tickets"]) == ("connector:acme", 2)
    (switch,) = await api.ask("GET", "/v1/switches")
    assert (switch["target"], switch["reason"]) == ("connector:acme", "it leaked")
    left = await rows(database, "SELECT webhook_id FROM {tickets} WHERE expires_us > {now}")
    assert left == [{"webhook_id": "msg_3"}]
    kinds = [each["kind"] for each in (await api.ask("GET", "/v1/audit"))["items"][:2]]
    assert kinds == ["switch.tripped", "key.revoked"]


async def test_a_revocation_waits_for_the_workers_as_a_hold_does(api: Caller, database: Database):
    workers, worker = WorkerStore(database), WorkerId("w1")
    await workers.register(worker, host="h", pid=1, lease_us=600_000_000)
    old = await only_key(api)
    body = {"key": old["name"], "reason": "r", "wait_seconds": 0.1}
    assert await api.refused("POST", "/v1/keys/revocations", body) == (
        504,
        "revocation_unconfirmed",
    )
    assert (await states(api))[old["fingerprint"]] == "revoked"
    made = await rotate(api)
    waiting = asyncio.create_task(revoke(api, key=made["name"], wait_seconds=20))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    epoch = (await means_of(database).registry.active()).epoch
    await workers.beat(worker, confirmed=epoch, revision=1, in_flight=3)
    done = await waiting
    assert (done["workers_confirmed"], done["in_flight"]) == (1, 3)


async def test_a_change_of_keys_is_on_the_record_by_fingerprints_alone(
    api: Caller, database: Database
):
    old = await only_key(api)
    made = await rotate(api)
    await api.ask("POST", "/v1/keys/retirements", {"key": old["name"], "reason": "r"})
    await revoke(api, subscription=NAME)
    entries = (await api.ask("GET", "/v1/audit"))["items"][:3]
    assert [each["kind"] for each in entries] == ["key.revoked", "key.retired", "key.made"]
    assert entries[2]["about"] == f"key {made['name']}"
    assert entries[2]["detail"]["ending"] == [old["fingerprint"]]
    assert entries[0]["detail"]["keys"] == sorted([old["name"], made["name"]])
    log = await rows(database, "SELECT entry FROM {audit_log}")
    assert made["secret"] not in str(log)
    for path in ("/v1/keys", "/v1/audit"):
        reply = await api.call("GET", path, query={"limit": "100"})
        assert made["secret"].removeprefix("whsec_").encode() not in reply.body


async def test_what_is_not_there_or_not_said_is_told_apart(api: Caller):
    path = "/v1/keys/rotations"
    body = {"subscription": "nobody", "reason": "r"}
    assert await api.refused("POST", path, body) == (404, "subscription_unknown")
    both = builders.subscription(signing=SigningProfile.V1_V1A)
    await activate(api, builders.registry(subscriptions=(both,)))
    body["subscription"] = NAME
    assert await api.refused("POST", path, body) == (422, "key_kind_unsaid")
    assert (await rotate(api, kind="hmac"))["secret"]
    path = "/v1/keys/revocations"
    for aim, code in (
        ({"key": "00000000"}, "key_unknown"),
        ({"subscription": "nobody"}, "subscription_unknown"),
        ({"connector": "nobody"}, "connector_unknown"),
    ):
        assert await api.refused("POST", path, {"reason": "r", **aim}) == (404, code)
    for aim in ({}, {"key": "x", "connector": "acme"}, {"identity": "x", "key": "x"}):
        assert await api.refused("POST", path, {"reason": "r", **aim}) == (422, "invalid_input")


async def test_a_fingerprint_that_two_subscriptions_have_must_be_said_with_one(
    api: Caller, database: Database
):
    key = await only_key(api)
    await change(
        database,
        "INSERT INTO {signing_keys} (subscription, fingerprint, sealed, created_us, kind, public,"
        " active_us) SELECT 'other', fingerprint, sealed, created_us, kind, public, active_us"
        " FROM {signing_keys}",
    )
    body = {"key": key["fingerprint"], "reason": "r"}
    path = "/v1/keys/revocations"
    assert await api.refused("POST", path, body) == (422, "key_ambiguous")
    assert (await revoke(api, key=key["name"]))["keys"] == [key["name"]]


async def test_a_rotation_that_is_asked_for_again_gives_the_same_secret_and_makes_no_other(
    api: Caller,
):
    body = {"subscription": NAME, "reason": "yearly"}
    head = {"idempotency-key": "k-1"}
    first = await api.call("POST", "/v1/keys/rotations", body, headers=head)
    assert first.headers["cache-control"] == "no-store"
    again = await api.call("POST", "/v1/keys/rotations", body, headers=head)
    assert json.loads(first.body) == json.loads(again.body)
    assert len(await states(api)) == 2


async def test_of_rotations_at_once_no_more_succeed_than_there_is_room_for(postgres: Database):
    api = Caller(means_of(postgres))
    await activate(api, builders.registry())
    body = {"subscription": NAME, "reason": "r"}
    done = await asyncio.gather(*(api.call("POST", "/v1/keys/rotations", body) for _ in range(4)))
    assert sorted(each.status for each in done) == [201, 201, 409, 409]


async def test_keys_of_a_subscription_that_is_gone_are_still_listed(api: Caller):
    await narrow(api, builders.registry(subscriptions=()))
    (found,) = (await api.ask("GET", "/v1/keys", query={"subscription": NAME}))["items"]
    assert (found["subscription"], found["connector"]) == (NAME, "acme")


# Client certificates: files of the worker, listed and revoked beside signing keys.

CERTIFICATE = ClientCertificate(
    identity="acme-mtls",
    fingerprint="00c0ffee00c0ffee",
    not_before_us=1,
    not_after_us=4_000_000_000_000_000,
)


@pytest.fixture
def listed() -> Iterator[list[ClientCertificate]]:
    planes.certificates[:] = [CERTIFICATE]
    yield planes.certificates
    planes.certificates.clear()


async def certificates_of(api: Caller, **query: str) -> list[dict[str, Any]]:
    found = (await api.ask("GET", "/v1/keys", query=query))["items"]
    return [each for each in found if each["kind"] == "certificate"]


async def test_client_certificates_are_listed_with_who_asks_for_them(
    api: Caller, listed: list[ClientCertificate]
):
    ended = replace(CERTIFICATE, fingerprint="01", not_after_us=2)
    ahead = replace(CERTIFICATE, fingerprint="02", not_before_us=3_900_000_000_000_000)
    older = replace(CERTIFICATE, fingerprint="03", not_before_us=0)
    listed += [ended, ahead, older]
    connector = builders.connector()
    asking = [replace(each, tls=Tls(identity="acme-mtls")) for each in connector.destinations]
    using = replace(connector, destinations=tuple(asking))
    await activate(api, builders.registry(connectors=(using,)))
    found = {each["fingerprint"]: each for each in await certificates_of(api, ended="true")}
    assert {name: each["state"] for name, each in found.items()} == {
        CERTIFICATE.fingerprint: "active",
        "01": "retired",
        "02": "pending",
        "03": "retiring",
    }
    shown = found[CERTIFICATE.fingerprint]
    assert shown["name"] == "acme-mtls/00c0ffee00c0ffee"
    assert shown["destinations"] == [f"acme: {each.host}" for each in connector.destinations]
    assert (shown["active_us"], shown["until_us"]) == (1, CERTIFICATE.not_after_us)
    assert "01" not in {each["fingerprint"] for each in await certificates_of(api)}
    assert await certificates_of(api, subscription=NAME) == []


@pytest.mark.usefixtures("listed")
async def test_a_revoked_client_certificate_is_so_for_good_and_on_the_record(
    api: Caller, database: Database
):
    before = (await means_of(database).registry.active()).epoch
    done = await revoke(api, identity="00:C0:FF:EE:00:C0:FF:EE")
    assert (done["certificates"], done["keys"]) == (["acme-mtls/00c0ffee00c0ffee"], [])
    assert done["epoch"] > before
    now = await means_of(database).registry.policy_now()
    assert list(now.revoked_identities) == [CERTIFICATE.fingerprint]
    (found,) = await certificates_of(api, ended="true")
    assert (found["state"], found["revoked_us"] > 0) == ("revoked", True)
    body = {"identity": CERTIFICATE.fingerprint, "reason": "again"}
    refused = await api.refused("POST", "/v1/keys/revocations", body)
    assert refused == (409, "identity_revoked")
    (entry, *_) = (await api.ask("GET", "/v1/audit"))["items"]
    assert (entry["kind"], entry["about"], entry["reason"]) == (
        "key.revoked",
        "client certificate 00c0ffee00c0ffee",
        "it leaked",
    )
    assert entry["detail"]["certificates"] == done["certificates"]


@pytest.mark.usefixtures("listed")
async def test_a_client_certificate_that_is_not_here_is_revoked_by_its_whole_fingerprint_alone(
    api: Caller,
):
    path = "/v1/keys/revocations"
    for unknown in ("00c0ffee", "deadbeefdeadbeef", "acme-mtls", f"{'00c0ffee' * 2}0"):
        body = {"identity": unknown, "reason": "r"}
        assert await api.refused("POST", path, body) == (404, "identity_unknown")
    assert (await revoke(api, identity="AB" * 32))["certificates"] == ["ab" * 8]


@pytest.mark.usefixtures("listed")
async def test_revoking_a_client_certificate_waits_for_the_workers(api: Caller, database: Database):
    await WorkerStore(database).register(WorkerId("w1"), host="h", pid=1, lease_us=600_000_000)
    body = {"identity": CERTIFICATE.fingerprint, "reason": "r", "wait_seconds": 0.1}
    refused = await api.refused("POST", "/v1/keys/revocations", body)
    assert refused == (504, "revocation_unconfirmed")
    (found,) = await certificates_of(api, ended="true")
    assert found["state"] == "revoked"
