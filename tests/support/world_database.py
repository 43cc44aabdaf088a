"""Plain synchronous connections to either engine, as a product service in another team has them."""

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from tests.support.databases import PLAIN


def open_plain(url: str) -> Engine:
    """Open a database with the synchronous driver of its engine."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        service = parsed.set(drivername="postgresql+pg8000")
        return create_engine(service, pool_pre_ping=True, connect_args=PLAIN)
    engine = create_engine(parsed.set(drivername="sqlite"), connect_args={"timeout": 30})
    event.listen(engine, "connect", _take_over_transactions)
    event.listen(engine, "begin", _begin)
    return engine


def _take_over_transactions(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    # Immediate for a writer: a transaction that began as a reader fails when another wrote first.
    is_reader = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")
