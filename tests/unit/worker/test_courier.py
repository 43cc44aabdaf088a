"""What a courier asks of the resolver: once per attempt, and of the right one."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from dispatcher.model.letter import Trouble
from dispatcher.model.registry import Destination
from dispatcher.worker.courier import Courier
from tests.unit.stages import builders

INBOX = Destination(host="hooks.acme.example", reason="orders")
INSIDE = Destination(host="hooks.acme.example", reason="orders", private_range="10.20.0.0/16")


class Recorder:
    """Stands in for the resolver: knows nothing, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    async def resolve(self, host: str, *, is_private: bool = False) -> Trouble:
        self.asked.append((host, is_private))
        return Trouble("dns_failed", is_begun=False)


@pytest.mark.parametrize(("entry", "is_private"), [(INBOX, False), (INSIDE, True)])
async def test_d10_a_host_that_may_lie_inside_is_asked_for_as_such(entry, is_private):
    held = builders.registry(connectors=(builders.connector(destinations=(entry,)),))
    snapshot, resolver, settled = builders.snapshot(held), Recorder(), []
    kit = SimpleNamespace(
        step=lambda _: None,
        resolver=resolver,
        clock=SimpleNamespace(boot=lambda: 0.0, wall_us=lambda: 0),
        chance=lambda: 0.5,
        metrics=MagicMock(),
        log=MagicMock(),
    )
    policy = SimpleNamespace(snapshot=snapshot, lease_ends=1e9)
    courier = Courier(kit, policy, MagicMock(), SimpleNamespace(put=settled.append))
    scope = snapshot.routes["acme-orders"].scopes["order.paid"]
    await courier.carry(builders.leased(filed_scope=scope.id, lease_ends=1e9))
    assert resolver.asked == [("hooks.acme.example", is_private)]
    assert [each.settlement.code for each in settled] == ["dns_failed"]
