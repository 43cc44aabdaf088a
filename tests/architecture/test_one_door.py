"""Every way out of the package, by name. A new one that is not listed fails; so does a listed one
that is gone.

A way out is whatever opens a connection, asks for a name's meaning, or starts another program. The
table says where each leads and why it may; nothing else in the package may open anything. What a
partner or a registered URL can steer leaves through `network.dialer` alone.
"""

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from tests.architecture.house import Module, imports, modules, parse


class Way(NamedTuple):
    """One way out: the module and the place in it, and what is opened there."""

    module: str
    place: str
    opens: str


PARTNER = "a partner's vetted addresses, or the operator's proxy to them: the one door"
DESCRIBED = "nowhere: it describes what the dialer is to connect to"
NAMES = "the name servers of the machine, or those that the operator configured"
CANARY = "forbidden addresses, on purpose: for the person who typed 'doctor --backstop'"
OURSELVES = "this machine's own address of [partner], once something else cannot be bound there"
DATABASE = "the databases that the operator configured"
OPERATOR = "the API that the operator's own variable names; nothing a partner could name"
KEYS = "the key provider that the operator configured; nothing a partner could name"
LOOPBACK = "loopback, on a port of its own: the demonstration and the benches"
TEMPORARY = "a PostgreSQL of its own on loopback, for benches and tests"
DEMO_FILE = "the demonstration's own SQLite file"
NOWHERE = "nowhere: told to stay offline"

WAYS_OUT: Final[dict[Way, str]] = {
    Way("network.dialer", "GuardedConnector", "aiohttp.TCPConnector"): PARTNER,
    Way("network.dialer", "GuardedConnector._open_socket", "socket.socket"): PARTNER,
    Way("network.dialer", "make_dial", "aiohttp.ClientRequest"): DESCRIBED,
    Way("network.tunnels", "Tunnels.request", "aiohttp.ClientRequest"): DESCRIBED,
    Way("network.sources", "check_sources", "socket.socket"): "nowhere: it binds, to see if it can",
    Way("network.transport", "Transport._connector", "network.dialer.GuardedConnector"): PARTNER,
    Way("network.tunnels", "Tunnels.request", "aiohttp.ClientRequest"): "nowhere: it describes one",
    Way("network.sources", "check_sources", "socket.socket"): "nowhere: it is bound, and closed",
    Way("network.machine_names", "look_up", "socket.getaddrinfo"): NAMES,
    Way("network.name_servers", "NameServers._open", "aiodns.DNSResolver"): NAMES,
    Way("network.own_addresses", "look_up_host", "loop.getaddrinfo"): NAMES,
    Way("network.liveness", "does_answer", "socket.socket"): NAMES,
    Way("network.liveness", "does_answer", "loop.sock_sendall"): NAMES,
    Way("network.backstop", "_try", "socket.socket"): CANARY,
    Way("network.backstop", "_try", "loop.sock_connect"): CANARY,
    Way("network.own_listener", "is_ours", "asyncio.open_connection"): OURSELVES,
    Way("store.database", "open_database", "sqlalchemy.create_async_engine"): DATABASE,
    Way("store.database", "_sqlite_engine", "sqlalchemy.create_async_engine"): DATABASE,
    Way("store.database", "_try_file", "sqlite3.connect"): DATABASE,
    Way("app.remote", "call_there", "http.client.HTTPConnection"): OPERATOR,
    Way("app.remote", "call_there", "http.client.HTTPSConnection"): OPERATOR,
    Way("vault.transit", "TransitProvider._connect", "http.client.HTTPConnection"): KEYS,
    Way("vault.transit", "TransitProvider._connect", "http.client.HTTPSConnection"): KEYS,
    Way("vault.aws", "AwsProvider._client", "boto3.session.Session"): KEYS,
    Way("model.schema", "compile_schema", "jsonschema_rs.Draft202012Validator"): NOWHERE,
    Way("showcase.inbox", "Inbox.__init__", "socket.socket"): LOOPBACK,
    Way("showcase.inbox", "_send", "loop.sock_sendall"): LOOPBACK,
    Way("showcase.bench_guard", "_measure", "network.dialer.GuardedConnector"): LOOPBACK,
    Way("showcase.bench_guard", "_measure", "aiohttp.TCPConnector"): LOOPBACK,
    Way("showcase.bench_guard", "_take_turns", "aiohttp.ClientRequest"): LOOPBACK,
    Way("showcase.bench_ceiling", "measure_ceiling", "aiohttp.TCPConnector"): LOOPBACK,
    Way("showcase.bench_ceiling", "measure_ceiling", "aiohttp.ClientSession"): LOOPBACK,
    Way("showcase.bench_guard", "_measure", "network.dialer.GuardedConnector"): LOOPBACK,
    Way("showcase.bench_guard", "_measure", "aiohttp.TCPConnector"): LOOPBACK,
    Way("showcase.bench_guard", "_take_turns", "aiohttp.ClientRequest"): LOOPBACK,
    Way("showcase.receiver", "Receiver.__aenter__", "asyncio.create_subprocess_exec"): LOOPBACK,
    Way("showcase.demo_evidence", "_open", "sqlite3.connect"): DEMO_FILE,
    Way("showcase.demo_world", "World.__init__", "sqlalchemy.create_engine"): DEMO_FILE,
    Way("showcase.demo_world", "World.__init__", "sqlalchemy.create_async_engine"): DEMO_FILE,
    Way("showcase.postgres", "TemporaryServer._initialise", "subprocess.run"): TEMPORARY,
    Way("showcase.postgres", "TemporaryServer._make_reachable", "subprocess.run"): TEMPORARY,
    Way("showcase.postgres", "TemporaryServer._start", "subprocess.Popen"): TEMPORARY,
    Way("showcase.postgres", "_free_port", "socket.socket"): TEMPORARY,
    Way("showcase.postgres", "_execute.run", "asyncpg.connect"): TEMPORARY,
}

