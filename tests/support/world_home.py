"""One small company for system tests: configuration, databases, registry files, inbox, workers.

Everything is real: files in a folder, processes, a database of either engine, an inbox on loopback.
Tests say what should be so with `until`, which is bounded, and read rows as an auditor would.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from dispatcher.producer import enqueue
from dispatcher.store.tables import render
from dispatcher.vault.keyring import create_keyring
from tests.support.world_database import open_plain
from tests.support.world_nursery import Child, Nursery

NS = 1_000_000_000
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["order"],
    "properties": {
        "order": {
            "type": "integer",
            "x-data-classification": {"category": "other", "sensitivity": "public"},
        },
        "note": {
            "type": "string",
            "x-data-classification": {"category": "other", "sensitivity": "public"},
        },
        "secret": {
            "type": "string",
            "x-data-classification": {"category": "secret", "sensitivity": "restricted"},
        },
    },
}


@dataclass(frozen=True)
class Received:
    """One request as the inbox noted it."""

    first_byte_ns: int
    path: str
    id: str
    sha256: str
    body: str
    headers: dict[str, str]
    status: int | None
    ledger_rows: int | None

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Mailbox:
    """An inbox at work, seen through its journal."""

    child: Child
    port: int
    journal: Path

    @property
    def received(self) -> list[Received]:
        """Everything so far, in the order it was noted; a line half written is left out."""
        whole = self.journal.read_bytes().rpartition(b"\n")[0]
        found = [Received(**json.loads(line)) for line in whole.splitlines()]
        assert all(each.first_byte_ns for each in found), "the kernel gave no receive time"
        return found

    @property
    def count(self) -> int:
        return self.journal.read_bytes().count(b"\n")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass
class Partner:
    """One connector with one subscription, as the registry files will list them."""

    path: str
    name: str = "acme"
    event_types: tuple[str, ...] = ("order.paid",)
    tenants: tuple[str, ...] = ("north",)
    fields: tuple[str, ...] = ("$.order",)
    retry_seconds: tuple[float, ...] = (0.2,) * 40
    attempt_seconds: float = 2.0
    concurrency: int = 32
    owner_until: str = "2099-12-31"
    agreement_until: str = "2099-12-31"
    terms: str = ""
    """Further keys of the subscription, as the file has them."""


@dataclass
class Home:
    """The company. `settings` are the configuration's sections."""

    folder: Path
    nursery: Nursery
    url: str
    registry_url: str = ""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    mailboxes: list[Mailbox] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.keyring.exists():
            create_keyring(self.keyring)

    @property
    def config(self) -> Path:
        return self.folder / "dispatcher.toml"

    @property
    def keyring(self) -> Path:
        return self.folder / "keyring.json"

    @property
    def files(self) -> Path:
        return self.folder / "integrations"

    @property
    def dialect(self) -> str:
        return "sqlite" if self.url.startswith("sqlite") else "postgresql"

    @cached_property
    def engine(self) -> Engine:
        return open_plain(self.url)

    @cached_property
    def registry_engine(self) -> Engine:
        return open_plain(self.registry_url) if self.registry_url else self.engine

    def close(self) -> None:
        for child in (*self.children, *(mailbox.child for mailbox in self.mailboxes)):
            if child.is_running:
                child.kill()
        for name in ("engine", "registry_engine"):
            if name in self.__dict__:
                self.__dict__[name].dispose()

    # What an operator does.

    def open_mailbox(self, *, seed: int = 0, is_auditing: bool = False) -> Mailbox:
        number = len(self.mailboxes)
        journal = self.folder / f"inbox-{number}.jsonl"
        journal.touch()
        port_file = self.folder / f"inbox-{number}.port"
        argv = ["--journal", str(journal), "--port-file", str(port_file), "--seed", str(seed)]
        if is_auditing:
            argv += ["--database", self.url]
        child = self.nursery.start("inbox", *argv, folder=self.folder)
        until(port_file.exists, child.said)
        mailbox = Mailbox(child, int(port_file.read_text()), journal)
        self.mailboxes.append(mailbox)
        return mailbox

    def write_config(self, **worker: Any) -> None:
        """Write the configuration anew, `worker` overriding `[worker]`."""
        database = {"url": self.url}
        pace = {"lease_seconds": 5, "poll_idle_seconds": 0.05, "upkeep_seconds": 0.25}
        sections: dict[str, dict[str, Any]] = {
            "registry": {"url": self.registry_url or self.url, "approvals": 1},
            "outbox": database,
            "vault": {"keyring": str(self.keyring)},
            "worker": pace | worker,
            "network": {"loopback_inboxes": [f"127.0.0.1:{m.port}" for m in self.mailboxes]},
            "api": {"port": 0},
        }
        for name, section in self.settings.items():
            sections[name] = sections.get(name, {}) | section
        lines = ['environment = "dev"']
        for name, section in sections.items():
            lines.append(f"[{name}]")
            # JSON writes these strings, numbers and lists as TOML does.
            lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def write_registry(
        self,
        *partners: Partner,
        event_types: Collection[str] = ("order.paid",),
        schema: dict[str, Any] = SCHEMA,
        payload_bytes_max: int = 65536,
        producers: str = "",
        policy: str = "",
    ) -> None:
        """Write the registry files anew: these partners, at the first mailbox."""
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        (self.files / "schema.json").write_text(json.dumps(schema))
        lines = []
        for name in event_types:
            lines += ["[[event_type]]", f'name = "{name}"', 'schema = "schema.json"']
            lines.append(f"payload_bytes_max = {payload_bytes_max}")
        for partner in partners:
            lines.append(self._partner(partner))
        lines += [producers, f"[policy]\n{policy}" if policy else ""]
        (self.files / "registry.toml").write_text("\n".join(lines) + "\n")

    def apply(self, *partners: Partner, **more: Any) -> None:
        """Make these partners the active revision."""
        self.write_registry(*partners, **more)
        self.run("apply", str(self.files))

    def _partner(self, partner: Partner) -> str:
        mailbox = self.mailboxes[0]
        scope = "".join(
            f'"{name}" = {json.dumps(partner.fields)}\n' for name in partner.event_types
        )
        return f"""
[[connector]]
name = "{partner.name}"
owner = "ada"
contact = "ada@{partner.name}.example"
owner_confirmed_until = {partner.owner_until}
agreement = {{ reference = "A-1", until = {partner.agreement_until} }}
tenants = {json.dumps(partner.tenants)}
purposes = [{{ name = "fulfilment", categories = ["other"] }}]
[[connector.destinations]]
host = "127.0.0.1"
scheme = "http"
port = {mailbox.port}
reason = "orders"
[[subscription]]
name = "{partner.name}-orders"
connector = "{partner.name}"
purpose = "fulfilment"
url = "{mailbox.url(partner.path)}"
retry_seconds = {json.dumps(partner.retry_seconds)}
attempt_seconds = {partner.attempt_seconds}
concurrency = {partner.concurrency}
{partner.terms}
[subscription.scope]
{scope}"""

    def command(
        self,
        *argv: str,
        given: bytes = b"",
        env: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> Done:
        """Run one command line of the product to its end, whatever that is."""
        child = self.nursery.start(
            "dispatcher", *argv, folder=folder or self.folder, name=argv[0], given=given, env=env
        )
        status = child.wait()
        return Done(status, child.out.read_text(), child.err.read_text())

    def run(self, *argv: str, given: bytes = b"") -> Done:
        """Run a command that must succeed."""
        done = self.command(*argv, given=given)
        assert done.status == 0, done
        return done

    def hold(self, target: str, *more: str) -> dict[str, Any]:
        done = self.run("hold", target, "--reason", "drill", "--json", *more)
        held: dict[str, Any] = done.json
        return held

    def release(self, target: str) -> None:
        self.run("release", target)

    def start(self, *argv: str) -> Child:
        """Start the product (`worker` unless said otherwise), which stays."""
        child = self.nursery.start("dispatcher", *(argv or ("worker",)), folder=self.folder)
        self.children.append(child)
        return child

    def start_ready(self) -> Child:
        """Start a worker and wait until it says it is ready."""
        child = self.start()
        until(lambda: "ready " in child.out.read_text() or not child.is_running, child.said)
        assert child.is_running, child.said()
        return child

    def start_fatal(self, *, before: str = "", count: int = 1) -> Child:
        """Start a worker that ends itself before a step, or one to be ended."""
        fate = ["--kill-before", before, "--after-count", str(count)] if before else []
        child = self.nursery.start(
            "worker", "--config", str(self.config), *fate, folder=self.folder
        )
        self.children.append(child)
        return child

    # What a product service does.

    def enqueue(
        self, count: int = 1, *, kind: str = "order.paid", first: int = 0, **more: Any
    ) -> list[str]:
        """Put so many events into the outbox in one transaction, numbered from `first` on."""
        terms: dict[str, Any] = {"tenant": "north", "subjects": []} | more
        numbers = range(first, first + count)
        with self.engine.begin() as connection:
            return [enqueue(connection, kind, {"order": n}, **terms) for n in numbers]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    # What an auditor does.

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        """Read rows; `{table}` is written as the product's own statements write it."""
        return self._read(self.engine, sql, parameters)

    def registry_rows(self, sql: str, **parameters: Any) -> list[Any]:
        return self._read(self.registry_engine, sql, parameters)

    def _read(self, engine: Engine, sql: str, parameters: dict[str, Any]) -> list[Any]:
        with engine.connect().execution_options(reads_only=True) as connection:
            return list(connection.execute(text(render(sql, self.dialect)), parameters))

    def write(self, sql: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(render(sql, self.dialect)), parameters)

    def states(self, subscription: str | None = None) -> Counter[str]:
        """Count deliveries by state; events not yet planned are `new`."""
        rows = self.rows(
            "SELECT CASE WHEN subscription IS NULL AND state = 'waiting' THEN 'new' ELSE state END,"
            " count(*) FROM {deliveries}"
            " WHERE CAST(:name AS text) IS NULL OR subscription = :name GROUP BY 1",
            name=subscription,
        )
        return Counter({row[0]: int(row[1]) for row in rows})

    def is_obeyed(self) -> bool:
        """True once every worker has confirmed the policy in force."""
        rows = self.registry_rows(
            "SELECT w.confirmed_epoch >= p.epoch AND NOT w.is_fenced FROM {workers} w"
            " CROSS JOIN {policy} p"
        )
        return bool(rows) and all(row[0] for row in rows)

    def until_states(self, seconds: float = 30.0, /, **wanted: int) -> None:
        """Wait until these are all the deliveries there are."""
        until(
            lambda: self.states() == Counter(wanted),
            lambda: f"{dict(self.states())}, wanted {wanted}\n{self.voices()}",
            seconds,
        )

    def voices(self) -> str:
        """What the processes said last, for a failing test to show."""
        return "\n".join(child.said()[-2000:] for child in self.children)


def until(
    is_so: Callable[[], object], complaint: Callable[[], str] = str, seconds: float = 30.0
) -> None:
    """Wait for something, and fail with a complaint when it does not come.

    Looking costs time that the workers need: who waited long may wait a little longer.
    """
    began = time.monotonic()
    while not is_so():
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"not within {seconds} s: {complaint()}")
        time.sleep(min(0.1, 0.01 + waited / 20))
