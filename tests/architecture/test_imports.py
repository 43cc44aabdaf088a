"""The import contracts hold, and each of them breaks when it should."""

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


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house that a test may spoil, if it cleans up."""
    folder = tmp_path_factory.mktemp("house")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


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


@pytest.mark.parametrize(
    ("room", "text", "contract"),
    [
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
    ],
)
def test_a_breach_is_refused(copy: Path, room: str, text: str, contract: str) -> None:
    folder = copy.joinpath(PACKAGE, *room.split("."))
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    breach = folder / ("__init__.py" if is_new else "breach.py")
    breach.write_text(f'"""A breach."""\n{text}\n')
    try:
        report = lint(copy)
    finally:
        shutil.rmtree(folder) if is_new else breach.unlink()
    assert report.returncode == 1
    assert contract in broken(report.stdout)


def test_a_circle_inside_a_room_is_refused(copy: Path) -> None:
    here, there = copy / PACKAGE / "worker" / "here.py", copy / PACKAGE / "worker" / "there.py"
    here.write_text('"""Here."""\nimport dispatcher.worker.there\n')
    there.write_text('"""There."""\nimport dispatcher.worker.here\n')
    try:
        report = lint(copy)
    finally:
        here.unlink()
        there.unlink()
    assert CIRCLES in broken(report.stdout)


def test_a_producer_may_not_reach_the_server_through_the_store(copy: Path) -> None:
    bridge, producer = (
        copy / PACKAGE / "store" / "bridge.py",
        copy / PACKAGE / "producer" / "breach.py",
    )
    bridge.write_text('"""Bridge."""\nimport pydantic\n')
    producer.write_text('"""Breach."""\nimport dispatcher.store.bridge\n')
    try:
        report = lint(copy)
    finally:
        bridge.unlink()
        producer.unlink()
    assert PRODUCER in broken(report.stdout)
