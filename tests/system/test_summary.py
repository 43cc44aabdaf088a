"""Summaries on the real road: one letter for a window, held, retried, and through every crash.

A window lasts a minute at least, so these tests let its time be over by hand.
"""

import json
import random
import signal
import time
from collections import defaultdict
from typing import Any

import pytest

from dispatcher.producer import enqueue
from dispatcher.worker.kit import Step
from tests.support.world_home import Home, Partner, Received, until
from tests.support.world_nursery import Child

SEED = 20260603
FIELDS = ("$.order sum", "$.note latest")
TERMS = 'style = "summary"\nwindow_seconds = 86400\ngroup_min = 5'


@pytest.fixture(params=["sqlite_home", "postgres_home"])
def home(request: pytest.FixtureRequest) -> Home:
    found: Home = request.getfixturevalue(request.param)
    return found


def partner(path: str, terms: str = TERMS, **more: Any) -> Partner:
    return Partner(path, fields=FIELDS, terms=terms, **more)


def sell(home: Home, numbers: range, people: int) -> list[str]:
    """Put events into the outbox, about so many people in turn."""
    with home.transaction() as connection:
        return [
            enqueue(
                connection,
                "order.paid",
                {"order": number, "note": f"note {number}"},
                tenant="north",
                subjects=[f"customer-{number % people}"],
            )
            for number in numbers
        ]


def until_gathered(home: Home, count: int) -> None:
    sql = "SELECT count(*) FROM {window_members}"
    until(lambda: home.rows(sql)[0][0] == count, home.voices)


def close_windows(home: Home) -> None:
    home.write("UPDATE {windows} SET closes_us = 1")
    home.write("UPDATE {deliveries} SET due_us = 1 WHERE window_id > 0 AND due_us IS NOT NULL")


def received(home: Home, count: int) -> list[Received]:
    until(lambda: home.mailboxes[0].count >= count, home.voices)
    return home.mailboxes[0].received


def told(letter: Received) -> dict[str, Any]:
    return {name: said for name, said in letter.data.items() if name != "window"}


def test_ten_events_leave_by_one_letter_that_each_of_them_is_traced_to(home: Home):
    home.apply(partner("/in"))
    worker = home.start_ready()
    ids = sell(home, range(10), people=5)
    until_gathered(home, 10)
    assert home.mailboxes[0].count == 0
    assert home.states() == {"waiting": 1}
    close_windows(home)
    (letter,) = received(home, 1)
    assert told(letter) == {
        "suppressed": False,
        "count": 10,
        "sum": {"order": 45},
        "latest": {"note": "note 9"},
    }
    home.until_states(delivered=1)
    (row,) = home.rows("SELECT subjects, outcome FROM {disclosures}")
    assert row.outcome == "delivered"
    assert len(set(json.loads(row.subjects))) == 5
    assert "customer" not in row.subjects
    for event_id in ids:
        story = home.run("trace", event_id, "--json").json
        assert [each["webhook_id"] for each in story["deliveries"]] == [letter.id]
        assert story["deliveries"][0]["window_end_us"] > story["deliveries"][0]["window_start_us"]
        assert [each["webhook_id"] for each in story["attempts"]] == [letter.id]
    worker.send(signal.SIGTERM)
    assert worker.wait(10) == 0


def test_with_a_group_of_five_nothing_of_three_people_is_on_the_wire(home: Home):
    home.apply(partner("/in"))
    home.start_ready()
    sell(home, range(10), people=3)
    until_gathered(home, 10)
    close_windows(home)
    (letter,) = received(home, 1)
    assert told(letter) == {"suppressed": True}


def test_a_held_lane_keeps_its_windows_and_sends_them_when_it_is_released(home: Home):
    home.apply(partner("/in"))
    home.start_ready()
    home.hold("connector:acme")
    sell(home, range(5), people=5)
    until_gathered(home, 5)
    close_windows(home)
    sell(home, range(6), people=5)
    until_gathered(home, 11)
    assert home.states() == {"waiting": 2}
    assert home.mailboxes[0].count == 0
    close_windows(home)
    home.release("connector:acme")
    letters = received(home, 2)
    assert sorted(told(each)["count"] for each in letters) == [5, 6]


def test_a_letter_that_failed_is_the_same_bytes_again_and_later_events_are_not_in_it(home: Home):
    home.apply(partner("/flaky/2"))
    home.start_ready()
    sell(home, range(5), people=5)
    until_gathered(home, 5)
    close_windows(home)
    received(home, 1)
    sell(home, range(5), people=5)
    until_gathered(home, 10)
    times = received(home, 3)
    assert len({(each.id, each.sha256) for each in times}) == 1
    assert told(times[-1])["count"] == 5
    home.until_states(delivered=1, waiting=1)


def until_dead(home: Home, worker: Child, sold: int) -> int:
    """Sell, and let windows be over, until the worker comes to the step that it ends at."""
    while worker.is_running:
        sell(home, range(sold, sold + 3), people=3)
        sold += 3
        close_windows(home)
        time.sleep(0.2)
    assert worker.wait(30) == -signal.SIGKILL, worker.said()
    return sold


@pytest.mark.timeout(180)
def test_killing_the_worker_between_any_two_steps_counts_every_event_exactly_once(home: Home):
    chance, sold = random.Random(SEED), 0
    home.write_config(lease_seconds=5, upkeep_seconds=0.25)
    terms = TERMS.replace("group_min = 5", "group_min = 2")
    home.apply(partner("/jitter/20/acme", terms, attempt_seconds=1.0))
    for step in Step:
        sold = until_dead(home, home.start_fatal(before=step, count=chance.randint(1, 2)), sold)
    home.start_fatal()
    until_gathered(home, sold)
    close_windows(home)
    until(lambda: home.states().keys() == {"delivered"}, home.voices, 60)
    by_id: dict[str, set[str]] = defaultdict(set)
    for each in home.mailboxes[0].received:
        by_id[each.id].add(json.dumps(told(each)))
    rows = home.rows(
        "SELECT d.webhook_id, e.seq FROM {window_members} m"
        " JOIN {deliveries} d ON d.window_id = m.window_id JOIN {events} e ON e.seq = m.event_seq"
    )
    assert len(rows) == sold
    members: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        members[row.webhook_id].append(row)
    assert members.keys() == by_id.keys()
    assert len(by_id) > len(Step) / 2
    for webhook_id, bodies in by_id.items():
        (body,) = bodies
        people = {row.seq % 3 for row in members[webhook_id]}  # three take turns
        count = len(members[webhook_id]) if len(people) > 1 else None
        assert json.loads(body).get("count") == count
