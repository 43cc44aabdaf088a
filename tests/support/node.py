"""Verifiers in Node that we did not write, asked in one process for many deliveries.

`judge` is for tests marked `node`; `tests/node/verify.mjs` says what a request and an answer are.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "node"
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@cache
def node_home() -> Path:
    """A folder with the locked packages, installed once and kept beside the other caches."""
    locked = (SOURCES / "package-lock.json").read_bytes()
    home = ROOT / ".cache" / f"node-{hashlib.sha256(locked).hexdigest()[:16]}"
    if not home.exists():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as place:
            fresh = Path(place) / "node"
            fresh.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCES / name, fresh)
            subprocess.run(INSTALL, cwd=fresh, check=True)
            try:
                fresh.rename(home)
            except OSError:
                assert home.exists()  # another process of the tests was first
    return home


def run_node(script: Path, *arguments: str, stdin: str = "") -> str:
    """Run a script where it finds the packages, and give what it prints."""
    home = node_home()
    with tempfile.TemporaryDirectory(dir=home) as place:  # modules are looked for from there up
        done = subprocess.run(
            ["node", shutil.copy(script, place), *arguments],
            input=stdin,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def judge(requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask the verifiers about deliveries, and give their answers in order."""
    answers: list[dict[str, Any]] = json.loads(
        run_node(SOURCES / "verify.mjs", stdin=json.dumps(list(requests)))
    )
    return answers
