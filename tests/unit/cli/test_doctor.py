"""How `doctor` tells what it found: well, to be seen to, wrong."""

import json

import pytest

from dispatcher.app.finding import Finding
from dispatcher.cli import doctor

WELL = Finding("clock", True, "within 0.1 s")
WARNED = Finding("listener identity", True, "ab ends in 3 days", "put a new one", "ends_soon")
WRONG = Finding("keyring", False, "not there", "make one", "key_missing")


def test_a_warning_is_told_with_its_fix_and_fails_nothing(capsys: pytest.CaptureFixture[str]):
    assert doctor._tell([WELL, WARNED], as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines] == ["ok  ", "warn", "    "]
    assert lines[2].strip() == "fix: put a new one"


def test_a_fault_fails_beside_a_warning(capsys: pytest.CaptureFixture[str]):
    assert doctor._tell([WARNED, WRONG], as_json=False) == 1
    assert "FAIL  keyring" in capsys.readouterr().out


def test_a_script_is_told_codes(capsys: pytest.CaptureFixture[str]):
    doctor._tell([WELL, WARNED, WRONG], as_json=True)
    document = json.loads(capsys.readouterr().out)
    found = [(each["ok"], each["code"]) for each in document["checks"]]
    assert found == [(True, ""), (True, "ends_soon"), (False, "key_missing")]
    assert document["ok"] is False
