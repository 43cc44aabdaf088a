"""What a courier asks of the resolver, and in the last instant of tokens and keys."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from dispatcher.model.delivery import Outcome
from dispatcher.model.keys import KeyTimes, SigningKey
from dispatcher.model.letter import Answer, Resolved, Shaped, Stopped, Trouble
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
    async def post(_sealed, _sign, check):
        return check() or Answer(200)

    for is_current, code in ((False, Reason.POLICY_CHANGED), (True, "")):
        policy = policy_with()
        end = await carried(kit_of(post), policy, is_current=is_current)
        assert (end.code, end.failures) == (code, 0)


async def test_a_letter_never_leaves_with_a_key_that_the_ledger_does_not_name():
    old, new = (
        SigningKey(name, name.encode() * 8, times=KeyTimes(created_us=1))
        for name in ("old0", "new0")
    )
    policy = policy_with(**{"acme-orders": (old,)})

    async def post(_sealed, sign, check):
        policy.keys = {"acme-orders": (new,)}
        departure = sign()
        return departure if isinstance(departure, Stopped) else check() or Answer(200)

    end = await carried(kit_of(post), policy)
    # It names the old one: it is told that nothing began, and the letter is made again.
    assert (end.code, end.outcome, end.failures) == (Reason.POLICY_CHANGED, Outcome.NOT_BEGUN, 0)
    assert (await carried(kit_of(post), policy)).outcome is Outcome.DELIVERED


class Somewhere:
    async def resolve(self, _host, *, is_private=False):
        return Resolved(("8.8.8.8",))


def policy_with(**keys):
    return SimpleNamespace(
        snapshot=builders.snapshot(),
        lease_ends=1e9,
        keys=keys,
        credentials={},
        in_flight=0,
        today=builders.TODAY,
    )


def kit_of(post):
    async def known(*_where):
        return ()

    return SimpleNamespace(
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


async def carried(kit, policy, *, is_current=True):
    """Carry one letter, and say how it ended."""
    settled = []

    async def shape(admitted, _tokens):
        return Shaped(admitted=admitted, plaintext=b"{}", disclosed=())

    async def put(_row):
        return True

    async def open_key(_):
        return True

    desk = SimpleNamespace(
        of=lambda _: None, open_key=open_key, shape=shape, is_current=lambda _: is_current
    )
    rows = SimpleNamespace(put=put)
    courier = Courier(kit, policy, desk, rows, SimpleNamespace(put=settled.append))
    scope = policy.snapshot.routes["acme-orders"].scopes["order.paid"]
    await courier.carry(builders.leased(filed_scope=scope.id, lease_ends=1e9))
    (end,) = [each.settlement for each in settled]
    return end
