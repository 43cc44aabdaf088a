"""What a courier asks of the resolver, once per attempt, and of tokens in the last instant."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from dispatcher.model.letter import Answer, Resolved, Shaped, Trouble
from dispatcher.model.registry import Destination
from dispatcher.model.verdict import Reason
from dispatcher.worker.courier import Courier
from dispatcher.worker.kit import WorkerSettings
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
    courier = Courier(kit, policy, MagicMock(), MagicMock(), SimpleNamespace(put=settled.append))
    scope = snapshot.routes["acme-orders"].scopes["order.paid"]
    await courier.carry(builders.leased(filed_scope=scope.id, lease_ends=1e9))
    assert resolver.asked == [("hooks.acme.example", is_private)]
    assert [each.settlement.code for each in settled] == ["dns_failed"]


async def test_a_letter_whose_tokens_may_have_been_erased_meanwhile_does_not_begin():
    snapshot, settled = builders.snapshot(), []
    scope = snapshot.routes["acme-orders"].scopes["order.paid"]

    async def shape(admitted, _tokens):
        return Shaped(admitted=admitted, plaintext=b"{}", disclosed=())

    async def post(_sealed, _sign, check):
        return check() or Answer(200)

    async def put(_row):
        return True

    async def known(*_where):
        return ()

    kit = SimpleNamespace(
        step=lambda _: None,
        resolver=Somewhere(),
        settings=WorkerSettings(),
        clock=SimpleNamespace(boot=lambda: 0.0, wall_us=lambda: 0),
        chance=lambda: 0.5,
        vault=SimpleNamespace(pseudonyms=lambda _tenant, subjects: tuple(subjects)),
        peers=SimpleNamespace(known=known),
        transport=SimpleNamespace(post=post),
        metrics=MagicMock(),
        log=MagicMock(),
    )
    policy = SimpleNamespace(
        snapshot=snapshot, lease_ends=1e9, keys={}, in_flight=0, today=builders.TODAY
    )
    for is_current, code in ((False, Reason.POLICY_CHANGED), (True, "")):
        desk = SimpleNamespace(
            of=lambda _: None, shape=shape, is_current=lambda _, now=is_current: now
        )
        courier = Courier(
            kit, policy, desk, SimpleNamespace(put=put), SimpleNamespace(put=settled.append)
        )
        await courier.carry(builders.leased(filed_scope=scope.id, lease_ends=1e9))
        assert settled[-1].settlement.code == code
        assert settled[-1].settlement.failures == 0


class Somewhere:
    async def resolve(self, _host, *, is_private=False):
        return Resolved(("8.8.8.8",))
