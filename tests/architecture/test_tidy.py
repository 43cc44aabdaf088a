"""Habits of the house that import contracts cannot see. Each rule is also shown a bad module.

Who may open a connection has a file of its own: `test_one_door.py`.
"""

import ast
import re
import statistics
from collections.abc import Callable, Iterator

import pytest

from tests.architecture.house import Module, imports, is_own, modules, named, parse

LINES_MAX = 400
LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 70

FACES_THAT_HAND_ON = {"dispatcher.producer"}
# Commands, and what is loaded by every pytest beside which dispatcher is installed.
LATE_IMPORTERS = ("dispatcher.cli", "dispatcher.__main__", "dispatcher.testing.plugin")
# The contracts cannot see a dynamic import. Two look up what their own room has, commands and nouns
# of the API; the third asks for a PostgreSQL that is there in development alone.
DYNAMIC_IMPORTERS = ("dispatcher.cli.main", "dispatcher.api.table", "dispatcher.showcase.postgres")

# Who may ask the machine for the time, for chance, or for its environment.
AMBIENT_ALLOWED = (
    "dispatcher.app",
    "dispatcher.producer",
    "dispatcher.receiver",
    "dispatcher.showcase",
    "dispatcher.vault",
)
AMBIENT = (
    re.compile(r"time\.(time|monotonic|perf_counter|process_time|thread_time|clock_gettime)(_ns)?"),
    re.compile(r"time\.(localtime|gmtime|ctime|strftime|sleep)"),
    re.compile(r"datetime\.(datetime|date)\.(now|utcnow|today)"),
    re.compile(r"os\.(environb?|getenvb?|putenv|urandom|getrandom)"),
    re.compile(r"random\..+|secrets\..+"),
    re.compile(r"uuid\.uuid[14]"),
)

# What would let somebody else's certificate pass. A fingerprint takes the place of all checks.
BLIND_WORDS = {
    "CERT_NONE",
    "CERT_OPTIONAL",
    "Fingerprint",
    "_create_unverified_context",
    "create_default_context",
}
# A listener that asks for a client certificate, which a server otherwise does not.
ASKS_CLIENTS = {"dispatcher.network.listening": {"CERT_OPTIONAL"}}
BLIND_TRUST = (re.compile(rf"(ssl|aiohttp)\.(.+\.)?({'|'.join(sorted(BLIND_WORDS))})"),)
TRUST_WORDS = {"check_hostname", "fingerprint", "ssl", "verify_mode", "verify_ssl"}

BANNED_WORDS = {
    "blacklist",
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "util",
    "utils",
    "whitelist",
}

# The one room that builds each letter.
BUILDERS = {
    "Cleared": "dispatcher.stages.gates",
    "Admitted": "dispatcher.stages.gates",
    "Shaped": "dispatcher.stages.shaping",
    "Sealed": "dispatcher.stages.sealing",
    "Departure": "dispatcher.stages.sealing",
    "Settlement": "dispatcher.stages.settling",
}

Faults = Iterator[str]
Rule = Callable[[Module], Faults]


def has_a_docstring(module: Module) -> Faults:
    """A module says what it does."""
    if not (ast.get_docstring(module.tree) or "").strip():
        yield "no docstring"


def face_is_plain(module: Module) -> Faults:
    """A package face holds its docstring, and nothing else."""
    if module.is_face and module.name not in FACES_THAT_HAND_ON and len(module.tree.body) != 1:
        yield "a package face with more than its docstring"


def is_short(module: Module) -> Faults:
    """No module is too long to be read in one sitting, and no function for one screen."""
    lines = module.text.count("\n")
    if lines > LINES_MAX:
        yield f"{lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{node.name} has {length} lines"


