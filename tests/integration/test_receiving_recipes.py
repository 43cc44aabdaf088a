"""The recipes that partners copy give every vector its verdict, in every language."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.node import run_node
from tests.support.receiving import vectors_for, write_vectors

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "receive"
ALL = ("v1", "v1a", "jwe", "P-256", "X25519", "RSA")
WITHOUT_RSA = ALL[:-1]
SURROUNDINGS = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}

pytestmark = pytest.mark.timeout(600)


def run(*command: str | Path, **more: str) -> list[str]:
    done = subprocess.run(
        [str(word) for word in command],
        env=SURROUNDINGS | more,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def lines(vectors: list[dict[str, Any]]) -> dict[str, str]:
    """Give what a recipe prints of each vector."""
    genuine = "genuine msg_859bd0731d1bde08742f2a1b21a59e9a order.paid für Zoë"
    return {
        each["name"]: genuine if each["verdict"] == "genuine" else each["verdict"]
        for each in vectors
    }


def verdicts(vectors: list[dict[str, Any]], printed: list[str]) -> dict[str, str]:
    """Give what was printed of each vector."""
    return {each["name"]: line for each, line in zip(vectors, printed, strict=True)}


def test_the_recipe_in_python(tmp_path: Path):
    vectors = vectors_for(*ALL)
    file = write_vectors(tmp_path, vectors)
    printed = run(sys.executable, RECIPES / "receive.py", file)
    assert lines(vectors) == verdicts(vectors, printed)


@pytest.mark.node
def test_the_recipe_in_node(tmp_path: Path):
    vectors = vectors_for(*ALL)
    file = write_vectors(tmp_path, vectors)
    printed = run_node(RECIPES / "receive.mjs", str(file)).splitlines()
    assert lines(vectors) == verdicts(vectors, printed)


@pytest.mark.go
def test_the_recipe_in_go(tmp_path: Path):
    vectors = vectors_for(*ALL)
    file = write_vectors(tmp_path, vectors)
    # Go compiles its library once for each cache, which takes far longer than the recipe.
    offline = {"GOCACHE": str(ROOT / ".cache" / "go"), "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    printed = run("go", "run", RECIPES / "receive.go", file, **offline)
    assert lines(vectors) == verdicts(vectors, printed)
    assert run("gofmt", "-l", RECIPES) == []


@pytest.mark.java
def test_the_recipe_in_java(tmp_path: Path):
    vectors = vectors_for(*ALL)
    file = write_vectors(tmp_path, vectors)
    printed = run("java", RECIPES / "Receive.java", file)
    assert lines(vectors) == verdicts(vectors, printed)


@pytest.mark.php
def test_the_recipe_in_php(tmp_path: Path):
    vectors = vectors_for(*WITHOUT_RSA)
    file = write_vectors(tmp_path, vectors)
    strict = ("-d", "error_reporting=-1", "-d", "display_errors=stderr")
    printed = run("php", *strict, RECIPES / "receive.php", file)
    assert lines(vectors) == verdicts(vectors, printed)


@pytest.mark.ruby
def test_the_recipe_in_ruby(tmp_path: Path):
    vectors = vectors_for(*ALL)
    file = write_vectors(tmp_path, vectors)
    printed = run("ruby", "-w", RECIPES / "receive.rb", file)
    assert lines(vectors) == verdicts(vectors, printed)
