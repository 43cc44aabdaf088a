"""Tell waiting workers that something was committed: a hint, after the caller's own commit.

Registered once for all sessions when the producer is imported; it does nothing for a session that
enqueued nothing. The hint uses the session's own connection while that is still checked out, in a
transaction of its own, at most once per 5 ms and database: NOTIFY takes a lock on the whole
database, and a worker woken for every row falls into tiny batches. It must never raise into the
caller, for the commit has happened; whatever it misses, polling finds. A bare `Connection` has no
moment after its commit, so its rows are found by polling.
"""

import os
import threading
import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from dispatcher.store.enqueueing import announce

PAUSE_SECONDS: Final = 0.005

_pending: WeakKeyDictionary[Session, Connection] = WeakKeyDictionary()
_announced: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()
_lock: Final = threading.Lock()
# Whoever forks holds it meanwhile, so that no other thread takes it along and never gives it back.
if hasattr(os, "register_at_fork"):  # where nothing forks there is no such thing
    os.register_at_fork(
        before=_lock.acquire, after_in_child=_lock.release, after_in_parent=_lock.release
    )


def remember(session: Session, connection: Connection) -> None:
    """Note that this session's transaction holds a new event."""
    if connection.dialect.name == "postgresql":
        with _lock:
            _pending[session] = connection


def _after_commit(session: Session) -> None:
    connection = _pending.get(session)
    # Also called when a savepoint is released, or when the transaction is someone else's.
    if connection is None or connection.closed or connection.in_transaction():
        return
    if not _is_due(connection.engine):
        return
    try:
        announce(connection)
    except (SQLAlchemyError, OSError):
        _let_go(connection)


def _is_due(engine: Engine) -> bool:
    now = time.monotonic()
    with _lock:
        if now - _announced.get(engine, -PAUSE_SECONDS) < PAUSE_SECONDS:
            return False
        _announced[engine] = now
        return True


def _let_go(connection: Connection) -> None:
    try:
        connection.rollback()
    except (SQLAlchemyError, OSError):
        connection.invalidate()


def _after_end(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None and session in _pending:
        with _lock:
            _pending.pop(session, None)


def _listen(name: str, listener: Any) -> None:
    event.listen(Session, name, listener)


_listen("after_commit", _after_commit)
_listen("after_transaction_end", _after_end)
