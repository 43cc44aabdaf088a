"""Who was met is written once, with the settlement, and told with every attempt."""

from collections.abc import Sequence

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.ids import Epoch
from dispatcher.model.letter import Leased
from dispatcher.model.tls import Met, Peer
from dispatcher.showcase.bench_counts import TripCount
from dispatcher.store.database import Database
from dispatcher.store.ledger import LedgerStore, Settled
from dispatcher.store.peers import PeerStore
from tests.support.letters import Road, rows, sealed, settlement
from tests.support.planes import Caller, means_of

HOST = "hooks.example.com"
ONE = Peer("192.0.2.1", "CN=One", 1_900_000_000_000_000, "sha256/one")
TWO = Peer("192.0.2.2", "CN=Two", 1_900_000_000_000_001, "sha256/two")


async def end(road: Road, *met: Peer | None) -> None:
    """Deliver one event for each of these peers, all settled together."""
    leased = await road.leased(len(met))
    await road.disclose(*map(sealed, leased))
    await settle(road, leased, met)


async def settle(road: Road, leased: Sequence[Leased], met: Sequence[Peer | None]) -> None:
    settled = [
        Settled(
            settlement(each, Move.DELIVERED, Outcome.DELIVERED, status=200),
            Epoch(1),
            Met.at("acme", HOST, peer) if peer is not None else None,
        )
        for each, peer in zip(leased, met, strict=True)
    ]
    await road.ledger.settle(settled)


async def test_t9_a_peer_is_written_once_however_often_it_is_met(road: Road):
    await end(road, ONE, TWO, ONE, None)
    await end(road, TWO, ONE)
    found = await rows(road.database, "SELECT * FROM {peers} ORDER BY address")
    assert [(row["connector"], row["host"], row["address"]) for row in found] == [
        ("acme", HOST, "192.0.2.1"),
        ("acme", HOST, "192.0.2.2"),
    ]
    assert all(row["first_seen_us"] > 0 for row in found)
    one, two = (row["id"] for row in found)
    ledger = [row["peer"] for row in await road.disclosures()]
    assert ledger == [one, two, one, None, two, one]


async def test_t9_another_worker_writes_the_same_peer_no_second_time(road: Road):
    await end(road, ONE)
    road.ledger = LedgerStore(road.database, "worker-2")
    await end(road, ONE, TWO)
    assert len(await rows(road.database, "SELECT 1 FROM {peers}")) == 2


async def test_drift_is_measured_against_the_same_host_of_the_same_connector(road: Road):
    store = PeerStore(road.database)
    assert await store.known("acme", HOST) == frozenset()
    await end(road, ONE, TWO)
    assert await store.known("acme", HOST) == {ONE, TWO}
    assert await store.known("bolt", HOST) == frozenset()
    assert await store.known("acme", "other.example") == frozenset()


async def test_t9_every_attempt_is_told_with_who_was_met(database: Database):
    road = Road(database)
    await end(road, ONE, None)
    caller = Caller(means_of(database))
    met, nobody = (await caller.ask("GET", "/v1/disclosures"))["items"]
    assert (
        met["peer_address"],
        met["peer_issuer"],
        met["peer_not_after_us"],
        met["peer_spki"],
    ) == (
        ONE.address,
        ONE.issuer,
        ONE.not_after_us,
        ONE.spki,
    )
    assert (nobody["peer_address"], nobody["peer_spki"]) == (None, None)
    story = await caller.ask("GET", f"/v1/events/{met['event_id']}/trace")
    assert [each["peer_spki"] for each in story["attempts"]] == [ONE.spki]


async def test_a_familiar_peer_costs_no_trip_to_the_database(postgres: Database):
    road, trips = Road(postgres), TripCount(postgres)

    async def cost(*met: Peer | None) -> int:
        leased = await road.leased(len(met))
        await road.disclose(*map(sealed, leased))
        before = trips.trips
        await settle(road, leased, met)
        return trips.trips - before

    await cost(ONE)
    await cost(None)
    assert await cost(ONE, ONE) == await cost(None, None) == 1
