"""Partners, and their name servers, that mean harm: in each case no byte goes where it may not,
the attempt ends in bounded time and memory, and what happened has a code.

The real courier carries the letters, over real TLS on loopback; only the stores are stand-ins. A
fence sees every connection this process makes, whoever makes it, and lets none leave loopback.
"""

import asyncio
import contextlib
import time
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import cycle
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import trustme

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.keys import SigningKey
from dispatcher.model.letter import Answer, Resolved, Settlement
from dispatcher.model.registry import Destination
from dispatcher.model.verdict import Reason
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.transport import Transport
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.store.groupcommit import GroupCommit
from dispatcher.worker.courier import Courier
from dispatcher.worker.kit import WorkerSettings
from dispatcher.worker.tokens import TokenDesk
from tests.support.hostile import (
    Receiver,
    Script,
    answers,
    depart,
    drip_body,
    drip_head,
    flood,
    give_hints,
    go,
    gzip_bomb,
    hang_up,
    make_letter,
    receiver,
    say_nothing,
    says,
    serving,
)
from tests.support.waiting import living
from tests.unit.stages import builders

pytestmark = pytest.mark.usefixtures("nothing_leaves")
HOST = "hooks.acme.example"
KILOBYTES_MAX = 1500
METADATA = "http://169.254.169.254/latest/meta-data/"


