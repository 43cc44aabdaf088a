"""Processes as an operator starts them, in surroundings that would steer TLS: they do not start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.world_home import Home, until
from tests.support.world_nursery import ROOT, Nursery


def start(home: Home, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a serving command that is to end by itself, in a process made from nothing."""
    return subprocess.run(
        [sys.executable, "-m", "dispatcher", command, "--config", str(home.config)],
        cwd=ROOT,
        env=os.environ | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("command", ["run", "worker", "api"])
def test_t2_a_key_log_keeps_every_serving_process_from_starting_and_is_not_even_made(
    sqlite_home: Home, tmp_path: Path, command: str
) -> None:
    log = tmp_path / "keys.log"
    done = start(sqlite_home, command, SSLKEYLOGFILE=str(log))
    assert done.returncode == 2, done
    assert done.stderr.splitlines() == [
        "environment_unsafe: it would steer TLS or names past the configuration",
        "  where: environment: SSLKEYLOGFILE",
        "  fix:   unset it; or list it in [network] tolerated_variables",
    ]
    assert done.stdout == ""
    assert not log.exists()


def test_t2_other_roots_keep_a_worker_from_starting(sqlite_home: Home, tmp_path: Path) -> None:
    planted = tmp_path / "planted.pem"
    planted.write_text("")
    done = start(sqlite_home, "worker", SSL_CERT_FILE=str(planted), HOSTALIASES="/tmp/names")
    assert done.returncode == 2, done
    assert "where: environment: SSL_CERT_FILE, HOSTALIASES\n" in done.stderr
    assert str(planted) not in done.stderr


def test_t2_nothing_is_made_in_an_empty_folder(clear_folder: Path, nursery: Nursery) -> None:
    child = nursery.start(
        "dispatcher", "run", folder=clear_folder, env={"SSLKEYLOGFILE": str(clear_folder / "keys")}
    )
    assert child.wait() == 2, child.said()
    assert not (clear_folder / "dispatcher-data").exists()
    assert not (clear_folder / "keys").exists()


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        # It carries no letter: what its own databases' connections trust is the operator's affair.
        ("api", {}),
        ("worker", {"tolerated_variables": ["SSL_CERT_FILE"]}),
    ],
)
def test_t2_what_is_tolerated_does_not_keep_a_process_from_starting(
    sqlite_home: Home, tmp_path: Path, command: str, settings: dict[str, list[str]]
) -> None:
    home = sqlite_home
    home.run("migrate")
    home.settings["network"] = settings
    home.write_config()
    child = home.nursery.start(
        "dispatcher",
        command,
        folder=home.folder,
        env={"SSL_CERT_FILE": str(tmp_path / "planted.pem")},
    )
    home.children.append(child)
    until(lambda: "ready " in child.out.read_text() or not child.is_running, child.said)
    child.send(signal.SIGTERM)
    assert child.wait() == 0, child.said()


def test_t2_a_name_that_would_not_be_refused_cannot_be_tolerated(sqlite_home: Home) -> None:
    home = sqlite_home
    home.settings["network"] = {"tolerated_variables": ["LD_PRELOAD"]}
    home.write_config()
    done = home.command("worker")
    assert done.status == 2
    assert "network.tolerated_variables" in done.err
