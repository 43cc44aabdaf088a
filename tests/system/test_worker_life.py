"""A worker's life as operators meet it: start, drain, death, takeover, refusals, patience."""

import os
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from dispatcher.model.event import INTAKE_FORMAT
from dispatcher.vault.sealer import FORMAT
from tests.support.world_home import NS, Home, Partner, until
from tests.support.world_nursery import Child, Nursery

ENGINES = ("sqlite_home", "postgres_home")
MARK = "4929-1234-5678-9012"


@pytest.fixture(params=ENGINES)
def home(request: pytest.FixtureRequest) -> Home:
    """A company on each engine in turn."""
    found: Home = request.getfixturevalue(request.param)
    return found


def ask(address: str, path: str) -> tuple[int, str]:
    """GET from a listener on loopback."""
    try:
        with urllib.request.urlopen(f"{address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def address_of(worker: Child) -> str:
    line = next(x for x in worker.out.read_text().splitlines() if x.startswith("listening"))
    return line.split()[1]


def orders_at(home: Home, path: str) -> list[int]:
    return [r.data["order"] for r in home.mailboxes[0].received if r.path == path]


def count_at(home: Home, path: str) -> int:
    return len(orders_at(home, path))


def codes(home: Home, state: str) -> set[str]:
    return {row[0] for row in home.rows("SELECT code FROM {deliveries} WHERE state = :s", s=state)}


# Start and stop.


def test_a_drain_finishes_what_is_in_flight_and_gives_back_the_rest(home: Home) -> None:
    home.apply(Partner("/slow/700", attempt_seconds=5.0, concurrency=4))
    worker = home.start_ready()
    home.enqueue(12)
    until(lambda: home.mailboxes[0].count == 4, home.voices)
    asked = time.monotonic()
    worker.send(signal.SIGTERM)
    assert worker.wait(10) == 0, worker.said()
    assert 0.2 < time.monotonic() - asked < 3.0, "it waits for the answers, and for nothing else"
    states = home.states()
    assert states["delivered"] == 4
    assert states["waiting"] + states["new"] == 8
    assert home.mailboxes[0].count == 4
    assert not home.registry_rows("SELECT 1 FROM {workers}"), "it says goodbye"
    outcomes = [row[0] for row in home.rows("SELECT outcome FROM {disclosures}")]
    assert outcomes == ["delivered"] * 4


def test_a_drain_that_runs_out_of_time_owns_up_to_what_it_cut(sqlite_home: Home) -> None:
    home = sqlite_home
    home.write_config(drain_seconds=0.3)
    home.apply(Partner("/hang", attempt_seconds=4.0))
    worker = home.start_ready()
    home.enqueue()
    until(lambda: home.mailboxes[0].count == 1)
    worker.send(signal.SIGTERM)
    assert worker.wait(10) == 0, worker.said()
    row = home.rows("SELECT outcome, code FROM {disclosures}")
    assert [tuple(each) for each in row] == [("unknown", "aborted")]


def test_another_worker_takes_over_once_the_leases_of_a_killed_one_end(home: Home) -> None:
    home.apply(Partner("/slow/400", attempt_seconds=2.0, concurrency=4))
    first = home.start_ready()
    home.enqueue(10)
    until(lambda: home.mailboxes[0].count >= 4, home.voices)
    first.kill()
    home.start_ready()
    home.until_states(delivered=10)
    unknown = home.rows("SELECT count(*) FROM {disclosures} WHERE outcome = 'unknown'")[0][0]
    received = home.mailboxes[0].received
    assert {r.data["order"] for r in received} == set(range(10))
    assert 0 < len(received) - 10 <= unknown


def test_run_works_in_an_empty_folder_and_says_where_everything_is(
    clear_folder: Path, nursery: Nursery
) -> None:
    child = nursery.start(
        "dispatcher", "run", folder=clear_folder, env={"DISPATCHER__API__PORT": "0"}
    )
    until(lambda: "ready " in child.out.read_text(), child.said)
    said = child.out.read_text()
    data = clear_folder / "dispatcher-data"
    assert (data / "dispatcher.db").is_file()
    assert (data / "keyring.json").stat().st_mode & 0o777 == 0o600
    assert str(data / "dispatcher.db") in said
    assert str(data / "keyring.json") in said
    assert address_of(child).startswith("http://127.0.0.1:")
    child.send(signal.SIGTERM)
    assert child.wait(10) == 0, child.said()
    assert "Traceback" not in child.said()
    again = nursery.start(
        "dispatcher", "run", folder=clear_folder, env={"DISPATCHER__API__PORT": "0"}
    )
    until(lambda: "ready " in again.out.read_text(), again.said)
    assert "in use" in again.out.read_text(), "the keyring is kept"
    again.send(signal.SIGINT)
    assert again.wait(10) == 0, again.said()


# Health.


def test_health_readiness_and_metrics_are_served(home: Home) -> None:
    home.apply(Partner("/ok"))
    worker = home.start_ready()
    home.enqueue(3)
    home.until_states(delivered=3)
    address = address_of(worker)
    assert ask(address, "/healthz")[0] == 200
    assert ask(address, "/readyz")[0] == 200
    status, metrics = ask(address, "/metrics")
    assert status == 200
    assert "dispatcher_events_planned_total 3.0" in metrics
    settled = 'dispatcher_deliveries_settled_total{code="",move="delivered"'
    assert f'{settled},subscription="acme-orders"}} 3.0' in metrics
    assert "north" not in metrics, "no tenant in a label"


def test_a_worker_that_cannot_read_policy_is_alive_but_not_ready(sqlite_home: Home) -> None:
    home = sqlite_home
    home.write_config(policy_lease_seconds=0.5)
    home.apply(Partner("/ok"))
    worker = home.start_ready()
    address = address_of(worker)
    until(lambda: ask(address, "/readyz")[0] == 200)
    with home.transaction():  # the only writer there may be: no heartbeat gets through
        home_event = time.monotonic()
        until(lambda: ask(address, "/readyz")[0] == 503, worker.said, 5)
        assert time.monotonic() - home_event < 2.0
        assert ask(address, "/healthz")[0] == 200
    until(lambda: ask(address, "/readyz")[0] == 200, worker.said)
    home.enqueue(3)
    home.until_states(delivered=3)


# Holds.

HOLDS: tuple[tuple[str, str], ...] = (
    ("everything", "nothing"),
    ("connector:acme", "brook"),
    ("subscription:acme-orders", "brook"),
    ("tenant:north", "south"),
    ("event-type:order.paid", "order.sent"),
    ("host:127.0.0.1", "nothing"),
)


@pytest.mark.parametrize(("target", "goes_on"), HOLDS, ids=[target for target, _ in HOLDS])
def test_a_hold_stops_what_it_names_and_nothing_else(
    sqlite_home: Home, target: str, goes_on: str
) -> None:
    home = sqlite_home
    kinds = ("order.paid", "order.sent")
    tenants = ("north", "south")
    partners = [
        Partner(f"/ok/{name}", name, event_types=kinds, tenants=tenants)
        for name in ("acme", "brook")
    ]
    home.apply(*partners, event_types=kinds)
    home.start_ready()
    until(lambda: home.registry_rows("SELECT 1 FROM {workers}"))
    held = home.hold(target)
    assert held["workers_confirmed"] == 1
    for tenant in ("north", "south"):
        for kind in kinds:
            home.enqueue(1, kind=kind, tenant=tenant)
    flows = {"nothing": 0, "brook": 4, "south": 4, "order.sent": 4}[goes_on]
    until(lambda: home.mailboxes[0].count == flows, home.voices)
    time.sleep(0.5)
    received = home.mailboxes[0].received
    assert len(received) == flows
    assert home.states()["delivered"] == flows
    # Nothing is lost and no retry is spent; what waited is delivered after the release.
    home.release(target)
    home.until_states(delivered=8)
    assert len({r.id for r in home.mailboxes[0].received}) == 8
    assert home.mailboxes[0].count == 8
    assert not home.rows("SELECT 1 FROM {deliveries} WHERE failures > 0")


def test_a_held_tenant_costs_no_turns(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    home.start_ready()
    home.hold("tenant:north")
    home.enqueue(20)
    until(lambda: not home.states()["new"], home.voices)
    until(lambda: not home.states()["leased"], home.voices)
    before = home.rows("SELECT * FROM {deliveries} ORDER BY id")
    time.sleep(1.5)
    assert home.rows("SELECT * FROM {deliveries} ORDER BY id") == before, "rows are left alone"


def test_the_other_of_two_overlapping_holds_stays_on(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    home.start_ready()
    home.hold("connector:acme")
    home.hold("tenant:north")
    home.enqueue(5)
    home.release("connector:acme")
    time.sleep(0.7)
    assert home.mailboxes[0].count == 0
    home.release("tenant:north")
    home.until_states(delivered=5)


# Partners, well behaved or not.


def test_an_endpoint_that_is_gone_is_stopped_by_itself_and_its_events_are_kept(home: Home) -> None:
    home.apply(Partner("/gone", concurrency=1), Partner("/ok/brook", "brook"))
    home.start_ready()
    home.enqueue(10)
    until(lambda: home.states("brook-orders")["delivered"] == 10, home.voices)
    tripped = "SELECT target, reason FROM {switches} WHERE released_us IS NULL"
    until(lambda: home.registry_rows(tripped), home.voices)
    assert {tuple(row) for row in home.registry_rows(tripped)} == {
        ("subscription:acme-orders", "endpoint_gone")
    }
    time.sleep(0.5)
    states = home.states("acme-orders")
    assert states.total() == states["parked"] + states["waiting"] == 10, states
    asked = count_at(home, "/gone")
    assert asked < 10, "it is not asked again for every event"
    time.sleep(0.5)
    assert count_at(home, "/gone") == asked
    assert not home.rows("SELECT 1 FROM {deliveries} WHERE failures > 0"), "no retry is spent"


@pytest.mark.parametrize(
    ("ended", "code"),
    [("agreement_until", "agreement A-1"), ("owner_until", "owner's confirmation")],
)
def test_an_ended_paper_holds_what_waits_and_its_renewal_lets_it_go(
    sqlite_home: Home, ended: str, code: str
) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    home.apply(Partner("/ok", **{ended: "2020-01-31"}))
    worker = home.start_ready()
    home.enqueue(5)
    until(lambda: home.states("acme-orders")["waiting"] == 5, home.voices)
    time.sleep(0.5)
    assert home.mailboxes[0].count == 0
    assert home.states("acme-orders")["waiting"] == 5, "nothing is parked or spent"
    said = [line for line in worker.err.read_text().splitlines() if '"paper_ends"' in line]
    assert any(code in line and "2020-01-31" in line for line in said), home.voices()
    home.apply(Partner("/ok"))
    home.until_states(delivered=5)


def test_a_hanging_partner_does_not_delay_another(home: Home) -> None:
    healthy = Partner("/ok/brook", "brook")
    home.apply(healthy)
    home.start_ready()
    home.enqueue(200)
    home.until_states(delivered=200)
    calm = slowness(home, "/ok/brook", home.mailboxes[0].count)

    home.apply(healthy, Partner("/hang", attempt_seconds=4.0, concurrency=4))
    until(home.is_obeyed, home.voices)
    home.enqueue(40)
    until(lambda: count_at(home, "/hang") >= 4, home.voices)
    seen = home.mailboxes[0].count
    home.enqueue(200)
    until(lambda: count_at(home, "/ok/brook") == 440, home.voices)
    assert home.states("acme-orders")["delivered"] == 0
    assert count_at(home, "/hang") <= 8, "its window is all it gets"
    # One commit made all of them due at once, so the last one's wait is the whole queue's.
    busy = slowness(home, "/ok/brook", seen)
    assert busy < 10 * calm + 0.5, f"{busy:.3f} s instead of {calm:.3f} s"


BOTH = ("order.paid", "order.sent")


def test_a_hanging_partner_with_a_wide_window_cannot_fill_the_worker(sqlite_home: Home) -> None:
    home = sqlite_home
    home.write_config(queued_max=64)
    healthy = Partner("/ok/brook", "brook", ("order.sent",))
    home.apply(
        Partner("/hang", attempt_seconds=4.0, concurrency=200),
        healthy,
        event_types=BOTH,
    )
    home.enqueue(300)
    home.start_ready()
    until(lambda: count_at(home, "/hang") >= 64, home.voices)
    home.enqueue(20, kind="order.sent")
    until(lambda: count_at(home, "/ok/brook") == 20, home.voices, seconds=3.0)


def test_a_worker_that_claims_one_at_a_time_works_and_drains(sqlite_home: Home) -> None:
    home = sqlite_home
    home.write_config(claim_batch_max=1)
    home.apply(Partner("/ok"))
    worker = home.start_ready()
    home.enqueue(10)
    home.until_states(delivered=10)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_what_waits_for_a_removed_subscription_is_parked_until_it_is_back(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    there = Partner("/ok", "brook", ("order.sent",))
    home.apply(Partner("/ok"), there, event_types=BOTH)
    home.hold("connector:brook")
    home.start_ready()
    home.enqueue(3, kind="order.sent")
    home.until_states(waiting=3)
    home.apply(Partner("/ok"), event_types=BOTH)
    home.until_states(parked=3)
    assert codes(home, "parked") == {"subscription_unknown"}
    home.apply(Partner("/ok"), there, event_types=BOTH)
    home.release("connector:brook")
    home.until_states(delivered=3)


def test_subjects_written_by_hand_that_cannot_be_read_park_that_event_alone(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    insert_by_hand(home, "evt_odd", b'{"order": 7}')
    home.write("UPDATE {events} SET subjects = '[[1]]'")
    home.enqueue(5)
    home.start_ready()
    home.until_states(parked=1, delivered=5)
    assert codes(home, "parked") == {"subjects_invalid"}


def slowness(home: Home, path: str, since: int) -> float:
    """Seconds from the last commit to the arrival of 99 of 100 deliveries of its batch."""
    enqueued_us = home.rows("SELECT max(enqueued_us) FROM {events}")[0][0]
    fresh = [r for r in home.mailboxes[0].received[-since:] if r.path == path][-200:]
    arrived = sorted(r.first_byte_ns for r in fresh)
    return (arrived[int(len(arrived) * 0.99) - 1] - enqueued_us * 1000) / NS


def test_a_failing_delivery_follows_its_schedule_and_then_is_dead(home: Home) -> None:
    home.apply(Partner("/status/500", retry_seconds=(0.2, 0.3)))
    home.start_ready()
    home.enqueue()
    home.until_states(dead=1)
    received = home.mailboxes[0].received
    assert len(received) == 3, "the first try and one for each wait"
    assert len({r.id for r in received}) == len({r.sha256 for r in received}) == 1
    row = home.rows("SELECT attempt, failures, status, code FROM {deliveries}")[0]
    assert tuple(row) == (3, 3, 500, "http_500")
    ledger = home.rows("SELECT attempt, outcome, status FROM {disclosures} ORDER BY attempt")
    assert [tuple(each) for each in ledger] == [(n, "answered", 500) for n in (1, 2, 3)]


def test_a_flaky_partner_gets_the_same_message_until_it_takes_it(home: Home) -> None:
    home.apply(Partner("/flaky/3"))
    home.start_ready()
    home.enqueue(5)
    home.until_states(delivered=5)
    received = home.mailboxes[0].received
    assert len(received) == 20
    assert len({(r.id, r.sha256) for r in received}) == 5


def test_a_partner_that_asks_for_patience_gets_it(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/later/2", retry_seconds=(0.05,) * 3))
    home.start_ready()
    home.enqueue()
    home.until_states(delivered=1)
    first, second = home.mailboxes[0].received
    assert 1.9 < (second.first_byte_ns - first.first_byte_ns) / NS < 5.0


def test_a_partner_nobody_can_reach_has_been_told_nothing(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/ok", retry_seconds=(0.1,)))
    home.mailboxes[0].child.kill()
    home.start_ready()
    home.enqueue()
    home.until_states(dead=1)
    outcomes = {row[0] for row in home.rows("SELECT outcome FROM {disclosures}")}
    assert outcomes == {"unreachable"}


def test_an_attempt_may_last_longer_than_the_lease_that_is_configured(sqlite_home: Home) -> None:
    home = sqlite_home
    home.write_config(lease_seconds=5)
    home.apply(Partner("/ok", attempt_seconds=60.0))
    home.start_ready()
    home.enqueue(3)
    home.until_states(delivered=3)


# What comes in.


def test_a_parked_event_is_judged_again_when_the_registry_changes(home: Home) -> None:
    home.apply(Partner("/ok"))
    home.start_ready()
    home.enqueue(1, tenant="north")
    home.until_states(delivered=1)
    home.hold("connector:acme")
    home.enqueue(2, tenant="north")
    home.until_states(delivered=1, waiting=2)
    home.apply(Partner("/ok", tenants=("south",)))
    home.release("connector:acme")
    home.until_states(delivered=1, parked=2)
    assert codes(home, "parked") == {"tenant_not_served"}
    assert home.mailboxes[0].count == 1
    home.apply(Partner("/ok", tenants=("north", "south")))
    home.until_states(delivered=3)
    assert home.mailboxes[0].count == 3


def test_an_event_that_nobody_subscribed_to_is_dropped_and_says_so(home: Home) -> None:
    home.apply(Partner("/ok"), event_types=("order.paid", "order.lost"))
    home.start_ready()
    home.enqueue(2, kind="order.lost")
    home.enqueue(1, tenant="west")
    home.until_states(dropped=3)
    assert codes(home, "dropped") == {"nobody_subscribed"}
    assert home.mailboxes[0].count == 0


INSERT = """
INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed, occurred_us,
    enqueued_us)
VALUES (:id, 'north', :type, 'by-hand', '[]', :payload, false, 1, 1)
"""


def insert_by_hand(home: Home, name: str, payload: bytes, kind: str = "order.paid") -> None:
    home.write(INSERT, id=name, type=kind, payload=payload)


def test_a_payload_that_came_in_clear_is_sealed_before_it_is_planned(home: Home) -> None:
    home.apply(Partner("/ok", fields=("$.order",)))
    payload = f'{{"order": 1, "note": "{MARK}", "secret": "{MARK}"}}'.encode()
    insert_by_hand(home, "evt_by_hand", payload)
    if home.dialect == "postgresql":
        home.write(
            "SELECT dispatcher.dispatcher_enqueue('north', 'order.paid', CAST('{{}}' AS text[]),"
            " CAST(:payload AS json))",
            payload=payload.decode(),
        )
    count = 2 if home.dialect == "postgresql" else 1
    worker = home.start_ready()
    home.until_states(delivered=count)
    for row in home.rows("SELECT payload, is_sealed FROM {events}"):
        assert row.is_sealed
        assert MARK.encode() not in bytes(row.payload)
    assert [r.data for r in home.mailboxes[0].received] == [{"order": 1}] * count
    worker.send(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert MARK not in worker.said()
    if home.dialect == "sqlite":
        assert_not_on_disk(home)


def assert_not_on_disk(home: Home) -> None:
    """The mark is in no page of the file, free pages included, once the log is written back."""
    home.engine.dispose()
    file = Path(home.url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in file.parent.glob(f"{file.name}*"):
        assert MARK.encode() not in path.read_bytes(), f"{path.name} holds a payload in clear"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b'{"order": "no number"}', "schema_invalid"),
        (b'{"note": "no order"}', "schema_invalid"),
        (b"[1]", "schema_invalid"),
        (b"no JSON", "schema_invalid"),
        (b'{"order": 1, "note": "' + b"x" * 70_000 + b'"}', "payload_too_large"),
    ],
    ids=["wrong type", "missing member", "no object", "no JSON", "too large"],
)
def test_a_payload_inserted_by_hand_that_does_not_fit_is_parked(
    sqlite_home: Home, payload: bytes, code: str
) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    insert_by_hand(home, "evt_bad", payload)
    home.enqueue(1)
    home.start_ready()
    home.until_states(parked=1, delivered=1)
    assert codes(home, "parked") == {code}
    assert home.mailboxes[0].count == 1


def test_a_payload_that_does_not_fit_is_refused_however_often_it_is_judged(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    insert_by_hand(home, "evt_bad", b'{"order": "no number"}')
    home.start_ready()
    home.until_states(parked=1)
    judged = "SELECT judged_epoch FROM {deliveries}"
    before = home.rows(judged)[0][0]
    home.hold("tenant:south")  # any switch has parked rows judged again, by now sealed
    until(lambda: home.rows(judged)[0][0] > before and home.states()["parked"] == 1)
    assert codes(home, "parked") == {"schema_invalid"}
    assert home.mailboxes[0].count == 0


def test_an_event_of_an_unknown_type_is_parked_until_the_type_is_known(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    insert_by_hand(home, "evt_early", b'{"order": 7}', "order.sent")
    home.start_ready()
    home.until_states(parked=1)
    assert codes(home, "parked") == {"event_type_unknown"}
    kinds = ("order.paid", "order.sent")
    home.apply(Partner("/ok", event_types=kinds), event_types=kinds)
    home.until_states(delivered=1)
    assert [r.data for r in home.mailboxes[0].received] == [{"order": 7}]


def test_an_event_of_a_producer_without_rights_is_parked_until_it_has_them(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    listed = '[[producer]]\nname = "shop"\nevent_types = ["*"]\ntenants = ["north"]\n'
    home.apply(Partner("/ok"), producers=listed)
    insert_by_hand(home, "evt_forged", b'{"order": 7}')
    order = ("enqueue", "order.paid", "--tenant", "north", "--producer")
    refused = home.command(*order, "till", given=b'{"order": 8}')
    assert (refused.status, refused.err.partition(":")[0]) == (4, "producer_not_allowed")
    home.run(*order, "shop", given=b'{"order": 9}')
    # The worker judges by the registry itself, and mends an outbox that does not say the same.
    for table in ("{producers}", "{publication}"):
        home.write(f"DELETE FROM {table}")
    home.start_ready()
    home.until_states(delivered=1, parked=1)
    until(lambda: [tuple(row) for row in home.rows("SELECT who FROM {producers}")] == [("shop",)])
    assert codes(home, "parked") == {"producer_not_allowed"}
    home.apply(Partner("/ok"), producers=listed + listed.replace("shop", "by-hand"))
    home.until_states(delivered=2)
    assert [r.data for r in home.mailboxes[0].received] == [{"order": 9}, {"order": 7}]


@pytest.mark.parametrize("first", [FORMAT, INTAKE_FORMAT, 255], ids=["ours", "intake", "none"])
def test_a_payload_whose_seal_is_broken_stops_nothing_else(sqlite_home: Home, first: int) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    home.enqueue(3)
    home.write(
        "UPDATE {events} SET is_sealed = true, payload = :junk WHERE seq = 2",
        junk=bytes([first]) + os.urandom(98),
    )
    home.start_ready()
    home.until_states(delivered=2, parked=1)
    assert codes(home, "parked") == {"payload_unreadable"}
    assert sorted(orders_at(home, "/ok")) == [0, 2]


def test_fields_nobody_granted_stay_at_home(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/ok/acme", fields=("$.order",)), Partner("/ok/brook", "brook", fields=()))
    home.start_ready()
    insert_by_hand(home, "evt_full", b'{"order": 1, "note": "n", "secret": "s", "new": "field"}')
    home.until_states(delivered=2)
    assert {r.path: r.data for r in home.mailboxes[0].received} == {
        "/ok/acme": {"order": 1},
        "/ok/brook": {},
    }