class NameServer:
    """Gives these answers in turn, for ever: what a partner's own name server may do."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.asked = 0
        self._answers = cycle(answers)

    async def resolve(self, host: str, *, is_private: bool = False) -> Resolved:
        assert host == HOST
        self.asked += 1
        return Resolved(next(self._answers))


@dataclass
class Walk:
    """A courier on the way to one hostile partner, and how each of its turns ended."""

    partner: Receiver
    courier: Courier
    door: Transport
    names: NameServer
    disclosed: list[Any] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)

    async def once(self) -> Settlement:
        await self.courier.carry(builders.leased(lease_ends=1e12))
        assert len(self.settled) > 0
        return self.settled[-1]


@contextlib.asynccontextmanager
async def walking(
    authority: trustme.CA, script: Script, *names: tuple[str, ...], seconds: float = 0.4
) -> AsyncIterator[Walk]:
    """Make a courier whose one partner follows the script; its name server gives these answers."""
    tls = serving(authority.issue_cert(HOST))
    async with receiver(script, tls=tls) as partner:
        with authority.cert_pem.tempfile() as ca_file:
            door = Transport(NetworkSettings(loopback_inboxes=partner.inboxes, ca_file=ca_file))
        try:
            yield wire(partner, door, NameServer(*(names or (("127.0.0.1",),))), seconds)
        finally:
            await door.aclose()
        assert door.open_connections() == 0


def wire(partner: Receiver, door: Transport, names: NameServer, seconds: float) -> Walk:
    destination = Destination(host=HOST, port=partner.port, reason="orders")
    subscription = builders.subscription(
        url=f"https://{HOST}:{partner.port}/in", attempt_seconds=seconds
    )
    held = builders.registry(
        connectors=(builders.connector(destinations=(destination,)),),
        subscriptions=(subscription,),
    )
    snapshot = builders.snapshot(held)
    policy: Any = SimpleNamespace(
        snapshot=snapshot,
        lease_ends=1e12,
        keys={"acme-orders": (SigningKey("k1", b"s" * 32),)},
        credentials={},
        token_keys={},
        erasures=0,
        in_flight=0,
        today=builders.TODAY,
    )
    # A courier's neighbours, silent; filing scope is today's, so no store is asked.
    kit: Any = SimpleNamespace(
        step=lambda _step: None,
        resolver=names,
        settings=WorkerSettings(address_rules=AddressRules(loopback=partner.inboxes)),
        transport=door,
        clock=SimpleNamespace(boot=time.monotonic, wall_us=lambda: time.time_ns() // 1000),
        chance=lambda: 0.5,
        vault=SimpleNamespace(pseudonyms=lambda _tenant, subjects: tuple(subjects)),
        peers=SimpleNamespace(known=_nobody),
        vault_tokens=MagicMock(),
        metrics=MagicMock(),
        log=MagicMock(),
    )
    disclosed: list[Any] = []
    settled: list[Settlement] = []

    async def disclose(row: Any) -> bool:
        disclosed.append(row)
        return True

    disclosures: GroupCommit[Any, bool] = SimpleNamespace(put=disclose)  # type: ignore[assignment]
    settlements: GroupCommit[Any, None] = SimpleNamespace(  # type: ignore[assignment]
        put=lambda row: settled.append(row.settlement)
    )
    kit.outbox = SimpleNamespace(scope=_todays(snapshot))
    courier = Courier(kit, policy, TokenDesk(kit, policy), disclosures, settlements)
    return Walk(partner, courier, door, names, disclosed, settled)


async def _nobody(_connector: str, _host: str) -> tuple[()]:
    return ()


def _todays(snapshot: Any) -> Any:
    async def scope(_scope_id: object) -> Any:
        return snapshot.routes["acme-orders"].scopes["order.paid"]

    return scope


@pytest.mark.parametrize(
    "answer",
    [
        ("169.254.169.254",),
        ("127.0.0.1", "169.254.169.254"),
        ("127.0.0.1", "::ffff:10.0.0.1"),
        ("127.0.0.2",),
        ("fd00:ec2::254",),
        (),
    ],
)
async def test_c1_a_name_server_that_turns_on_us_mid_way_gets_no_byte(
    authority: trustme.CA, answer: tuple[str, ...]
) -> None:
    async with walking(authority, answers(200), ("127.0.0.1",), answer) as walk:
        assert (await walk.once()).move is Move.DELIVERED
        refused = await walk.once()  # the connection is still open, and is not used
        assert (refused.move, refused.outcome) == (Move.PARK, None)
        assert refused.code in (Reason.ADDRESS_FORBIDDEN, Reason.ADDRESS_NONE)
        assert len(walk.partner.requests) == len(walk.disclosed) == 1
        assert (await walk.once()).move is Move.DELIVERED
        assert walk.names.asked == 3
        assert walk.partner.connections == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_h1_a_redirect_to_a_metadata_service_is_a_failure_that_shows_its_host(
    authority: trustme.CA, status: int
) -> None:
    script = answers(status, headers=f"Location: {METADATA}\r\n")
    async with walking(authority, script) as walk:
        settlement = await walk.once()
    assert (settlement.move, settlement.outcome) == (Move.AGAIN, Outcome.ANSWERED)
    assert (settlement.status, settlement.code) == (status, f"http_{status}")
    assert settlement.location_host == "169.254.169.254"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://Login.Partner.Example./next?token=abc", "login.partner.example"),
        ("http://[::1]:8080/", "::1"),
        ("/elsewhere", ""),
        ("//evil.example/x", ""),
        ("https://user:secret@evil.example/", ""),
        ("gopher://evil.example/", ""),
        ("http://0x7f000001/", ""),
        ("https://" + "a" * 300 + ".example/", ""),
        ("https://evil.example/" + "a" * 4000, ""),
        ("https://evil.example\\@good.example/", ""),
        ("", ""),
    ],
)
async def test_h1_of_a_location_only_a_canonical_host_is_kept(location: str, host: str) -> None:
    async with receiver(answers(302, headers=f"Location: {location}\r\n")) as partner:
        door = Transport(NetworkSettings(loopback_inboxes=partner.inboxes))
        result = await door.post(make_letter(partner.url()), depart, go)
        assert result == Answer(302, location_host=host)
        await door.aclose()


async def test_h1_only_a_redirect_has_a_location() -> None:
    async with receiver(answers(200, headers=f"Location: {METADATA}\r\n")) as partner:
        door = Transport(NetworkSettings(loopback_inboxes=partner.inboxes))
        assert await door.post(make_letter(partner.url()), depart, go) == Answer(200)
        await door.aclose()


HOSTILE: list[tuple[str, Script, Move, str]] = [
    ("slow headers", drip_head, Move.AGAIN, "answer_timeout"),
    ("silence", say_nothing, Move.AGAIN, "answer_timeout"),
    ("endless 103s", give_hints, Move.AGAIN, "answer_malformed"),
    ("endless headers", says(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000), Move.AGAIN, ""),
    ("reset", hang_up, Move.AGAIN, "connection_lost"),
    ("slow body", drip_body, Move.DELIVERED, ""),
    ("body without end", flood, Move.DELIVERED, ""),
    ("gzip bomb", gzip_bomb(20), Move.DELIVERED, ""),
]


@pytest.mark.parametrize(
    ("script", "move", "code"),
    [each[1:] for each in HOSTILE],
    ids=[each[0].replace(" ", "-") for each in HOSTILE],
)
async def test_p1_p2_whatever_a_partner_answers_costs_bounded_time_and_memory(
    authority: trustme.CA, script: Script, move: Move, code: str
) -> None:
    async with walking(authority, script, seconds=1.0) as walk:
        tracemalloc.start()
        began = time.process_time()
        try:
            async with living() as lived:
                settlement = await walk.once()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert lived.seconds < 1.5
        assert time.process_time() - began < 1.5
        assert peak < KILOBYTES_MAX * 1024
        assert settlement.move is move
        assert settlement.code == (code or settlement.code)
        assert bool(settlement.code) is (move is not Move.DELIVERED)
        assert len(walk.partner.requests) == 1


async def test_p5_of_an_answer_nothing_but_its_status_is_kept(authority: trustme.CA) -> None:
    said = b"root:x:0:0 169.254.169.254 secret"
    script = says(b"HTTP/1.1 500 %b\r\nContent-Length: %d\r\n\r\n%b" % (said, len(said), said))
    async with walking(authority, script) as walk:
        settlement = await walk.once()
    assert (settlement.status, settlement.code, settlement.location_host) == (500, "http_500", "")
    assert "169.254" not in repr(settlement)
    assert "secret" not in repr(settlement)


async def test_c1_an_answer_pushed_on_an_idle_connection_is_nobodys(authority: trustme.CA) -> None:
    async with walking(authority, answers(200, 503)) as walk:
        assert (await walk.once()).move is Move.DELIVERED
        walk.partner.writers[-1].write(b"HTTP/1.1 200 Pushed\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0)
        assert (await walk.once()).code == "http_503"
        assert walk.partner.connections == 2


async def test_p7_a_partner_that_hangs_holds_its_own_connections_alone(
    authority: trustme.CA,
) -> None:
    async with receiver(say_nothing) as slow, receiver(answers(200)) as quick:
        settings = NetworkSettings(
            loopback_inboxes=slow.inboxes | quick.inboxes, connections_per_partner_max=4
        )
        door = Transport(settings)
        hanging = [
            asyncio.create_task(
                door.post(make_letter(slow.url(), connector="slow", seconds=1.5), depart, go)
            )
            for _ in range(20)
        ]
        await asyncio.wait_for(slow.arrived.wait(), 1)
        letter = make_letter(quick.url(), connector="quick")
        async with living() as lived:
            for _ in range(20):
                assert await door.post(letter, depart, go) == Answer(200)
        assert lived.seconds < 0.4
        assert slow.connections <= 4  # none was cut yet: the others wait for their turn
        await asyncio.gather(*hanging)
        await door.aclose()
