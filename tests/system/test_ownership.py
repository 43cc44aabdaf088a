"""Ownership as operators meet it: real processes, the command, a death at the worst instant."""

import time

import pytest

from tests.support.world_home import Home, Partner, until

ENGINES = ("sqlite_home", "postgres_home")
REQUIRED = 'ownership_proof = "required"'
CHALLENGE = "dispatcher.ownership_challenge"


@pytest.fixture(params=ENGINES)
def home(request: pytest.FixtureRequest) -> Home:
    """A company on each engine in turn."""
    found: Home = request.getfixturevalue(request.param)
    return found


def kinds(home: Home) -> list[str]:
    return [each.type for each in home.mailboxes[0].received]


def recorded(home: Home) -> list[str]:
    """The kinds of what the record holds about endpoints, the newest first."""
    found = home.run("audit", "log", "--kind", "endpoint", "--json").json
    return [each["kind"] for each in found]


def test_events_wait_until_the_endpoint_is_proven_and_go_then(home: Home) -> None:
    home.apply(Partner("/ok"), policy=REQUIRED)
    home.start_ready()
    home.enqueue(5)
    until(lambda: home.states("acme-orders")["waiting"] == 5, home.voices)
    refused = home.command("prove", "acme-orders")
    assert refused.status == 1
    assert "not proven" in refused.out
    assert "challenge: the endpoint answered, but not with the challenge" in refused.out
    assert "record: an address has no records" in refused.out
    assert set(kinds(home)) == {CHALLENGE}
    home.apply(Partner("/echo"), policy=REQUIRED)
    proven = home.run("prove", "acme-orders")
    assert "proven by echo since" in proven.out
    home.until_states(delivered=5)
    assert home.run("prove", "acme-orders", "--json").json["state"] == "proven"
    assert recorded(home).count("endpoint.proven") == 1
    assert home.command("audit", "verify").status == 0


def test_a_worker_killed_between_the_echo_and_the_record_leaves_no_proof_and_another_asks(
    home: Home,
) -> None:
    home.apply(Partner("/echo"), policy=REQUIRED)
    home.enqueue(2)
    fatal = home.nursery.start(
        "worker", "--config", str(home.config), "--kill-before-proof", folder=home.folder
    )
    assert fatal.wait() != 0, fatal.said()
    assert kinds(home) == [CHALLENGE]
    assert home.registry_rows("SELECT * FROM {proofs}") == []
    assert home.registry_rows("SELECT 1 FROM {challenges} WHERE holder <> ''")
    home.start_ready()
    assert "proven by echo" in home.run("prove", "acme-orders").out
    home.until_states(delivered=2)
    assert recorded(home).count("endpoint.proven") == 1


def test_what_keeps_workers_from_asking_is_said_at_once(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/echo"), policy=REQUIRED)
    nobody = home.command("prove", "acme-orders")
    assert (nobody.status, "no worker is running" in nobody.out) == (1, True)
    home.hold("connector:acme")
    home.start_ready()
    began = time.monotonic()
    held = home.command("prove", "acme-orders", "--wait", "40")
    assert time.monotonic() - began < 10
    assert "it may not be asked: switch_on" in held.out
    assert home.mailboxes[0].count == 0
    assert home.command("prove", "nobody").status == 2
