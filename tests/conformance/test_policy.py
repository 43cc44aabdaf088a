"""The registry plane: one active revision, switches that bump the epoch, and workers that obey."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.errors import Conflict, NotFound
from dispatcher.model.ids import Epoch, Revision, WorkerId
from dispatcher.model.keys import KeyState
from dispatcher.model.paper import Agreement, Assessment, LegalBasis, Purpose
from dispatcher.model.registry import Connector, Destination, Policy, Registry, Subscription
from dispatcher.model.switch import Target
from dispatcher.store.database import Database
from dispatcher.store.epoch import POLICY_CHANNEL
from dispatcher.store.registry import RegistryStore
from dispatcher.store.revisions import NewRevision
from dispatcher.store.signing_keys import StoredKey
from dispatcher.store.wakeup import listen
from dispatcher.store.workers import WorkerStore
from tests.support.letters import MINUTE_US, ORDER_PLACED, change, rows
from tests.support.records import audit_of

REGISTRY = Registry(
    event_types=(ORDER_PLACED,),
    connectors=(
        Connector(
            name="acme",
            owner="ann",
            contact="ann@example.com",
            tenants=("shop",),
            purposes=(
                Purpose(
                    name="fulfilment",
                    categories=(Category.OTHER, Category.PII),
                    legal_basis=LegalBasis.CONTRACT,
                ),
            ),
            destinations=(
                Destination(
                    host="hooks.example.com",
                    reason="their inbox",
                    country="DE",
                    expires=date(2027, 3, 31),
                ),
            ),
            owner_confirmed_until=date(2027, 3, 31),
            agreement=Agreement(reference="A-1", until=date(2027, 3, 31), countries=("DE",)),
            assessment=Assessment(reference="PIA-1", until=date(2027, 3, 31), covers=("*",)),
        ),
    ),
    subscriptions=(
        Subscription(
            name="acme",
            connector="acme",
            purpose="fulfilment",
            url="https://hooks.example.com/in",
            scope={"order.placed": ("$.id",)},
        ),
    ),
    policy=Policy(warn_days=(7,), countries={"*": Sensitivity.CONFIDENTIAL}),
)
KEY = StoredKey("acme", "f1", b"sealed secret", connector="acme")
ANN = {"diff": DisclosureDiff(()), "author": "ann", "approver": "bob", "reason": "first"}
W1, W2 = WorkerId("w1"), WorkerId("w2")


@pytest.fixture
def registry(database: Database) -> RegistryStore:
    return RegistryStore(database, audit_of(database))


@pytest.fixture
def workers(database: Database) -> WorkerStore:
    return WorkerStore(database)


async def test_the_first_policy_is_the_empty_registry(registry: RegistryStore):
    active, switches, keys, *_ = await registry.policy_now()
    assert (active.revision, active.hash, active.registry) == (0, "", Registry())
    assert (switches, keys) == ((), ())


async def test_an_activated_revision_is_read_back_whole_with_its_keys(registry: RegistryStore):
    before = await registry.active()
    number, epoch = await registry.activate(
        NewRevision(base=before, registry=REGISTRY, **ANN), [KEY]
    )
    active, _, keys, *_ = await registry.policy_now()
    assert (number, active.revision) == (1, 1)
    assert active.epoch == epoch > before.epoch
    assert active.registry == REGISTRY
    assert keys == await registry.keys()
    (key,) = keys
    assert replace(key, times=KEY.times) == KEY
    assert KeyState.ACTIVE is key.times.state(key.times.created_us)
    assert "secret" not in repr(keys)


async def test_of_two_changes_made_on_one_base_only_the_first_becomes_active(
    registry: RegistryStore,
):
    base = await registry.active()
    await registry.activate(NewRevision(base=base, registry=REGISTRY, **ANN), [])
    with pytest.raises(Conflict) as caught:
        await registry.activate(NewRevision(base=base, registry=Registry(), **ANN), [KEY])
    assert caught.value.reason == "base_moved"
    assert caught.value.fix
    assert (await registry.active()).registry == REGISTRY
    assert await registry.keys() == ()


async def test_activations_racing_on_one_base_have_one_winner(postgres: Database):
    registry = RegistryStore(postgres, audit_of(postgres))
    base = await registry.active()
    changes = [
        NewRevision(base=base, registry=REGISTRY, **ANN | {"reason": str(number)})
        for number in range(4)
    ]
    done = await asyncio.gather(
        *(registry.activate(each, []) for each in changes), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict"] * 3 + ["tuple"]
    assert (await registry.active()).revision == 1


async def test_each_revision_is_chained_to_its_parent_and_the_same_content_differs_by_place(
    registry: RegistryStore, database: Database
):
    for reason in ("one", "two"):
        base = await registry.active()
        await registry.activate(
            NewRevision(base=base, registry=REGISTRY, **ANN | {"reason": reason}), []
        )
    one, two = await rows(database, "SELECT * FROM {revisions} ORDER BY number")
    assert (one["parent_hash"], two["parent_hash"]) == ("", one["hash"])
    assert one["hash"] != two["hash"]
    assert one["content"] == two["content"]
    assert (two["author"], two["approver"], two["reason"]) == ("ann", "bob", "two")


async def test_tripping_and_releasing_a_switch_each_bump_the_epoch(registry: RegistryStore):
    start = (await registry.active()).epoch
    target = Target.parse("connector:acme")
    number, tripped = await registry.trip(target, reason="they leak", actor="sre")
    assert tripped == start + 1
    (switch,) = await registry.switches()
    assert (switch.id, switch.target, switch.reason, switch.actor) == (
        number,
        target,
        "they leak",
        "sre",
    )
    assert await registry.release(target, actor="sre", reason="over") == 1
    assert (await registry.active()).epoch == tripped + 1
    assert await registry.switches() == ()


async def test_releasing_one_switch_never_lifts_another(registry: RegistryStore):
    acme, everything = Target.parse("connector:acme"), Target.parse("everything")
    await registry.trip(acme, reason="r", actor="a")
    await registry.trip(everything, reason="r", actor="a")
    await registry.release(everything, actor="a", reason="")
    assert [each.target for each in await registry.switches()] == [acme]


async def test_one_release_takes_off_every_switch_on_its_target(registry: RegistryStore):
    target = Target.parse("tenant:shop")
    await registry.trip(target, reason="one", actor="a")
    await registry.trip(target, reason="two", actor="b")
    assert await registry.release(target, actor="c", reason="") == 2


async def test_releasing_what_is_not_on_changes_nothing(registry: RegistryStore):
    before = await registry.active()
    with pytest.raises(NotFound):
        await registry.release(Target.parse("tenant:shop"), actor="a", reason="")
    assert await registry.active() == before


async def test_trips_at_once_each_get_an_epoch_of_their_own(postgres: Database):
    registry = RegistryStore(postgres, audit_of(postgres))
    tripped = await asyncio.gather(
        *(registry.trip(Target.parse("everything"), reason="r", actor="a") for _ in range(6))
    )
    assert len({epoch for _, epoch in tripped}) == 6
    assert (await registry.active()).epoch == max(epoch for _, epoch in tripped)


async def test_a_worker_enters_having_confirmed_nothing(workers: WorkerStore):
    await workers.register(W1, host="h", pid=7, lease_us=MINUTE_US)
    (row,) = await workers.all()
    assert (row.id, row.host, row.pid, row.confirmed_epoch, row.in_flight, row.is_fenced) == (
        W1,
        "h",
        7,
        0,
        0,
        False,
    )
    assert 0 <= row.silent_us < MINUTE_US


async def test_a_heartbeat_brings_the_policy_and_leaves_what_the_worker_confirms(
    workers: WorkerStore, registry: RegistryStore
):
    await workers.register(W1, host="h", pid=7, lease_us=MINUTE_US)
    await workers.register(W2, host="h", pid=8, lease_us=MINUTE_US)
    _, tripped = await registry.trip(Target.parse("everything"), reason="r", actor="a")
    beat = await workers.beat(W1, confirmed=Epoch(1), revision=Revision(0), in_flight=3)
    assert beat is not None
    assert (beat.epoch, beat.revision, beat.is_fenced) == (tripped, 0, False)
    one, two = await workers.all()
    assert (one.confirmed_epoch, one.in_flight) == (1, 3)
    assert (two.confirmed_epoch, two.in_flight) == (0, 0)


async def test_a_worker_whose_row_is_gone_is_told_to_enter_again(workers: WorkerStore):
    await workers.register(W1, host="h", pid=7, lease_us=MINUTE_US)
    await workers.leave(W1)
    terms = {"confirmed": Epoch(1), "revision": Revision(0), "in_flight": 0}
    assert await workers.beat(W1, **terms) is None
    assert await workers.all() == []


async def test_a_worker_that_beats_is_not_fenced(workers: WorkerStore):
    await workers.register(W1, host="h", pid=7, lease_us=MINUTE_US)
    assert [each.is_fenced for each in await workers.fence_silent()] == [False]


async def test_a_silent_worker_is_fenced_and_learns_it_from_its_next_heartbeat(
    workers: WorkerStore,
):
    await workers.register(W1, host="h", pid=7, lease_us=1)
    await workers.register(W2, host="h", pid=8, lease_us=MINUTE_US)
    await asyncio.sleep(0.01)
    assert [each.is_fenced for each in await workers.fence_silent()] == [True, False]
    beat = await workers.beat(W1, confirmed=Epoch(1), revision=Revision(0), in_flight=0)
    assert beat is not None
    assert beat.is_fenced
    before = (await workers.all())[0].silent_us
    await asyncio.sleep(0.01)
    await workers.beat(W1, confirmed=Epoch(1), revision=Revision(0), in_flight=0)
    assert (await workers.all())[0].silent_us > before
    await workers.register(W1, host="h", pid=7, lease_us=MINUTE_US)
    beat = await workers.beat(W1, confirmed=Epoch(1), revision=Revision(0), in_flight=0)
    assert beat is not None
    assert not beat.is_fenced


async def test_a_fence_waits_for_a_heartbeat_in_flight_and_then_sees_it(postgres: Database):
    workers = WorkerStore(postgres)
    await workers.register(W1, host="h", pid=7, lease_us=200_000)
    await asyncio.sleep(0.3)
    async with postgres.begin() as connection:
        beat = "UPDATE {workers} SET seen_us = {now} WHERE id = 'w1'"
        await postgres.execute(connection, beat)
        fence = asyncio.create_task(workers.fence_silent())
        await asyncio.sleep(0.05)
        assert not fence.done()
    assert [each.is_fenced for each in await fence] == [False]


async def test_a_heartbeat_waits_for_a_fence_in_flight_and_then_sees_it(postgres: Database):
    workers = WorkerStore(postgres)
    await workers.register(W1, host="h", pid=7, lease_us=MINUTE_US)
    async with postgres.begin() as connection:
        fence = "UPDATE {workers} SET is_fenced = true WHERE id = 'w1'"
        await postgres.execute(connection, fence)
        beat = asyncio.create_task(
            workers.beat(W1, confirmed=Epoch(1), revision=Revision(0), in_flight=0)
        )
        await asyncio.sleep(0.05)
        assert not beat.done()
    seen = await beat
    assert seen is not None
    assert seen.is_fenced


async def test_only_workers_long_silent_are_forgotten(workers: WorkerStore, database: Database):
    await workers.register(W1, host="h", pid=7, lease_us=1)
    await workers.register(W2, host="h", pid=8, lease_us=MINUTE_US)
    await workers.forget_silent(MINUTE_US)
    assert len(await workers.all()) == 2
    await change(database, "UPDATE {workers} SET seen_us = 0 WHERE id = 'w1'")
    await workers.forget_silent(MINUTE_US)
    assert [each.id for each in await workers.all()] == [W2]


async def test_a_policy_change_is_announced_to_who_listens(postgres: Database):
    hints: list[int] = []
    listening = asyncio.create_task(listen(postgres, POLICY_CHANNEL, lambda: hints.append(1)))
    async with asyncio.timeout(5):
        while not hints:  # noqa: ASYNC110 - a hint comes from outside
            await asyncio.sleep(0.01)
        heard = len(hints)
        await RegistryStore(postgres, audit_of(postgres)).trip(
            Target.parse("everything"), reason="r", actor="a"
        )
        while len(hints) == heard:  # noqa: ASYNC110 - a hint comes from outside
            await asyncio.sleep(0.01)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_revision_is_read_as_it_was_written_down_to_the_last_field(
    registry: RegistryStore,
):
    changed = replace(REGISTRY.subscriptions[0], retry_seconds=(0.5, 2), concurrency=3)
    wanted = replace(REGISTRY, subscriptions=(changed,))
    base = await registry.active()
    await registry.activate(NewRevision(base=base, registry=wanted, **ANN), [])
    assert (await registry.active()).registry == wanted
