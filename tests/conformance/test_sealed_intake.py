"""A producer's row is sealed from the start, and sealed anew for its tenant when it is claimed."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from dispatcher.model.errors import SealBroken
from dispatcher.model.event import UNREADABLE, Content
from dispatcher.model.ids import Epoch, LeaseToken
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.rows import EVENT_COLUMNS, event_from
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.payloads import unlock
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from dispatcher.worker.upkeep import Upkeep
from tests.conformance.test_relay import relay_of
from tests.support.letters import Road, change, rows
from tests.support.records import KEYRING, audit_of
from tests.support.vaults import content_of

TOKEN = LeaseToken("t")


def vault_of(road: Road) -> Vault:
    store = EpochKeyStore(road.database, audit_of(road.database))
    keys = EpochKeys(store, KeyProviders(LocalProvider(KEYRING)), boot=time.monotonic)
    return Vault(KEYRING, keys)


@pytest.fixture
async def vault(road: Road) -> Vault:
    """A worker's vault, whose intake key producers have been given."""
    await road.publish()
    vault = vault_of(road)
    await vault.ready("")
    key = vault.intake_key()
    await CatalogueStore(road.database).offer_intake(key.id, key.public)
    return vault


def opening(road: Road, vault: Vault) -> Road:
    def opened(blob: bytes, tenant: str, event_id: str) -> bytes | None:
        try:
            return vault.open(blob, payload_place(tenant, event_id))
        except SealBroken:
            return None

    return Road(road.database, opened)


async def stored(road: Road) -> list[dict[str, Any]]:
    return await rows(road.database, "SELECT * FROM {events} ORDER BY seq")


async def test_not_even_the_producers_own_row_can_be_read(road: Road, vault: Vault):
    (event_id,) = await road.enqueue(1, idempotency_key="k", ordering_key="of person-1")
    (row,) = await stored(road)
    assert row["is_sealed"]
    assert b"o0" not in bytes(row["payload"])
    assert "person-1" not in str(row)
    place = payload_place("shop", event_id)
    opened = await vault_of(road).open_soon(bytes(row["payload"]), place)
    assert opened == content_of(b'{"id":"o0"}', "person-1", key="of person-1")
    assert await road.enqueue(1, idempotency_key="k", ordering_key="of person-1") == [event_id]


async def test_the_relay_seals_it_anew_under_the_tenants_own_key(road: Road, vault: Vault):
    await road.enqueue(2)
    before = [bytes(row["payload"]) for row in await stored(road)]
    worker = vault_of(road)  # it has no key at hand, as after a start
    relay = relay_of(opening(road, worker), vault=worker)
    assert [await relay.turn() for _ in range(3)] == [1, 2, 0]
    store = EpochKeyStore(road.database, audit_of(road.database))
    (own,) = [key for key in await store.all() if key.tenant == "shop"]
    for row, old in zip(await stored(road), before, strict=True):
        blob = bytes(row["payload"])
        assert old[0] == 2
        assert blob[:15] == b"\x01\x0d" + own.id.encode()
        opened = await vault.open_soon(blob, payload_place("shop", row["id"]))
        assert Content.unpack(opened, "order.placed")[0] == '["person-1"]'


@pytest.mark.parametrize("key", [b"", b"e000000000000"])
async def test_a_row_under_a_key_that_nobody_has_is_parked_and_keeps_nobody_else(
    road: Road, vault: Vault, key: bytes
):
    await road.enqueue(2)
    first = (await stored(road))[0]["seq"]
    blob = b"\x02" + bytes([len(key)]) + key + b"x" * 90
    await change(
        road.database, "UPDATE {events} SET payload = :b WHERE seq = :seq", b=blob, seq=first
    )
    worker = vault_of(road)
    relay = relay_of(opening(road, worker), vault=worker, name="order.placed")
    for _ in range(3):
        await relay.turn()
    found = await rows(road.database, "SELECT state FROM {deliveries} ORDER BY event_seq")
    # Nobody subscribes to the good one here.
    assert ["parked", "dropped"] == [row["state"] for row in found]


async def test_a_sealed_event_that_is_given_another_type_opens_no_more(road: Road, vault: Vault):
    await road.enqueue(2)
    seqs = [row["seq"] for row in await stored(road)]
    worker = vault_of(road)
    await worker.ready("", "shop")
    relay = relay_of(opening(road, worker), vault=worker)
    retyped = "UPDATE {events} SET type = 'order.shipped' WHERE seq = :seq"
    await change(road.database, retyped, seq=seqs[0])
    await relay.turn()
    await change(road.database, retyped, seq=seqs[1])
    for row in await rows(road.database, f"SELECT {EVENT_COLUMNS} FROM {{events}} e"):
        event = event_from(tuple(row.values()), opening(road, worker).outbox._open_payload)
        assert (event.type, event.payload) == ("order.shipped", UNREADABLE)
        locked = replace(event, payload=bytes(row["payload"]), is_locked=True)
        assert (await unlock(worker, locked)).payload == UNREADABLE


async def test_what_anybody_could_have_sealed_is_checked_as_what_came_in_clear(
    road: Road, vault: Vault
):
    await road.enqueue(1)
    (row,) = await stored(road)
    await change(
        road.database,
        "UPDATE {events} SET payload = :blob",
        blob=bytes(row["payload"])[:-1] + b"!",
    )
    worker = vault_of(road)
    await worker.ready("", "shop")
    async with opening(road, worker).outbox.intake(limit=9, floor_us=0) as intake:
        (new,) = intake.events
        assert not new.is_sealed
        assert new.event.payload == b""
        await intake.file([], epoch=Epoch(1), token=TOKEN, lease_us=1)
    relay = relay_of(opening(road, worker), vault=worker)
    await relay.turn()
    ((state, code),) = [
        (row["state"], row["code"])
        for row in await rows(road.database, "SELECT state, code FROM {deliveries}")
    ]
    assert (state, code) == ("parked", "event_type_unknown")


async def test_a_new_event_type_and_a_new_key_are_offered_too(road: Road, vault: Vault):
    await road.publish(revision=2)
    catalogue = CatalogueStore(road.database)
    await catalogue.offer_intake("e-new", b"n" * 32)
    (row,) = await rows(road.database, "SELECT intake_key, intake_public FROM {catalogue}")
    assert tuple(row.values()) == ("e-new", (b"n" * 32).hex())


@pytest.mark.parametrize("written", ["intake_public = 'beef'", "intake_key = 'e-other'"])
async def test_a_key_that_somebody_else_put_there_is_ours_again_and_told_of(
    road: Road, vault: Vault, written: str
):
    log, catalogue = MagicMock(), CatalogueStore(road.database)
    kit: Any = SimpleNamespace(vault=vault, catalogue=catalogue, log=log)
    upkeep = Upkeep(kit, MagicMock(), MagicMock())
    await upkeep._offer_intake()
    log.warning.assert_not_called()
    await change(road.database, f"UPDATE {{catalogue}} SET {written}")
    await upkeep._offer_intake()
    key = vault.intake_key()
    (row,) = await rows(road.database, "SELECT intake_key, intake_public FROM {catalogue}")
    assert tuple(row.values()) == (key.id, key.public.hex())
    assert log.warning.call_args.args == ("intake_key_replaced",)
