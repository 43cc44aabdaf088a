"""An empty network of a test's own: one interface that leads nowhere, and all of it overheard.

Run as `unshare ... python -m tests.support.world_netns FOLDER`, it furnishes the network and mount
namespace it was started in: loopback, one interface with a documentation address and the default
route, a name server on loopback that knows the names in `names.json`, and its own hosts file and
resolver configuration. Every packet that any interface sends, loopback too, becomes a line of
`packets.jsonl`. Nothing can leave: the other end of the interface lies in the same namespace and
has no address. It ends when its standard input does.
"""

import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSRecord

ROOT = Path(__file__).resolve().parents[2]
OWN = ("192.0.2.2", "2001:db8::2")
NAME_SERVER = "127.0.0.53"
_ROUTERS = ("192.0.2.1", "2001:db8::1")
_MAC = "02:00:00:00:00:01"
_ALL = 0x0003
_OUTGOING = 4
_PR_SET_PDEATHSIG = 1
# What an interface says of itself when it comes up, whatever anybody does: multicast listener
# reports. Whoever looks for a neighbour before sending is overheard like everybody.
_OF_ITSELF = frozenset({"icmp6/143"})


@dataclass(frozen=True)
class Packet:
    """One packet as an interface sent it. `name` is what a DNS question asks for."""

    interface: str
    kind: str
    source: str = ""
    target: str = ""
    port: int = 0
    name: str = ""


