"""Processes for system tests, forked from one that has imported the product already.

Each child is a real process with its own pid, files, signals and exit status; only the seconds of
importing are spared. The nursery alone signals and reaps its children, so that a signal can never
reach a process it did not start; they all end when it ends, and it ends with the test run.

Run as `python -m tests.support.world_nursery`; it reads one JSON order a line and answers likewise.
"""

import ctypes
import gc
import importlib
import json
import os
import random
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from dispatcher.api.table import all_routes
from dispatcher.cli.main import tree

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 60.0
_PRELOADED = (
    "aiosqlite",
    "asyncpg",
    "dispatcher.__main__",
    "dispatcher.app.calling",
    "dispatcher.app.process",
    "pg8000",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.pg8000",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "tests.support.world_inbox",
    "tests.support.world_worker",
)
"""Beside every command, and every noun of the API."""
_PROGRAMS = {
    "dispatcher": ("dispatcher.__main__", "main"),
    "worker": ("tests.support.world_worker", "main"),
    "inbox": ("tests.support.world_inbox", "main"),
}
_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process: its pid, where its output goes, and how it ended."""

    pid: int
    out: Path
    err: Path
    _nursery: "Nursery" = field(repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)
    status: int | None = None
    """The exit status, or the negative number of the signal that ended it."""

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """Wait for the end and give the status; a test that waits in vain fails."""
        if not self._ended.wait(seconds):
            self.send(signal.SIGKILL)
            self._ended.wait(seconds)
            raise AssertionError(f"still running after {seconds} s: {self.said()}")
        assert self.status is not None
        return self.status

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        self._nursery.order({"signal": int(number), "pid": self.pid})

    def kill(self) -> int:
        """End it as a power cut would, and wait."""
        self.send(signal.SIGKILL)
        return self.wait()

    def said(self) -> str:
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def end(self, status: int) -> None:
        self.status = status
        self._ended.set()


class Nursery:
    """The client side: starts programs, and learns how they end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.world_nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={k: v for k, v in os.environ.items() if not k.startswith("DISPATCHER_")},
        )
        self._children: dict[int, Child] = {}
        self._born: dict[int, Callable[[int], None]] = {}
        self._lock = threading.Lock()
        self._orders = 0
        assert self._process.stdout is not None
        hello = self._process.stdout.readline()
        assert hello, f"the nursery did not start: status {self._process.wait(WAIT_SECONDS)}"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        self._process.stdout.close()

    def start(
        self,
        program: str,
        *argv: str,
        folder: Path,
        name: str = "",
        given: bytes = b"",
        env: dict[str, str] | None = None,
    ) -> Child:
        """Fork `program` in a folder; what it says goes to files beside that folder."""
        with self._lock:
            self._orders += 1
            number = self._orders
        logs = folder.parent / f"{folder.name}.logs"
        logs.mkdir(exist_ok=True)
        out, err = (logs / f"{number}-{name or program}.{end}" for end in ("out", "err"))
        stdin = logs / f"{number}.in"
        stdin.write_bytes(given)
        for file in (out, err):
            file.touch()
        answered = threading.Event()
        made: list[Child] = []

        def born(pid: int) -> None:
            child = self._children[pid] = Child(pid, out, err, self)
            made.append(child)
            answered.set()

        self._born[number] = born
        self.order(
            {
                "number": number,
                "program": program,
                "argv": list(argv),
                "folder": str(folder),
                "files": [str(stdin), str(out), str(err)],
                "env": env or {},
            }
        )
        assert answered.wait(WAIT_SECONDS), "the nursery does not answer"
        return made[0]

    def order(self, document: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(document).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "born" in said:
                self._born.pop(said["number"])(said["born"])
            else:
                self._children.pop(said["ended"]).end(said["status"])
        for child in self._children.values():
            child.end(-int(signal.SIGKILL))


class _Server:
    """The nursery itself: single-threaded, so that forking is safe."""

    def __init__(self) -> None:
        self._answers = os.dup(1)
        os.dup2(2, 1)
        self._alive: set[int] = set()
        self._buffer = b""
        self._bell, self._ring = os.pipe()
        for end in (self._bell, self._ring):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._ring)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector = selectors.DefaultSelector()
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def run(self) -> None:
        self._answer({"hello": os.getpid()})
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._bell:
                    os.read(self._bell, 4096)
                elif not self._obey(os.read(0, 65536)):
                    self._end()
                    return
            self._reap()

    def _obey(self, said: bytes) -> bool:
        *lines, self._buffer = (self._buffer + said).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "signal" not in order:
                pid = self._fork(order)
                self._alive.add(pid)
                self._answer({"number": order["number"], "born": pid})
            elif order["pid"] in self._alive:
                os.kill(order["pid"], order["signal"])
        return bool(said)

    def _reap(self) -> None:
        for pid in tuple(self._alive):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._alive.discard(pid)
                self._answer({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    def _end(self) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _answer(self, document: dict[str, Any]) -> None:
        os.write(self._answers, json.dumps(document).encode() + b"\n")

    def _fork(self, order: dict[str, Any]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 70
        try:
            self._settle_in(order)
            module, name = _PROGRAMS[order["program"]]
            status = _run(getattr(sys.modules[module], name))
        finally:
            os._exit(status)

    def _settle_in(self, order: dict[str, Any]) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for end in (self._answers, self._bell, self._ring):
            os.close(end)
        for descriptor, file in enumerate(order["files"]):
            flags = os.O_RDONLY if not descriptor else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            opened = os.open(file, flags, 0o600)
            os.dup2(opened, descriptor)
            os.close(opened)
        os.chdir(order["folder"])
        os.environ.update(order["env"])
        sys.argv = [order["program"], *order["argv"]]
        random.seed()


def _run(program: Callable[[], None]) -> int:
    """Run to the end as the interpreter would; give the exit status."""
    try:
        program()
        status: Any = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:  # noqa: BLE001 - what the interpreter would print
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return status if isinstance(status, int) else 1


def main() -> None:
    server = _Server()
    for module in _PRELOADED:
        importlib.import_module(module)
    context = click.Context(tree)
    for name in tree.list_commands(context):
        tree.get_command(context, name)
    all_routes()
    gc.collect()
    gc.freeze()
    server.run()


if __name__ == "__main__":
    main()
