"""The outbox plane's copy of the catalogue: what may be enqueued, by whom, as of which revision.

Called by `tables.outbox_metadata`, which says by `make` where a table lives and what its name is.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, Text, text

Make = Callable[..., Any]


def make_catalogue(make: Make) -> None:
    """Make event types, producers, and the revision that both were copied from."""
    make(
        "catalogue",
        Column("event_type", Text, primary_key=True),
        Column("schema", Text, nullable=False),
        Column("payload_bytes_max", Integer, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("version", Integer, nullable=False, server_default=text("1")),
        Column("subjects_max", Integer, nullable=False, server_default=text("100")),
        Column("intake_key", Text),
        Column("intake_public", Text),
    )
    make(
        "producers",
        Column("kind", Text, primary_key=True),
        Column("who", Text, primary_key=True),
        Column("producer", Text, nullable=False),
        Column("event_types", Text, nullable=False),
        Column("tenants", Text, nullable=False),
    )
    make(
        "publication",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("revision", BigInteger, nullable=False),
    )
