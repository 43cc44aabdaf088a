"""A transit engine of our own, over real HTTP: versions of derived keys, as Vault documents it.

It answers what `vault.transit` asks and no more, checks what it is sent, and can be told to fail.
"""

import base64
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dispatcher.vault.deriving import derive

TOKEN = "hvs.a-token-of-a-test"
KEY = "dispatcher"


@dataclass
class Engine:
    """One engine with one key. `status` is what it answers instead, if anything."""

    url: str = ""
    token_file: Path = Path()
    ca_file: Path | None = None
    is_derived: bool = True
    status: int | None = None
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Answer one request as the engine would."""
        action = path.removeprefix("/v1/transit/")
        self.asked.append(f"{method} {action}")
        if self.status is not None:
            return self.status, {"errors": ["told to"]}
        if action == f"keys/{KEY}":
            return 200, {"derived": self.is_derived, "latest_version": len(self.versions)}
        if action == f"keys/{KEY}/rotate":
            self.versions.append(os.urandom(32))
            return 200, {}
        action, _, key = action.rpartition("/")
        if key != KEY:
            return 404, {}
        context = base64.b64decode(body["context"])
        try:
            return 200, self._work(action, context, body)
        except (InvalidTag, ValueError, IndexError):
            return 400, {"errors": ["invalid ciphertext"]}

    def _work(self, action: str, context: bytes, body: Any) -> dict[str, str]:
        if action == "encrypt":
            return {"ciphertext": self._close(base64.b64decode(body["plaintext"]), context)}
        if action == "decrypt":
            plain = self._open(body["ciphertext"], context)
            return {"plaintext": base64.b64encode(plain).decode()}
        if action == "rewrap":
            return {"ciphertext": self._close(self._open(body["ciphertext"], context), context)}
        if action == "datakey/plaintext":
            plain = os.urandom(body["bits"] // 8)
            return {
                "plaintext": base64.b64encode(plain).decode(),
                "ciphertext": self._close(plain, context),
            }
        raise ValueError(action)

    def _close(self, plain: bytes, context: bytes) -> str:
        nonce = os.urandom(12)
        sealed = nonce + self._cipher(len(self.versions), context).encrypt(nonce, plain, None)
        return f"vault:v{len(self.versions)}:{base64.b64encode(sealed).decode()}"

    def _open(self, text: str, context: bytes) -> bytes:
        _, version, code = text.split(":")
        sealed = base64.b64decode(code)
        return self._cipher(int(version[1:]), context).decrypt(sealed[:12], sealed[12:], None)

    def _cipher(self, version: int, context: bytes) -> AESGCM:
        return AESGCM(derive(self.versions[version - 1], context.decode()))


@contextmanager
def open_engine(folder: Path, *, over_tls: bool = True) -> Iterator[Engine]:
    """Serve an engine on loopback while the block lasts."""
    engine = Engine(token_file=folder / "token")
    engine.token_file.write_text(f"{TOKEN}\n")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, data = 403, {}
            if self.headers["x-vault-token"] == TOKEN:
                status, data = engine.answer(
                    self.command, self.path, json.loads(text) if text else None
                )
            answer = json.dumps({"data": data}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_given: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if over_tls:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        engine.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(engine.ca_file)
    scheme = "https" if over_tls else "http"
    engine.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield engine
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
