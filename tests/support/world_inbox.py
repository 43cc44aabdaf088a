"""A partner's inbox for system tests: a process of its own that notes what the kernel received.

Every request is one line of a journal, written before it is answered: the path, the webhook-id, the
body, and when its first byte reached this machine's network stack (`SO_TIMESTAMPNS`, taken by the
kernel, so that this program's own slowness cannot hide or invent a late request). The path says how
to answer:

    /ok/...             200             /slow/MS/...    200 after so many milliseconds
    /jitter/MS/...      200 after up to that          /hang/...       never
    /status/CODE/...    CODE            /gone/...       410
    /later/SECONDS/...  503 with Retry-After once for each webhook-id, then 200
    /echo/...           200, with the challenge where one came
    /flaky/TIMES/...    500 so many times for each webhook-id, then 200
    /parrot/TIMES/...   500 so many times, with all that was received in a header and the body

With `--database`, it looks the ledger row up while the request is in hand: what it finds was
written, and committed, before.
"""

import argparse
import hashlib
import heapq
import json
import os
import random
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from tests.support.world_database import open_plain

SO_TIMESTAMPNS = 35
_ANCILLARY_BYTES = socket.CMSG_SPACE(16)


@dataclass
class Guest:
    """One connection, and the request it is in the middle of."""

    socket: socket.socket
    received: bytes = b""
    first_byte_ns: int | None = None
    waiting: bytes = b""


@dataclass
class Inbox:
    """The listener and everything it knows."""

    journal: int
    find_ledger_row: Callable[[str, str], int] | None
    chance: random.Random
    listener: socket.socket = field(default_factory=socket.socket)
    selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    later: list[tuple[float, int, Guest, bytes]] = field(default_factory=list)
    answers: int = 0

    def listen(self) -> int:
        # Connections inherit the option, so not even the first byte goes unnoticed.
        self.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        return int(self.listener.getsockname()[1])

    def run(self) -> None:
        while True:
            pause = max(0.0, self.later[0][0] - time.monotonic()) if self.later else None
            for key, _ in self.selector.select(pause):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.read(key.data)
            while self.later and self.later[0][0] <= time.monotonic():
                _, _, guest, answer = heapq.heappop(self.later)
                self.send(guest, answer)

    def accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection, selectors.EVENT_READ, Guest(connection))

    def read(self, guest: Guest) -> None:
        try:
            received, ancillary, _, _ = guest.socket.recvmsg(262_144, _ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received, ancillary = b"", []
        if not received:
            self.selector.unregister(guest.socket)
            guest.socket.close()
            return
        if not guest.received:
            guest.first_byte_ns = _kernel_time_ns(ancillary)
        guest.received += received
        head, found, body = guest.received.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        if len(body) < int(headers["content-length"]):
            return
        self.take(guest, first.split(" ")[1], headers, body)
        guest.received = b""

    def take(self, guest: Guest, path: str, headers: dict[str, str], body: bytes) -> None:
        webhook_id = headers.get("webhook-id", "")
        digest = hashlib.sha256(body).hexdigest()
        self.seen[path, webhook_id] += 1
        status, more, seconds = self.judge(path, self.seen[path, webhook_id])
        find = self.find_ledger_row
        line = {
            "first_byte_ns": guest.first_byte_ns,
            "path": path,
            "id": webhook_id,
            "sha256": digest,
            "body": body.decode(),
            "headers": headers,
            "status": status,
            "ledger_rows": find(webhook_id, digest) if find is not None else None,
        }
        os.write(self.journal, json.dumps(line).encode() + b"\n")
        if status is None:
            return
        said = _challenge(body) if path.startswith("/echo") else b""
        if path.startswith("/parrot"):
            said = json.dumps(headers).encode() + body
            more += f"X-Said: {body[:2000].decode('latin-1')}\r\n"
        head = f"HTTP/1.1 {status} So\r\n{more}Content-Length: {len(said)}\r\n\r\n"
        answer = head.encode("latin-1") + said
        if seconds:
            self.answers += 1
            heapq.heappush(self.later, (time.monotonic() + seconds, self.answers, guest, answer))
        else:
            self.send(guest, answer)

    def judge(self, path: str, times: int) -> tuple[int | None, str, float]:
        """Say status, header lines and pause for the answer to a request seen so many times."""
        _, kind, value, *_ = (*path.split("/"), "")
        match kind:
            case "hang":
                return None, "", 0.0
            case "gone":
                return 410, "", 0.0
            case "status":
                return int(value), "", 0.0
            case "slow":
                return 200, "", int(value) / 1000
            case "jitter":
                return 200, "", self.chance.random() * int(value) / 1000
            case "later" if times == 1:
                return 503, f"Retry-After: {value}\r\n", 0.0
            case "flaky" | "parrot" if times <= int(value):
                return 500, "", 0.0
            case _:
                return 200, "", 0.0

    def send(self, guest: Guest, answer: bytes) -> None:
        try:
            guest.socket.sendall(answer)
        except OSError:
            return  # whoever asked is gone


def _challenge(body: bytes) -> bytes:
    said = json.loads(body)
    is_one = said["type"] == "dispatcher.ownership_challenge"
    return str(said["data"]["challenge"]).encode() if is_one else b""


def _kernel_time_ns(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", content[:16])
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None


def _ledger(url: str) -> Callable[[str, str], int]:
    engine = open_plain(url)
    table = "dispatcher_disclosures" if url.startswith("sqlite") else "dispatcher.disclosures"
    sql = text(f"SELECT count(*) FROM {table} WHERE webhook_id = :id AND body_sha256 = :sha256")
    connection = engine.connect().execution_options(reads_only=True)

    def find(webhook_id: str, digest: str) -> int:
        with connection.begin():
            found = connection.execute(sql, {"id": webhook_id, "sha256": digest})
            return int(found.scalar_one())

    return find


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    journal = os.open(given.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    find = _ledger(given.database) if given.database else None
    inbox = Inbox(journal, find, random.Random(given.seed))
    port = inbox.listen()
    draft = given.port_file.with_suffix(".draft")
    draft.write_text(str(port))
    draft.rename(given.port_file)
    inbox.run()


if __name__ == "__main__":
    main()
