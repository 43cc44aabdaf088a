"""`schema sample` and `schema mask`, as somebody at a terminal without any database sees them."""

import json
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli import main as door
from tests.unit.stages.builders import leaf, record

SCHEMA = record(id=leaf(), email=leaf(category="contact", level="confidential")) | {
    "required": ["id"]
}
EVENT = {"id": "ord-17", "email": "ann@acme.org"}
SEED = "0123456789abcdef"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Run a command in an empty folder; give its status, and what it printed on either side."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["dispatcher", "schema", *words])
        with pytest.raises(SystemExit) as ended:
            door.main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


def write(name: str, document: Any) -> str:
    Path(name).write_text(document if isinstance(document, str) else json.dumps(document))
    return name


def test_sample_prints_one_event_a_line_and_the_same_ones_again(run):
    schema = write("order.json", SCHEMA)
    status, out, _ = run("sample", schema, "--count", "3", "--seed", "a")
    events = [json.loads(line) for line in out.splitlines()]
    assert (status, len(events), len({each["id"] for each in events})) == (0, 3, 3)
    assert out == run("sample", schema, "--count", "3", "--seed", "a")[1]
    assert out != run("sample", schema, "--count", "3", "--seed", "b")[1]
    assert events == json.loads(run("sample", schema, "--count", "3", "--seed", "a", "--json")[1])


def test_mask_leaves_nobody_in_the_event(run):
    schema, event = write("order.json", SCHEMA), write("event.json", EVENT | {"note": "Ann"})
    status, out, _ = run("mask", schema, event)
    masked = json.loads(out)
    assert (status, masked.keys(), masked["id"]) == (0, {"id", "email"}, "ord-17")
    assert masked["email"].endswith("@example.com")


def test_mask_joins_runs_that_share_a_seed_and_no_others(run):
    files = write("order.json", SCHEMA), write("event.json", EVENT)
    seed, other = write("seed", SEED), write("other", SEED[::-1])
    one = run("mask", *files, "--seed-file", seed)[1]
    assert one == run("mask", *files, "--seed-file", seed)[1]
    assert one != run("mask", *files, "--seed-file", other)[1]
    assert run("mask", *files)[1] != run("mask", *files)[1]


@pytest.mark.parametrize(
    ("schema", "event", "seed", "code"),
    [
        ("{", EVENT, SEED, "schema_unreadable"),
        (SCHEMA, "[]", SEED, "schema_invalid"),
        (SCHEMA, "{", SEED, "schema_invalid"),
        (SCHEMA, {"email": "ann@acme.org"}, SEED, "schema_invalid"),
        (SCHEMA, EVENT | {"email": 4915112345}, SEED, "schema_invalid"),
        (SCHEMA, EVENT, "short", "seed_weak"),
        (
            record(id=leaf(category="pii") | {"pattern": "^(?:ord-17)$"}) | {"required": ["id"]},
            EVENT,
            SEED,
            "schema_invalid",
        ),
    ],
)
def test_mask_refuses_what_it_cannot_answer_for_and_quotes_nothing(run, schema, event, seed, code):
    files = write("order.json", schema), write("event.json", event)
    status, out, err = run("mask", *files, "--seed-file", write("seed", seed))
    assert (status, out) == (2, "")
    assert err.startswith(code)
    assert "ann@acme.org" not in err
    assert "ord-17" not in err


def test_sample_names_the_place_that_asks_for_what_cannot_be_made(run):
    node = leaf() | {"pattern": "^(?:ord-17)$"}
    status, out, err = run("sample", write("order.json", record(id=node) | {"required": ["id"]}))
    assert (status, out) == (2, "")
    assert "$.id asks by pattern" in err


@pytest.mark.parametrize("words", [("sample", "none.json"), ("mask", "none.json", "none.json")])
def test_a_file_that_is_not_there_is_bad_input(run, words):
    assert run(*words)[0] == 2


def test_a_seed_that_is_not_there_is_bad_input(run):
    files = write("order.json", SCHEMA), write("event.json", EVENT)
    assert run("mask", *files, "--seed-file", "none")[0] == 2
