"""Tables as people and pipes see them, and what became of a proposal."""

import sys

import click
import pytest

from dispatcher.cli.output import print_table
from dispatcher.cli.showing_changes import show_outcome

NAME = "acme-rfc9421-ed25519/ef410cac"
CELLS = (NAME, "acme " * 20, "2026-11-26 11:17:48.787Z")


def narrow(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Let standard output be a terminal of so many columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_table("keys", ("key", "for", "from"), [CELLS])
    return [
        line.strip() for line in click.unstyle(capsys.readouterr().out).splitlines() if line.strip()
    ]


def test_in_a_pipe_a_row_is_a_line(capsys):
    (*_, row) = shown(capsys)
    assert [cell.strip() for cell in row.split("   ")] == [cell.strip() for cell in CELLS]


def test_on_a_narrow_terminal_what_is_copied_is_not_broken(monkeypatch, capsys):
    narrow(monkeypatch, 80)
    lines = shown(capsys)
    assert max(len(line) for line in lines) <= 80
    assert any(line.startswith(f"{NAME} ") for line in lines)


def test_what_would_take_half_of_the_terminal_is_folded_and_nothing_is_lost(monkeypatch, capsys):
    narrow(monkeypatch, 50)
    lines = shown(capsys)
    assert "".join(line.split(" ")[0] for line in lines[3:]).startswith(NAME[:20])
    assert "".join("".join(lines).split()).count("acme") >= 20


def test_a_new_secret_and_a_new_public_key_are_shown_to_whoever_activates(capsys):
    outcome = {
        "revision": 2,
        "active": True,
        "direction": "widens",
        "changes": [{"direction": "widens", "aspect": "recipient", "where": "a", "what": "b"}],
        "secrets": {"acme-v1": "whsec_c2VjcmV0"},
        "public_keys": {"acme-v1a": "whpk_cHVibGlj"},
    }
    assert show_outcome(outcome, as_json=False) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "signing secret of acme-v1, shown this once: whsec_c2VjcmV0",
        "public key of acme-v1a, for the partner: whpk_cHVibGlj",
    ]


def test_a_table_without_rows_is_its_head(capsys):
    print_table("keys", ("key", "for"), [])
    assert capsys.readouterr().out.split()[:3] == ["keys", "key", "for"]
