"""Step 1 of the road, for rows that no producer library has checked: what the relay parks."""

import asyncio
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.model.errors import KeyUnavailable
from dispatcher.model.ids import LeaseToken, WebhookId
from dispatcher.store.database import Database
from dispatcher.telemetry.metrics import Metrics
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from dispatcher.worker.kit import WorkerSettings
from dispatcher.worker.relay import Relay
from dispatcher.worker.triage import Triage
from tests.support import payloads
from tests.support.letters import Road, change, rows
from tests.support.records import KEYRING
from tests.support.vaults import MemoryEpochs, standing_vault
from tests.unit.stages import builders
from tests.unit.stages.builders import leaf, record

KIND = builders.event_type(
    schema=record(id=leaf(), total=leaf("integer")), payload_bytes_max=20_000, subjects_max=2
)
INSERT = """
INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed, occurred_us,
    enqueued_us)
VALUES (:id, 'north', 'order.paid', 'hand', :subjects, :payload, false, 0, 0)
"""
FUNCTION = """
SELECT dispatcher.dispatcher_enqueue('north', 'order.paid', CAST(:subjects AS text[]),
    CAST(:payload AS json))
"""
PARKED = "SELECT state, code FROM {deliveries} ORDER BY event_seq"


def relay_of(road: Road, vault: Vault | None = None, **more: Any) -> Relay:
    """A relay that plans one event after another, none of which is due at once."""
    held = builders.registry(
        event_types=(replace(KIND, **more),),
        subscriptions=(builders.subscription(scope={"order.paid": ("$.id",)}),),
    )
    numbers = itertools.count()
    kit: Any = SimpleNamespace(
        outbox=road.outbox,
        vault=vault or standing_vault(),
        report=lambda line, error: None,
        settings=WorkerSettings(),
        clock=SimpleNamespace(boot=lambda: 0.0, wall_us=lambda: 0),
        mint_token=lambda: LeaseToken("t"),
        mint_webhook_id=lambda: WebhookId(f"msg_{next(numbers)}"),
        step=lambda _: None,
        metrics=Metrics(CollectorRegistry()),
    )
    policy: Any = SimpleNamespace(
        snapshot=builders.snapshot(held),
        lease_ends=9.0,
        delivery_lease_seconds=60.0,
        sealing=asyncio.Lock(),
    )
    desk: Any = SimpleNamespace(room=lambda *_: 0, accept=list)
    return Relay(kit, policy, desk, Triage(kit))


async def judged(road: Road) -> list[tuple[str, str | None]]:
    """What became of each event, in the order they came."""
    await relay_of(road).turn()
    return [(row["state"], row["code"]) for row in await rows(road.database, PARKED)]


async def by_hand(road: Road, payload: bytes, subjects: str = "[]") -> None:
    number = len(await rows(road.database, "SELECT id FROM {events}"))
    given = {"id": f"evt_{number}", "payload": payload, "subjects": subjects}
    await change(road.database, INSERT, **given)


async def test_what_readers_of_json_read_differently_is_parked_or_planned_as_it_is(road: Road):
    for payload, _ in payloads.REFUSED.values():
        await by_hand(road, payload)
    await by_hand(road, payloads.LARGE)
    for payload in payloads.EXACT:
        await by_hand(road, payload)
    assert await judged(road) == [
        *[("parked", "schema_invalid")] * len(payloads.REFUSED),
        ("parked", "payload_too_large"),
        *[("waiting", None)] * len(payloads.EXACT),
    ]


async def test_what_the_function_lets_in_is_parked_or_planned_as_it_is(postgres: Database):
    road = Road(postgres)
    await road.publish(KIND)
    refused = []
    for case, (payload, _) in payloads.REFUSED.items():
        try:
            await change(postgres, FUNCTION, subjects=[], payload=payload.decode())
        except Exception as error:  # noqa: BLE001 - what the database itself knows to be no JSON
            refused.append((case, type(error).__name__))
    assert [case for case, _ in refused] == ["no number", "no end"]
    for payload in payloads.EXACT:
        await change(postgres, FUNCTION, subjects=[], payload=payload.decode())
    assert await judged(road) == [
        *[("parked", "schema_invalid")] * (len(payloads.REFUSED) - len(refused)),
        *[("waiting", None)] * len(payloads.EXACT),
    ]


@pytest.mark.parametrize(
    ("subjects", "outcome"),
    [
        ('["a", "b", "a"]', ("waiting", None)),
        ('["a", "b", "c"]', ("parked", "too_many_subjects")),
        ('["a", 1]', ("parked", "subjects_invalid")),
    ],
)
async def test_an_event_about_too_many_is_parked(road: Road, subjects: str, outcome: Any):
    await by_hand(road, b'{"id":"a"}', subjects)
    assert await judged(road) == [outcome]


class OneAway(LocalProvider):
    """A keyring that gives no key of one tenant."""

    away = "north"

    async def generate(self, context):
        if context.tenant == self.away:
            raise KeyUnavailable("away", where="vault.provider")
        return await super().generate(context)


async def test_a_row_that_cannot_be_sealed_stays_in_the_intake_and_the_others_go_on(road: Road):
    provider, epochs = OneAway(KEYRING), MemoryEpochs()
    keys = EpochKeys(epochs, KeyProviders(provider), boot=lambda: 0.0)
    relay = relay_of(road, vault=Vault(KEYRING, keys))
    await by_hand(road, b'{"id":"o1"}')
    await by_hand(road, b'{"id":"o2"}')
    await change(road.database, "UPDATE {events} SET tenant = 'south' WHERE id = 'evt_1'")
    assert [await relay.turn() for _ in range(3)] == [1, 2, 0]
    found = await rows(
        road.database,
        "SELECT e.is_sealed, e.payload, d.state, d.due_us - {now} AS wait_us FROM {events} e "
        "JOIN {deliveries} d ON d.event_seq = e.seq ORDER BY e.seq",
    )
    assert [row["state"] for row in found] == ["waiting", "dropped"]
    assert [bool(row["is_sealed"]) for row in found] == [False, True]
    assert b"o2" not in bytes(found[1]["payload"])
    assert 1_000_000 < found[0]["wait_us"] <= 5_000_000
    # Once the key can be had, nothing is lost.
    provider.away = ""
    await change(road.database, "UPDATE {deliveries} SET due_us = 1 WHERE due_us > 1")
    keys.forget()
    relay = relay_of(road, vault=Vault(KEYRING, keys))
    assert [await relay.turn() for _ in range(2)] == [1, 1]
    assert all(row["is_sealed"] for row in await rows(road.database, "SELECT * FROM {events}"))
