"""`keys list` as somebody at a terminal sees it: how new keys do alone while that is tried."""

from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.asking import Where
from dispatcher.cli.keys import list_keys

KEY: dict[str, Any] = {
    "connector": "acme",
    "identity": None,
    "destinations": [],
    "kind": "hmac",
    "created_us": 1_000_000,
    "active_us": 1_000_000,
    "until_us": None,
    "revoked_us": None,
    "age_days": 1,
    "proofs": 0,
    "trial_fault": "",
}


def key(name: str, **more: Any) -> dict[str, Any]:
    return {**KEY, "name": name, "subscription": name.partition("/")[0], "state": "active", **more}


def listed(monkeypatch: pytest.MonkeyPatch, *keys: dict[str, Any]) -> dict[str, str]:
    """Give what the list says at the end of each key's line."""
    monkeypatch.setattr(Where, "list", lambda *_: list(keys))
    said = CliRunner().invoke(list_keys, [])
    assert said.exit_code == 0, said.output
    lines = [line.rstrip() for line in said.output.splitlines() if "/" in line]
    return {line.split()[0]: line for line in lines}


def test_a_key_that_is_tried_beside_an_old_one_shows_how_it_does(monkeypatch: pytest.MonkeyPatch):
    said = listed(
        monkeypatch,
        key("orders/old", state="retiring", until_us=2_000_000),
        key("orders/new", trial_fault="http_401"),
        key("refunds/old", state="retiring", until_us=2_000_000),
        key("refunds/new", proofs=1),
        key("stock/new", proofs=3),
        key("paid/alone", trial_fault="http_401"),
    )
    assert said["orders/new"].endswith("http_401")
    assert said["refunds/new"].endswith("1 time")
    assert said["stock/new"].endswith("3 times")
    assert "http_401" not in said["paid/alone"], "it signs alone by now"
