"""Keys at rest are renewed, wrapped anew and destroyed; what a destroyed one sealed stays shut."""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.control.means import Means
from dispatcher.control.previews import PreviewControl
from dispatcher.model.days import day_of
from dispatcher.model.delivery import State
from dispatcher.model.errors import KeyDestroyed, NotFound
from dispatcher.model.ids import Revision, WorkerId
from dispatcher.model.people import Role
from dispatcher.model.registry import EventType, Policy, Registry
from dispatcher.model.retention import LegalHold, Retention
from dispatcher.store.database import Database
from dispatcher.store.registry import RegistryStore
from dispatcher.store.workers import WorkerStore
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.keyring import create_keyring
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from tests.support.databases import wall_us
from tests.support.letters import Road, change, rows
from tests.support.planes import EVERYBODY, Caller, control_of, means_of, person, with_own_keys
from tests.support.records import KEYRING, audit_of
from tests.support.vaults import Fickle, content_of
from tests.unit.stages.builders import leaf, record, text_of

PRIVACY = person("pia", Role.PRIVACY)
SRE = person("sam", Role.SRE)
FIRST = day_of(wall_us()) - timedelta(days=100)
WHY = {"reason": "the contract ended"}


@dataclass
class Cellar:
    """An outbox with sealed events of two tenants, and the API over the keys."""

    database: Database
    api: Caller
    road: Road

    async def store(self, tenant: str = "north", count: int = 2) -> list[str]:
        """Seal events in the period that is now, and file their deliveries as waiting."""
        await self.road.publish()
        vault = self.api.means.vault
        await vault.ready(tenant)
        ids = await self.road.enqueue(count, tenant=tenant, vault=vault)
        await self.road.file()
        return ids

    async def settle(self, state: State = State.DELIVERED) -> None:
        sql = "UPDATE {deliveries} SET state = :state, due_us = NULL"
        await change(self.database, sql, state=state.value)

    async def end(self, tenant: str | None = "north") -> Any:
        body = {"tenant": tenant, **WHY}
        return await self.api.ask("POST", "/v1/vault/epochs/end", body, by=SRE)

    def asked(self, **more: Any) -> dict[str, Any]:
        return {"tenant": "north", "before_us": wall_us(), "wait_seconds": 5, **WHY, **more}

    async def shred(self, **more: Any) -> Any:
        return await self.api.ask("POST", "/v1/vault/shred", self.asked(**more), by=PRIVACY)

    async def refused(self, **more: Any) -> tuple[int, str]:
        found: tuple[int, str] = await self.api.refused(
            "POST", "/v1/vault/shred", self.asked(**more), by=PRIVACY
        )
        return found

    def another_api(self) -> Means:
        """Give what another process would serve, with keys of its own at hand."""
        return with_own_keys(means_of(self.database))

    async def blobs(self) -> dict[str, bytes | None]:
        found = await rows(self.database, "SELECT id, payload FROM {events} ORDER BY seq")
        return {row["id"]: row["payload"] and bytes(row["payload"]) for row in found}


@pytest.fixture
async def cellar(database: Database) -> Cellar:
    means = with_own_keys(means_of(database))
    return Cellar(database, Caller(means), Road(database, means.open_payload))


async def test_after_a_shred_a_payload_opens_nowhere_also_where_it_is_brought_back(cellar: Cellar):
    ids = await cellar.store()
    others = await cellar.store("south")
    await cellar.settle()
    before = await cellar.blobs()
    await cellar.end(None)
    done = await cellar.shred()
    assert (done["is_done"], done["keys"], done["payloads"], done["dropped"]) == (True, 1, 2, 0)
    (proof,) = done["proofs"]
    assert proof["event"] == ids[0]
    assert (proof["opened_before"], proof["opens_now"]) == (True, False)
    left = await cellar.blobs()
    assert [left[name] for name in ids] == [None, None]
    # A backup of the outbox is put back: it is noise.
    for name in ids:
        sql = "UPDATE {events} SET payload = :blob WHERE id = :id"
        await change(cellar.database, sql, blob=before[name], id=name)
        with pytest.raises(KeyDestroyed):
            await cellar.api.means.vault.open_soon(
                before[name] or b"", payload_place("north", name)
            )
    await change(cellar.database, "UPDATE {deliveries} SET lane = '', due_us = 1")
    async with cellar.road.outbox.intake(limit=9, floor_us=0) as intake:
        found = {new.event.id: new.event.payload for new in intake.events}
    assert [found[name] for name in ids] == [None, None]
    assert all(found[name] for name in others)
    log = await rows(cellar.database, "SELECT entry FROM {audit_log} ORDER BY seq DESC LIMIT 1")
    assert '"kind":"vault.shredded"' in log[0]["entry"]
    assert WHY["reason"] in log[0]["entry"]