MAY_OPEN = (
    "network",
    "store",
    "showcase",
    "app.remote",
    "model.schema",
    "vault.aws",
    "vault.transit",
)
"""Where a way out may stand at all. A row of the table elsewhere is a fault of the table."""

_PROCESSES = (
    r"subprocess\.(Popen|run|call|check_call|check_output|getoutput|getstatusoutput)",
    r"os\.(system|popen|exec\w+|spawn\w+|posix_spawnp?|fork|forkpty|startfile)",
    r"asyncio\.(.+\.)?create_subprocess_\w+|pty\.(spawn|fork)",
    r"multiprocessing\.\w+|concurrent\.futures\.(.+\.)?ProcessPoolExecutor",
    r"webbrowser\.\w+|click\.(.+\.)?launch",
    r"_?ctypes(\..+)?|cffi(\..+)?",  # a foreign function may do anything
)
_CONNECTIONS = (
    (
        r"_?socket\.(socket|SocketType|create_connection|create_server|socketpair|fromfd|getaddrinfo"
        r"|gethostby\w+|getfqdn|getnameinfo|send_fds)"
    ),
    r"ssl\.(wrap_socket|get_server_certificate)",
    r"(asyncio\.(.+\.)?)?open_(unix_)?connection",
    r"aiohttp\.(.+\.)?(ClientSession|ClientRequest|\w*Connector|request|(?!Abstract)\w*Resolver)",
    r"aiohttp\.(client|client_reqrep|client_ws|connector|resolver)\.(?!.*(Error|Timeout)).*",
    r"aiodns\.(.+\.)?DNSResolver|pycares\.(.+\.)?Channel",
    r"(dns|httpx|httpcore|requests|urllib3|websockets|grpc|paramiko|socks)(\..+)?",
    r"urllib\.request(\..+)?|http\.client\.\w+Connection",
    r"boto3\.(.+\.)?(Session|client|resource)|(boto3|botocore)\.session(\..+)?",
    r"(ftplib|smtplib|poplib|imaplib|nntplib|telnetlib|xmlrpc|socketserver)(\..+)?",
    r"logging\.(handlers|config)(\..+)?",
    r"prometheus_client\.(.+\.)?(push\w*|delete_from_gateway|instance_ip_grouping_key|start_\w+)",
    r"(dispatcher\.)?network\.dialer\.GuardedConnector",
)
_DATABASES = (
    r"sqlalchemy\.(.+\.)?(create_(async_)?(engine|mock_engine|pool_from_url)|(async_)?engine_from\w+)",
    r"(asyncpg|aiosqlite|sqlite3|psycopg|psycopg2|pg8000)\.(.+\.)?(connect|create_pool|Connection)",
)
_SCHEMAS = (
    r"jsonschema_rs\.(\w*Validator|validator\w*|is_valid|validate|evaluate|iter_\w+|bundle)",
)
OPENERS: Final = re.compile(
    "|".join(f"(?:{each})" for each in (*_PROCESSES, *_CONNECTIONS, *_DATABASES, *_SCHEMAS))
)
LOOP_OPENERS: Final = frozenset(
    {
        "connect_accepted_socket",
        "create_connection",
        "create_datagram_endpoint",
        "create_unix_connection",
        "getaddrinfo",
        "getnameinfo",
        "open_connection",
        "sendto",
        "sock_connect",
        "sock_sendall",
        "sock_sendfile",
        "sock_sendto",
        "start_tls",
        "subprocess_exec",
        "subprocess_shell",
        "wrap_socket",
    }
)
"""Methods of an event loop, of a socket or of a TLS context, whatever they are called on."""


