"""The last net: a fault of our own is one message, without a trace and without a value."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner

from dispatcher.cli import main as door
from dispatcher.cli.events import _print_attempt

VALUE = "4929-1234-5678-9012"


def fail(monkeypatch: pytest.MonkeyPatch, *argv: str) -> None:
    def broken(**_: Any) -> None:
        raise ZeroDivisionError(VALUE)

    monkeypatch.setattr(door, "tree", broken)
    monkeypatch.setattr("sys.argv", ["dispatcher", *argv])
    with pytest.raises(SystemExit) as ended:
        door.main()
    assert ended.value.code == 1


def test_what_each_command_does_is_said_in_one_line_of_the_list():
    tree = door.tree
    groups = [tree] + [
        command
        for name in tree.list_commands(click.Context(tree))
        if isinstance(command := tree.get_command(click.Context(tree), name), click.Group)
    ]
    assert len(groups) > 5
    for group in groups:
        said = CliRunner().invoke(group, ["--help"], terminal_width=80).stdout
        listed = said.partition("Commands:")[2]
        assert listed
        assert "..." not in listed
        assert not [line for line in listed.partition("\n\n")[0].splitlines() if len(line) > 80]


def test_a_fault_of_our_own_is_told_by_its_kind_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("DISPATCHER_DEBUG", raising=False)
    fail(monkeypatch, "trace", "evt_1")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:2] == [
        "internal: something unforeseen went wrong (ZeroDivisionError)",
        "  where: trace",
    ]
    assert "DISPATCHER_DEBUG=1" in err
    assert "Traceback" not in err
    assert VALUE not in err


def test_a_fault_of_our_own_is_a_document_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("DISPATCHER_DEBUG", raising=False)
    fail(monkeypatch, "trace", "--json")
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "internal"


def test_the_trace_is_shown_to_whoever_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DISPATCHER_DEBUG", "1")
    fail(monkeypatch, "trace")
    assert "Traceback" in capsys.readouterr().err


def test_a_field_with_a_space_in_its_name_is_shown_whole(capsys: pytest.CaptureFixture[str]):
    attempt = {
        "fields": json.dumps(["$['odd key'].id pass string other public"]),
        "outcome": "succeeded",
        "status": 200,
        "attempt": 1,
        "kind": "letter",
        "begun_us": 2**62,
        "connector": "acme",
        "endpoint": "https://hooks.acme.example:443/in",
        "purpose": "fulfilment",
        "legal_basis": "contract",
        "agreement": "DPA-1",
        "country": "DE",
        "location_host": None,
        "revision": 1,
        "peer_address": "192.0.2.1",
        "peer_issuer": "CN=One",
        "peer_not_after_us": 0,
        "peer_spki": "sha256/AAAA",
    }
    _print_attempt(attempt)
    said = capsys.readouterr().out
    assert "fields: $['odd key'].id\n" in said
    assert "for fulfilment (contract, DPA-1) in DE\n" in said
    assert "met 192.0.2.1, certificate by CN=One until 1970-01-01" in said
    assert "sha256/AAAA\n" in said