async def test_what_is_still_to_be_delivered_is_lost_only_where_somebody_says_so(cellar: Cellar):
    await cellar.store()
    await cellar.end()
    assert await cellar.refused() == (409, "undelivered_events")
    await cellar.settle(State.PARKED)
    assert await cellar.refused() == (409, "undelivered_events")
    await cellar.settle(State.LEASED)
    assert await cellar.refused(drop_waiting=True) == (409, "deliveries_under_way")
    assert all((await cellar.blobs()).values())
    await cellar.settle(State.WAITING)
    done = await cellar.shred(drop_waiting=True)
    assert (done["undelivered"], done["dropped"], done["payloads"]) == (2, 2, 2)
    found = await rows(cellar.database, "SELECT state, code, due_us FROM {deliveries}")
    assert {tuple(row.values()) for row in found} == {("dropped", "shredded", None)}


@pytest.mark.parametrize(
    ("hold", "is_held"),
    [
        ({"tenant": "north"}, True),
        ({"event_type": "order.placed"}, True),
        ({"tenant": "south"}, False),
    ],
)
async def test_what_is_under_a_legal_hold_is_not_shredded(
    cellar: Cellar, hold: dict[str, Any], is_held: bool
):
    terms = {"since": FIRST, "until": FIRST + timedelta(days=1800)} | hold
    held = LegalHold(name="case-7", owner="lea", reason="a drill", **terms)
    registry = Registry(
        event_types=(EventType(name="order.placed", schema=text_of(record(id=leaf()))),),
        policy=Policy(retention=Retention(holds=(held,))),
    )
    alone = control_of(cellar.database, approvals=1)
    await alone.propose(registry, by=EVERYBODY, reason="a drill", where="a test")
    await cellar.store()
    await cellar.settle()
    await cellar.end()
    if is_held:
        assert await cellar.refused() == (409, "legal_hold")
        assert await cellar.refused(is_rehearsal=True) == (409, "legal_hold")
        assert all((await cellar.blobs()).values())
    else:
        assert (await cellar.shred())["payloads"] == 2


async def test_a_rehearsal_says_what_would_go_and_changes_nothing(cellar: Cellar):
    await cellar.store()
    await cellar.end()
    plan = await cellar.shred(is_rehearsal=True)
    assert (plan["is_done"], plan["keys"], plan["undelivered"]) == (False, 1, 2)
    assert all((await cellar.blobs()).values())
    assert (await cellar.api.ask("GET", "/v1/vault"))["tenants"][0]["keys"] == 1


async def test_only_periods_that_are_over_are_shredded_and_only_once(cellar: Cellar):
    await cellar.store()
    await cellar.settle()
    assert await cellar.refused() == (404, "nothing_to_shred")
    assert await cellar.refused(before_us=wall_us() + 60_000_000) == (422, "before_in_future")
    started = wall_us() - 1
    await cellar.end()
    assert await cellar.refused(before_us=started) == (404, "nothing_to_shred")
    await cellar.shred()
    assert await cellar.refused() == (404, "nothing_to_shred")
    status = await cellar.api.ask("GET", "/v1/vault")
    assert [(each["keys"], each["destroyed"]) for each in status["tenants"]] == [(0, 1)]


async def test_a_tenant_that_never_had_a_key_is_told_of_and_nothing_changes(cellar: Cellar):
    await cellar.store()
    before = await rows(cellar.database, "SELECT entry FROM {audit_log}")
    ending = {"tenant": "nroth", **WHY}
    told = await cellar.api.refused("POST", "/v1/vault/epochs/end", ending, by=SRE)
    assert told == (404, "tenant_without_keys")
    assert await cellar.refused(tenant="nroth") == (404, "tenant_without_keys")
    assert await rows(cellar.database, "SELECT entry FROM {audit_log}") == before
    assert (await cellar.end())["ended"] == 1
    assert (await cellar.end())["ended"] == 0
    await cellar.settle()
    await cellar.shred()
    assert (await cellar.end())["ended"] == 0, "its keys are destroyed, but it had some"


async def test_the_end_of_a_period_waits_for_the_workers_as_a_hold_does(cellar: Cellar):
    await cellar.store()
    workers, worker = WorkerStore(cellar.database), WorkerId("w1")
    await workers.register(worker, host="h", pid=1, lease_us=600_000_000)
    body = {**WHY, "wait_seconds": 0.1}
    told = await cellar.api.refused("POST", "/v1/vault/epochs/end", body, by=SRE)
    assert told == (504, "end_unconfirmed")
    waiting = asyncio.create_task(cellar.end(None))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    epoch = (await cellar.api.means.registry.active()).epoch
    await workers.beat(worker, confirmed=epoch, revision=1, in_flight=0)
    done = await waiting
    assert (done["ended"], done["epoch"], done["confirmed"], done["fenced"]) == (
        0,
        epoch,
        ["w1"],
        [],
    )


@pytest.mark.parametrize("how", ["filed", "recent"])
async def test_another_process_of_the_api_shows_nothing_any_more_that_was_shredded(
    cellar: Cellar, how: str
):
    (event,) = await cellar.store(count=1)
    (delivery,) = await rows(cellar.database, "SELECT id FROM {deliveries}")
    other = PreviewControl.over(cellar.another_api())

    async def look() -> bytes | None:
        if how == "filed":
            return (await other.filed(delivery["id"], "acme", None)).event.payload
        try:
            return (await other.recent(["order.placed"], ["north"])).event.payload
        except NotFound:
            return None

    await cellar.settle()
    before = (await cellar.blobs())[event]
    await cellar.end()
    assert await look() == b'{"id":"o0"}', "its key is at hand there"
    await cellar.shred()
    back = "UPDATE {events} SET payload = :blob WHERE id = :id"
    await change(cellar.database, back, blob=before, id=event)
    assert await look() is None