@dataclass
class EmptyNet:
    """The namespace, seen from outside."""

    pid: int
    folder: Path

    @property
    def packets(self) -> list[Packet]:
        """Everything that was sent so far."""
        whole = (self.folder / "packets.jsonl").read_bytes().rpartition(b"\n")[0]
        return [Packet(**json.loads(line)) for line in whole.splitlines()]

    def command(self, *argv: str) -> list[str]:
        """Give the command line that runs `argv` inside."""
        doors = (f"--{kind}=/proc/{self.pid}/ns/{file}" for kind, file in _NAMESPACES)
        return ["nsenter", *doors, "--preserve-credentials", f"--wd={ROOT}", "--", *argv]

    @contextmanager
    def running(self, *argv: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Run a program inside for as long as the block lasts."""
        with (self.folder / "said.txt").open("a+") as said:
            child = subprocess.Popen(
                self.command(*argv),
                cwd=ROOT,
                env=_environment() | variables,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                yield child
            finally:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(15)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end."""
        return subprocess.run(
            self.command(*argv),
            cwd=ROOT,
            env=_environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def said(self) -> str:
        return (self.folder / "said.txt").read_text()


_NAMESPACES = (("user", "user"), ("net", "net"), ("mount", "mnt"))


@contextmanager
def empty_net(
    folder: Path,
    *,
    hosts: Mapping[str, Sequence[str]] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[EmptyNet]:
    """Open a namespace whose hosts file says `hosts` and whose name server knows `names`."""
    folder.mkdir(parents=True)
    lines = [f"{address} {host}\n" for host, found in (hosts or {}).items() for address in found]
    (folder / "hosts").write_text("".join(lines))
    (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n")
    (folder / "names.json").write_text(json.dumps(dict(names or {})))
    (folder / "packets.jsonl").touch()
    holder = subprocess.Popen(
        ["unshare", "--map-root-user", "--net", "--mount", sys.executable, "-m", __name__, folder],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stderr is not None
    with holder:
        if holder.stdout.readline() != "ready\n":
            holder.kill()
            raise AssertionError(f"no network namespace can be made here: {holder.stderr.read()}")
        try:
            yield EmptyNet(holder.pid, folder)
        finally:
            holder.stdin.close()
            holder.wait(10)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


# The program inside.


def main() -> None:
    folder = Path(sys.argv[1])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for file in ("hosts", "resolv.conf"):
        _do("mount", "--bind", str(folder / file), f"/etc/{file}")
    for name in ("all", "default"):
        _write(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "0")
        _write(f"/proc/sys/net/ipv6/conf/{name}/router_solicitations", "0")
        _write(f"/proc/sys/net/ipv6/conf/{name}/addr_gen_mode", "1")  # no link-local address
    _do("ip", "link", "set", "lo", "up")
    _do("ip", "link", "add", "out", "type", "veth", "peer", "name", "nowhere")
    _do("ip", "link", "set", "nowhere", "up")
    _do("ip", "address", "add", f"{OWN[0]}/24", "dev", "out")
    _do("ip", "address", "add", f"{OWN[1]}/64", "dev", "out", "nodad")
    _do("ip", "link", "set", "out", "up")
    for router in _ROUTERS:
        _do("ip", "neighbour", "add", router, "lladdr", _MAC, "dev", "out", "nud", "permanent")
        family = "-6" if ":" in router else "-4"
        _do("ip", family, "route", "add", "default", "via", router, "dev", "out")
    names = json.loads((folder / "names.json").read_text())
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAME_SERVER, 53))
    threading.Thread(target=_serve_names, args=(server, names), daemon=True).start()
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    with (folder / "packets.jsonl").open("a", buffering=1) as book:
        time.sleep(0.2)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            heard, _, _ = select.select([ear, sys.stdin], [], [])
            if ear in heard:
                frame, (interface, _, direction, *_) = ear.recvfrom(65535)
                packet = _read(interface, frame) if direction == _OUTGOING else None
                if packet is not None and packet.kind not in _OF_ITSELF:
                    book.write(json.dumps(packet.__dict__) + "\n")
            elif not sys.stdin.read(1):
                return


def _do(*argv: str) -> None:
    subprocess.run(argv, check=True)


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _serve_names(server: socket.socket, names: dict[str, list[str]]) -> None:
    while True:
        asked, peer = server.recvfrom(4096)
        question = DNSRecord.parse(asked)
        answer = question.reply()
        name = str(question.q.qname).removesuffix(".").lower()
        if name not in names:
            answer.header.rcode = RCODE.NXDOMAIN
        for address in names.get(name, ()):
            kind = QTYPE.AAAA if ":" in address else QTYPE.A
            if question.q.qtype == kind:
                data: Any = AAAA(address) if ":" in address else A(address)
                answer.add_answer(RR(question.q.qname, kind, rdata=data, ttl=60))
        server.sendto(answer.pack(), peer)


def _read(interface: str, frame: bytes) -> Packet | None:
    (ether,) = struct.unpack_from("!H", frame, 12)
    body = frame[14:]
    if ether == 0x0800:
        at, number = (body[0] & 15) * 4, body[9]
        source, target = body[12:16], body[16:20]
    elif ether == 0x86DD:
        at, number = 40, body[6]
        source, target = body[8:24], body[24:40]
        if number == 0:  # hop-by-hop options, before a multicast listener report
            number, at = body[40], 40 + 8 + body[41] * 8
    else:
        return Packet(interface, f"ether/{ether:04x}")
    ends = {"source": str(ip_address(source)), "target": str(ip_address(target))}
    inner = body[at:]
    match number:
        case 6:
            is_syn = inner[13] & 0x12 == 0x02
            kind, port = "syn" if is_syn else "tcp", struct.unpack_from("!H", inner, 2)[0]
            return Packet(interface, kind, **ends, port=port)
        case 17:
            sent_from, port = struct.unpack_from("!HH", inner)
            if port == 53:
                name = str(DNSRecord.parse(inner[8:]).q.qname).removesuffix(".")
                return Packet(interface, "question", **ends, port=53, name=name)
            return Packet(interface, "answer" if sent_from == 53 else "udp", **ends, port=port)
        case 58:
            return Packet(interface, f"icmp6/{inner[0]}", **ends)
    return Packet(interface, f"ip/{number}", **ends)


if __name__ == "__main__":
    main()
