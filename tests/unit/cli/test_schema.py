"""The `schema` commands, as somebody at a terminal without any database sees them."""

import json
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli import main as door
from tests.unit.stages.builders import leaf, record


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
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return name


def test_lint_says_of_each_leaf_without_a_class_where_it_is_and_what_to_do(run):
    good, bad = write("good.json", record(a=leaf())), write("bad.json", record(a={}, b=leaf()))
    assert run("lint", good) == (0, "schemas 1, findings 0\n", "")
    status, out, _ = run("lint", good, bad)
    assert status == 1
    assert "bad.json: $.a: class_missing: it has no class\n  fix: give it" in out
    status, out, _ = run("lint", good, bad, "--json")
    found = json.loads(out)
    assert (status, found["files"]) == (1, ["good.json", "bad.json"])
    assert {(each["file"], each["path"]) for each in found["findings"]} == {("bad.json", "$.a")}
    assert all(each.keys() == {"file", "path", "code", "why", "fix"} for each in found["findings"])


def test_lint_reads_the_schemas_that_registry_files_name(run):
    write("here/schemas/a.json", record(a={"type": "string"}))
    write("here/a.toml", '[[event_type]]\nname = "a.done"\nschema = "schemas/a.json"\n')
    for named in ("here", "here/a.toml"):
        status, out, _ = run("lint", named)
        assert status == 1
        assert out.startswith(f"{Path('here/schemas/a.json')}: $.a: class_missing")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", '{"type":"object","type":"object"}'),
        ("a.json", '{"maximum":NaN}'),
        ("a.json", "[" * 100_000),
        ("a.toml", "["),
        ("a.toml", "[policy]"),
        ("a.toml", "[[event_type]]\nname = 'a'"),
        ("a.toml", "event_type = 3"),
        ("a.toml", "[[event_type]]\nschema = '../b.json'"),
        ("a.toml", "[[event_type]]\nschema = 'gone.json'"),
    ],
)
def test_a_file_that_cannot_be_read_is_bad_input_and_named(run, name, content):
    status, out, err = run("lint", write(name, content), "--json")
    assert (status, out) == (2, "")
    error = json.loads(err)["error"]
    assert error["code"] in ("schema_unreadable", "registry_invalid")
    assert error["where"]
    assert error["fix"]


def test_a_file_that_is_not_there_is_bad_input(run):
    for name in ("gone.json", "gone.toml", "gone"):
        assert run("lint", name)[0] == 2


def test_compare_says_whom_a_version_breaks_and_ends_accordingly(run):
    old, new = write("1.json", record(a=leaf())), write("2.json", record(a=leaf(), b=leaf()))
    assert run("compare", old, new) == (
        0,
        "added        $.b: string, public other\ncompatible\n",
        "",
    )
    status, out, _ = run("compare", new, old)
    assert (status, out.splitlines()[-1]) == (1, "breaking: consumers")
    status, out, _ = run("compare", new, old, "--json")
    assert (status, json.loads(out)) == (
        1,
        {
            "verdict": "breaking",
            "breaks": ["consumers"],
            "differences": [
                {
                    "kind": "removed",
                    "path": "$.b",
                    "breaks": ["consumers"],
                    "what": "was string, public other",
                }
            ],
        },
    )


def test_compare_refuses_what_is_no_schema(run):
    good = write("good.json", record(a=leaf()))
    for name, content in (("a.json", "[]"), ("b.json", "{")):
        status, _, err = run("compare", good, write(name, content), "--json")
        assert (status, json.loads(err)["error"]["code"]) == (2, "schema_unreadable")


SAMPLES = [{"id": "o-1", "to": "ann@shop.example"}, {"id": "o-2"}]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(SAMPLES),
        "\n".join(map(json.dumps, SAMPLES)),
        "\n\n".join(json.dumps(each) + "\r" for each in SAMPLES),
    ],
    ids=["a list", "lines", "lines with blanks"],
)
def test_infer_proposes_a_schema_that_lint_lets_pass(run, content):
    status, out, err = run("infer", write("samples", content))
    assert (status, err) == (0, "")
    proposed = json.loads(out)
    assert proposed["required"] == ["id"]
    assert "ann" not in out
    assert proposed["properties"]["to"]["x-data-classification"]["category"] == "contact"
    assert run("lint", write("made.json", out))[0] == 0
    found = json.loads(run("infer", "samples", "--json")[1])
    assert (found["samples"], found["schema"]) == (2, proposed)
    assert {each["path"] for each in found["reasons"]} == {"$.id", "$.to"}


def test_infer_says_beside_the_schema_what_it_left_out(run):
    status, out, err = run("infer", write("samples", '{"id": 1, "a b": 2}'))
    assert (status, list(json.loads(out)["properties"])) == (0, ["id"])
    assert err == "$[*]: left undeclared: members whose names may be values\n"


@pytest.mark.parametrize(
    "content", ["", "[]", "[1]", '"x"', "{", '{"a":1,"a":2}', '{"a":1}\n{', "[[{}]]"]
)
def test_infer_refuses_what_are_no_samples_and_quotes_nothing(run, content):
    status, out, err = run("infer", write("samples", content), "--json")
    assert (status, out, json.loads(err)["error"]["code"]) == (2, "", "sample_unreadable")
