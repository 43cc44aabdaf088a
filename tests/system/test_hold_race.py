"""Stop means stopped: after a hold is confirmed no request begins, at any worker, whatever it does.

"Begins" is when the kernel of the receiving side got the first byte, and the confirmation is the
time that `dispatcher hold` prints; both are read from the same clock.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dispatcher.showcase.postgres import TemporaryServer
from tests.support.world_home import NS, Home, Partner, until
from tests.support.world_nursery import Child, Nursery
from tests.support.world_route import Route

SEED = 20260602
EVENTS = 2000
AHEAD = 600
"""How many events wait beyond the instant of a hold, so that none comes when all is sent."""
SLOW_EVENTS = 450
POLICY_LEASE_SECONDS = 1.0
CALM_SECONDS = 0.3
"""How long nothing must begin after a confirmed hold before we believe it and go on."""


def start_workers(home: Home, count: int) -> list[Child]:
    workers = [home.start_ready() for _ in range(count)]
    until(
        lambda: home.registry_rows("SELECT count(*) FROM {workers}")[0][0] == count,
        lambda: "not all workers are on the list",
    )
    return workers


def until_received(home: Home, count: int) -> None:
    until(lambda: home.mailboxes[0].count >= count, home.voices, 60)


def begun_between(home: Home, from_ns: int, to_ns: int) -> list[int]:
    received = home.mailboxes[0].received
    return [r.first_byte_ns - from_ns for r in received if from_ns < r.first_byte_ns <= to_ns]


def assert_calm_since(home: Home, confirmed_us: int) -> None:
    """Nothing began after this moment, up to now."""
    late = begun_between(home, confirmed_us * 1000, time.time_ns())
    assert not late, f"{len(late)} began up to {max(late) / 1e6:.1f} ms after the confirmed hold"


def assert_only_a_checked_letter_began(home: Home, confirmed_us: int, frozen_s: float) -> None:
    """Nothing was checked after the thaw and then began.

    A frozen process writes, when it thaws, the one letter that had passed its last check but had
    not reached the system call; its signature tells when that was. Nobody's code can prevent it.
    """
    late = [r for r in home.mailboxes[0].received if r.first_byte_ns > confirmed_us * 1000]
    assert len(late) <= 1, f"{len(late)} began after the confirmed hold"
    signed = [int(r.headers["webhook-timestamp"]) for r in late]
    assert all(second <= frozen_s for second in signed), "signed after the thaw, and sent"


def until_nothing_is_leased(home: Home) -> Counter[str]:
    """Give the states of one look. At the next, a relay that began before may have leased more."""
    looks: list[Counter[str]] = []

    def is_over() -> bool:
        looks.append(home.states())
        return not looks[-1]["leased"]

    until(is_over, lambda: f"still leased: {looks[-1:]}")
    return looks[-1]


def assert_each_arrived_once(home: Home, events: int) -> None:
    received = home.mailboxes[0].received
    assert {r.data["order"] for r in received} == set(range(events))
    assert len({r.id for r in received}) == events
    assert len(received) == events, "something arrived twice"


def race(home: Home, holds: int) -> None:
    chance = random.Random(SEED)
    home.write_config(lease_seconds=30)
    home.apply(Partner("/jitter/30", attempt_seconds=5.0, concurrency=3))
    start_workers(home, 4)
    events = 0
    for _ in range(holds):
        # Each hold comes at a random instant of the race, with much work still waiting.
        mark = home.mailboxes[0].count + chance.randint(20, 150)
        events += len(home.enqueue(mark + AHEAD - events, first=events))
        until_received(home, mark)
        time.sleep(chance.uniform(0, 0.02))
        held = home.hold("everything")
        confirmed_us = held["confirmed_us"]
        assert held["workers_confirmed"] == 4, held
        assert held["workers_fenced"] == 0, held
        assert held["confirmed_ms"] < 1000, held
        states = until_nothing_is_leased(home)
        assert states.total() == events == states["delivered"] + states["waiting"] + states["new"]
        assert states["waiting"] + states["new"] > 0, "the hold came too late to prove anything"
        time.sleep(CALM_SECONDS if holds <= 10 else CALM_SECONDS / 3)
        assert_calm_since(home, confirmed_us)
        assert home.mailboxes[0].count == states["delivered"]
        home.release("everything")
    home.until_states(60.0, delivered=events)
    assert_each_arrived_once(home, events)
    assert not home.rows("SELECT 1 FROM {deliveries} WHERE failures > 0"), "a retry was spent"


@pytest.mark.timeout(180)
def test_after_a_confirmed_hold_no_request_begins(postgres_home: Home) -> None:
    race(postgres_home, holds=10)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_after_fifty_confirmed_holds_no_request_begins(postgres_home: Home) -> None:
    race(postgres_home, holds=50)


@pytest.mark.timeout(120)
def test_a_hold_does_not_wait_for_a_frozen_worker_longer_than_its_policy_lease(
    postgres_home: Home,
) -> None:
    home, chance = postgres_home, random.Random(SEED)
    home.write_config(lease_seconds=30, policy_lease_seconds=POLICY_LEASE_SECONDS)
    home.apply(Partner("/jitter/20", attempt_seconds=5.0, concurrency=8))
    frozen, _ = start_workers(home, 2)
    home.enqueue(EVENTS)
    for round_ in range(1, 4):
        until_received(home, round_ * 300)
        time.sleep(chance.uniform(0, 0.05))
        frozen.send(signal.SIGSTOP)
        frozen_s = time.time()
        held = home.hold("everything")
        assert (held["workers_confirmed"], held["workers_fenced"]) == (1, 1), held
        assert held["confirmed_ms"] < (POLICY_LEASE_SECONDS + 1.0) * 1000
        time.sleep(CALM_SECONDS)
        assert_calm_since(home, held["confirmed_us"])
        frozen.send(signal.SIGCONT)
        states = until_nothing_is_leased(home)
        assert states["waiting"] + states["new"] > 0
        # It reads the policy again before it may send, and that policy says no.
        until(home.is_obeyed, lambda: "the thawed worker did not come back")
        time.sleep(CALM_SECONDS)
        assert_only_a_checked_letter_began(home, held["confirmed_us"], frozen_s)
        home.release("everything")
    home.until_states(60.0, delivered=EVENTS)
    assert_each_arrived_once(home, EVENTS)


def test_a_hold_that_nobody_can_confirm_in_time_says_so_and_stays_on(postgres_home: Home) -> None:
    home = postgres_home
    home.write_config(policy_lease_seconds=30)
    home.apply(Partner("/ok"))
    worker = start_workers(home, 1)[0]
    worker.send(signal.SIGSTOP)
    done = home.command("hold", "everything", "--reason", "drill", "--wait", "0.3", "--json")
    worker.send(signal.SIGCONT)
    assert done.status == 1
    assert '"hold_unconfirmed"' in done.err
    home.enqueue(5)
    until(home.is_obeyed)
    time.sleep(CALM_SECONDS)
    assert home.mailboxes[0].count == 0


@contextmanager
def two_databases(
    tmp_path: Path, nursery: Nursery, registry_url: str, outbox_url: str
) -> Iterator[Home]:
    """A company whose registry lives on a server of its own, with much to send."""
    home = Home(tmp_path / "home", nursery, outbox_url, registry_url)
    try:
        home.open_mailbox()
        home.write_config(lease_seconds=30, policy_lease_seconds=POLICY_LEASE_SECONDS)
        # Slow enough that what is leased already would go on well after the policy lease.
        home.apply(Partner("/slow/150", attempt_seconds=5.0, concurrency=4))
        start_workers(home, 2)
        home.enqueue(SLOW_EVENTS)
        until(lambda: home.mailboxes[0].count >= 50)
        yield home
    finally:
        home.close()


def assert_stops_and_resumes(
    home: Home, cut: Callable[[], object], restore: Callable[[], object]
) -> None:
    """Sending ends within the policy lease once the registry is out of reach, and goes on after.

    On a busy machine the cut may take longer than the lease. The registry is gone soon after it
    begins, and surely when it has ended: each side is held against the instant that must be true.
    """
    lease_ns = int(POLICY_LEASE_SECONDS * NS)
    soon_ns = time.time_ns() + lease_ns // 4
    cut()
    lease_ends_ns = time.time_ns() + lease_ns
    time.sleep(POLICY_LEASE_SECONDS + 0.5)
    assert begun_between(home, soon_ns, lease_ends_ns), "sent nothing while the lease lasted"
    # Once more as long: nothing begins, though the outbox is there and full.
    late = begun_between(home, lease_ends_ns, time.time_ns())
    assert not late, f"began {max(late) / 1e6:.1f} ms after the policy lease had run out"
    time.sleep(0.3)
    assert not begun_between(home, lease_ends_ns, time.time_ns())
    states = home.states()
    assert states["waiting"] + states["new"] + states["leased"] > 0
    count = home.mailboxes[0].count
    restore()
    until(lambda: home.mailboxes[0].count > count + 20, home.voices, 20)


@pytest.mark.timeout(120)
def test_a_worker_that_loses_the_registry_stops_by_itself_and_resumes(
    tmp_path: Path,
    nursery: Nursery,
    durable_server: TemporaryServer,
    postgres_url: str,
    migrate_now: Any,
) -> None:
    registry_url = durable_server.create_database("registry")
    migrate_now(registry_url)
    with two_databases(tmp_path, nursery, registry_url, postgres_url) as home:
        assert_stops_and_resumes(home, durable_server.stop, durable_server.start)
        until(home.is_obeyed)
        # The connections hang instead of breaking: as behind a dead switch or a lost route.
        frozen: list[int] = []
        try:
            assert_stops_and_resumes(
                home, lambda: freeze(durable_server, frozen), lambda: thaw(frozen)
            )
        finally:
            thaw(frozen)
        home.until_states(60.0, delivered=SLOW_EVENTS)
        assert_each_arrived_once(home, SLOW_EVENTS)


def freeze(server: TemporaryServer, frozen: list[int]) -> None:
    """Stop every process of a server of our own: first the one that makes new ones."""
    first = int((server.data / "postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(first, signal.SIGSTOP)
    frozen.append(first)
    for pid in map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split()):
        os.kill(pid, signal.SIGSTOP)
        frozen.append(pid)


def thaw(frozen: list[int]) -> None:
    """Let them go on; none has ended meanwhile, for they stood still."""
    while frozen:
        os.kill(frozen.pop(), signal.SIGCONT)


@pytest.mark.timeout(60)
def test_a_worker_whose_connection_to_the_registry_goes_silent_takes_a_new_one(
    tmp_path: Path, nursery: Nursery, postgres_url: str, empty_postgres_url: str, migrate_now: Any
) -> None:
    migrate_now(empty_postgres_url)
    with (
        Route(empty_postgres_url) as route,
        two_databases(tmp_path, nursery, route.url, postgres_url) as home,
    ):
        route.silence()
        time.sleep(POLICY_LEASE_SECONDS + 0.2)
        count = home.mailboxes[0].count
        until(lambda: home.mailboxes[0].count > count + 60, home.voices, 15)