class _Finder(ast.NodeVisitor):
    """Walks one module and notes what it opens, and in which class or function."""

    def __init__(self, module: Module) -> None:
        self.found: dict[Way, int] = {}
        self.faults: list[str] = []
        self._module = module.name.removeprefix("dispatcher.")
        self._places: list[str] = []
        self._bound = dict(_bindings(module.tree))
        self._modules = {
            one.asname or one.name.split(".")[0]
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Import)
            for one in node.names
        }

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        # An annotation names a type and opens nothing.
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        return

    def visit_Name(self, node: ast.Name) -> None:
        self._note(self._bound.get(node.id, ""), node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        full = self._full(node)
        if full:
            self._note(full, node.lineno)
            return
        if node.attr in LOOP_OPENERS:
            self._add(f"loop.{node.attr}", node.lineno)
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        full = self._full(node.func)
        if isinstance(node.func, ast.Name) and self._hides(node.func.id, node.args):
            self.faults.append(f"line {node.lineno}: {node.func.id} hides what it names")
        if full.startswith("jsonschema_rs.") and OPENERS.fullmatch(full):
            given = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if given.get("offline") != "True":
                self.faults.append(f"line {node.lineno}: {full} may fetch what a schema refers to")
        self.generic_visit(node)

    def _hides(self, function: str, arguments: list[ast.expr]) -> bool:
        first = arguments[0] if arguments else None
        is_of_import = isinstance(first, ast.Name) and first.id in self._modules
        return function in {"eval", "exec"} or (function in {"getattr", "vars"} and is_of_import)

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._places.append(node.name)
        for name, part in ast.iter_fields(node):
            if name == "returns":
                continue
            for each in part if isinstance(part, list) else [part]:
                if isinstance(each, ast.AST):
                    self.visit(each)
        self._places.pop()

    def _full(self, node: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._bound:
            return ""
        return ".".join([self._bound[node.id], *reversed(parts)])

    def _note(self, full: str, line: int) -> None:
        if OPENERS.fullmatch(full):
            self._add(_short(full), line)
        elif full.rpartition(".")[2] in LOOP_OPENERS and "." in full:
            self._add(f"loop.{full.rpartition('.')[2]}", line)

    def _add(self, opens: str, line: int) -> None:
        place = ".".join(self._places) or "-"
        self.found.setdefault(Way(self._module, place, opens), line)


def _bindings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every name that an import binds, and what it stands for in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                first = one.name.split(".")[0]
                yield (one.asname, one.name) if one.asname else (first, first)
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield one.asname or one.name, f"{node.module or ''}.{one.name}"


def _short(full: str) -> str:
    """Name what is opened as the table does: without our own prefix, or a library's rooms."""
    name = full.removeprefix("dispatcher.")
    first, _, rest = name.partition(".")
    is_roomy = first in {"aiohttp", "sqlalchemy", "asyncio", "aiodns", "pycares"}
    return f"{first}.{rest.rpartition('.')[2]}" if is_roomy and rest else name


def find_ways(module: Module) -> tuple[dict[Way, int], list[str]]:
    """Give the ways out of a module with their lines, and what hides one."""
    finder = _Finder(module)
    finder.visit(module.tree)
    return finder.found, finder.faults


def unlisted(module: Module, table: dict[Way, str]) -> Iterator[str]:
    """Say what a module opens, or gets ready to open, that the table does not list."""
    found, faults = find_ways(module)
    yield from faults
    for way, line in found.items():
        if way not in table:
            yield f"line {line}: {way.place} opens {way.opens}: not in the table"
    short = module.name.removeprefix("dispatcher.")
    if any(way.module == short for way in table):
        return
    for node, name in imports(module.tree):
        if OPENERS.fullmatch(name) or OPENERS.fullmatch(f"{name}.HTTPConnection"):
            yield f"line {node.lineno}: imports {name}, and no way out of here is in the table"


def test_every_way_out_of_the_package_is_listed_and_nothing_else_opens_anything() -> None:
    faults = [
        f"{module.name}: {fault}" for module in modules() for fault in unlisted(module, WAYS_OUT)
    ]
    assert faults == []


def test_every_listed_way_out_is_still_there() -> None:
    found = {way for module in modules() for way in find_ways(module)[0]}
    assert sorted(set(WAYS_OUT) - found) == []


def test_ways_out_stand_where_they_may() -> None:
    for way, leads_to in WAYS_OUT.items():
        stands = parse(way.module, "").is_in(*MAY_OPEN)
        assert stands, f"{way} may not open anything"
        assert (leads_to == PARTNER) <= way.module.startswith("network."), way
        assert (leads_to in (LOOPBACK, TEMPORARY, DEMO_FILE)) <= way.module.startswith(
            "showcase."
        ), way


BAD: tuple[tuple[str, str], ...] = (
    ("api.server", "import aiohttp\naiohttp.ClientSession()\n"),
    ("api.server", "from aiohttp import TCPConnector\n"),
    ("app.wiring", "import aiohttp as a\na.request('GET', x)\n"),
    ("app.wiring", "from aiohttp.client import ClientSession\n"),
    ("app.wiring", "from aiohttp.resolver import AsyncResolver as R\nR()\n"),
    ("worker.relay", "import socket\nsocket.socket()\n"),
    ("worker.relay", "import socket\nsocket.create_connection(x)\n"),
    ("worker.relay", "import socket as s\nopen_one = s.socket\n"),
    ("worker.relay", "import socket\ngetattr(socket, 'sock' + 'et')()\n"),
    ("worker.relay", "import os\nvars(os)['system']('curl x')\n"),
    ("worker.relay", "eval(\"__import__('socket').socket()\")\n"),
    ("vault.keyring", "import urllib.request\n"),
    ("vault.keyring", "from urllib.request import urlopen\n"),
    ("vault.keyring", "from urllib import request\n"),
    ("vault.keyring", "import http.client\n"),
    ("vault.keyring", "from http import client\nclient.HTTPSConnection('x')\n"),
    ("vault.keyring", "import httpx\n"),
    ("app.wiring", "import aiodns\naiodns.DNSResolver()\n"),
    ("network.resolver", "from pycares import Channel\nChannel()\n"),
    ("worker.relay", "import asyncio\nasyncio.open_connection('h', 1)\n"),
    ("worker.relay", "async def f(loop):\n    await loop.create_connection(p)\n"),
    ("worker.relay", "async def f():\n    await asyncio.get_event_loop().getaddrinfo('h', 1)\n"),
    ("worker.relay", "def f(context, s):\n    return context.wrap_socket(s)\n"),
    ("worker.relay", "import subprocess\nsubprocess.run(['curl'])\n"),
    ("worker.relay", "from subprocess import Popen as P\nP(['curl'])\n"),
    ("worker.relay", "import os\nos.system('curl')\n"),
    ("worker.relay", "import os\nos.posix_spawn('curl', [], {})\n"),
    ("worker.relay", "from os import popen\n"),
    ("worker.relay", "import asyncio\nasyncio.create_subprocess_shell('curl')\n"),
    ("worker.relay", "import ctypes\n"),
    ("telemetry.log", "from logging import handlers\nhandlers.HTTPHandler('h', '/')\n"),
    ("telemetry.metrics", "from prometheus_client import push_to_gateway\n"),
    ("control.changes", "from sqlalchemy import create_engine\ncreate_engine(x)\n"),
    ("control.changes", "from sqlalchemy.ext.asyncio import create_async_engine\n"),
    ("control.changes", "import asyncpg\nasyncpg.connect(x)\n"),
    ("worker.courier", "from dispatcher.network.dialer import GuardedConnector as G\nG(a, b)\n"),
    ("model.event", "import jsonschema_rs\njsonschema_rs.validator_for(x)\n"),
    # In rooms that may, and yet not listed.
    ("network.tickets", "from aiohttp import ClientSession\nClientSession()\n"),
    ("network.dialer", "import socket\ndef other():\n    socket.socket()\n"),
    ("network.dialer", "import socket\nsocket.socket()\n"),
    ("network.machine_names", "import socket\ndef look_up():\n    socket.gethostbyname('x')\n"),
    ("app.remote", "import http.client\ndef call():\n    http.client.HTTPConnection('x')\n"),
    ("model.schema", "import jsonschema_rs as j\ndef compile_schema():\n    j.validate(x)\n"),
    (
        "model.schema",
        "import jsonschema_rs\ndef compile_schema():\n    jsonschema_rs.Draft202012Validator(x)\n",
    ),
)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_way_out_that_is_not_listed_is_found(name: str, text: str) -> None:
    assert list(unlisted(parse(f"dispatcher.{name}", text), WAYS_OUT))


IN_PLACE = """
from socket import socket as s
class GuardedConnector:
    def _open_socket(self):
        return s()
"""
GOOD: tuple[tuple[str, str], ...] = (
    ("model.endpoint", "from urllib.parse import urlsplit\nurlsplit(x)\n"),
    ("api.server", "from aiohttp import web\nweb.TCPSite(a, b)\n"),
    ("model.verdict", "from http import HTTPStatus\n"),
    ("network.wire", "import socket\ndef f(s: socket.socket) -> socket.socket:\n    return s\n"),
    ("network.troubles", "from aiohttp.client_exceptions import ClientError\nClientError\n"),
    ("store.claims", "def f(engine):\n    engine.connect()\n"),
    ("worker.relay", "import os\nos.getpid()\n"),
    ("control.changes", "def f(row):\n    getattr(row, 'name')\n"),
    ("network.dialer", IN_PLACE),
)


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_what_opens_nothing_is_left_alone(name: str, text: str) -> None:
    assert list(unlisted(parse(f"dispatcher.{name}", text), WAYS_OUT)) == []
