"""`dispatcher bench guard`: what it costs to send only where it is allowed, connection in hand.

Called by the command line. The guard is the real one: the cached answer of the resolver, the gate
that vets every address, the connector with its look at the peer and the kernel, the last check, and
giving back; beside it, in the same run, aiohttp's own pool takes and gives back. Both reuse one TLS
connection; no request is written, so nothing else is timed. One process, loopback alone.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import click
from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from yarl import URL

from dispatcher.app.running import calm_collector
from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, Epoch, EventId, LeaseToken, Revision, WebhookId
from dispatcher.model.letter import Admitted, Cleared, Leased, Trouble
from dispatcher.model.registry import Destination
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.tls import Tls
from dispatcher.network.dialer import Dial, Errand, GuardedConnector, make_dial
from dispatcher.network.resolver import Resolver
from dispatcher.network.settings import NetworkSettings, ResolverSettings
from dispatcher.network.tls import Contexts
from dispatcher.showcase.bench_certificate import write_certificate
from dispatcher.showcase.bench_registry import large_registry
from dispatcher.showcase.bench_report import machine, print_json, spread
from dispatcher.stages.gates.addresses import AddressRules, admit
from dispatcher.stages.gates.departure import may_begin
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.revising.compiling import compile_snapshot

TARGET_CPU_US: Final = 15.0
HOST: Final = "localhost"
_FAR: Final = 1e12
_SETTLE_SECONDS: Final = 0.05
"""What a new connection has to say of itself, session tickets above all, is read meanwhile."""

_LINES: Final = {
    "guard_cpu_us": "whole guard, CPU µs per delivery",
    "bare_cpu_us": "bare aiohttp pool, CPU µs",
    "guard_to_bare_ratio": "guard to bare pool",
}


@dataclass(frozen=True, slots=True)
class _Guard:
    """Everything between a letter that may go and a connection it may be written to."""

    resolver: Resolver
    connector: GuardedConnector
    dial: Dial
    cleared: Cleared
    snapshot: Snapshot
    rules: AddressRules

    async def pass_once(self) -> None:
        """Do once what is done for every delivery before its first byte, and give back."""
        resolved = await self.resolver.resolve(self.cleared.route.endpoint.host)
        if isinstance(resolved, Trouble):
            raise RuntimeError(f"this machine does not know {HOST}")
        admitted = admit(self.cleared, resolved, self.rules)
        if not isinstance(admitted, Admitted):
            raise RuntimeError("the bench's own inbox was refused")
        route = self.cleared.route
        errand = Errand(admitted.addresses, route.private_ranges, route.tls, self.cleared.revision)
        held = await self.connector.take(self.dial, errand)
        stopped = may_begin(
            self.cleared,
            self.cleared.scope,
            self.snapshot,
            now=time.monotonic(),
            policy_lease_ends=_FAR,
        )
        held.give_back()
        if stopped is not None:
            raise RuntimeError("the bench's own letter was stopped")


async def run_guard_bench(*, deliveries: int, rounds: int, as_json: bool) -> int:
    """Measure and report; 0 when it was measured, whether or not the target is met."""
    calm_collector()  # as every serving process does
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as folder:
        figures = await _measure(Path(folder), deliveries, rounds)
    report: dict[str, Any] = {"deliveries": deliveries, "rounds": rounds, **machine()}
    report |= {name: spread(found, 2) for name, found in figures.items()}
    report["target_cpu_us"] = TARGET_CPU_US
    report["is_met"] = report["guard_cpu_us"]["median"] <= TARGET_CPU_US
    if as_json:
        print_json(report)
    else:
        _print_lines(report)
    return 0


async def _measure(folder: Path, deliveries: int, rounds: int) -> dict[str, list[float]]:
    roots, serving = await asyncio.to_thread(write_certificate, folder, HOST)
    opened: list[asyncio.StreamWriter] = []

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(ConnectionError):
            await reader.read()  # until the other side leaves
        writer.transport.abort()

    server = await asyncio.start_server(stay, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    # The name may stand for either address of loopback, or for both.
    inboxes = frozenset({("127.0.0.1", port), ("::1", port)})
    settings = NetworkSettings(ca_file=str(roots), loopback_inboxes=inboxes)
    context = Contexts(settings).context(Tls())
    cleared, snapshot = _letter(port, inboxes)
    guard = _Guard(
        Resolver(ResolverSettings(cache_seconds=_FAR), clock=time.monotonic),
        GuardedConnector(settings, context, is_pooling=True),
        make_dial(cleared.route.endpoint, 5.0, context),
        cleared,
        snapshot,
        settings.address_rules,
    )
    bare = TCPConnector(ssl=context, limit=settings.connections_per_partner_max)
    try:
        figures = await _take_turns(guard, bare, port, deliveries, rounds)
        if len(opened) != 2:
            raise RuntimeError("a connection was not kept")
        return figures
    finally:
        guard.resolver.close()
        await guard.connector.close()
        await bare.close()
        server.close()
        await server.wait_closed()


async def _take_turns(
    guard: _Guard, bare: TCPConnector, port: int, deliveries: int, rounds: int
) -> dict[str, list[float]]:
    """Measure both in each round, in one order and then in the other; one round goes before."""
    request = ClientRequest("POST", URL(f"https://127.0.0.1:{port}/"), server_hostname=HOST)
    limits = ClientTimeout(total=None)

    async def take_bare() -> None:
        connection = await bare.connect(request, [], limits)
        connection.release()

    found: dict[str, list[float]] = {name: [] for name in _LINES}
    for round_ in range(rounds + 1):
        turns = [("guard_cpu_us", guard.pass_once), ("bare_cpu_us", take_bare)]
        cost = {}
        for name, work in turns if round_ % 2 else turns[::-1]:
            cost[name] = await _cpu_us(work, deliveries)
        cost["guard_to_bare_ratio"] = cost["guard_cpu_us"] / cost["bare_cpu_us"]
        for name, figure in cost.items() if round_ else ():
            found[name].append(figure)
    return found


async def _cpu_us(work: Callable[[], Awaitable[None]], count: int) -> float:
    await work()
    await asyncio.sleep(_SETTLE_SECONDS)
    began = time.process_time()
    for _ in range(count):
        await work()
    return (time.process_time() - began) * 1e6 / count


def _letter(port: int, inboxes: frozenset[tuple[str, int]]) -> tuple[Cleared, Snapshot]:
    """Clear one letter to the inbox under a small registry."""
    held = large_registry(1, 1)
    connector, subscription = held.connectors[0], held.subscriptions[0]
    destination = Destination(host=HOST, port=port, reason="a bench")
    held = replace(
        held,
        connectors=(replace(connector, destinations=(destination,)),),
        subscriptions=(replace(subscription, url=f"https://{HOST}:{port}/in"),),
    )
    snapshot = compile_snapshot(
        held,
        revision=Revision(1),
        epoch=Epoch(1),
        switches=(),
        proofs=(),
        today=date(2026, 1, 1),
        loopback=inboxes,
    )
    event_type = held.event_types[0].name
    scope = snapshot.routes[subscription.name].scopes[event_type]
    event = Event(
        seq=1,
        id=EventId("evt_bench"),
        tenant="acme",
        type=event_type,
        producer="bench",
        subjects=(),
        occurred_us=0,
        payload=b"{}",
    )
    leased = Leased(
        id=DeliveryId(1),
        token=LeaseToken("bench"),
        attempt=1,
        failures=0,
        webhook_id=WebhookId("msg_bench"),
        subscription=subscription.name,
        filed_scope=scope.id,
        lease_ends=_FAR,
        event=event,
    )
    cleared = preflight(leased, snapshot, scope)
    if not isinstance(cleared, Cleared):
        raise RuntimeError(f"the bench's own letter was refused: {cleared.code}")
    return cleared, snapshot


def _print_lines(report: dict[str, Any]) -> None:
    click.echo(
        f"{report['deliveries']} deliveries on one TLS connection, {report['rounds']} rounds, "
        f"{report['loop']} loop, {report['cores']} cores; median (min - max)"
    )
    for name, line in _LINES.items():
        median, least, most = (report[name][each] for each in ("median", "min", "max"))
        click.echo(f"  {line:36} {median:7.2f} ({least:.2f} - {most:.2f})")
    verdict = "met" if report["is_met"] else "not met"
    click.echo(f"target: at most {TARGET_CPU_US:g} µs CPU per delivery: {verdict}")
