"""Who asks which endpoint when, and what is written down of it: the same on every engine."""

import asyncio

import pytest

from dispatcher.control.auditing import verify
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import LeaseToken, WorkerId
from dispatcher.model.proof import ProofMethod, Unproven
from dispatcher.store.database import Database
from dispatcher.store.epoch import POLICY_CHANNEL
from dispatcher.store.proofs import Claim, ProofStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.wakeup import listen
from tests.support.letters import MINUTE_US, change, rows
from tests.support.records import audit_of

KEY = ("acme", "https://hooks.example.com:443/in")
W1 = WorkerId("w1")
NOTHING = Unproven("no_echo", "txt_missing")


@pytest.fixture
def proofs(database: Database) -> ProofStore:
    return ProofStore(database, audit_of(database))


async def claim(proofs: ProofStore, token: str = "t1", lease_us: int = MINUTE_US) -> Claim:
    return await proofs.claim(KEY, LeaseToken(token), lease_us)


async def test_one_of_two_workers_gets_the_try(proofs: ProofStore):
    first, second = await claim(proofs, "t1"), await claim(proofs, "t2")
    assert (first.is_ours, second.is_ours) == (True, False)
    assert 50 < second.wait_seconds <= 60
    await proofs.give_back(first)
    assert (await claim(proofs, "t3")).is_ours


async def test_claims_racing_for_one_endpoint_have_one_winner(postgres: Database):
    proofs = ProofStore(postgres, audit_of(postgres))
    found = await asyncio.gather(*(claim(proofs, f"t{number}") for number in range(8)))
    assert sum(each.is_ours for each in found) == 1


async def test_a_try_whose_worker_died_is_taken_over_when_its_time_is_up(proofs: ProofStore):
    dead = await claim(proofs, "t1", lease_us=0)
    mine = await claim(proofs, "t2")
    assert mine.is_ours
    with pytest.raises(Conflict):
        await proofs.record(dead, ProofMethod.ECHO, W1)
    assert not await proofs.fail(dead, NOTHING, 0)
    await proofs.record(mine, ProofMethod.ECHO, W1)


async def test_failures_are_counted_for_all_workers_and_put_the_next_try_off(proofs: ProofStore):
    first = await claim(proofs)
    assert await proofs.fail(first, NOTHING, MINUTE_US)
    waiting = await claim(proofs)
    assert (waiting.is_ours, waiting.failures) == (False, 1)
    asking = await proofs.asking(KEY)
    assert (asking.found, asking.is_answered) == (NOTHING, True)


async def test_a_wish_makes_the_next_try_due_and_the_one_under_way_void(
    proofs: ProofStore, database: Database
):
    under_way = await claim(proofs)
    await proofs.ask(KEY, actor="pat")
    assert not (await proofs.asking(KEY)).is_answered
    assert not await proofs.fail(under_way, NOTHING, MINUTE_US)
    with pytest.raises(Conflict):
        await proofs.record(under_way, ProofMethod.ECHO, W1)
    assert await rows(database, "SELECT * FROM {proofs}") == []
    mine = await claim(proofs, "t2")
    assert (mine.is_ours, mine.failures) == (True, 0)
    assert await proofs.fail(mine, NOTHING, MINUTE_US)
    assert (await proofs.asking(KEY)).is_answered


async def test_a_proof_bumps_the_epoch_is_read_with_the_policy_and_is_on_the_record(
    proofs: ProofStore, database: Database
):
    audit = audit_of(database)
    registry = RegistryStore(database, audit)
    before = await registry.active()
    await proofs.record(await claim(proofs), ProofMethod.DNS, W1)
    active, _, _, (proof,), *_ = await registry.policy_now()
    assert active.epoch == before.epoch + 1
    assert (proof.key, proof.method, proof.proven_by, proof.revision) == (KEY, "dns", "w1", 0)
    (entry,) = await audit.newest(before=9, limit=9, actor=None, kind=None, about=None)
    assert entry.document["actor"] == "dispatcher"
    assert entry.document["kind"] == "endpoint.proven"
    assert entry.document["about"] == "endpoint of acme at https://hooks.example.com:443/..."
    assert entry.document["detail"] == {
        "method": "dns",
        "worker": "w1",
        "revision": 0,
        "epoch": active.epoch,
    }
    assert (await verify(audit, (await audit.head()).note)).is_good


async def test_a_newer_proof_takes_the_place_of_the_older(proofs: ProofStore, database: Database):
    await proofs.record(await claim(proofs), ProofMethod.DNS, W1)
    await change(database, "UPDATE {proofs} SET proven_us = 7")
    await proofs.ask(KEY, actor="pat")
    await proofs.record(await claim(proofs, "t2"), ProofMethod.ECHO, WorkerId("w2"))
    (row,) = await rows(database, "SELECT * FROM {proofs}")
    assert (row["method"], row["proven_by"]) == ("echo", "w2")
    assert row["proven_us"] > 7


async def test_nobody_asks_again_while_a_proof_is_still_on_its_way_to_them(proofs: ProofStore):
    await proofs.record(await claim(proofs), ProofMethod.ECHO, W1)
    assert not (await claim(proofs, "t2")).is_ours


async def test_proofs_and_wishes_are_announced(postgres: Database):
    proofs = ProofStore(postgres, audit_of(postgres))
    heard = asyncio.Event()
    listening = asyncio.create_task(listen(postgres, POLICY_CHANNEL, heard.set))
    try:
        async with asyncio.timeout(10):
            await heard.wait()  # once it listens
            for act in (
                lambda: proofs.ask(KEY, actor="pat"),
                lambda: record(proofs),
            ):
                heard.clear()
                await act()
                await heard.wait()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def record(proofs: ProofStore) -> None:
    await proofs.record(await claim(proofs), ProofMethod.ECHO, W1)


async def test_a_wish_that_waits_already_moves_nothing(proofs: ProofStore, database: Database):
    registry = RegistryStore(database, audit_of(database))
    before = await registry.active()
    for _ in range(5):
        await proofs.ask(KEY, actor="pat")
    assert (await registry.active()).epoch == before.epoch + 1
    assert await proofs.fail(await claim(proofs), NOTHING, MINUTE_US)
    await proofs.ask(KEY, actor="pat")
    assert (await registry.active()).epoch == before.epoch + 2
