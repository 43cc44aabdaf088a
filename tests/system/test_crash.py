"""Kill the worker at any instant, under load: nothing is lost, nothing invented, all of it written.

A producer commits orders and their events in one transaction throughout, and rolls some back. The
worker is killed at random instants and between every two steps of the road, and started again each
time. Then the database, the ledger and what the inbox really received must agree.
"""

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dispatcher.producer import enqueue
from dispatcher.showcase.postgres import TemporaryServer
from dispatcher.worker.kit import Step
from tests.support.world_home import Home, Partner, Received, until
from tests.support.world_nursery import Nursery

SEED = 20260601
PARTNERS = (
    Partner("/jitter/20/acme", "acme", attempt_seconds=1.0, concurrency=8),
    # Always at its window's end, so that deliveries also wait and are leased later.
    Partner("/jitter/60/brook", "brook", attempt_seconds=1.0, concurrency=2),
)


class RolledBack(Exception):
    """The business changed its mind."""


@dataclass
class Shop:
    """A product service: every order is a row of its own and an event, in one transaction."""

    home: Home
    chance: random.Random
    pause_seconds: float = 0.03
    committed: int = 0
    rolled_back: int = 0
    failures: list[BaseException] = field(default_factory=list)

    def trade(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(self.chance.random() * 2 * self.pause_seconds):
                self.sell()
        except BaseException as error:
            self.failures.append(error)
            raise

    def sell(self) -> None:
        numbers = range(self.chance.randint(1, 2))
        is_kept = self.chance.random() > 0.2
        first = self.committed + self.rolled_back
        try:
            with self.home.transaction() as connection:
                for number in (first + n for n in numbers):
                    connection.execute(text("INSERT INTO orders VALUES (:n)"), {"n": number})
                    enqueue(
                        connection,
                        "order.paid",
                        {"order": number, "note": "x" * self.chance.randint(0, 300)},
                        tenant="north",
                        subjects=[f"customer-{number % 7}"],
                    )
                change_mind(is_kept=is_kept)
        except RolledBack:
            self.rolled_back += len(numbers)
        else:
            self.committed += len(numbers)


def change_mind(*, is_kept: bool) -> None:
    if not is_kept:
        raise RolledBack


@contextmanager
def trading(shop: Shop) -> Iterator[Shop]:
    stop = threading.Event()
    thread = threading.Thread(target=shop.trade, args=(stop,))
    thread.start()
    try:
        yield shop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert not shop.failures


@contextmanager
def settled_in(folder: Path, nursery: Nursery, url: str) -> Iterator[Home]:
    home = Home(folder, nursery, url)
    try:
        home.open_mailbox(seed=SEED, is_auditing=True)
        home.write_config(lease_seconds=5, upkeep_seconds=0.25)
        home.apply(*PARTNERS)
        with home.transaction() as connection:
            connection.execute(text("CREATE TABLE orders (n integer PRIMARY KEY)"))
        yield home
    finally:
        home.close()


def kill_at_random(home: Home, chance: random.Random, times: int) -> None:
    for _ in range(times):
        worker = home.start_fatal()
        time.sleep(chance.uniform(0.02, 0.7))
        assert worker.kill() == -signal.SIGKILL, worker.said()


def kill_between_steps(home: Home, chance: random.Random, times: int) -> None:
    for _ in range(times):
        for step in Step:
            worker = home.start_fatal(before=step, count=chance.randint(1, 8))
            assert worker.wait(30) == -signal.SIGKILL, (step, worker.said())


def finish(home: Home, committed: int) -> None:
    worker = home.start_fatal()
    home.until_states(60.0, delivered=committed * len(PARTNERS))
    worker.send(signal.SIGTERM)
    assert worker.wait(10) == 0, worker.said()


def assert_books_agree(home: Home, shop: Shop) -> None:
    received = home.mailboxes[0].received
    ledger = home.rows(
        "SELECT webhook_id, attempt, subscription, begun_us, outcome, body_sha256, endpoint"
        " FROM {disclosures} ORDER BY begun_us, attempt"
    )
    orders = {row[0] for row in home.rows("SELECT n FROM orders")}
    assert len(orders) == shop.committed
    assert shop.rolled_back > 0

    by_path: dict[str, set[int]] = defaultdict(set)
    by_id: dict[str, list[Received]] = defaultdict(list)
    for each in received:
        by_path[each.path].add(each.data["order"])
        by_id[each.id].append(each)
    assert by_path == {partner.path: orders for partner in PARTNERS}, "lost, or rolled back"
    assert len(by_id) == len(orders) * len(PARTNERS), "one webhook-id for each event and partner"

    attempts: dict[str, list[Any]] = defaultdict(list)
    for row in ledger:
        attempts[row.webhook_id].append(row)
    assert by_id.keys() <= attempts.keys()
    for webhook_id, times in by_id.items():
        assert_one_story(times, attempts[webhook_id])
    duplicates = len(received) - len(by_id)
    assert duplicates > 0, "nothing arrived twice: the test killed nothing in flight"
    assert sum(row.outcome == "unknown" for row in ledger) >= duplicates


def assert_one_story(times: list[Received], attempts: list[Any]) -> None:
    """What arrived under one webhook-id, against what the ledger says of it."""
    assert len({each.sha256 for each in times}) == 1, "the same plaintext every time"
    numbers = [row.attempt for row in attempts]
    assert numbers == sorted(set(numbers)), "each attempt its own number, in order"
    assert all(row.outcome in ("unknown", "not_begun", "delivered") for row in attempts), attempts
    assert [row.outcome for row in attempts if row.outcome == "delivered"] == ["delivered"]
    assert attempts[-1].outcome == "delivered", attempts
    arrived = set()
    for each in times:
        assert each.ledger_rows, "its ledger row was not there while the body already was"
        begun = [row for row in attempts if row.begun_us * 1000 < each.first_byte_ns]
        assert begun, "received before the ledger says it began"
        assert begun[-1].body_sha256 == each.sha256
        assert begun[-1].attempt not in arrived, "one attempt, one body"
        arrived.add(begun[-1].attempt)
    assert attempts[-1].attempt in arrived
    outcomes = {row.attempt: row.outcome for row in attempts}
    for attempt in arrived - {attempts[-1].attempt}:
        assert outcomes[attempt] == "unknown", "a duplicate the ledger does not own up to"


def crash_drill(home: Home, *, random_kills: int, rounds: int) -> None:
    chance = random.Random(SEED)
    with trading(Shop(home, random.Random(SEED + 1))) as shop:
        until(lambda: shop.committed >= 5)
        kill_at_random(home, chance, random_kills)
        kill_between_steps(home, chance, rounds)
    assert shop.committed > 100
    finish(home, shop.committed)
    assert_books_agree(home, shop)


@pytest.mark.timeout(180)
def test_killing_the_worker_on_sqlite_loses_and_invents_nothing(
    tmp_path: Path, sqlite_url: str, nursery: Nursery
) -> None:
    with settled_in(tmp_path / "home", nursery, sqlite_url) as home:
        crash_drill(home, random_kills=20, rounds=1)


@pytest.mark.timeout(180)
def test_killing_the_worker_on_postgresql_loses_and_invents_nothing(
    tmp_path: Path, durable_server: TemporaryServer, nursery: Nursery, migrate_now: Any
) -> None:
    url = durable_server.create_database("crash")
    migrate_now(url)
    with settled_in(tmp_path / "home", nursery, url) as home:
        crash_drill(home, random_kills=20, rounds=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_kills_on_sqlite(tmp_path: Path, sqlite_url: str, nursery: Nursery) -> None:
    with settled_in(tmp_path / "home", nursery, sqlite_url) as home:
        crash_drill(home, random_kills=200, rounds=5)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_kills_on_postgresql(
    tmp_path: Path, durable_server: TemporaryServer, nursery: Nursery, migrate_now: Any
) -> None:
    url = durable_server.create_database("crash")
    migrate_now(url)
    with settled_in(tmp_path / "home", nursery, url) as home:
        crash_drill(home, random_kills=200, rounds=5)
