"""What a person gets who got something wrong: one clear message, status 2, and nothing changed.

Every case says what is wrong, what is typed, and which code must come back. All cases share the
same demands: code, place and remedy on standard error, as text and as one JSON document; never a
stack trace; never a password or a payload's value; files and databases exactly as they were.
"""

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from dispatcher.store.tables import OUTBOX_TABLES, REGISTRY_TABLES
from tests.support.world_home import Done, Home, Partner
from tests.support.world_nursery import ROOT

PASSWORD = "hunter2-correct-horse"
VALUE = "4929-1234-5678-9012"
DEEP = b"a = " + b"[" * 50_000
LONG = b"a = " + b"9" * 5_000
Prepare = Callable[[Home], object]


@dataclass(frozen=True)
class Case:
    """One mistake. `says` are words the message must hold."""

    name: str
    code: str
    prepare: Prepare
    argv: tuple[str, ...] = ("deliveries",)
    says: tuple[str, ...] = ()
    given: bytes = b""
    env: dict[str, str] = field(default_factory=dict)
    has_where: bool = True
    has_fix: bool = True
    status: int = 2


def nothing(_home: Home) -> None:
    return


def set_key(section: str, key: str, value: Any) -> Prepare:
    def prepare(home: Home) -> None:
        home.settings.setdefault(section, {})[key] = value
        home.write_config()

    return prepare


def config_text(content: bytes) -> Prepare:
    return lambda home: home.config.write_bytes(content)


def config_is_folder(home: Home) -> None:
    home.config.unlink()
    home.config.mkdir()


def config_is_dead_link(home: Home) -> None:
    home.config.unlink()
    home.config.symlink_to("nowhere.toml")


def config_is_endless(home: Home) -> None:
    home.config.unlink()
    home.config.symlink_to("/dev/zero")


def both_urls(url: str) -> Prepare:
    def prepare(home: Home) -> None:
        home.settings |= {"registry": {"url": url}, "outbox": {"url": url}}
        home.write_config()

    return prepare


