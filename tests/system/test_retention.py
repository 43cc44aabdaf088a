"""What is past its window goes, and the records add up, whenever a worker is killed."""

import json
import signal
import time
from collections import Counter
from typing import Any

import pytest

from tests.support.world_home import Home, until

DAY_US = 86_400_000_000
AGED, HELD, PARKED = 1500, 3, 2
POLICY = """
[policy.retention]
ledger_days = 100
[[policy.retention.holds]]
name = "case-7"
owner = "lea"
reason = "a drill"
since = 2026-01-01
until = 2030-01-01
tenant = "south"
"""
TABLES = ("events", "deliveries", "disclosures")
COPIES = """
INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed, occurred_us,
    enqueued_us)
WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
SELECT id || '-' || i, tenant, type, producer, subjects, payload, is_sealed, occurred_us,
    enqueued_us
FROM {events}, n
"""
LEDGER = """
INSERT INTO {disclosures} (delivery_id, attempt, event_seq, webhook_id, tenant, connector,
    subscription, endpoint, purpose, agreement, subjects, scope_id, field_set, body_sha256,
    body_bytes, key_ids, revision, epoch, worker, begun_us, outcome)
SELECT d.id, 1, d.event_seq, 'm', e.tenant, 'acme', 's', 'e', 'p', 'a', '[]', 'x', 'x', 'x', 1, 'k',
    1, 1, 'w', :us, 'delivered'
FROM {deliveries} d JOIN {events} e ON e.seq = d.event_seq
"""


@pytest.fixture(params=("sqlite_home", "postgres_home"))
def home(request: pytest.FixtureRequest) -> Home:
    """A company on each engine in turn, with events that came to rest 200 days ago."""
    found: Home = request.getfixturevalue(request.param)
    found.apply(policy=POLICY)
    found.enqueue(1, tenant="north", subjects=["someone of north"])
    found.write(COPIES, count=AGED)
    found.enqueue(HELD, tenant="south")
    found.enqueue(PARKED, tenant="parked")
    us = time.time_ns() // 1000 - 200 * DAY_US
    final = "state = 'delivered', due_us = NULL, lane = 's/t', subscription = 's', webhook_id = 'm'"
    found.write(f"UPDATE {{deliveries}} SET {final}, settled_us = :us", us=us)
    found.write("UPDATE {events} SET enqueued_us = :us", us=us)
    found.write(LEDGER, us=us)
    of = "event_seq IN (SELECT seq FROM {events} WHERE tenant = 'parked')"
    found.write(f"UPDATE {{deliveries}} SET state = 'parked', judged_epoch = 1000000 WHERE {of}")
    return found


def counts(home: Home) -> Counter[str]:
    return Counter(
        {name: home.rows(f"SELECT count(*) FROM {{{name}}}")[0][0] for name in TABLES}
        | {"payloads": home.rows("SELECT count(payload) FROM {events}")[0][0]}
    )


def due(home: Home) -> dict[str, Any]:
    return {row["store"]: row for row in home.run("purges", "--due", "--json").json}


def test_what_is_past_its_window_is_purged_once_however_often_the_worker_is_killed(home: Home):
    before = counts(home)
    told = due(home)["payloads"]
    assert (told["due"], told["held"], told["moving"]) == (AGED, HELD, PARKED)
    for _ in range(2):
        worker, left = home.start_fatal(), counts(home)
        until(lambda left=left: counts(home) != left, worker.said)
        assert worker.kill() == -signal.SIGKILL
    worker = home.start_fatal()
    until(lambda: counts(home)["events"] == HELD + PARKED, worker.said)
    until(lambda: "retention_late" in worker.said(), worker.said)
    worker.kill()

    after = counts(home)
    assert set(after.values()) == {HELD + PARKED}
    kept = {row[0] for row in home.rows("SELECT tenant FROM {events}")}
    assert kept == {"south", "parked"}
    went: Counter[str] = Counter()
    for record in home.run("purges", "--json").json:
        went.update(record["counts"])
        assert record["survivor_us"] is None
    assert went.pop("envelopes") == AGED
    assert went == before - after
    assert all(row["due"] == 0 for row in due(home).values())
    shown = home.run("purges", "--store", "ledger").out
    assert "ledger_days = 100" in shown
    assert "someone of" not in shown + worker.said()


def test_a_window_without_an_end_on_personal_data_is_refused_with_a_way_out(sqlite_home: Home):
    sqlite_home.write_registry(policy="[policy.retention]\npayload_hours = 'forever'\n")
    done = sqlite_home.command("plan", str(sqlite_home.files), "--json")
    assert done.status == 2
    error = json.loads(done.err)["error"]
    assert error["code"] == "retention_forever"
    assert "policy: retention payload_hours" in error["why"]
    assert "[[policy.retention.holds]]" in error["why"]
