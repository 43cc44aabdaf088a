"""`replay` as somebody at a terminal types it: what is asked of the API, and what is shown."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.app.clock import SystemClock
from dispatcher.cli.asking import Where
from dispatcher.cli.replaying import replay

HOUR_US = 3_600_000_000
KINDS = [
    {"subscription": "acme", "type": "order.paid", "state": "dead", "code": None, "count": 2},
    {
        "subscription": "acme",
        "type": "order.paid",
        "state": "dead",
        "code": "payload_gone",
        "count": 1,
    },
]
FILED = [{"delivery": 12, "replay_of": 7, "webhook_id": "msg_1"}]
WHY = ("--reason", "they lost it")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Answer in the API's place, and keep what it was asked."""
    bodies: list[dict[str, Any]] = []

    def ask(_where: Where, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert (method, path) == ("POST", "/v1/replays")
        bodies.append(body)
        filed = [] if body["dry_run"] else FILED
        return {"dry_run": body["dry_run"], "kinds": KINDS, "filed": filed}

    monkeypatch.setattr(Where, "ask", ask)
    return bodies


def test_numbers_are_asked_for_as_they_are_and_every_new_delivery_is_named(asked):
    done = CliRunner().invoke(replay, ["7", "8", *WHY, "--new-id"])
    assert asked == [
        {"deliveries": (7, 8), "reason": "they lost it", "new_ids": True, "dry_run": False}
    ]
    assert done.stdout == "12 is a replay of 7 (msg_1)\n"
    assert done.stderr == "1 dead not replayed: payload_gone\n1 delivery filed\n"


@pytest.mark.parametrize(
    ("since", "ago_us"), [("90s", 90_000_000), ("6h", 6 * HOUR_US), ("2d", 48 * HOUR_US)]
)
def test_a_time_may_be_so_long_ago(asked, since: str, ago_us: int):
    CliRunner().invoke(replay, ["--subscription", "acme", "--since", since, *WHY])
    now = SystemClock().wall_us()
    assert now - 60_000_000 < asked[0]["since_us"] + ago_us <= now


def test_a_time_may_be_a_date_with_its_zone(asked):
    terms = ("--since", "2026-11-26T08:00:00Z", "--until", "2026-11-26T10:00:00.5+01:00")
    CliRunner().invoke(replay, ["--subscription", "acme", *terms, *WHY])
    assert asked[0]["until_us"] - asked[0]["since_us"] == HOUR_US + 500_000
    assert asked[0]["since_us"] == 1_795_680_000_000_000


@pytest.mark.parametrize("since", ["6", "h", "-6h", "yesterday", "2026-11-26T08:00:00"])
def test_what_is_no_time_is_told_how_one_is_written(asked, since: str):
    done = CliRunner().invoke(replay, ["--subscription", "acme", "--since", since, *WHY])
    assert done.exit_code == 2
    assert "neither like 6h nor like 2026-11-26T08:00:00Z" in done.stderr
    assert asked == []


def test_a_dry_run_shows_how_many_of_what(asked):
    done = CliRunner().invoke(replay, ["--subscription", "acme", "--dry-run", *WHY])
    assert [line.split() for line in done.stdout.splitlines()[4:] if line.strip()] == [
        ["2", "acme", "order.paid", "dead"],
        ["1", "acme", "order.paid", "dead", "payload_gone"],
    ]
    as_json = CliRunner().invoke(replay, ["--subscription", "acme", "--dry-run", *WHY, "--json"])
    assert json.loads(as_json.stdout)["kinds"] == KINDS


def test_without_a_reason_nothing_is_asked(asked):
    assert CliRunner().invoke(replay, ["7"]).exit_code == 2
    assert CliRunner().invoke(replay, ["7", "--reason", " "]).exit_code == 2
    assert asked == []


def test_that_nothing_was_found_is_said(monkeypatch: pytest.MonkeyPatch):
    found = {"dry_run": True, "kinds": [], "filed": []}
    monkeypatch.setattr(Where, "ask", lambda *_: found)
    done = CliRunner().invoke(replay, ["--subscription", "acme", "--dry-run", *WHY])
    assert (done.stdout, done.stderr) == ("", "nothing has ended so in that time\n")