def closed_port(_home: Home) -> int:
    """Give a port of loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def database_behind_closed_port(home: Home) -> None:
    both_urls(f"postgresql://app:{PASSWORD}@127.0.0.1:{closed_port(home)}/db")(home)


def sqlite_file(home: Home) -> Path:
    return Path(home.url.removeprefix("sqlite:///"))


def corrupt_database(home: Home) -> None:
    home.engine.dispose()
    for suffix in ("-wal", "-shm"):
        Path(f"{sqlite_file(home)}{suffix}").unlink(missing_ok=True)
    sqlite_file(home).write_bytes(b"this is no database at all, " * 400)


def at_schema(plane: str, revision: str | None) -> Prepare:
    def prepare(home: Home) -> None:
        table = f"dispatcher_{plane}_version"
        with home.transaction() as connection:
            if revision is None:
                connection.execute(text(f"DROP TABLE {table}"))
            else:
                connection.execute(text(f"UPDATE {table} SET version_num = :v"), {"v": revision})

    return prepare


def empty_database(home: Home) -> None:
    both_urls(f"sqlite:///{home.folder}/empty.db")(home)
    with closing(sqlite3.connect(home.folder / "empty.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def registry_text(content: str) -> Prepare:
    def prepare(home: Home) -> None:
        home.write_registry(Partner("/ok"))
        (home.files / "registry.toml").write_text(content)

    return prepare


def registry_with(old: str, new: str) -> Prepare:
    """Write good files with one thing changed."""

    def prepare(home: Home) -> None:
        home.write_registry(Partner("/ok"))
        file = home.files / "registry.toml"
        content = file.read_text()
        assert old in content
        file.write_text(content.replace(old, new))

    return prepare


def registry_link(name: str, target: str) -> Prepare:
    def prepare(home: Home) -> None:
        home.write_registry(Partner("/ok"))
        (home.files / name).unlink()
        (home.files / name).symlink_to(target)

    return prepare


def registry_with_many_faults(home: Home) -> None:
    home.write_registry(Partner("/ok"), Partner("/ok", "brook"))
    file = home.files / "registry.toml"
    content = file.read_text()
    content = content.replace('owner = "ada"\ncontact = "ada@acme', 'colour = "red"\ncontact = "a@')
    content = content.replace('schema = "schema.json"', 'schema = "gone.json"')
    file.write_text(content + '\n[[subscribtion]]\nname = "typo"\n')


def registry_with_many_faults_of_meaning(home: Home) -> None:
    home.write_registry(Partner("/ok"))
    file = home.files / "registry.toml"
    content = file.read_text()
    content = content.replace('connector = "acme"', 'connector = "nobody"')
    content = content.replace("http://127", "ftp://127").replace('reason = "orders"', 'reason = ""')
    file.write_text(content)


def schema_text(content: str) -> Prepare:
    def prepare(home: Home) -> None:
        home.write_registry(Partner("/ok"))
        (home.files / "schema.json").write_text(content)

    return prepare


def no_keyring(home: Home) -> None:
    home.keyring.unlink()


def open_keyring(home: Home) -> None:
    home.keyring.chmod(0o644)


def broken_keyring(home: Home) -> None:
    home.keyring.write_text('{"format": 1, "keys": {}}')


def applied(home: Home) -> None:
    home.apply(Partner("/ok"), payload_bytes_max=200)


def port_in_use(home: Home) -> None:
    # The mailbox listens there.
    set_key("api", "port", home.mailboxes[0].port)(home)


def two_approvals(home: Home) -> None:
    set_key("registry", "approvals", 2)(home)
    home.write_registry(Partner("/ok"))


ENQUEUE = ("enqueue", "order.paid", "--tenant", "north")
APPLY = ("apply", "integrations")
WORKER = ("worker",)
HOLD = ("hold", "--reason", "drill")
FIRST = ("principal", "add", "eve", "--role", "reader")

CONFIG = (
    Case("a config that is a folder", "config_unreadable", config_is_folder),
    Case(
        "a config that is not there",
        "config_unreadable",
        nothing,
        ("deliveries", "--config", "gone.toml"),
        says=("gone.toml",),
    ),
    Case("a config that is a dead link", "config_unreadable", config_is_dead_link),
    Case("a binary config", "config_unreadable", config_text(b"\xff\xfe\x00\x01")),
    Case(
        "a config that is no TOML", "config_invalid", config_text(b"[worker\nx = 1"), says=("TOML",)
    ),
    Case(
        "an unknown key",
        "config_invalid",
        set_key("worker", "lease_secs", 5),
        says=("worker.lease_secs", "unknown key"),
    ),
    Case("an unknown section", "config_invalid", set_key("wroker", "a", 1), says=("wroker",)),
    Case("a key of our own", "config_invalid", config_text(b'base = "/"'), says=("base",)),
    Case(
        "an unknown key in the environment",
        "config_invalid",
        nothing,
        env={"DISPATCHER__WORKER__LEASE_SECS": "5"},
        says=("lease_secs",),
    ),
    Case(
        "an unknown section in the environment",
        "config_invalid",
        nothing,
        env={"DISPATCHER__WROKER__LEASE_SECONDS": "5"},
        says=("DISPATCHER__WROKER__LEASE_SECONDS",),
    ),
    Case(
        "a value of the wrong kind in the environment",
        "config_invalid",
        nothing,
        env={"DISPATCHER__WORKER__LEASE_SECONDS": "soon"},
        says=("worker.lease_seconds",),
    ),
    Case(
        "a list in the environment that is no JSON",
        "config_invalid",
        nothing,
        env={"DISPATCHER__NETWORK__LOOPBACK_INBOXES": "127.0.0.1:80"},
        says=("NETWORK", "JSON"),
    ),
    Case(
        "a section in the environment that is no JSON",
        "config_invalid",
        nothing,
        env={"DISPATCHER__NETWORK": VALUE},
        says=("NETWORK",),
    ),
    Case("a config nested too deeply", "config_invalid", config_text(DEEP), says=("deeply",)),
    Case("a config with an endless number", "config_invalid", config_text(LONG), says=("digits",)),
    Case("a config without an end", "config_unreadable", config_is_endless, says=("larger",)),
    Case(
        "several faults at once",
        "config_invalid",
        config_text(
            b'environment = "moon"\n[api]\nport = 70000\n'
            b"[worker]\nlease_seconds = 0\nlease_secs = 1\n"
        ),
        says=("environment", "worker.lease_seconds", "worker.lease_secs", "api.port"),
    ),
    Case(
        "loopback inboxes in production",
        "config_invalid",
        config_text(b'[network]\nloopback_inboxes = ["127.0.0.1:1"]\n'),
        says=("development",),
    ),
    Case(
        "a policy read too seldom",
        "config_invalid",
        set_key("worker", "policy_poll_seconds", 5),
        says=("policy_poll_seconds",),
    ),
)
DATABASE = (
    Case("a closed port", "database_unreachable", database_behind_closed_port),
    Case("no database URL", "database_url", both_urls(f"mysql://app:{PASSWORD}@localhost/x")),
    Case(
        "a port that no host has",
        "database_url",
        both_urls(f"postgresql://app:{PASSWORD}@localhost:99999/x"),
        says=("65535",),
    ),
    Case(
        "a parameter that the driver does not know",
        "database_url",
        both_urls(f"postgresql://app:{PASSWORD}@localhost/x?sslmode=prefer"),
        says=("ssl",),
    ),
    Case("nonsense as a URL", "database_url", both_urls(f"{PASSWORD}")),
    Case(
        "a SQLite file in a folder that is not there",
        "database_unreachable",
        both_urls("sqlite:///nowhere/at/all.db"),
    ),
    Case("a SQLite file that is a folder", "database_unreachable", both_urls("sqlite:////proc")),
    Case(
        "a SQLite file where nobody may write",
        "database_unreachable",
        both_urls("sqlite:////proc/self/new.db"),
    ),
    Case("a corrupt SQLite file", "database_unreachable", corrupt_database),
    Case("a database without tables", "schema_mismatch", empty_database, says=("migrate",)),
    Case(
        "tables of an older release",
        "schema_mismatch",
        at_schema("outbox", "outbox_0000"),
        says=("outbox_0000", "older"),
    ),
    Case(
        "tables of a newer release",
        "schema_mismatch",
        at_schema("registry", "registry_9999"),
        says=("registry_9999",),
    ),
    Case(
        "tables without a version",
        "schema_mismatch",
        at_schema("registry", None),
        says=("registry",),
    ),
    Case(
        "a worker on tables of a newer release",
        "schema_mismatch",
        at_schema("outbox", "outbox_9999"),
        WORKER,
    ),
    Case(
        "a hold on a database without tables",
        "schema_mismatch",
        empty_database,
        (*HOLD, "everything"),
    ),
    Case(
        "a hold on a database that is not there",
        "database_unreachable",
        both_urls("sqlite:///gone.db"),
        (*HOLD, "everything"),
        says=("gone.db",),
    ),
    Case(
        "a run on a database in a folder that nobody can make",
        "database_unreachable",
        both_urls("sqlite:////proc/self/new/dispatcher.db"),
        ("run",),
    ),
    Case(
        "a migration of tables of a newer release",
        "schema_mismatch",
        at_schema("registry", "registry_9999"),
        ("migrate",),
        says=("registry_9999",),
    ),
)
REGISTRY = (
    Case("a registry file that is no TOML", "registry_invalid", registry_text("a = ["), APPLY),
    Case(
        "a registry file nested too deeply",
        "registry_invalid",
        registry_text(DEEP.decode()),
        APPLY,
        says=("deeply",),
    ),
    Case(
        "a registry file with an endless number",
        "registry_invalid",
        registry_text(LONG.decode()),
        APPLY,
        says=("registry.toml",),
    ),
    Case(
        "a registry file without an end",
        "registry_invalid",
        registry_link("registry.toml", "/dev/zero"),
        ("apply", "integrations"),
        says=("not a regular file",),
    ),
    Case(
        "a registry path that no file can have",
        "registry_invalid",
        nothing,
        ("apply", "x" * 300),
    ),
    Case(
        "a schema file that leads to itself",
        "registry_invalid",
        registry_link("schema.json", "schema.json"),
        APPLY,
        says=("schema.json",),
    ),
    Case(
        "a control character in a text",
        "registry_invalid",
        registry_with('reference = "A-1"', 'reference = "A\\u0000"'),
        APPLY,
        says=("agreement", "control character"),
    ),
    Case(
        "no registry files",
        "registry_invalid",
        nothing,
        ("apply", "nowhere"),
        says=("no such file or folder", "nowhere"),
    ),
    Case(
        "an unknown kind of object",
        "registry_invalid",
        registry_text("[[conector]]\nname = 'a'"),
        APPLY,
        says=("conector", "unknown key"),
    ),
    Case(
        "an unknown key of an object",
        "registry_invalid",
        registry_with('owner = "ada"', 'owner = "ada"\ncolour = "red"'),
        APPLY,
        says=("connector acme: colour", "unknown key"),
    ),
    Case(
        "a missing key of an object",
        "registry_invalid",
        registry_with('owner = "ada"\n', ""),
        APPLY,
        says=("connector acme: owner",),
    ),
    Case(
        "a schema file that is not there",
        "registry_invalid",
        registry_with("schema.json", "gone.json"),
        APPLY,
        says=("gone.json",),
    ),
    Case(
        "a schema file outside the folder",
        "registry_invalid",
        registry_with("schema.json", "../keyring.json"),
        APPLY,
        says=("outside",),
    ),
    Case("a schema that is no JSON", "registry_invalid", schema_text("{"), APPLY, says=("schema",)),
    Case(
        "a schema that fetches from elsewhere",
        "registry_invalid",
        schema_text('{"$ref": "https://example.com/x"}'),
        APPLY,
        says=("$ref",),
    ),
    Case(
        "a dangling connector",
        "registry_invalid",
        registry_with('connector = "acme"', 'connector = "nobody"'),
        APPLY,
        says=("acme-orders", "nobody"),
    ),
    Case(
        "a URL that is none",
        "registry_invalid",
        registry_with("http://127", f"https://ada:{PASSWORD}@127"),
        APPLY,
        says=("acme-orders", "url"),
    ),
    Case(
        "many faults in the files, told together",
        "registry_invalid",
        registry_with_many_faults,
        APPLY,
        says=("colour", "owner", "gone.json", "subscribtion"),
    ),
    Case(
        "many faults of meaning, told together",
        "registry_invalid",
        registry_with_many_faults_of_meaning,
        APPLY,
        says=("nobody", "url", "reason"),
    ),
    Case(
        "a change that needs a second person",
        "approval_required",
        two_approvals,
        APPLY,
        status=3,
    ),
)
KEYRING = (
    Case("no keyring", "key_missing", no_keyring),
    Case("a keyring that others may read", "keyring_mode", open_keyring, says=("chmod 600",)),
    Case("a broken keyring", "keyring_malformed", broken_keyring),
    Case("a worker without a keyring", "key_missing", no_keyring, WORKER),
)
EVENTS = (
    Case(
        "a payload that is no JSON",
        "schema_invalid",
        applied,
        ENQUEUE,
        given=b'{"note": "' + VALUE.encode(),
    ),
    Case(
        "a payload that is not UTF-8",
        "schema_invalid",
        applied,
        ENQUEUE,
        given=b'{"order": 1, "note": "\xff"}',
    ),
    Case(
        "a payload that is no object",
        "schema_invalid",
        applied,
        ENQUEUE,
        given=json.dumps([VALUE]).encode(),
    ),
    Case(
        "a payload that does not fit the schema",
        "schema_invalid",
        applied,
        ENQUEUE,
        given=json.dumps({"order": VALUE}).encode(),
        says=("$.order",),
    ),
    Case(
        "a payload over the limit",
        "payload_too_large",
        applied,
        ENQUEUE,
        given=json.dumps({"order": 1, "note": VALUE * 20}).encode(),
        says=("200",),
    ),
    Case(
        "a payload file that is not there",
        "payload_unreadable",
        applied,
        (*ENQUEUE, "--payload", "gone.json"),
        says=("gone.json",),
    ),
    Case(
        "an unknown event type",
        "event_type_unknown",
        applied,
        ("enqueue", "order.lost", "--tenant", "north"),
        given=json.dumps({"order": 1, "note": VALUE}).encode(),
        says=("order.lost",),
    ),
    Case(
        "a blank tenant",
        "tenant_missing",
        applied,
        ("enqueue", "order.paid", "--tenant", " "),
        given=b'{"order": 1}',
    ),
    Case(
        "no tenant",
        "usage",
        applied,
        ("enqueue", "order.paid"),
        given=b'{"order": 1}',
        says=("--tenant",),
    ),
)
OTHER = (
    Case("an unknown kind of target", "target_unknown", nothing, (*HOLD, "person:x")),
    Case("a target without a name", "target_unknown", nothing, (*HOLD, "tenant:")),
    Case("a port that is taken", "address_in_use", port_in_use, WORKER, says=("api.port",)),
    Case("a release of what is not held", "switch_unknown", nothing, ("release", "tenant:north")),
    Case("an event that is not there", "event_unknown", nothing, ("trace", "evt_gone")),
    Case("keys of nobody", "connector_unknown", nothing, ("keys", "partner", "nobody")),
    Case(
        "a reason that would move the reader's cursor",
        "reason_unreadable",
        nothing,
        ("hold", "everything", "--reason", "fine\x1b[2A"),
        says=("--reason",),
    ),
    Case(
        "a client certificate nobody has",
        "identity_unknown",
        nothing,
        ("keys", "revoke", "--identity", "deadbeefdeadbeef", "--reason", "r"),
        says=("--identity",),
    ),
    Case("an argument that is no text", "usage", nothing, ("token", "revoke", "a\udcff")),
    Case("a number no row can have", "usage", nothing, ("changes", "9" * 30)),
    Case("a cursor no row can have", "usage", nothing, ("deliveries", "--after", "9" * 30)),
    Case("a change set there is not", "change_set_unknown", nothing, ("reject", "7")),
    Case("a revision there is not", "revision_unknown", nothing, ("rollback", "7")),
    Case(
        "a token nobody has",
        "token_invalid",
        nothing,
        (*HOLD, "everything"),
        env={"DISPATCHER_TOKEN": "dsp_" + "0" * 12 + "_" + "0" * 64},
        says=("DISPATCHER_TOKEN",),
    ),
    Case("a first principal who is no admin", "first_principal", nothing, FIRST),
    Case("an export over what is there", "folder_exists", nothing, ("export", "/tmp")),
    Case("a state that is none", "usage", nothing, ("deliveries", "--state", "lost")),
    Case("an unknown command", "usage", nothing, ("dispense",)),
    Case("an unknown option", "usage", nothing, ("deliveries", "--colour", "red")),
    Case("a second configuration", "config_exists", nothing, ("init",)),
)
CASES = (*CONFIG, *DATABASE, *REGISTRY, *KEYRING, *EVENTS, *OTHER)


def state_of(home: Home) -> dict[str, Any]:
    """Everything that must not change: every file, and every row of the database."""
    files = {
        str(path): path.read_bytes()
        for path in sorted(home.folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
    return {"files": files, "rows": rows_of(home)}


def rows_of(home: Home) -> Any:
    if home.dialect != "sqlite":
        tables = (*REGISTRY_TABLES, *OUTBOX_TABLES)
        return {name: home.rows(f"SELECT * FROM {{{name}}}") for name in tables}
    file = sqlite_file(home)
    if not file.read_bytes().startswith(b"SQLite format 3"):
        return file.read_bytes()
    with home.engine.connect().execution_options(reads_only=True) as connection:
        driver: Any = connection.connection.driver_connection
        return list(driver.iterdump())


def assert_said(case: Case, done: Done, *, as_json: bool) -> None:
    said = done.out + done.err
    assert "Traceback" not in said, done
    assert done.status == case.status, done
    assert PASSWORD not in said
    assert VALUE not in said
    if as_json:
        assert not done.out, done
        error = json.loads(done.err)["error"]
        assert set(error) == {"code", "why", "where", "fix"}
        code, message = error["code"], json.dumps(error)
        where, fix = error["where"], error["fix"]
    else:
        code, found, _ = done.err.partition(": ")
        assert found, done
        message = done.err
        where, fix = "  where: " in message, "  fix:   " in message
        assert message.count(f"{code}: ") == 1, "one message"
    assert code == case.code, done
    assert where or not case.has_where, done
    assert fix or not case.has_fix, done
    for words in case.says:
        assert words in message, done


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_told_clearly_and_changes_nothing(case: Case, sqlite_home: Home) -> None:
    home = sqlite_home
    case.prepare(home)
    before = state_of(home)
    assert_told(case, home, before)


def assert_told(case: Case, home: Home, before: Any) -> None:
    for more in ((), ("--json",)):
        if more and case.argv[0] in ("worker", "run"):
            continue
        done = home.command(*case.argv, *more, given=case.given, env=case.env)
        assert_said(case, done, as_json=bool(more))
        assert state_of(home) == before


def folder_is_a_file(folder: Path) -> Path:
    (folder / "dispatcher-data").write_text("")
    return folder


def folder_takes_nothing(folder: Path) -> Path:
    """A folder where not even root can make a file, by a name inside the test's own folder."""
    link = folder.parent / "locked"
    link.symlink_to("/proc")
    return link


