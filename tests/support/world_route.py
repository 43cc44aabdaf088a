"""A stretch of network between a worker and a database that can go silent.

Connections made before `silence` stay open and carry nothing more, as behind a dead switch or a
moved address; connections made later work.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url


class Route:
    """Forwards connections from a port on loopback to one on loopback."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._silence = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def url(self) -> str:
        port: int = self._listener.getsockname()[1]
        return self._url.set(port=port).render_as_string(hide_password=False)

    def silence(self) -> None:
        """Swallow everything on the connections there are."""
        self._silence.set()
        self._silence = threading.Event()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._url.port or 5432))
                self._sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    forward = threading.Thread(
                        target=self._forward, args=(*pair, self._silence), daemon=True
                    )
                    forward.start()

    def _forward(self, come: socket.socket, go: socket.socket, silence: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while said := come.recv(65536):
                if not silence.is_set():
                    go.sendall(said)
            if not silence.is_set():
                go.shutdown(socket.SHUT_WR)
