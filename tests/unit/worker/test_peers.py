"""Meeting partners: the familiar pass at once, strangers are compared, ends are watched."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.letter import Answer, Stopped, Trouble
from dispatcher.model.registry import Policy
from dispatcher.model.tls import Peer, Tls
from dispatcher.model.verdict import Reason
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.peers import PeerWatch
from tests.unit.stages import builders
from tests.unit.stages.builders import FAR, TODAY

DAY_US = 86_400_000_000
HOST = "hooks.acme.example"


def ending(days: int, address: str = "192.0.2.1", issuer: str = "CN=One") -> Peer:
    end = (TODAY - date(1970, 1, 1)).days + days
    return Peer(address, issuer, end * DAY_US, f"sha256/{days}")


LONG = ending(400)


class World:
    """A worker's surroundings: an outbox that knows some peers, and ears for what is said."""

    def __init__(self, *known: Peer, policy: Policy | None = None, **more: Any) -> None:
        self.known, self.asked, self.is_down = frozenset(known), 0, False
        self.held: list[tuple[tuple[str, ...], Reason]] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.metrics = Metrics(CollectorRegistry())
        log = SimpleNamespace(warning=lambda line, **keys: self.lines.append((line, keys)))
        kit: Any = SimpleNamespace(
            peers=SimpleNamespace(known=self.ask),
            metrics=self.metrics,
            log=log,
            report=lambda line, error: self.lines.append((line, {})),
        )
        registry = builders.registry(policy=policy or Policy(), **more)
        snapshot = builders.snapshot(registry)
        self.policy: Any = SimpleNamespace(snapshot=snapshot, today=TODAY, hold=self.hold)
        self.route = snapshot.routes["acme-orders"]
        self.watch = PeerWatch(kit, self.policy)

    async def ask(self, connector: str, host: str) -> frozenset[Peer]:
        assert (connector, host) == ("acme", HOST)
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable("the database is away")
        return self.known

    async def hold(self, subscriptions: Any, reason: Reason) -> None:
        self.held.append((tuple(subscriptions), reason))

    async def meet(self, peer: Peer | None, tls: Tls | None = None) -> Any:
        route = replace(self.route, tls=tls or Tls())
        return await self.watch.meet(route, Answer(200, peer=peer))

    def count(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"connector": "acme"} | labels)


async def test_nobody_is_met_without_a_connection() -> None:
    world = World()
    assert await world.meet(None) is None
    assert await world.watch.meet(world.route, Trouble("connect_refused", is_begun=False)) is None
    assert world.asked == 0


async def test_the_outbox_is_asked_once_however_many_letters_meet_a_stranger() -> None:
    world = World()
    met = await asyncio.gather(*(world.meet(LONG) for _ in range(20)))
    assert {each.id for each in met} == {met[0].id}
    assert (met[0].connector, met[0].host, met[0].peer) == ("acme", HOST, LONG)
    assert world.asked == 1
    assert world.lines == []


@pytest.mark.parametrize(
    ("stranger", "kinds"),
    [
        (ending(400, "198.51.100.1"), ["network"]),
        (ending(400, issuer="CN=Two"), ["issuer"]),
        (ending(400, "198.51.100.1", "CN=Two"), ["network", "issuer"]),
        (ending(300, "192.0.2.200"), []),
    ],
)
async def test_a_stranger_who_shares_nothing_with_those_known_is_told_of_at_once(
    stranger: Peer, kinds: list[str]
) -> None:
    world = World(LONG)
    assert await world.meet(stranger) is not None
    assert [(line, keys["kind"]) for line, keys in world.lines] == [
        ("destination_drifted", kind) for kind in kinds
    ]
    for kind in kinds:
        assert world.count("dispatcher_destination_drifts_total", kind=kind) == 1
    assert not any(stranger.address in str(keys) for _, keys in world.lines)
    assert world.held == []
    await world.meet(stranger)
    assert len(world.lines) == len(kinds), "it is told of once"


async def test_a_policy_may_hold_every_subscription_that_leads_to_where_it_drifted() -> None:
    both = (builders.subscription(), builders.subscription("acme-more"))
    world = World(LONG, policy=Policy(on_drift="hold"), subscriptions=both)
    await world.meet(ending(400, "198.51.100.1"))
    assert world.held == [(("acme-more", "acme-orders"), Reason.DESTINATION_DRIFTED)]
    await world.meet(LONG)
    assert len(world.held) == 1


async def test_a_peer_that_another_worker_has_written_meanwhile_is_no_stranger() -> None:
    world = World(LONG, ending(400, "198.51.100.1"))
    await world.meet(ending(400, "198.51.100.1"))
    assert world.lines == []


async def test_a_stranger_whom_nobody_can_be_asked_about_is_compared_the_next_time() -> None:
    world = World(LONG)
    world.is_down = True
    assert await world.meet(ending(400, "198.51.100.1")) is None
    assert world.lines == [("peer_not_compared", {})]
    world.is_down = False
    assert await world.meet(ending(400, "198.51.100.1")) is not None
    assert world.lines[-1][0] == "destination_drifted"


async def test_t9_an_end_that_is_near_is_warned_of_once_a_day_and_gone_after_a_renewal() -> None:
    world = World()
    gauge = "dispatcher_certificate_days_left"
    for _ in range(3):
        await world.meet(ending(30))
    assert [line for line, _ in world.lines] == ["certificate_ends"]
    assert world.lines[0][1]["host"] == HOST
    assert world.count(gauge) == 30
    world.policy.today = TODAY + timedelta(days=1)
    await world.meet(ending(30))
    assert [line for line, _ in world.lines] == ["certificate_ends"] * 2
    assert world.count(gauge) == 29
    await world.meet(ending(395))
    assert len(world.lines) == 2
    assert world.count(gauge) == 394


async def test_t9_an_end_that_is_far_is_not_warned_of() -> None:
    world = World()
    await world.meet(ending(31))
    assert world.lines == []
    assert world.count("dispatcher_certificate_days_left") == 31


async def test_t6_a_wrong_pin_is_counted_and_told_of_whether_refused_or_reported() -> None:
    world = World()
    reporting = Tls(pins=("sha256/x", "sha256/y"), pins_until=FAR, pins_report_until=TODAY)
    for _ in range(3):
        await world.meet(LONG, reporting)
    assert [(line, keys["kind"]) for line, keys in world.lines] == [("pin_mismatch", "reported")]
    assert world.count("dispatcher_pin_mismatches_total", kind="reported") == 3
    holding = replace(world.route, tls=replace(reporting, pins_report_until=None))
    refused = Stopped(Reason.PIN_MISMATCH, LONG)
    assert await world.watch.meet(holding, refused) is None, "who was refused is not known by it"
    assert world.lines[-1][1]["kind"] == "refused"
    assert world.count("dispatcher_pin_mismatches_total", kind="refused") == 1