@pytest.mark.parametrize("command", ["init", "run"])
@pytest.mark.parametrize(
    "place", [folder_is_a_file, folder_takes_nothing], ids=["a file", "read-only"]
)
def test_a_folder_that_cannot_be_used_is_told_clearly(
    sqlite_home: Home, clear_folder: Path, command: str, place: Callable[[Path], Path]
) -> None:
    folder = place(clear_folder)
    before = sorted(clear_folder.iterdir())
    done = sqlite_home.command(command, folder=folder)
    case = Case("a folder", "folder_unwritable", nothing, says=("dispatcher-data",))
    assert_said(case, done, as_json=False)
    assert sorted(clear_folder.iterdir()) == before


def test_a_hold_on_a_name_that_nothing_bears_warns_and_is_on(sqlite_home: Home) -> None:
    home = sqlite_home
    home.apply(Partner("/ok"))
    done = home.run(*HOLD, "connector:acmee")
    assert "0 lanes match" in done.out
    assert "warning: nothing in the active revision matches connector:acmee" in done.err
    done = home.run(*HOLD, "connector:acmee", "--json")
    assert done.json["lanes"] == 0
    assert "warning" in done.err
    done = home.run(*HOLD, "connector:acme")
    assert "1 lane matches" in done.out
    assert done.err == ""
    assert "2 switches" in home.run("release", "connector:acmee").out