async def test_another_process_of_the_api_seals_under_no_key_whose_period_was_ended(cellar: Cellar):
    await cellar.road.publish()
    other = Caller(cellar.another_api())
    body = {"type": "order.placed", "tenant": "north", "subjects": [], "payload": {"id": "n"}}
    for _ in range(2):
        await other.ask("POST", "/v1/events", body)
    await cellar.end()
    await other.ask("POST", "/v1/events", body)
    first, second, third = (blob and blob[:15] for blob in (await cellar.blobs()).values())
    assert first == second != third


async def test_a_shred_says_which_processes_forgot_and_at_which_outbox_it_looked(cellar: Cellar):
    await cellar.store()
    await cellar.settle()
    await cellar.end()
    workers = WorkerStore(cellar.database)
    for name, lease_us in (("w1", 600_000_000), ("w2", 1)):
        await workers.register(WorkerId(name), host="h", pid=1, lease_us=lease_us)

    is_over = asyncio.Event()

    async def obey() -> None:
        while not is_over.is_set():
            epoch = (await RegistryStore(cellar.database, audit_of(cellar.database)).active()).epoch
            await workers.beat(WorkerId("w1"), confirmed=epoch, revision=Revision(0), in_flight=0)
            await asyncio.sleep(0.01)

    plan = await cellar.shred(is_rehearsal=True)
    assert plan["outbox"] == cellar.database.place
    obeying = asyncio.create_task(obey())
    done = await cellar.shred()
    is_over.set()
    await obeying
    assert (done["confirmed"], done["fenced"]) == (["w1"], ["w2"])
    assert done["outbox"] == cellar.database.place
    password = cellar.database.engine.url.password
    assert password is None or password not in done["outbox"]


async def test_each_asks_for_its_own_right(cellar: Cellar):
    for by, path in ((SRE, "shred"), (PRIVACY, "rotate"), (PRIVACY, "rewrap")):
        body = cellar.asked() if path == "shred" else {**WHY} if path == "rotate" else {}
        status, _ = await cellar.api.refused("POST", f"/v1/vault/{path}", body, by=by)
        assert status == 403
    mine = replace(PRIVACY, tenant="south")
    status, _ = await cellar.api.refused("POST", "/v1/vault/shred", cellar.asked(), by=mine)
    assert status == 403


async def test_keys_are_wrapped_anew_under_the_newest_and_no_record_changes(
    cellar: Cellar, tmp_path: Path
):
    keyring = create_keyring(tmp_path / "keyring.json")
    providers = KeyProviders(LocalProvider(keyring, tmp_path / "keyring.json"))
    held = replace(cellar.api.means, providers=providers)
    held.vault._keys._providers = providers
    cellar.api = Caller(held)
    for tenant in ("north", "south", "west"):
        await cellar.store(tenant, count=1)
    before = await cellar.blobs()
    made = (await cellar.api.ask("POST", "/v1/vault/rotate", WHY, by=SRE))["provider"]
    assert made not in (await cellar.api.ask("GET", "/v1/vault"))["wrapped_by"]
    after, counts = "", []
    while after is not None:
        done = await cellar.api.ask(
            "POST", "/v1/vault/rewrap", {"after": after, "limit": 2}, by=SRE
        )
        counts.append(done["rewrapped"])
        after = done["after"]
    assert counts == [2, 1]
    status = await cellar.api.ask("GET", "/v1/vault")
    assert status["provider"] == made
    assert status["wrapped_by"] == {made: 3}
    assert await cellar.blobs() == before
    held.vault.forget()
    for row in await rows(cellar.database, "SELECT id, tenant, payload FROM {events}"):
        place = payload_place(row["tenant"], row["id"])
        assert await held.vault.open_soon(bytes(row["payload"]), place) == content_of(
            b'{"id":"o0"}', "person-1"
        )


async def test_a_stop_with_a_key_of_its_own_is_done_though_its_answer_cannot_be_sealed(
    cellar: Cellar,
):
    means = cellar.api.means
    away = Fickle(LocalProvider(KEYRING), away=True)
    vault = Vault(KEYRING, EpochKeys(means.epoch_keys, KeyProviders(away), boot=time.monotonic))
    api = Caller(replace(means, vault=vault))
    asked = {"target": "everything", "reason": "smoke", "wait_seconds": 1}
    head = {"headers": {"idempotency-key": "k-1"}}
    held = await api.ask("POST", "/v1/switches", asked, by=SRE, **head)
    assert held["target"] == "everything"
    again = await api.refused("POST", "/v1/switches", asked, by=SRE, **head)
    assert again == (409, "idempotency_unfinished")
    assert len(await api.ask("GET", "/v1/switches")) == 1