def imports_openly(module: Module) -> Faults:
    """Every own import stands at the top, where the contracts and a reader see it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            if module.is_in(*LATE_IMPORTERS):
                continue
            for _, name in imports(node):
                if is_own(name):
                    yield f"line {node.lineno}: imports {name} inside a function"
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for _, name in imports(node):
                if is_own(name):
                    yield f"line {node.lineno}: imports {name} for type checking alone"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
            "import_module",
            "__import__",
        }:
            if module.is_in(*DYNAMIC_IMPORTERS):
                continue
            yield f"line {node.lineno}: imports dynamically"


def is_not_ambient(module: Module) -> Faults:
    """Time, chance and environment are handed in."""
    if not module.is_in(*AMBIENT_ALLOWED):
        for line, name in named(module.tree):
            if any(pattern.fullmatch(name) for pattern in AMBIENT):
                yield f"line {line}: names {name}"


def never_trusts_blindly(module: Module) -> Faults:
    """Certificates are verified, always, against roots that the environment cannot name."""
    words = BLIND_WORDS - ASKS_CLIENTS.get(module.name, set())
    for line, name in named(module.tree):
        is_blind = any(pattern.fullmatch(name) for pattern in BLIND_TRUST)
        if is_blind and name.rpartition(".")[2] in words:
            yield f"line {line}: names {name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in words:
            yield f"line {node.lineno}: names .{node.attr}"
        elif isinstance(node, ast.keyword) and node.arg in TRUST_WORDS and _is_off(node.value):
            yield f"line {node.value.lineno}: {node.arg} is off"
        elif isinstance(node, ast.Assign) and _is_off(node.value):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in TRUST_WORDS:
                    yield f"line {node.lineno}: {target.attr} is off"


def _is_off(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


def is_well_named(module: Module) -> Faults:
    """No module, class or function bears a word that says nothing."""
    names = {module.name.rpartition(".")[2]: BANNED_WORDS}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = BANNED_WORDS - {"common"}
    for name, banned in names.items():
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        if found := banned & words:
            yield f"{name} says {', '.join(sorted(found))}"


def builds_only_its_letters(module: Module) -> Faults:
    """Each letter is made in exactly one room, so holding one proves where it has been."""
    letters = {
        one.asname or one.name: one.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "dispatcher.model.letter"
        for one in node.names
    }
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        letter = letters.get(called) or called.removeprefix("letter.")
        room = BUILDERS.get(letter)
        is_letter = called in letters or called.startswith("letter.")
        if room and is_letter and not module.is_in(room, "dispatcher.model.letter"):
            yield f"line {node.lineno}: builds {letter}, which {room} alone may"


RULES: tuple[Rule, ...] = (
    has_a_docstring,
    face_is_plain,
    is_short,
    imports_openly,
    is_not_ambient,
    is_well_named,
    builds_only_its_letters,
)


def _name_of(rule: Rule) -> str:
    return rule.__name__


def test_t8_verification_cannot_be_switched_off_anywhere() -> None:
    assert [fault for module in modules() for fault in never_trusts_blindly(module)] == []


@pytest.mark.parametrize("rule", RULES, ids=_name_of)
def test_every_module_keeps_the_habit(rule: Rule) -> None:
    faults = [f"{module.name}: {fault}" for module in modules() for fault in rule(module)]
    assert faults == []


def test_half_of_the_modules_are_short() -> None:
    rooms = [module.text.count("\n") for module in modules() if not module.is_face]
    assert statistics.median(rooms) <= LINES_MEDIAN_MAX


GATES = '"""Gates."""\nfrom dispatcher.model import letter\nfrom dispatcher.model.letter import '

BAD: tuple[tuple[Rule, str, str], ...] = (
    (has_a_docstring, "model.event", "x = 1\n"),
    (has_a_docstring, "model.event", '""" """\n'),
    (is_short, "model.event", '"""D."""\n' + "x = 1\n" * LINES_MAX),
    (is_short, "model.event", "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX),
    (imports_openly, "worker.relay", "def f():\n    from dispatcher.store import claims\n"),
    (imports_openly, "worker.relay", "def f():\n    import dispatcher.store.claims\n"),
    (imports_openly, "worker.relay", "async def f():\n    from . import courier\n"),
    (imports_openly, "worker.relay", "if TYPE_CHECKING:\n    from dispatcher.store import x\n"),
    (imports_openly, "cli.main", "if typing.TYPE_CHECKING:\n    import dispatcher.app\n"),
    (imports_openly, "worker.relay", "importlib.import_module('dispatcher.store')\n"),
    (is_not_ambient, "worker.relay", "import time\nx = time.time()\n"),
    (is_not_ambient, "worker.relay", "from time import monotonic as now\nnow()\n"),
    (is_not_ambient, "worker.relay", "import datetime as dt\ndt.datetime.now(dt.UTC)\n"),
    (is_not_ambient, "worker.relay", "from datetime import datetime\ndatetime.utcnow()\n"),
    (is_not_ambient, "cli.main", "import os\nos.environ['A']\n"),
    (is_not_ambient, "cli.main", "from os import getenv\n"),
    (is_not_ambient, "store.claims", "import random\nrandom.random()\n"),
    (is_not_ambient, "store.claims", "import secrets\nsecrets.token_hex(4)\n"),
    (is_not_ambient, "store.claims", "import os\nos.urandom(4)\n"),
    (is_not_ambient, "control.changes", "from uuid import uuid4\n"),
    (never_trusts_blindly, "network.tls", "import ssl\nssl.create_default_context()\n"),
    (never_trusts_blindly, "network.tls", "from ssl import create_default_context\n"),
    (never_trusts_blindly, "network.tls", "import ssl\nc.verify_mode = ssl.CERT_NONE\n"),
    (never_trusts_blindly, "network.tls", "c.verify_mode = VerifyMode.CERT_NONE\n"),
    (never_trusts_blindly, "network.tls", "c.verify_mode = 0\n"),
    (never_trusts_blindly, "network.tls", "c.check_hostname = False\n"),
    (never_trusts_blindly, "network.tls", "import ssl\nssl._create_unverified_context()\n"),
    (never_trusts_blindly, "network.dialer", "ClientRequest('POST', url, ssl=False)\n"),
    (never_trusts_blindly, "network.dialer", "TCPConnector(verify_ssl=False)\n"),
    (never_trusts_blindly, "network.dialer", "import aiohttp\naiohttp.Fingerprint(b'')\n"),
    (never_trusts_blindly, "network.dialer", "from aiohttp import Fingerprint as F\nF(b'')\n"),
    (is_well_named, "store.utils", ""),
    (is_well_named, "store.claim_helper", ""),
    (is_well_named, "store.claims", "class ClaimManager: ...\n"),
    (is_well_named, "store.claims", "def whitelist_host(): ...\n"),
    (builds_only_its_letters, "worker.courier", GATES + "Admitted\nAdmitted(addresses=())\n"),
    (builds_only_its_letters, "worker.courier", GATES + "Sealed as S\nS(body=b'')\n"),
    (builds_only_its_letters, "worker.courier", GATES + "Shaped\nletter.Sealed(body=b'')\n"),
    (builds_only_its_letters, "stages.gates.x", GATES + "Shaped\nShaped(plaintext=b'')\n"),
)


@pytest.mark.parametrize(("rule", "name", "text"), BAD)
def test_a_bad_module_is_found_out(rule: Rule, name: str, text: str) -> None:
    assert list(rule(parse(f"dispatcher.{name}", text)))


def test_a_face_that_does_more_is_found_out() -> None:
    face = parse("dispatcher.store", '"""Store."""\nfrom dispatcher import x\n', is_face=True)
    assert list(face_is_plain(face))


GOOD: tuple[tuple[Rule, str, str], ...] = (
    (imports_openly, "cli.main", "def f():\n    from dispatcher.app import wiring\n"),
    (imports_openly, "app.process", "def f():\n    import uvloop\n"),
    (is_not_ambient, "worker.relay", "from datetime import UTC, datetime\ndatetime(2026, 1, 1)\n"),
    (is_not_ambient, "cli.registry", "def f(applied):\n    applied.secrets.items()\n"),
    (is_not_ambient, "app.clock", "import time\ntime.time()\n"),
    (never_trusts_blindly, "network.dialer", "ClientRequest('POST', url, ssl=context)\n"),
    (never_trusts_blindly, "network.tls", "c.check_hostname = True\n"),
    (builds_only_its_letters, "stages.gates.admit", GATES + "Admitted\nAdmitted(addresses=())\n"),
)


@pytest.mark.parametrize(("rule", "name", "text"), GOOD)
def test_a_good_module_is_left_alone(rule: Rule, name: str, text: str) -> None:
    assert list(rule(parse(f"dispatcher.{name}", text))) == []