def other_login(home: Home, **parts: Any) -> str:
    return make_url(home.url).set(**parts).render_as_string(hide_password=False)


def at_postgres_schema(plane: str, revision: str) -> Prepare:
    def prepare(home: Home) -> None:
        with home.transaction() as connection:
            connection.execute(
                text(f"UPDATE dispatcher.{plane}_version SET version_num = :v"), {"v": revision}
            )

    return prepare


POSTGRES = (
    Case(
        "a wrong password",
        "database_unreachable",
        lambda home: both_urls(other_login(home, password=PASSWORD))(home),
    ),
    Case(
        "an unknown user",
        "database_unreachable",
        lambda home: both_urls(other_login(home, username="nobody", password=PASSWORD))(home),
    ),
    Case(
        "a database that is not there",
        "database_unreachable",
        lambda home: both_urls(other_login(home, database="nowhere"))(home),
    ),
    Case(
        "a worker with a wrong password",
        "database_unreachable",
        lambda home: both_urls(other_login(home, password=PASSWORD))(home),
        WORKER,
    ),
    Case(
        "a PostgreSQL database without tables",
        "schema_mismatch",
        lambda home: both_urls(other_login(home, database="postgres"))(home),
        says=("migrate",),
    ),
    Case("older PostgreSQL tables", "schema_mismatch", at_postgres_schema("outbox", "outbox_0000")),
    Case(
        "newer PostgreSQL tables",
        "schema_mismatch",
        at_postgres_schema("registry", "registry_9999"),
        says=("registry_9999",),
    ),
)


@pytest.mark.parametrize("case", POSTGRES, ids=lambda case: case.name)
def test_a_mistake_about_postgresql_is_told_clearly_and_changes_nothing(
    case: Case, postgres_home: Home
) -> None:
    case.prepare(postgres_home)
    assert_told(case, postgres_home, state_of(postgres_home))


def test_a_mistake_is_told_the_same_way_by_a_process_of_its_own(sqlite_home: Home) -> None:
    home = sqlite_home
    set_key("worker", "lease_secs", 5)(home)
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher", "deliveries", "--config", str(home.config)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "config_invalid: worker.lease_secs: unknown key"
    assert lines[1] == f"  where: {home.config}"
    assert lines[2].startswith("  fix:   see config.example.toml")
    assert len(lines) == 3
