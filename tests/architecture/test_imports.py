"""The import contracts hold, and each of them breaks when it should."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.house import PACKAGE, ROOT

LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the house in a folder."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def broken(report: str) -> set[str]:
    """Name the contracts a report calls broken."""
    lines = (line.partition(" BROKEN") for line in report.splitlines())
    return {name.strip() for name, found, _ in lines if found}


def copied(folder: Path) -> Path:
    """Copy the house into a folder, to be spoilt there."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the house."""
    return copied(tmp_path)


def test_the_contracts_hold() -> None:
    report = lint(ROOT)
    assert report.returncode == 0, report.stdout + report.stderr
    assert broken(report.stdout) == set()


FLOORS = "Eight floors: imports run down, and every room has a floor"
ROOMS = "The rooms of floor 3 do not know each other"
STAGES = "The five stages of the road are independent"
STAIRS = "No stage knows another stage; only the judge of revisions stands above them"
REVISING = "Judging a revision uses gates and shaping, nothing else"
CIRCLES = "No circles at any depth"
PURE = "The pure floors do no I/O, read no clock and roll no dice"
SQL = "One home for SQL"
DOOR = "One door to the network"
PRODUCER = "A producer needs nothing of the server"
RECEIVER = "A receiver needs nothing of ours but the nouns"


BREACHES = (
    ("utils", "", FLOORS),
    ("model", "import dispatcher.stages.gates", FLOORS),
    ("worker", "import dispatcher.control", FLOORS),
    ("worker", "def f():\n    import dispatcher.app.config", FLOORS),
    (
        "worker",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dispatcher.app",
        FLOORS,
    ),
    ("telemetry", "import dispatcher.model", FLOORS),
    ("store", "import dispatcher.network", ROOMS),
    ("vault", "import dispatcher.store.tables", ROOMS),
    ("stages.gates", "import dispatcher.stages.shaping", STAGES),
    ("stages.guessing", "", STAIRS),
    ("stages.shaping", "import dispatcher.stages.revising", STAIRS),
    ("stages.revising", "import dispatcher.stages.settling", REVISING),
    ("model", "import time", PURE),
    ("model", "import os", PURE),
    ("stages.settling", "import random", PURE),
    ("stages.sealing", "import secrets", PURE),
    ("stages.sealing", "import asyncio", PURE),
    ("worker", "import sqlalchemy.ext.asyncio", SQL),
    ("api", "import sqlite3", SQL),
    ("producer", "import asyncpg", SQL),
    ("telemetry", "import aiosqlite", SQL),
    ("worker", "import aiohttp", DOOR),
    ("control", "import socket", DOOR),
    ("store", "import ssl", DOOR),
    ("api", "import socket", DOOR),
    ("producer", "import requests", DOOR),
    ("producer", "import click", PRODUCER),
    ("testing", "import pydantic", PRODUCER),
    ("testing", "import dispatcher.control", FLOORS),
    ("receiver", "import dispatcher.producer", FLOORS),
    ("receiver", "import dispatcher.stages.sealing.signature", RECEIVER),
    ("receiver", "import msgspec", RECEIVER),
)
"""What stands in a module of its own of a room, and the contract that it breaks."""


def module_of(number: int) -> str:
    """Name the module of a breach: a room that is new is one itself."""
    room, text, _ = BREACHES[number]
    return f"{PACKAGE}.{room}.breach_{number}" if text else f"{PACKAGE}.{room}"


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the report says of each broken contract, of a house with every breach in it."""
    folder = copied(tmp_path_factory.mktemp("breaches"))
    for number, (_, text, _) in enumerate(BREACHES):
        path = folder.joinpath(*module_of(number).split("."))
        file = path.with_suffix(".py") if text else path / "__init__.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'"""A breach."""\n{text}\n')
    report = lint(folder)
    assert report.returncode == 1
    _, *parts = re.split(r"^(\S.*)\n-{5,}\n", report.stdout, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("number", range(len(BREACHES)), ids=module_of)
def test_a_breach_is_refused(faults: dict[str, str], number: int) -> None:
    assert re.search(rf"{re.escape(module_of(number))}\b", faults[BREACHES[number][2]])


def test_a_circle_inside_a_room_is_refused(copy: Path) -> None:
    here, there = copy / PACKAGE / "worker" / "here.py", copy / PACKAGE / "worker" / "there.py"
    here.write_text('"""Here."""\nimport dispatcher.worker.there\n')
    there.write_text('"""There."""\nimport dispatcher.worker.here\n')
    report = lint(copy)
    assert CIRCLES in broken(report.stdout)


def test_a_producer_may_not_reach_the_server_through_the_store(copy: Path) -> None:
    bridge, producer = (
        copy / PACKAGE / "store" / "bridge.py",
        copy / PACKAGE / "producer" / "breach.py",
    )
    bridge.write_text('"""Bridge."""\nimport pydantic\n')
    producer.write_text('"""Breach."""\nimport dispatcher.store.bridge\n')
    report = lint(copy)
    assert PRODUCER in broken(report.stdout)
