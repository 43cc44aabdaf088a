"""A product service that forks while another of its threads enqueues: the child enqueues too."""

import os
import signal
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from dispatcher.producer import wakeup
from dispatcher.vault import intake
from dispatcher.vault.intake import IntakeKey, seal_to_intake

KEY = IntakeKey("k1", X25519PrivateKey.generate().public_key().public_bytes_raw())


def ends_well(act: Callable[[], object]) -> bool:
    """Fork, and tell whether the child could do it within five seconds."""
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def while_held(lock: threading.Lock, seconds: float, fork: Callable[[], bool]) -> bool:
    """Fork while another thread has the lock, for so long at most."""
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            enough.wait(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        return fork()
    finally:
        enough.set()
        thread.join()


def test_a_forked_process_seals_though_a_thread_left_behind_was_sealing():
    def seal() -> None:
        seal_to_intake(KEY, b"{}", b"place")

    seal()
    held = intake._sessions[KEY].cipher._lock
    assert while_held(held, 30, lambda: ends_well(seal))


def test_a_forked_process_remembers_whom_to_wake_though_a_thread_left_behind_did():
    def remember() -> None:
        with Session() as session:
            wakeup.remember(session, connection)

    connection: Any = SimpleNamespace(dialect=postgresql.dialect())
    assert while_held(wakeup._lock, 0.2, lambda: ends_well(remember))
    assert not wakeup._lock.locked()
