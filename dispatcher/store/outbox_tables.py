"""The outbox plane's tables beside the road: vault tokens, windows, tickets, findings, triage,
records of purges.

Called by `tables.outbox_metadata`, which says by `make` where a table lives and what its name is,
and by `index` what its indexes are called.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Text

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


def make_tickets(make: Make, index: Make) -> None:
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


def make_findings(make: Make, index: Make, key: Any) -> None:
    """Make what the leak guard found, once for a delivery, a detector and a field."""
    findings = make(
        "findings",
        Column("id", key, primary_key=True),
        Column("delivery_id", BigInteger, nullable=False),
        Column("event_seq", BigInteger, nullable=False),
        Column("subscription", Text, nullable=False),
        Column("detector", Text, nullable=False),
        Column("path", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("length", Integer, nullable=False),
        Column("count", Integer, nullable=False),
        Column("found_us", BigInteger, nullable=False),
    )
    index(findings, "once", "delivery_id", "detector", "path", "action", unique=True)
    index(findings, "found", "found_us")


def make_purges(make: Make, key: Any) -> None:
    """Make the records of what was purged: one for a sweep, a store and a rule."""
    make(
        "purges",
        Column("id", key, primary_key=True),
        Column("at_us", BigInteger, nullable=False),
        Column("store", Text, nullable=False),
        Column("rule", Text, nullable=False),
        Column("counts", Text, nullable=False),
        Column("oldest_us", BigInteger, nullable=False),
        Column("newest_us", BigInteger, nullable=False),
        Column("survivor_us", BigInteger),
        Column("is_complete", Boolean, nullable=False),
        Column("worker", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
    )


def make_triage(make: Make) -> None:
    """Make the places in events that no schema classes."""
    make(
        "triage",
        Column("event_type", Text, primary_key=True),
        Column("path", Text, primary_key=True),
        Column("reason", Text, nullable=False),
        Column("first_seen_us", BigInteger, nullable=False),
        Column("last_seen_us", BigInteger, nullable=False),
    )
