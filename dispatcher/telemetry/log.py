"""Structured logs: one JSON object a line on standard error, keys from an allow-list.

Configured once by `app`. A key that is not on the list is dropped, so that a careless call cannot
write a payload; tracebacks carry no local variables.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

KEYS: Final = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "worker",
        "delivery",
        "event_id",
        "webhook_id",
        "subscription",
        "connector",
        "host",
        "kind",
        "attempt",
        "move",
        "outcome",
        "status",
        "code",
        "reason",
        "revision",
        "epoch",
        "count",
        "seconds",
        "address",
        "database",
        "path",
        "why",
        "fix",
        "error",
        "switch",
        "operation",
        "note",
        "detector",
        "action",
        "length",
        "store",
        "rule",
    }
)
"""Every key a log line may have: a documented contract."""


def configure(level: str = "info", file: TextIO | None = None) -> None:
    """Send log lines of at least this level to a file, by default standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_known_keys,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(file=file or sys.stderr),
        cache_logger_on_first_use=False,
    )
    # What libraries say may hold anything, a token in a malformed header too: only that they did.
    logging.basicConfig(handlers=[_Library()], level=logging.WARNING, force=True)


class _Library(logging.Handler):
    """Tells that a library logged something, and of which kind: never its words or its trace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        logger().warning("library", path=record.name, level=record.levelname, error=kind)


def logger() -> Any:
    """Give the logger; call it with an event name and allowed keys. Ask once `configure` was."""
    if not structlog.is_configured():
        configure("warning")  # a library's default would write on standard output
    # Bound now: the lazy one would be bound anew for every line, those below the level included.
    return structlog.get_logger().bind()


def _only_known_keys(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {key: value for key, value in line.items() if key in KEYS}
