"""The outbox plane's tables beside the road: vault tokens, and the windows of summaries.

Called by `tables.outbox_metadata`, which says by `make` where a table lives and what its name is.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, Text

Make = Callable[..., Any]


def make_vault(make: Make, index: Make) -> None:
    """Make vault tokens, and whom each is about. An erased one has no blind index."""
    tokens = make(
        "vault_tokens",
        Column("token", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("connector", Text, nullable=False),
        Column("domain", Text, nullable=False),
        Column("blind", Text),
        Column("sealed", LargeBinary),
        Column("created_us", BigInteger, nullable=False),
        Column("erased_us", BigInteger),
    )
    # Any number of erased rows may stand there.
    index(tokens, "blind", "connector", "tenant", "domain", "blind", unique=True)
    subjects = make(
        "vault_subjects",
        Column("subject", Text, primary_key=True),
        Column("token", Text, primary_key=True),
    )
    index(subjects, "token", "token")


def make_windows(make: Make, index: Make, key: Any) -> None:
    """Make windows, no two of a lane, a tenant, a scope and a time alike, and their members.

    A window's letter is a row of `deliveries` that names the window; its state is there alone.
    """
    windows = make(
        "windows",
        Column("id", key, primary_key=True),
        Column("lane", Text, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("scope_id", Text, nullable=False),
        Column("start_us", BigInteger, nullable=False),
        Column("end_us", BigInteger, nullable=False),
        Column("closes_us", BigInteger, nullable=False),
    )
    span = ("lane", "tenant", "scope_id", "start_us", "end_us")
    index(windows, "span", *span, unique=True)
    members = make(
        "window_members",
        Column("window_id", BigInteger, primary_key=True, autoincrement=False),
        Column("event_seq", BigInteger, primary_key=True, autoincrement=False),
    )
    index(members, "event", "event_seq")
