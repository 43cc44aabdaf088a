"""`dispatcher demo`: the whole product at its main job, on real input, checked from the outside.

Called by the command line. In one folder it sets up a registry of partners, lets two services trade
while a worker carries what they tell, stops one partner in mid-flight and starts it again, and then
asks the partners' own inboxes what really came. It never talks to anything but loopback, and leaves
nothing behind unless it is asked to.
"""

import asyncio
import json
from pathlib import Path
from typing import Final

from dispatcher.app.house import House, open_house
from dispatcher.app.means import means_of
from dispatcher.control.switches import SwitchControl
from dispatcher.model.switch import Target, TargetKind
from dispatcher.showcase.demo_checks import judge
from dispatcher.showcase.demo_disclosure import require_verifier
from dispatcher.showcase.demo_display import Display, print_report, stopwatch, write_json
from dispatcher.showcase.demo_evidence import (
    Evidence,
    HoldStory,
    count_readable_marks,
    count_unsettled,
    find_waiting,
    read_book,
)
from dispatcher.showcase.demo_report import Report
from dispatcher.showcase.demo_sockets import SocketWatch, watch_sockets
from dispatcher.showcase.demo_stage import (
    NAMES,
    Inboxes,
    a_folder,
    a_worker,
    apply_registry,
    lay_out,
    open_inboxes,
)
from dispatcher.showcase.demo_terms import read_terms
from dispatcher.showcase.demo_world import World
from dispatcher.showcase.inbox import LOOPBACK
from dispatcher.worker.loop import Worker

EVENTS: Final = 500
HELD: Final = "ledger-works"
MID_FLIGHT: Final = 0.3
"""How much of the events must be committed before the hold."""
HOLD_SECONDS: Final = 1.2
PATIENCE_SECONDS: Final = 18.0
"""How long to wait for the last delivery before calling it lost."""
_LOOK_SECONDS: Final = 0.05
_LOOKS: Final = int(PATIENCE_SECONDS / _LOOK_SECONDS)


async def run_demo(*, keep: Path | None, as_json: bool) -> int:
    """Do it all, tell what came of it, and give the exit status."""
    require_verifier()
    elapsed = stopwatch()
    display = Display(is_quiet=as_json)
    with a_folder(keep) as folder:
        with display.live():
            evidence = await perform(folder, display, events=EVENTS)
            display.say("checking every byte the partners received")
            report = judge(evidence, elapsed)
        _write_report(folder, report)
    if as_json:
        write_json(report)
    else:
        print_report(report, keep)
    return 0 if report.ok else 1


async def perform(folder: Path, display: Display, *, events: int) -> Evidence:
    """Play the demonstration in an empty folder, and give everything that was observed."""
    display.say("setting up: database, keyring, three partners and a trap")
    async with open_inboxes() as inboxes:
        config = lay_out(folder, inboxes)
        # Two houses: the operator's commands have connections of their own, as in real life.
        async with open_house(config) as house, open_house(config) as office:
            secrets = await apply_registry(house, folder)
            async with World(folder / "dispatcher.db", events) as world:
                with watch_sockets() as sockets:
                    closed, hold = await _trade(folder, display, house, office, world, inboxes)
                return _collect(folder, inboxes, world, secrets, closed, hold, sockets)


async def _trade(
    folder: Path, display: Display, house: House, office: House, world: World, inboxes: Inboxes
) -> tuple[dict[str, str], HoldStory]:
    """Let the shops trade and the worker deliver, with a hold in the middle."""
    _show_counts(display, world, inboxes)
    async with a_worker(house, folder) as worker:
        display.say(f"trading: {world.events} events, some transactions rolled back")
        async with asyncio.TaskGroup() as trading:
            trading.create_task(world.trade())
            await _until_mid_flight(world, inboxes)
            hold = await _hold_and_release(folder, display, office, world)
        display.say("waiting for the last delivery")
        closed = await _until_settled(folder, worker)
    return closed, hold


async def _until_mid_flight(world: World, inboxes: Inboxes) -> None:
    """Wait until a good part is committed and the partner to be held has received some of it."""
    [held] = (inbox for inbox in inboxes.partners if inbox.name == HELD)
    for _ in range(_LOOKS):
        if len(world.committed) >= world.events * MID_FLIGHT and held.received:
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _hold_and_release(
    folder: Path, display: Display, office: House, world: World
) -> HoldStory:
    """Stop one connector, note when it was confirmed, wait a little, and release it."""
    control = SwitchControl.over(means_of(office))
    target = Target(TargetKind.CONNECTOR, HELD)
    display.say(f"holding {HELD} in mid-flight")
    tripped_us = office.clock.wall_us()
    held = await control.hold(target, reason="demonstration", actor="demo", wait_seconds=10)
    display.say(f"{HELD} held: confirmed in {held.confirmed_ms:.0f} ms")
    world.go_on.set()
    await asyncio.sleep(HOLD_SECONDS)
    terms = read_terms(folder / "registry", NAMES)
    stopped = frozenset(each.subscription for each in terms.values() if each.connector == HELD)
    waiting = find_waiting(folder / "dispatcher.db", stopped)
    released_us = office.clock.wall_us()
    await control.release(target, reason="end of the drill", actor="demo")
    display.say(f"{HELD} released: {len(waiting)} deliveries had waited")
    return HoldStory(
        connector=HELD,
        tripped_us=tripped_us,
        confirmed_us=held.confirmed_us,
        confirmed_ms=held.confirmed_ms,
        released_us=released_us,
        waiting=waiting,
    )


async def _until_settled(folder: Path, worker: Worker) -> dict[str, str]:
    """Wait until nothing is on its way; give the lanes that stayed closed, and why.

    When that takes too long, the checks will say what is missing.
    """
    closed: dict[str, str] = {}
    for _ in range(_LOOKS):
        closed = {lane: refusal.code for lane, refusal in worker.policy.snapshot.closed.items()}
        if not count_unsettled(folder / "dispatcher.db", frozenset(closed)):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return closed


def _collect(
    folder: Path,
    inboxes: Inboxes,
    world: World,
    secrets: dict[str, str],
    closed: dict[str, str],
    hold: HoldStory,
    sockets: SocketWatch,
) -> Evidence:
    """Put together what everybody saw."""
    book = read_book(folder / "dispatcher.db")
    return Evidence(
        committed=tuple(world.committed),
        rolled_back=tuple(world.rolled_back),
        transactions=world.transactions,
        terms=read_terms(folder / "registry", NAMES),
        secrets=secrets,
        received=inboxes.received,
        events=book.events,
        business_rows=book.business_rows,
        ledger=book.ledger,
        deliveries=book.deliveries,
        closed=closed,
        hold=hold,
        trap=(LOOPBACK, inboxes.trap.port),
        trap_connections=inboxes.trap.connections,
        peers=tuple(sockets.peers),
        names_asked=tuple(sockets.names),
        inboxes=inboxes.addresses,
        readable_marks=count_readable_marks(folder.iterdir()),
    )


def _show_counts(display: Display, world: World, inboxes: Inboxes) -> None:
    display.count(
        ("events committed", lambda: len(world.committed), world.events),
        ("rolled back", lambda: len(world.rolled_back), None),
        *(
            (f"received by {inbox.name}", lambda box=inbox: len(box.received), None)
            for inbox in (*inboxes.partners, inboxes.trap)
        ),
    )


def _write_report(folder: Path, report: Report) -> None:
    text = json.dumps(report.as_document(), indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
