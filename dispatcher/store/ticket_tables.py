"""The outbox plane's tables of tickets, and of the signatures that were shown with them.

Called by `tables.outbox_metadata`, which says by `make` where a table lives and what its name is,
and by `index` what its indexes are called.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, Text


def make_tickets(make: Callable[..., Any], index: Callable[..., None]) -> None:
    """Make what partners come with: tickets of letters, and signatures that count once."""
    tickets = make(
        "tickets",
        Column("webhook_id", Text, primary_key=True),
        Column("delivery_id", BigInteger, nullable=False),
        Column("event_seq", BigInteger, nullable=False),
        Column("sha256", Text, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("connector", Text, nullable=False),
        Column("subscription", Text, nullable=False),
        Column("scope_id", Text, nullable=False),
        Column("issued_us", BigInteger, nullable=False),
        Column("expires_us", BigInteger, nullable=False),
        Column("uses_max", Integer, nullable=False),
        Column("reads", Integer, nullable=False),
    )
    index(tickets, "expires", "expires_us")
    shown = make(
        "shown_signatures",
        Column("id", Text, primary_key=True),
        Column("shown_us", BigInteger, nullable=False),
    )
    index(shown, "shown", "shown_us")
