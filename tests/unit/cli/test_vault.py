"""`vault shred` as somebody at a terminal types it: what is shown, and with which exit status."""

from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.asking import Where
from dispatcher.cli.main import main
from dispatcher.cli.vault import shred

PROOF: dict[str, Any] = {
    "key": "k1",
    "begins_us": 0,
    "ends_us": 1_000_000,
    "event": "evt_1",
    "opened_before": True,
    "opens_now": False,
}
TERMS = ("--tenant", "north", "--before", "2026-11-01", "--reason", "r", "--yes")


def answer(monkeypatch: pytest.MonkeyPatch, **proof: Any) -> None:
    """Answer in the API's place."""
    told = {"keys": 1, "payloads": 2, "dropped": 0, "proofs": [{**PROOF, **proof}]}
    told |= {"outbox": "sqlite:///out.db", "confirmed": ["web-1-ab", "web-2-cd"], "fenced": ["x-3"]}
    monkeypatch.setattr(Where, "ask", lambda *_: {"tenant": "north", **told})


@pytest.mark.parametrize(
    ("proof", "says"),
    [
        ({}, "evt_1, which opened before, opens no more"),
        ({"opened_before": False}, "evt_1 opens no more"),
        ({"event": ""}, "the key, which opened before, opens no more"),
    ],
)
def test_a_shred_says_what_opened_before_and_opens_no_more(
    monkeypatch: pytest.MonkeyPatch, proof: dict[str, Any], says: str
):
    answer(monkeypatch, **proof)
    done = CliRunner().invoke(shred, TERMS)
    assert done.stdout.endswith(f"{says}\n")
    head = (
        "north: 1 key destroyed; in sqlite:///out.db alone: 2 payloads dropped, 0 deliveries lost\n"
    )
    assert done.stdout.startswith(head)
    assert "forgotten by: web-1-ab, web-2-cd; lost their lease: x-3\n" in done.stdout


@pytest.mark.parametrize(("opens", "status"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("shape", [(), ("--json",)])
def test_a_shred_whose_proof_fails_is_a_check_that_failed(
    monkeypatch: pytest.MonkeyPatch, opens: bool, status: int, shape: tuple[str, ...]
):
    answer(monkeypatch, opens_now=opens)
    monkeypatch.setattr("sys.argv", ["dispatcher", "vault", "shred", *TERMS, *shape])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status


def test_before_it_begins_it_says_in_plain_words_how_much_is_lost(monkeypatch: pytest.MonkeyPatch):
    plan = {"keys": 1, "undelivered": 1, "outbox": "sqlite:///out.db"}
    monkeypatch.setattr(Where, "ask", lambda *_: plan)
    asked = CliRunner().invoke(shred, TERMS[:-1], input="n\n")
    assert "destroy 1 key of north, and 1 delivery with them? Only" in asked.output
    assert asked.exit_code == 1
