"""`keys set-header` as somebody types it: the value comes in, or it is said why not."""

from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.asking import Where
from dispatcher.cli.headers import list_headers, set_header
from dispatcher.model.errors import InvalidInput
from dispatcher.model.headers import CREDENTIAL_BYTES_MAX

WORDS = ("acme-orders", "Authorization", "--reason", "their gateway")
STORED = {
    "id": "5d0b11c2",
    "subscription": "acme-orders",
    "header": "authorization",
    "destination": "https://hooks.acme.example/in",
    "entered_by": "ana",
    "entered_us": 1,
    "approved_by": "bea",
    "approved_us": 1_795_680_000_000_000,
    "destroyed_us": None,
    "state": "sent",
}


def given(monkeypatch: pytest.MonkeyPatch, value: bytes) -> tuple[list[Any], Any]:
    """Type a value, and give what the API was asked and how the command ended."""
    asked: list[Any] = []

    def ask(_where: Where, _method: str, _path: str, body: Any) -> Any:
        asked.append(body["value"])
        return STORED

    monkeypatch.setattr(Where, "ask", ask)
    return asked, CliRunner().invoke(set_header, WORDS, input=value)


@pytest.mark.parametrize("value", [b"Bearer abc", b"Bearer abc\n", b"Bearer abc\r\n"])
def test_a_line_break_at_the_end_is_not_part_of_the_value(monkeypatch, value: bytes):
    assert given(monkeypatch, value)[0] == ["Bearer abc"]


@pytest.mark.parametrize(
    "value", [b"", b"\n", b"canary\xff\xfe", "canäry".encode(), b"a" * (CREDENTIAL_BYTES_MAX + 1)]
)
def test_what_cannot_be_a_value_is_told_so_without_repeating_it(monkeypatch, value: bytes):
    asked, done = given(monkeypatch, value)
    assert isinstance(done.exception, InvalidInput)
    assert (done.exception.reason, asked) == ("header_invalid", [])
    assert "can" not in repr(done.exception.__cause__ or done.exception.__context__)


def test_the_list_says_when_somebody_agreed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Where, "ask", lambda *_: [STORED])
    shown = CliRunner().invoke(list_headers).stdout
    assert "2026-11-26 08:00:00.000Z" in shown
